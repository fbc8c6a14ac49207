"""The Python functions: arrays or paths in, results out, the same options as the commands.

Settings that a config defines are keywords here by the same names: the ``...Settings`` list them for type checkers and
editors. A value out of bounds, or a name that is none, gets the config's message.
"""

from napari_deep3d.api.evaluation import evaluate
from napari_deep3d.api.models import export_model
from napari_deep3d.api.prediction import predict, predict_folder
from napari_deep3d.api.registration import pairs_from_sim, register
from napari_deep3d.api.settings import EvaluateSettings, PredictSettings, RegisterSettings, TrainSettings
from napari_deep3d.api.training import adapt, simulate, train, train_config

__all__ = [
    "EvaluateSettings",
    "PredictSettings",
    "RegisterSettings",
    "TrainSettings",
    "adapt",
    "evaluate",
    "export_model",
    "pairs_from_sim",
    "predict",
    "predict_folder",
    "register",
    "simulate",
    "train",
    "train_config",
]
