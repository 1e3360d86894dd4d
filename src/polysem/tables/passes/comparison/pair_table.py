"""Matches of pairs as variables of a table."""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from polysem.tables.parts.labels import variable
from polysem.tables.passes.comparison.pairwise import DRAWS, Match

Variables = dict[str, xr.Variable]
UNIVERSAL = 0.7
"""Correlation from which on a feature counts as found again."""


def pair_variables(matches: Sequence[Match]) -> Variables:
    """Variables over `pair`, over (`pair`, `draw`) for baselines, over `match` for features, and over `relation` for
    the features of all pairs of a relation together.

    `match` runs over the features of the first pair, then over those of the second, and so on (`features` of each).
    """
    return _names(matches) | _summaries(matches) | _baselines(matches) | _features(matches) | _relations(matches)


def _names(matches: Sequence[Match]) -> Variables:
    words = {
        "pair_dictionary": "dictionary of this site",
        "pair_relation": "what the other dictionary is to it",
        "pair_model": "model of the other dictionary",
        "pair_site": "site of the other dictionary",
        "pair_other": "other dictionary, in which features are looked for",
    }
    found = {
        name: variable(
            "pair", np.array([getattr(match.pair, name.removeprefix("pair_")) for match in matches], object), text, "1"
        )
        for name, text in words.items()
    }
    reasons = np.array(["; ".join(match.reasons) for match in matches], object)
    return found | {"pair_reason": variable("pair", reasons, "why something is not compared", "1")}


def _summaries(matches: Sequence[Match]) -> Variables:
    def over(values: Sequence[float], text: str, units: str = "1") -> xr.Variable:
        return variable("pair", np.array(values, np.float64), text, units)

    found = {
        "features": variable("pair", np.array([match.features for match in matches], np.int64), "features", "feature"),
        "pair_tokens": variable(
            "pair", np.array([match.tokens for match in matches], np.int64), "tokens of the correlations", "token"
        ),
        "correlated_share": over(
            [share(match.correlation, -2) for match in matches], "share of features active often enough to correlate"
        ),
        "found_again_share": over(
            [_share_of_known(match.correlation, UNIVERSAL) for match in matches],
            f"share of these whose best correlation is at least {UNIVERSAL}",
        ),
    }
    words = {
        "correlation": "median of the best correlations",
        "correlation_shuffled": "median of the best correlations with shuffled tokens",
        "logit": "median correlation of the logit weights of the features that correlate best",
        "logit_shuffled": "median correlation of the logit weights of features that have nothing to do with each other",
        "cosine": "median cosine with the nearest decoder row",
        "cosine_random": "median cosine with the nearest decoder row after permuting the neurons",
    }
    for name, text in words.items():
        found[f"median_{name}"] = over([median(getattr(match, name)) for match in matches], text)
    found["ultra_low_cosine"] = over(
        [match.ultra_low_cosine for match in matches], "cosine of the mean encoder rows of the ultra-low clusters"
    )
    found["ultra_low_cosine_others"] = over(
        [match.ultra_low_cosine_others for match in matches],
        "cosine of the mean encoder rows of as many other features, drawn at random",
    )
    return found


def _baselines(matches: Sequence[Match]) -> Variables:
    words = {
        "correlation_shuffled": "best correlation with shuffled tokens",
        "logit_shuffled": "correlation of the logit weights of features that have nothing to do with each other",
        "cosine_random": "cosine with the nearest decoder row after permuting the neurons",
    }
    found = {}
    for name, text in words.items():
        values = np.full((len(matches), DRAWS), np.nan, np.float32)
        for row, match in zip(values, matches, strict=True):
            drawn = getattr(match, name)
            row[: len(drawn)] = drawn
        found[name] = variable(("pair", "draw"), values, text, "1")
    return found


def _features(matches: Sequence[Match]) -> Variables:
    def joined(name: str, kind: type, text: str, units: str = "1") -> xr.Variable:
        parts: list[NDArray] = [getattr(match, name).astype(kind) for match in matches]
        return variable("match", np.concatenate(parts) if parts else np.zeros(0, kind), text, units)

    return {
        "correlation": joined(
            "correlation", np.float32, "largest correlation of its activations with another feature's"
        ),
        "correlated_feature": joined("correlated", np.int32, "that feature; −1: none", "feature"),
        "logit_correlation": joined("logit", np.float32, "correlation of the logit weights of both"),
        "cosine": joined("cosine", np.float32, "largest cosine of its decoder row with another feature's"),
        "nearest_feature": joined("nearest", np.int32, "that feature; −1: none", "feature"),
    }


def _relations(matches: Sequence[Match]) -> Variables:
    """Each relation in the order of its first pair."""
    pooled: dict[str, list[NDArray]] = {}
    for match in matches:
        pooled.setdefault(match.pair.relation, []).append(match.correlation.astype(np.float32))
    each = [np.concatenate(correlations) for correlations in pooled.values()]
    columns = {
        "features": ([len(values) for values in each], np.int64, "features of all pairs", "feature"),
        "correlated_features": (
            [np.isfinite(values).sum() for values in each],
            np.int64,
            "those of them that are active often enough to correlate",
            "feature",
        ),
        "median_correlation": (
            [median(values) for values in each],
            np.float64,
            "median of the best correlations of all pairs",
            "1",
        ),
    }
    names = np.array(list(pooled), object)
    return {"relation": variable("relation", names, "what other dictionaries are to one", "1")} | {
        f"relation_{name}": variable("relation", np.array(values, kind), text, units)
        for name, (values, kind, text, units) in columns.items()
    }


def median(values: NDArray) -> float:
    """Median of what is known; NaN if nothing is."""
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else float("nan")


def share(values: NDArray, least: float) -> float:
    """Share of all values that are known and at least so large; NaN without values."""
    return float(np.mean(np.nan_to_num(values, nan=-np.inf) >= least)) if len(values) else float("nan")


def _share_of_known(values: NDArray, least: float) -> float:
    return share(values[np.isfinite(values)], least)
