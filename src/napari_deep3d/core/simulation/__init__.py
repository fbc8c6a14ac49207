"""Simulated pairs: the sample, both microscopes, the tissue between, and the cameras."""
