"""How good a stack is: against its confocal one, against another recording, or by itself; and how far to trust it."""
