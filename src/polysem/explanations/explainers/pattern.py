r"""A regular expression over the token, or over the text that ends with it: `^ ?[A-Z][a-z]*$`, `ing$`."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import get_args

import numpy as np

from polysem.explanations.shown import NOTHING, Explanation, Shown
from polysem.tables.passes.explanations.rules import Matching
from polysem.tables.passes.explanations.texts import Read

PATTERNS: Mapping[Read, Mapping[str, str]] = MappingProxyType(
    {
        "token": MappingProxyType(
            {
                r"^\s*[A-Z][a-z]*$": "a capitalised word or its beginning",
                r"^\s*[A-Z]{2,}$": "capitals",
                r"^\s[a-z]+$": "a lower-case word or its beginning",
                r"^[a-z]+$": "the rest of a word",
                r"[0-9]": "a digit",
                r"^\s+$": "white space",
                r"\n": "a new line",
                r"^\s*[.!?]": "the end of a sentence",
                r"^\s*,": "a comma",
                r"[\"“”«»]": "a quotation mark",
                r"['’]": "an apostrophe",
                r"^\s*[^\w\s]+$": "punctuation",
                r"[(){}\[\]=;:<>_]": "a sign of code",
                r"[\u0600-\u06ff]": "Arabic script",
                r"[\u0590-\u05ff]": "Hebrew script",
                r"[\u0400-\u04ff]": "Cyrillic script",
                r"[\u0370-\u03ff]": "Greek script",
                r"[\u3040-\u30ff\u4e00-\u9fff]": "Chinese or Japanese script",
                r"[^\x00-\x7f]": "no ASCII",
                r"^[ACGT]+$": "letters of DNA",
                r"^[A-Za-z0-9+/]*([a-z][A-Z]|[A-Z][a-z]+[A-Z]|[A-Za-z][0-9]|[0-9][A-Za-z])": "letters and digits mixed",
            }
        ),
        "text": MappingProxyType(
            {
                r"[ACGT]{8,}\Z": "a run of letters of DNA",
                r"[A-Za-z0-9+/]{16,}=*\Z": "a long run of letters and digits",
                r"(?:^|[\s(])[\"“][^\"“”]*\Z": "a quotation",
                r"(?:\A|[.!?][\"”]?\s+|\n)\S+\Z": "the first word of a sentence",
                r"[.!?][\"”]\Z": "the end of a quoted sentence",
                r"\d\s*\S*\Z": "a digit or what follows it",
                r"[(\[{][^)\]}]*\Z": "what stands in brackets",
            }
        ),
    }
)
"""Patterns that are tried on every feature, with their words."""
LETTERS = 3
"""Letters of beginnings and ends that are tried, those of the strongest tokens."""
STRONGEST = 10
"""Tokens whose beginnings and ends are tried."""


def explain(shown: Shown) -> Explanation:
    """The expression that correlates best with the activation."""
    known = [(pattern, read, words) for read in get_args(Read) for pattern, words in PATTERNS[read].items()]
    known += [(pattern, "token", words) for pattern, words in _affixes(shown).items()]
    columns = np.stack([shown.texts.matches(pattern, read)[shown.token] for pattern, read, _ in known], axis=1)
    found = shown.correlations(columns)
    best = int(np.argmax(found))
    if found[best] <= 0:
        return NOTHING
    pattern, read, words = known[best]
    where = "tokens with" if read == "token" else "tokens at the end of"
    return Explanation(f"{where} {words}: /{pattern}/", Matching(pattern, read, shown.level(columns[:, best])))


def _affixes(shown: Shown) -> dict[str, str]:
    """Beginnings and ends of the tokens on which the feature is strongest that several of them share."""
    order = np.argsort(-shown.activation, kind="stable")
    pieces = list(dict.fromkeys(shown.texts.piece(int(one)) for one in shown.token[order[: 4 * STRONGEST]]))
    counts: dict[tuple[str, str], int] = {}
    for piece in pieces[:STRONGEST]:
        for length in range(1, LETTERS + 1):
            if len(piece.strip()) > length:
                for pattern, words in (
                    (_literal(piece[-length:]) + "$", f'the end "{piece[-length:]}"'),
                    ("^" + _literal(piece[: length + 1]), f'the beginning "{piece[: length + 1]}"'),
                ):
                    counts[pattern, words] = counts.get((pattern, words), 0) + 1
    return {pattern: words for (pattern, words), count in counts.items() if count > 1}


def _literal(text: str) -> str:
    """An expression for a text, in which blanks are blanks."""
    return re.escape(text).replace("\\ ", " ")
