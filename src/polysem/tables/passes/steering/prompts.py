"""S1.F5: what is continued: nothing but BOS, beginnings of eval documents, and eval texts that carry a tag."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int
from numpy.typing import NDArray
from tokenizers import Tokenizer

from polysem.models.batches import TokenStore
from polysem.models.tokenize_corpus import Front
from polysem.models.vocabulary import Vocabulary
from polysem.tables.parts.token_tags import TokenTags

LONGEST = 8
"""Tokens of a prompt, without what stands in front of every document."""
LIMIT = 262_144
"""Eval tokens out of which prompts are taken, in whole sequences."""
Ids = NDArray[np.int64]
PromptsOf = Callable[[int], Iterator[Ids]]
"""The prompts that a sequence has, by its number."""


@dataclass(frozen=True)
class EvalTexts:
    """The first sequences of the eval tokens, with their tags."""

    ids: Int[np.ndarray, "sequence position"]
    """−1 behind the end of a sequence."""
    text: Bool[np.ndarray, "sequence position"]
    """Tokens that are a piece of text, and no special ones."""
    tags: TokenTags
    front: Ids
    """What stands in front of every document; it may be nothing."""

    def beginnings(self, count: int) -> list[Ids]:
        """Beginnings of documents, from sequences that are evenly spread; fewer where there are not as many."""
        return self._spread(count, self._of_documents)

    def with_tag(self, tag: str, count: int) -> list[Ids]:
        """Texts that end in a token with the tag, of each sequence the one with the most tokens that carry it."""
        number = self.tags.names.index(tag)
        return self._spread(count, lambda sequence: self._tagged(sequence, number))

    def _spread(self, count: int, prompts_of: PromptsOf) -> list[Ids]:
        found: list[Ids] = []
        taken: set[int] = set()
        sequences = len(self.ids)
        for place in range(count):
            first = place * sequences // count
            for sequence in [*range(first, sequences), *range(first)]:
                prompt = None if sequence in taken else next(prompts_of(sequence), None)
                if prompt is not None:
                    taken.add(sequence)
                    found.append(np.concatenate([self.front, prompt]))
                    break
        return found

    def _of_documents(self, sequence: int) -> Iterator[Ids]:
        ids, width = self.ids[sequence], len(self.front)
        for start in range(len(ids) - width - LONGEST + 1) if width else [0]:
            own = slice(start + width, start + width + LONGEST)
            if (ids[start : start + width] == self.front).all() and self._is_text(sequence, own):
                yield ids[own].astype(np.int64)

    def _tagged(self, sequence: int, tag: int) -> Iterator[Ids]:
        positions = np.arange(self.ids.shape[1])
        carried = self.tags.at(np.full(len(positions), sequence), positions)[:, tag] & self.text[sequence]
        stops = [
            stop
            for stop in np.flatnonzero(carried) + 1
            if stop >= LONGEST and self._is_text(sequence, slice(stop - LONGEST, stop))
        ]
        if stops:
            best = max(stops, key=lambda stop: int(carried[stop - LONGEST : stop].sum()))
            yield self.ids[sequence, best - LONGEST : best].astype(np.int64)

    def _is_text(self, sequence: int, part: slice) -> bool:
        inside = self.text[sequence, part]
        return len(inside) == LONGEST and bool(inside.all())


def eval_texts(store: TokenStore, tags: TokenTags, tokenizer: Tokenizer, bos_token: str | None) -> EvalTexts:
    """Eval texts of a model whose documents begin with a BOS token, or with nothing."""
    front = Front(tokenizer, bos_token)
    before = tokenizer.encode(front.text, add_special_tokens=False).ids if front.text else front.ids
    vocabulary = Vocabulary(tokenizer)
    ids = store.ids(0, max(1, LIMIT // store.attributes["context_length"]))
    special = [token for token in np.unique(ids).tolist() if token < 0 or vocabulary.is_special(token)]
    return EvalTexts(ids, ~np.isin(ids, special), tags, np.array(before, np.int64))
