"""The one error that a user is meant to read, and how to tell that memory ran out."""

from __future__ import annotations


class InputError(ValueError):
    """Input or usage that cannot be worked with.

    The message is shown to the user as it is, so it states what was got, what is allowed, and the remedy.
    """


class NoImageError(InputError):
    """A stack that shows nothing: blank, constant, saturated or not finite.

    Of many stacks it can be left out. ``fault`` says what it is, as the rest of a sentence about it.
    """

    def __init__(self, name: str, fault: str, remedy: str) -> None:
        super().__init__(f"{name} {fault}; {remedy}")
        self.name, self.fault, self.remedy = name, fault, remedy

    def __reduce__(self) -> tuple[type[NoImageError], tuple[str, str, str]]:
        return type(self), (self.name, self.fault, self.remedy)  # a worker on another computer sends it as this


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out; torch raises several kinds, on a processor a plain RuntimeError."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    text = str(error).lower()
    signs = ("out of memory", "can't allocate memory", "not enough memory", "alloc_failed", "bad_alloc")
    return isinstance(error, RuntimeError) and any(sign in text for sign in signs)
