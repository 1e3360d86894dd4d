"""What a plot is."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from polysem.corpora.stories.template import Phrase

Beat = tuple[str, ...]
"""Templates of which one is told; an empty one leaves the beat out."""


@dataclass(frozen=True)
class Plot:
    """What happens between the opening of a story and its moral; each part is a row of beats."""

    name: str
    setup: tuple[Beat, ...]
    problem: tuple[Beat, ...]
    resolution: tuple[Beat, ...]
    morals: tuple[str, ...]
    """Completes "to always ..."; it is what the plot has shown."""
    heroes: tuple[str, ...] = ("child", "animal")
    knows_friend: bool = True
    """Whether hero and friend know each other from the start."""
    weathers: tuple[str, ...] | None = None
    """What the weather may be; None for any."""
    prepare: Callable[[Random], dict[str, Phrase]] | None = None
    """Slots of this plot's own, drawn anew for each story."""
