"""Signs for characters of a text that have no look of their own."""

SIGNS = {" ": "·", "\n": "↵", "\x7f": "␡"}
PICTURES, PICTURED = 0x2400, 0x20
"""Where Unicode keeps pictures of the other control characters, and the first character that has none."""


def sign_of(letter: str) -> str | None:
    """What stands for a blank or a control character where it has to be seen; None of one that can be seen itself."""
    if letter in SIGNS:
        return SIGNS[letter]
    return chr(PICTURES + ord(letter)) if ord(letter) < PICTURED else None
