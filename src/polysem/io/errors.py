"""The one kind of error that is meant for the user."""


class InputError(ValueError):
    """Bad input: the message says what was found, what is allowed and what to do, and is shown without a traceback."""
