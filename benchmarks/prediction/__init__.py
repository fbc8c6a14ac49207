"""Predictions: scores, trust, tiles, speed."""
