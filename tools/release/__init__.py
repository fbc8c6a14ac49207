"""Steps of a release."""
