"""The warning where a few tokens with massive activations hold most of the variance."""

from collections.abc import Iterable
from typing import Any

FEW, MOST = 0.01, 0.5
"""Below this share of tokens they are few, above this one they hold most of the variance."""


def massive_warning(metrics: dict[str, Any], model: str, site: str, dictionaries: Iterable[str]) -> str:
    """A sentence about the site, by the metrics of its dictionaries; '' where massive tokens are left out, or there are
    none, or they are many or hold little."""
    numbers = metrics.get(model, {}).get(site, {})
    for name in dictionaries:
        found = numbers.get(name, {})
        tokens, variance = found.get("massive_share"), found.get("massive_variance_share")
        if tokens is not None and variance is not None and tokens < FEW and variance > MOST:
            return (
                f"{tokens:.2%} of the tokens at {site} of {model} hold {variance:.1%} of the variance, by massive "
                "activations. SAEs spend themselves on these, and explained_variance says little about all others: "
                "explained_variance_without_massive does. activations.leave_out: massive leaves them out."
            )
    return ""
