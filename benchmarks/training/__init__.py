"""Training: what each part is worth, speed, resuming."""
