"""The networks: generator, training, frozen tiled inference, model files."""
