"""The method without any framework: arrays and frozen settings in, arrays out."""
