"""The Predict panel."""
