"""Real stacks to look at, and whether simulated ones look like them."""
