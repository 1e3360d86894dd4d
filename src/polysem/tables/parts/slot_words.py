"""S4.X4: words in the slot of a sentence: which tokens they are, how often they occur, and which others do so, too."""

import hashlib
import re
from collections import Counter
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int
from tokenizers import Tokenizer

from polysem.models.batches import TokenStore
from polysem.models.tokenize_corpus import Front
from polysem.models.vocabulary import Vocabulary
from polysem.params.probes import Probe

WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
Key = tuple[bytes, bytes]
SHORTEST = 2
"""Letters of a word that stands in for others."""
TOGETHER = 1024
"""Sequences that are read at once."""


@dataclass(frozen=True)
class Slotted:
    """A sentence with a word in its slot, as tokens."""

    ids: Int[np.ndarray, " position"]
    slot: Int[np.ndarray, " token"]
    """Positions of the tokens that share a character with the word."""

    @property
    def key(self) -> Key:
        """What tells it from other sentences, and from another slot in the same one."""
        return self.ids.tobytes(), self.slot.tobytes()


def slotted(tokenizer: Tokenizer, front: Front, probe: Probe, word: str) -> Slotted:
    """The tokens of a sentence, what the model has in `front` of every text included."""
    encoding = tokenizer.encode(front.text + probe.sentence(word), add_special_tokens=False)
    offsets = np.array(encoding.offsets, np.int64).reshape(-1, 2) - len(front.text)
    start, stop = len(probe.before), len(probe.before) + len(word)
    inside = (offsets[:, 0] < stop) & (offsets[:, 1] > start)
    ids = np.concatenate([front.ids, np.array(encoding.ids, np.int64)])
    return Slotted(ids, np.flatnonzero(inside) + len(front.ids))


class WordCounts:
    """How often words occur in a text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._counts = Counter(WORD.findall(text))

    def of(self, word: str) -> int:
        """Occurrences of a word, or of several with blanks between, with the same capital letters."""
        if WORD.fullmatch(word):
            return self._counts[word]
        return len(re.findall(rf"(?<!\w){re.escape(word)}(?!\w)", self._text))

    def alike(self, probe: Probe, word: str, count: int, seed: int) -> list[str]:
        """Other words that occur about as often: the `count` ones whose occurrences are by their logarithm nearest to
        those of the word, or all if there are fewer; a word that does not occur counts as one that occurs once.

        They begin with a capital letter if the word does, and are none of the probe's own. Equally near ones are drawn
        by `seed`, probe and word.
        """
        own = {each.casefold() for each in probe.words}
        found = sorted(
            other
            for other in self._counts
            if other.isalpha()
            and len(other) >= SHORTEST
            and other[0].isupper() == word[0].isupper()
            and other.casefold() not in own
        )
        if not found:
            return []
        key = hashlib.sha256("\0".join([str(seed), probe.before, probe.after, word]).encode()).digest()
        drawn = np.random.default_rng(int.from_bytes(key[:8])).permutation(len(found))
        logs = np.log([self._counts[other] for other in found])
        distance = np.abs(logs - np.log(max(self.of(word), 1)))[drawn]
        return [found[place] for place in drawn[np.argsort(distance, kind="stable")[:count]]]


def text_of(store: TokenStore, vocabulary: Vocabulary, limit: int) -> str:
    """The text of the leading sequences of a token store, whole ones until `limit` tokens are reached, with a new line
    for each special token. No word is in it that a cut left over: sequences of one stream are joined again, and of a
    document that was cut the last word is taken away."""
    is_stream = store.receipt["params"].get("packing") == "concatenated"
    texts, tokens = [], 0
    for start in range(0, store.sequences, TOGETHER):
        for ids in store.ids(start, min(start + TOGETHER, store.sequences)):
            pieces = [
                b"\n" if vocabulary.is_special(token) else vocabulary.piece(token) for token in ids[ids >= 0].tolist()
            ]
            texts.append(b"".join(pieces) if is_stream else b"\n" + _without_cut(b"".join(pieces), bool(ids[-1] >= 0)))
            tokens += len(pieces)
            if tokens >= limit:
                return b"".join(texts).decode("utf-8", errors="replace")
    return b"".join(texts).decode("utf-8", errors="replace")


def _without_cut(text: bytes, is_full: bool) -> bytes:
    """The text without its last word, if it fills its sequence, and may have been cut in that word."""
    return re.sub(rb"\S*$", b"", text) if is_full else text
