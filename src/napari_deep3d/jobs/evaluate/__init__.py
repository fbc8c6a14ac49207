"""Evaluating a prediction: measures, figures and the report."""
