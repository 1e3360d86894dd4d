"""What a training did, in at most a few hundred log entries."""

from typing import Any

import numpy as np
import xarray as xr

ENTRIES = 200
LABELS = {
    "loss": ("loss per token", "squared activation"),
    "squared_error": ("squared reconstruction error per token", "squared activation"),
    "penalty": ("sparsity penalty per token", "squared activation"),
    "L0": ("active features per token", "1"),
    "explained_variance": ("share of the batch's variance explained", "1"),
}


class History:
    """Means of the loss terms between log entries, in the scale that the SAE is trained in."""

    def __init__(self, steps: int, batch_size: int) -> None:
        self._every = -(-steps // ENTRIES)
        self._steps, self._batch_size = steps, batch_size
        self._sums = dict.fromkeys(LABELS, 0.0)
        self._count = 0
        self._entries: list[dict[str, float]] = []

    def add(self, step: int, terms: dict[str, float]) -> bool:
        """Take the terms of a step; True if an entry is complete."""
        for name in LABELS:
            self._sums[name] += terms[name]
        self._count += 1
        if self._count < self._every and step < self._steps:
            return False
        means = {name: total / self._count for name, total in self._sums.items()}
        self._entries.append({"step": step, **means})
        self._sums, self._count = dict.fromkeys(LABELS, 0.0), 0
        return True

    def last(self) -> str:
        """The last entry as a line of text."""
        entry = self._entries[-1]
        terms = "  ".join(f"{name} {entry[name]:.4g}" for name in ("loss", "L0", "explained_variance"))
        return f"step {entry['step']:.0f}/{self._steps}  {terms}"

    def table(self) -> xr.Dataset:
        """The entries, over `step`."""
        columns = {
            name: ("step", np.array([entry[name] for entry in self._entries]), {"long_name": long_name, "units": units})
            for name, (long_name, units) in LABELS.items()
        }
        steps = np.array([entry["step"] for entry in self._entries], np.int64)
        return xr.Dataset(columns, coords={"step": steps}, attrs={"batch_size": self._batch_size})

    def state(self) -> dict[str, Any]:
        """Plain values for a checkpoint."""
        return {"sums": self._sums, "count": self._count, "entries": self._entries}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self._sums, self._count, self._entries = dict(state["sums"]), state["count"], list(state["entries"])
