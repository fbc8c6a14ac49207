"""The models at hand: found, imported, exported."""
