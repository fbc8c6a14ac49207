"""Registration: error, confidence, speed."""
