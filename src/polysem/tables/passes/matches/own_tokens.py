"""The tokens on which features themselves are most active, on the eval tokens."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int

from polysem.io.tables import read_arrays
from polysem.models.batches import TokenStore
from polysem.tables.passes.survey.windows import Window, tokens_around


@dataclass(frozen=True)
class OwnTokens:
    """The top examples of each feature of a dictionary, best first; −1 behind the last one."""

    sequence: Int[np.ndarray, "feature example"]
    token: Int[np.ndarray, "feature example"]

    def anywhere(self, feature: Int[np.ndarray, "text rank"]) -> Int[np.ndarray, "text rank"]:
        """The token of the first top example of features; −1 of features that have none, and for −1."""
        return np.where(feature >= 0, self.token[feature, 0], -1)

    def outside(
        self, feature: Int[np.ndarray, "text rank"], sequence: Int[np.ndarray, " text"]
    ) -> Int[np.ndarray, "text rank"]:
        """The token of the first top example that is not of the sequence which the text is of; −1 where all are, and
        as above. A text of no sequence has −1."""
        usable = (self.token[feature] >= 0) & (self.sequence[feature] != sequence[:, None, None])
        first = usable.argmax(axis=-1)
        token = np.take_along_axis(self.token[feature], first[..., None], axis=-1)[..., 0]
        return np.where((feature >= 0) & usable.any(axis=-1), token, -1)


def read_own_tokens(examples: Path, eval_tokens: TokenStore) -> OwnTokens:
    """Those of the table `examples` of a dictionary, whose places are in the token store of the eval split."""
    found = read_arrays(examples, lambda name: name in {"kind", "sequence", "position"})
    top = found["kind"] == "top"
    sequence, position = (found[name][:, top].astype(np.int64) for name in ("sequence", "position"))
    return OwnTokens(sequence, tokens_around(sequence, position, Window(0, 0), eval_tokens)[..., 0].astype(np.int64))
