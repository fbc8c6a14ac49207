"""The dock in napari: the only package that knows Qt and napari."""
