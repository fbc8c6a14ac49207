"""Whether a stack is unlike those a model was trained on (out-of-distribution detection), and why."""
