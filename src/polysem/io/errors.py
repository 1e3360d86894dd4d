"""The one kind of error that is meant for the user."""

from collections.abc import Iterator
from contextlib import contextmanager


class InputError(ValueError):
    """Bad input: the message says what was found, what is allowed and what to do, and is shown without a traceback."""


@contextmanager
def named(place: str, caught: type[ValueError] = InputError) -> Iterator[None]:
    """Put the place that is at fault, a key of the params file, in front of the message of an error."""
    try:
        yield
    except caught as error:
        raise InputError(f"{place}: {error}") from None
