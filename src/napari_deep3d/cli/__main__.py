"""``python -m napari_deep3d.cli``: the command, as ``torchrun -m`` needs it."""

from napari_deep3d.cli.app import main

main()
