"""Random digests in hexadecimal, in lines as programs that hash files print them."""

from random import Random

DIGITS = {"md5": 32, "sha1": 40, "sha256": 64}


def write(random: Random) -> str:
    """300 to 600 digits in lines of one length, the length of a common digest."""
    width = random.choice(tuple(DIGITS.values()))
    lines = random.randrange(300, 600) // width + 1
    return "\n".join(random.randbytes(width // 2).hex() for _ in range(lines))
