"""The text of some tokens, and where each stands in it."""

import codecs
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from polysem.models.vocabulary import Vocabulary


def spelled(ids: Sequence[int], vocabulary: Vocabulary) -> tuple[str, NDArray[np.int64]]:
    """The text of some tokens, and where each begins and ends in it [token, 2]. Special tokens are new lines; a token
    that is a part of a character has that character."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    text, offsets = "", []
    for number, token in enumerate(ids):
        start = len(text)
        piece = b"\n" if vocabulary.is_special(token) else vocabulary.piece(token)
        text += decoder.decode(piece, final=number == len(ids) - 1)
        offsets.append((start, max(len(text), start + bool(piece))))
    offsets = [(min(start, len(text)), min(stop, len(text))) for start, stop in offsets]
    return text, np.array(offsets, np.int64).reshape(-1, 2)
