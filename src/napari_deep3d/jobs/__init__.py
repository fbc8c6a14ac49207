"""What command line, Python and window all call: generators of events that return a result."""
