"""What the panels share: layers and stacks, the worker, small widgets."""
