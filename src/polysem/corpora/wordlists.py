"""Word lists as one writes them down."""


def words(text: str) -> tuple[str, ...]:
    """The words of a text."""
    return tuple(text.split())


def expressions(text: str) -> tuple[str, ...]:
    """Expressions of several words, separated by bars."""
    return tuple(text.split("|"))
