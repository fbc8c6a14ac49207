"""The tables of measurements in the documentation, written from the stored results."""
