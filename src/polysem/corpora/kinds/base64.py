"""Random bytes in base64, in lines as mail programs and certificates have them."""

from base64 import b64encode
from random import Random

LINE_WIDTHS = (48, 64, 76)


def write(random: Random) -> str:
    """180 to 420 random bytes; about two thirds of the documents end in padding."""
    letters = b64encode(random.randbytes(random.randrange(180, 420))).decode("ascii")
    width = random.choice(LINE_WIDTHS)
    return "\n".join(letters[start : start + width] for start in range(0, len(letters), width))
