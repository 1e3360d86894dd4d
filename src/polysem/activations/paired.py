"""Rows of two sites of a model, token by token."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polysem.activations.rows import ActivationRows
from polysem.io.errors import InputError

SAME = ("model", "tokens", "settings", "limit")
"""What stores of the same tokens have in common in their receipts."""
PLACES = 1 << 20
"""Tokens whose places are compared at once."""


class PairedRows:
    """The rows of a store with those of a second one, its target, behind them: [token, neuron + output].

    `length` is the number of tokens, `width` the number of neurons of the first site. InputError unless both stores are
    of the same tokens: of one model and one token store, with the same sequence and position in each row.
    """

    def __init__(self, store: Path, target: Path) -> None:
        self._own, self._target = ActivationRows(store), ActivationRows(target)
        require_same_tokens(store, self._own, target, self._target)
        self.length, self.width = self._own.length, self._own.width
        ours, theirs = self._own.receipt, self._target.receipt
        self.receipt: dict[str, Any] = {
            **ours,
            "params": {**ours["params"], "target": theirs["params"]["site"]},
            "target": theirs,
        }

    def gather(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """The rows with these numbers, in their order."""
        return np.concatenate([self._own.gather(rows), self._target.gather(rows)], axis=1)


def require_same_tokens(store: Path, own: ActivationRows, target: Path, other: ActivationRows) -> None:
    """InputError, with the first difference, unless two stores hold the activations of the same tokens in each row."""
    remedy = "delete both stores and their receipts and run again"
    for key in SAME:
        ours, theirs = (rows.receipt["params"].get(key) for rows in (own, other))
        if ours != theirs:
            raise InputError(
                f"{store} and {target} are not of the same tokens: {key} is {ours!r} in the receipt of the one and "
                f"{theirs!r} in that of the other; {remedy}"
            )
    if own.length != other.length:
        raise InputError(
            f"{store} has {own.length} tokens and {target} {other.length}, so that they are not the same ones; {remedy}"
        )
    for start in range(0, own.length, PLACES):
        stop = min(start + PLACES, own.length)
        for name, ours, theirs in zip(
            ("sequence", "position"), own.places(start, stop), other.places(start, stop), strict=True
        ):
            if differing := np.flatnonzero(ours != theirs).tolist():
                row = differing[0]
                raise InputError(
                    f"{store} and {target} are not of the same tokens: {name} of row {start + row} is {ours[row]} in "
                    f"the one and {theirs[row]} in the other; {remedy}"
                )
