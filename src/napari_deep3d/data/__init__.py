"""Shipped files: models, the sample pair, weights of the perceptual loss."""

from pathlib import Path

FOLDER = Path(__file__).parent
MODELS = FOLDER / "models"
THICK_WIDEFIELD = FOLDER / "samples" / "thick_widefield.tif"
THICK_CONFOCAL = FOLDER / "samples" / "thick_confocal.tif"
VGG16 = FOLDER / "vgg16_conv1_1-conv3_3_fp16.safetensors"
