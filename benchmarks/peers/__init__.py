"""The program side by side with others: seconds and memory over growing stacks, in one run on one machine."""
