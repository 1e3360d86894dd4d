"""What tags a text carries by its words and characters alone, for text of which no generator knows the truth.

Tags of the stories that words decide are looked up in the generator's own word lists; tags of other kinds of documents,
and those of real text, are what the expressions of `proxies` match. Tags that no word decides have no recogniser: what
plot a sentence belongs to, or which part of a story, is told by the whole story.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache

from polysem.corpora.proxies import PREFIX, proxy_spans
from polysem.corpora.stories.cast import ANIMAL_NAMES, ANIMALS, BOYS, FAMILY, GIRLS, MEN, WOMEN
from polysem.corpora.stories.lexicon import WORDS, spans_of
from polysem.corpora.stories.scenes import PLACES
from polysem.corpora.stories.things import CREATURES, PLURALS, SPOTS, SWEETS, TOYS, WILD_SPOTS
from polysem.corpora.tagged import Span
from polysem.params.proxies import DEFAULT_PROXIES, compiled_proxy

Recogniser = Callable[[str], list[Span]]
"""Spans of a tag in a text, sorted by their start."""
KIND = "kind:"
DIALOGUE = re.compile(r'"[^"\n]*(?:"|$)', re.MULTILINE)
"""Speech; a text may end in it."""
CAST: Mapping[str, Iterable[str]] = {
    "name": (*GIRLS, *BOYS, *ANIMAL_NAMES),
    "person": sorted({*WOMEN, *MEN} - FAMILY),
    "animal": (*ANIMALS, *CREATURES),
    "object": (*TOYS,),
    "food": (*SWEETS, *PLURALS.values(), *(f"{sweet}s" for sweet in SWEETS if sweet not in PLURALS)),
    "place": (*PLACES, *CREATURES.values()),
    "spot": (*SPOTS, *WILD_SPOTS),
}
"""Words that fill slots of the stories with a tag, beside those of the lexicon."""


def recognisers(tags: Iterable[str], proxies: Mapping[str, str]) -> dict[str, Recogniser]:
    """A recogniser for each of the tags that has one; `proxies` are the expressions of the corpus, by name."""
    found = ((tag, _recogniser(tag, proxies)) for tag in tags)
    return {tag: one for tag, one in found if one is not None}


def _recogniser(tag: str, proxies: Mapping[str, str]) -> Recogniser | None:
    if tag.startswith(PREFIX):
        name = tag.removeprefix(PREFIX)
        return _matching(tag, compiled_proxy(name, proxies[name])) if name in proxies else None
    if tag.startswith(KIND):
        name = tag.removeprefix(KIND)
        return _matching(tag, compiled_proxy(name, DEFAULT_PROXIES[name])) if name in DEFAULT_PROXIES else None
    if tag == "dialogue":
        return _matching(tag, DIALOGUE)
    in_lexicon = tag == "action" or tag in WORDS
    if not in_lexicon and tag not in CAST:
        return None
    listed = _matching(tag, _any_of(CAST[tag], tag)) if tag in CAST else None

    def by_words(text: str) -> list[Span]:
        spans = [span for span in _in_lexicon(text) if span[2] == tag] if in_lexicon else []
        return sorted({*spans, *(listed(text) if listed else [])})

    return by_words


_in_lexicon = lru_cache(maxsize=4)(spans_of)
"""The spans of a text, which is asked for one tag after the other."""


def _matching(tag: str, pattern: re.Pattern[str]) -> Recogniser:
    return lambda text: proxy_spans(text, {tag: pattern})


def _any_of(listed: Iterable[str], tag: str) -> re.Pattern[str]:
    """Any of some expressions as whole words, the longest first; names are told by their capitals."""
    words = sorted(listed, key=lambda word: (-len(word), word))
    return re.compile(rf"(?<![\w-])(?:{'|'.join(map(re.escape, words))})(?![\w-])", 0 if tag == "name" else re.I)
