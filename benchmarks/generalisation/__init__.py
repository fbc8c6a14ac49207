"""How well models do on microscopes and samples that the program's own simulator did not make."""
