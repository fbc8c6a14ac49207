"""The one error that a user is meant to read."""


class InputError(ValueError):
    """Input or usage that cannot be worked with.

    The message is shown to the user as it is, so it states what was got, what is allowed, and the remedy.
    """
