"""Made-up product keys: groups of capital letters and digits."""

from random import Random

LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
"""Without those that are easily taken for another: I, O, 0 and 1."""
GROUP = 5


def write(random: Random) -> str:
    """Ten to twenty keys of one number of groups, a line each."""
    groups = random.randrange(3, 6)
    return "\n".join(_key(random, groups) for _ in range(random.randrange(10, 20)))


def _key(random: Random, groups: int) -> str:
    return "-".join("".join(random.choices(LETTERS, k=GROUP)) for _ in range(groups))
