"""Probes: sentences with a slot, `My favorite color is [red|crimson|blue]`."""

import re
from typing import Annotated, NamedTuple

from pydantic import AfterValidator, Field

LONGEST_PROBE, MOST_WORDS = 800, 20
EXAMPLE = "'My favorite color is [red|crimson|blue]'"
_SLOT = re.compile(r"([^\[\]]*)\[([^\[\]]*)\]([^\[\]]*)")


class Probe(NamedTuple):
    """A sentence with a slot, and the words that stand there in turn."""

    before: str
    words: tuple[str, ...]
    """The base word, which features are chosen by, and its replacements."""
    after: str

    def sentence(self, word: str) -> str:
        """The sentence with a word in its slot."""
        return f"{self.before}{word}{self.after}"


def parsed(text: str) -> Probe:
    """The probe that a text spells. ValueError, with what is wrong and an example, if it spells none."""
    if len(text) > LONGEST_PROBE:
        raise ValueError(f"{text[:40]!r}… has {len(text):,} characters; a probe has at most {LONGEST_PROBE}")
    found = _SLOT.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} has no slot, or more than one; a probe has one pair of brackets, as {EXAMPLE}")
    words = tuple(word.strip() for word in found[2].split("|"))
    if len(words) < 2 or not all(words):
        raise ValueError(
            f"{text!r} lacks words in its slot; a base word and its replacements stand there, as {EXAMPLE}"
        )
    if len(words) > MOST_WORDS:
        raise ValueError(f"{text!r} has {len(words)} words in its slot; there may be {MOST_WORDS}")
    if twice := [word for word in words if words.count(word) > 1]:
        raise ValueError(f"{text!r} has {twice[0]!r} twice in its slot; each word stands there once")
    return Probe(found[1], words, found[3])


def require_probe(text: str) -> str:
    """The same; ValueError for a text that spells no probe."""
    parsed(text)
    return text


ProbeText = Annotated[str, AfterValidator(require_probe)]
Probes = Annotated[list[ProbeText], Field(max_length=100)]

DEFAULT_PROBES: list[str] = [
    "My favorite color is [red|crimson|blue]",
    "They [love|hate|like] each other",
    "What she said was full of [insight|insightful|intuition|absurd]",
    "The little girl was very [happy|glad|sad]",
    "In the garden there was a [dog|puppy|cat|ball]",
]
"""Three of document S4, and two of words that the generated stories are full of."""
