"""Predicting: a stack, a file, a folder; here or by the workers of a cluster."""
