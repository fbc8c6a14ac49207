"""Adapting a model to one stack."""
