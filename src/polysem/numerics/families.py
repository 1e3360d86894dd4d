"""Families of twins: groups in which every two are a pair."""

from collections import defaultdict

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray


def families(
    first: Int[NDArray, " pair"], second: Int[NDArray, " pair"], strength: Float[NDArray, " pair"], count: int
) -> Int[NDArray, " member"]:
    """The family of each of `count` things, some pairs of which are twins; −1 for one that is in none.

    From the strongest pair on, two families (a thing without one counts as a family of itself) become one if each of
    the one is a twin of each of the other. So no chain of twins joins what is not alike: of a, b, c with the twins ab
    and bc alone, the stronger pair is a family and the third thing is in none. Equal strengths go by the order of the
    pairs. Families are numbered by their first members. Each pair stands once, of two different things.
    """
    between: defaultdict[int, dict[int, int]] = defaultdict(dict)
    for one, other in zip(first.tolist(), second.tolist(), strict=True):
        between[one][other] = between[other][one] = 1
    members = {one: [one] for one in between}
    family = {one: one for one in between}
    for pair in np.argsort(-strength, kind="stable").tolist():
        one, other = family[int(first[pair])], family[int(second[pair])]
        if one == other or between[one][other] < len(members[one]) * len(members[other]):
            continue
        if len(between[one]) < len(between[other]):
            one, other = other, one
        for third, twins in between.pop(other).items():
            del between[third][other]
            if third != one:
                between[one][third] = between[third][one] = between[one].get(third, 0) + twins
        for member in members[other]:
            family[member] = one
        members[one] += members.pop(other)
    found = np.full(count, -1, np.int64)
    together = sorted(sorted(group) for group in members.values() if len(group) > 1)
    for number, group in enumerate(together):
        found[group] = number
    return found
