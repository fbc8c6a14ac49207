"""How good a result is, and how large an error to expect of it."""
