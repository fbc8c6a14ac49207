"""Studies and measurements; each module says how it is run."""
