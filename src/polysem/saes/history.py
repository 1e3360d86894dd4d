"""What a training did: at most 200 log entries, and 20 checkpoints with frequencies (S2.F10, S2.X2)."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from polysem.saes.entries import Entries
from polysem.saes.losses import Term

ENTRIES = 200
WINDOW = 20
"""Frequencies are those of the last so many log entries, a tenth of the training."""
CHECKPOINT_EVERY = 10
"""Log entries from one checkpoint to the next."""
EDGES = np.round(np.arange(-8, 0.01, 0.1), 1)
"""Edges of the histogram of log10 frequencies."""
SHARES = {
    "share_dead": ("share of features that did not fire", "1"),
    "share_below_1e-5": ("share of features with a frequency below 1e-5", "1"),
    "share_below_1e-4": ("share of features with a frequency below 1e-4", "1"),
    "tokens_counted": ("tokens on which the frequencies rest", "token"),
    "replaced": ("dead features that got new weights so far", "feature"),
}
FOLLOWED = {
    "followed_frequency": ("frequency of followed features", "1"),
    "followed_encoder_norm": ("norm of the encoder rows of followed features", "weight"),
    "followed_bias": ("encoder bias of followed features", "activation"),
}


class History:
    """Means of the terms of the loss between log entries, frequencies at each; in the scale of the training."""

    def __init__(
        self,
        steps: int,
        batch_size: int,
        features: int,
        terms: Mapping[str, Term],
        followed: Sequence[int] = (),
        device: str = "cpu",
    ) -> None:
        """`terms` are names and units of what every step tells, `followed` numbers of features; `device` is that of the
        training."""
        self._labels = {name: (term.long_name, term.units) for name, term in terms.items()}
        self._every = -(-steps // ENTRIES)
        self._steps, self._batch_size = steps, batch_size
        self._followed = list(followed)
        self._sums: dict[str, float] = {}
        self._count = 0
        self._firings = torch.zeros(features, dtype=torch.int64, device=device)
        self._window: list[tuple[Tensor, int]] = []
        self._entries: list[dict[str, float]] = []
        self._checkpoints: list[dict[str, Any]] = []

    def add(self, step: int, terms: dict[str, float], active: Entries) -> bool:
        """Take a step; True if a log entry is due, which `log` then makes."""
        for name, value in terms.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        self._firings += active.firings()
        self._count += 1
        return self._count == self._every or step == self._steps

    def log(self, step: int, encoder: Tensor, bias: Tensor, replaced: int) -> None:
        """Make the entry of a step; `encoder` [feature, neuron] and `bias` [feature] are the SAE's now."""
        self._window = [*self._window, (self._firings.cpu().int(), self._count * self._batch_size)][-WINDOW:]
        tokens = sum(counted for _, counted in self._window)
        frequency = sum(firings.double() for firings, _ in self._window) / tokens
        assert isinstance(frequency, Tensor)
        means = {name: total / self._count for name, total in self._sums.items()}
        shares = {
            "share_dead": float((frequency == 0).double().mean()),
            "share_below_1e-5": float((frequency < 1e-5).double().mean()),
            "share_below_1e-4": float((frequency < 1e-4).double().mean()),
            "tokens_counted": tokens,
            "replaced": replaced,
        }
        self._entries.append({"step": step, **means, **shares})
        self._sums, self._count = {}, 0
        self._firings.zero_()
        if len(self._entries) % CHECKPOINT_EVERY == 0 or step == self._steps:
            self._check(step, frequency, encoder, bias)

    def _check(self, step: int, frequency: Tensor, encoder: Tensor, bias: Tensor) -> None:
        fired = frequency[frequency > 0].log10().numpy()
        histogram, _ = np.histogram(fired.clip(EDGES[0], EDGES[-1]), EDGES)
        chosen = self._followed
        self._checkpoints.append(
            {
                "step": step,
                "histogram": histogram.tolist(),
                "never": int((frequency == 0).sum()),
                "followed_frequency": frequency[chosen].tolist(),
                "followed_encoder_norm": encoder[chosen].norm(dim=-1).tolist(),
                "followed_bias": bias[chosen].tolist(),
            }
        )

    def last(self) -> str:
        """The last entry as a line of text."""
        entry = self._entries[-1]
        terms = "  ".join(f"{name} {entry[name]:.4g}" for name in ("loss", "L0", "explained_variance", "share_dead"))
        return f"step {entry['step']:.0f}/{self._steps}  {terms}"

    def table(self) -> xr.Dataset:
        """The entries over `step`, the checkpoints over `checkpoint_step`, features that are followed over `feature`.

        Frequencies rest on the `tokens_counted` before each entry.
        """
        columns: dict[str, Any] = {}
        for name, (long_name, units) in (self._labels | SHARES).items():
            values = np.array([entry[name] for entry in self._entries])
            columns[name] = ("step", values, {"long_name": long_name, "units": units})
        histogram = np.array([point["histogram"] for point in self._checkpoints], np.int64)
        long_name = "number of features by log10 of their frequency"
        columns["frequency_histogram"] = (
            ("checkpoint_step", "bin"),
            histogram,
            {"long_name": long_name, "units": "feature"},
        )
        never = np.array([point["never"] for point in self._checkpoints], np.int64)
        columns["never_fired"] = (
            "checkpoint_step",
            never,
            {"long_name": "features that did not fire", "units": "feature"},
        )
        coordinates: dict[str, Any] = {
            "step": np.array([entry["step"] for entry in self._entries], np.int64),
            "checkpoint_step": np.array([point["step"] for point in self._checkpoints], np.int64),
            "bin": ("bin", EDGES[:-1], {"long_name": "lower edge of log10 frequency", "units": "1"}),
        }
        if self._followed:
            coordinates["feature"] = np.array(self._followed, np.int64)
            for name, (long_name, units) in FOLLOWED.items():
                values = np.array([point[name] for point in self._checkpoints])
                columns[name] = (("checkpoint_step", "feature"), values, {"long_name": long_name, "units": units})
        return xr.Dataset(columns, coords=coordinates, attrs={"batch_size": self._batch_size, "catalogue": "S2.F10"})

    def state(self) -> dict[str, Any]:
        """Plain values for a checkpoint."""
        return {
            "sums": self._sums,
            "count": self._count,
            "firings": self._firings,
            "window": self._window,
            "entries": self._entries,
            "checkpoints": self._checkpoints,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self._sums, self._count = dict(state["sums"]), state["count"]
        self._firings.copy_(state["firings"])
        self._window, self._entries = list(state["window"]), list(state["entries"])
        self._checkpoints = list(state["checkpoints"])
