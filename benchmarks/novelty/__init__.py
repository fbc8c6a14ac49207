"""Warnings about stacks unlike the training data."""
