"""Where a confocal stack lies in a wide-field stack of the same sample."""
