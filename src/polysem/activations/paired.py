"""Rows of several sites of a model, token by token."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int
from numpy.typing import NDArray

from polysem.activations.rows import FLOAT32, ActivationRows
from polysem.io.errors import InputError

SAME = ("model", "tokens", "settings", "limit")
"""What stores of the same tokens have in common in their receipts."""
PLACES = 1 << 20
"""Tokens whose places are compared at once."""
REMEDY = "delete both stores and their receipts and run again"


class PairedRows:
    """The rows of a store with those of a second one, its target, behind them: [token, neuron + output].

    `length` is the number of tokens, `width` the number of neurons of the first site. A token that is left out at one
    of the sites is left out of the pairs. InputError unless both stores are of the same tokens (`shared_rows`).
    """

    def __init__(self, store: Path, target: Path) -> None:
        self._own, self._target = ActivationRows(store), ActivationRows(target)
        require_alike(store, self._own, target, self._target)
        self._rows = shared_rows([(store, self._own), (target, self._target)])
        self.length = self._own.length if self._rows is None else len(self._rows[0])
        self.width = self._own.width
        self.dtype = np.result_type(self._own.dtype, self._target.dtype)
        ours, theirs = self._own.receipt, self._target.receipt
        self.receipt: dict[str, Any] = {
            **ours,
            "params": {**ours["params"], "target": theirs["params"]["site"]},
            "target": theirs,
        }

    def gather(self, rows: NDArray[np.int64], dtype: np.dtype[Any] = FLOAT32) -> NDArray[Any]:
        """The rows with these numbers, in their order."""
        own, target = (rows, rows) if self._rows is None else (numbers[rows] for numbers in self._rows)
        return np.concatenate([self._own.gather(own, dtype), self._target.gather(target, dtype)], axis=1)


def left_out_tokens(rows: ActivationRows) -> int:
    """How many tokens before its last row a store leaves out, by its receipt."""
    return int(rows.receipt["params"].get("left_out", {}).get("tokens", 0))


def require_alike(store: Path, own: ActivationRows, target: Path, other: ActivationRows) -> None:
    """InputError, with the first difference, unless the receipts of two stores say that they were made of the same."""
    for key in SAME:
        ours, theirs = (rows.receipt["params"].get(key) for rows in (own, other))
        if ours != theirs:
            raise InputError(
                f"{store} and {target} are not of the same tokens: {key} is {ours!r} in the receipt of the one and "
                f"{theirs!r} in that of the other; {REMEDY}"
            )


def shared_rows(stores: Sequence[tuple[Path, ActivationRows]]) -> list[Int[NDArray, " token"]] | None:
    """Of each of some stores the numbers of the rows whose tokens all of them hold, in the order of the tokens; None
    where that is every row of each.

    Tokens are the same by sequence and position. Stores that leave out nothing must have the same tokens in all rows;
    where some leave tokens out, one may lack only as many as it left out, up to the last token that all reach.
    InputError, with the first difference, for others.
    """
    if not any(left_out_tokens(rows) for _, rows in stores):
        (first, own), *others = stores
        for path, rows in others:
            _require_same_places(first, own, path, rows)
        return None
    keys = [_keys(rows) for _, rows in stores]
    end = min(int(key[-1]) for key in keys)
    shared = keys[0]
    for key in keys[1:]:
        shared = np.intersect1d(shared, key, assume_unique=True)
    every = np.unique(np.concatenate([key[: np.searchsorted(key, end, side="right")] for key in keys]))
    for (path, rows), key in zip(stores, keys, strict=True):
        lacking = len(every) - int(np.searchsorted(key, end, side="right"))
        if lacking > left_out_tokens(rows):
            rest = " and ".join(str(other) for other, _ in stores if other != path)
            raise InputError(
                f"{path} and {rest} are not of the same tokens: the first lacks {lacking} of those that the others "
                f"have and left out {left_out_tokens(rows)}; {REMEDY}"
            )
    if not len(shared):
        raise InputError(f"{' and '.join(str(path) for path, _ in stores)} share no token: all are left out at one")
    if all(len(shared) == len(key) for key in keys):
        return None
    return [np.searchsorted(key, shared) for key in keys]


def _keys(rows: ActivationRows) -> Int[NDArray, " token"]:
    """A number for each token, ascending: its sequence, and its position behind that."""
    sequence, position = rows.places(0, rows.length)
    return (sequence << 32) + position


def _require_same_places(store: Path, own: ActivationRows, target: Path, other: ActivationRows) -> None:
    """InputError, with the first difference, unless two stores hold the activations of the same tokens in each row."""
    if own.length != other.length:
        raise InputError(
            f"{store} has {own.length} tokens and {target} {other.length}, so that they are not the same ones; {REMEDY}"
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
                    f"the one and {theirs[row]} in the other; {REMEDY}"
                )
