"""The examples of explained features, read from their table: tokens by their numbers in the texts, and activations."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray

from polysem.io.tables import read_arrays
from polysem.tables.passes.explanations.texts import Texts, read_texts

SHOWN, HELD_OUT = 0, 1
"""Halves of the table `explained_examples`."""
USED = (
    "model", "site", "dictionary", "of_place", "feature", "state", "sequence", "position", "hard", "window_activation",
    "role", "offset", "intruder_share",
)  # fmt: skip
ENOUGH, NEVER, FEW = "enough examples", "never active", "too few examples"
"""States of explained features."""


@dataclass(frozen=True)
class Windows:
    """The examples of a feature in one half: all tokens of their windows, and which of these each example has."""

    token: Int[np.ndarray, " token"]
    """Numbers in the texts, each once, ascending."""
    activation: Float[np.ndarray, " token"]
    window: Int[np.ndarray, "context offset"]
    """Places in `token`; −1 where nothing is known."""
    centre: Int[np.ndarray, " context"]
    """The place of the token in the middle; −1 for an example that is not there."""


@dataclass(frozen=True)
class Examples:
    """The table `explained_examples` of a model, with the texts that its examples are from."""

    values: dict[str, NDArray]
    texts: Texts

    @classmethod
    def read(cls, table: Path, tokens: Path, tokenizer: Path) -> "Examples | None":
        """The examples of a model; None where no feature is explained. InputError for files that cannot be read."""
        values = read_arrays(table, USED.__contains__)
        if "feature" not in values:
            return None
        sequence = values["sequence"]
        return cls(values, read_texts(tokens, tokenizer, sequence[sequence >= 0]))

    def __len__(self) -> int:
        """Explained features."""
        return len(self.values["feature"])

    def place(self, number: int) -> tuple[str, str, str]:
        """Model, site and dictionary of an explained feature; the model may be a random-model control."""
        place = self.values["of_place"][number]
        model, site, dictionary = (str(self.values[name][place]) for name in ("model", "site", "dictionary"))
        return model, site, dictionary

    def is_enough(self, number: int) -> bool:
        """Whether it has examples enough."""
        return bool(self.values["state"][number] == ENOUGH)

    def role(self, name: str) -> Bool[np.ndarray, " context"]:
        """Which contexts are for something."""
        return np.asarray(self.values["role"] == name)

    def windows(self, number: int, half: int) -> Windows:
        """The examples of an explained feature in one half."""
        sequence, position = (self.values[name][number, half].astype(np.int64) for name in ("sequence", "position"))
        activation = self.values["window_activation"][number, half]
        offset = self.values["offset"].astype(np.int64)
        token = self.texts.numbers(np.broadcast_to(sequence[:, None], activation.shape), position[:, None] + offset)
        known = np.isfinite(activation) & (token >= 0)
        unique, first, inverse = np.unique(token[known], return_index=True, return_inverse=True)
        window = np.full(activation.shape, -1, np.int64)
        window[known] = inverse
        middle = int(np.flatnonzero(offset == 0)[0])
        return Windows(unique, activation[known][first].astype(np.float64), window, window[:, middle])
