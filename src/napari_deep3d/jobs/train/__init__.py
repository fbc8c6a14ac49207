"""Training: from a pairs folder to a run folder with a model."""
