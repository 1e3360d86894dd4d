"""S1.F3: which tokens each feature makes more and less likely, on the direct path from its decoder to the logits."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from polysem.saes.dictionary import Dictionary
from polysem.tables.directions import NO_DIRECT_PATH, Directions
from polysem.tables.labels import index, labelled, variable

RANKS = 10
ENTRIES = 1 << 23
"""Logit weights per block: 32 MiB of float32."""
MOMENTS = {
    "logit_mean": "mean logit weight over the tokens",
    "logit_std": "standard deviation of the logit weights over the tokens",
    "logit_skewness": "skewness of the logit weights over the tokens",
    "logit_kurtosis_excess": "excess kurtosis (Fisher) of the logit weights over the tokens",
}


def logits(
    dictionary: Dictionary,
    directions: Directions,
    site: str,
    showcase: Sequence[int] = (),
    neurons: Sequence[int] = (),
    in_context: NDArray[np.bool_] | None = None,
    contexts: Sequence[str] = (),
    text: Callable[[int], str] = str,
) -> xr.Dataset:
    """Logit weights of every feature: its decoder row times the weights between the site and the logits.

    Over (`feature`, `rank`): `boosted_token`, `boost` (largest first), `suppressed_token`, `suppression` (most negative
    first); over `feature`: `logit_mean`, `logit_std`, `logit_skewness`, `logit_kurtosis_excess`, over the tokens, NaN
    where all weights are equal. Of the features in `showcase`, over (`showcase`, `token`): `logit_weight`, and, of one
    neuron for each of them given in `neurons`, `neuron_logit_weight`; `in_context` [showcase, token], 1 for the tokens
    of the feature's context, whose name, of those in `contexts`, is `context` [showcase]; over (`showcase`, `rank`): `boosted_text` and `suppressed_text`, by `text` of an id.
    The attributes `processing` and `final_norm` say what was done to the weights. A site without a direct path has none
    of the variables, and the attribute `not_applicable`.
    Source: document S1, "Feature downstream effects" (the path expansion trick).
    """
    path = directions.logit_path(site)
    feature = index("feature", 0, dictionary.features, "feature")
    if path is None:
        return labelled({}, {"feature": feature}, {"not_applicable": NO_DIRECT_PATH, **directions.attributes})
    decoder, tokens = dictionary.decoder().cpu(), path[-1].shape[1]
    ranks = min(RANKS, tokens)
    parts = [
        _of_block(weights, ranks)
        for block in decoder.split(max(1, ENTRIES // tokens))
        if (weights := directions.logit_weights(site, block)) is not None
    ]
    boosted, boost, suppressed, suppression, moments = (torch.cat(part).numpy() for part in zip(*parts, strict=True))
    by_rank = ("feature", "rank")
    variables = {
        "boosted_token": variable(by_rank, boosted, "tokens whose logits it raises most", "token"),
        "boost": variable(by_rank, boost, "logit weight of these tokens", "logit"),
        "suppressed_token": variable(by_rank, suppressed, "tokens whose logits it lowers most", "token"),
        "suppression": variable(by_rank, suppression, "logit weight of these tokens", "logit"),
    }
    for column, (name, words) in enumerate(MOMENTS.items()):
        unit = "logit" if name in ("logit_mean", "logit_std") else "1"
        variables[name] = variable("feature", moments[:, column], words, unit)
    coordinates = {"feature": feature, "rank": index("rank", 0, ranks, "place, 0 is the strongest")}
    if showcase:
        chosen = list(showcase)
        coordinates["showcase"] = variable("showcase", chosen, "feature shown", "feature")
        variables["logit_weight"] = _all_weights(directions, site, decoder[chosen], "feature")
        variables["boosted_text"] = _in_words(boosted[chosen], text)
        variables["suppressed_text"] = _in_words(suppressed[chosen], text)
        if neurons:
            rows = torch.eye(dictionary.inputs)[list(neurons)]
            variables["neuron_logit_weight"] = _all_weights(directions, site, rows, "neuron")
            variables["showcase_neuron"] = variable("showcase", list(neurons), "neuron shown beside it", "neuron")
        if in_context is not None:
            variables["in_context"] = variable(
                ("showcase", "token"), in_context.astype(np.int8), "1 for a token of the feature's context", "1"
            )
        if contexts:
            variables["context"] = variable("showcase", np.array(contexts, dtype=object), "context's name", "1")
    return labelled(variables, coordinates, {"tokens_of_vocabulary": tokens, **directions.attributes})


def _all_weights(directions: Directions, site: str, rows: Float[Tensor, "showcase neuron"], whose: str) -> xr.Variable:
    weights = directions.logit_weights(site, rows)
    assert weights is not None
    return variable(("showcase", "token"), weights.numpy(), f"logit weight of the {whose}", "logit")


def _in_words(ids: NDArray[np.int64], text: Callable[[int], str]) -> xr.Variable:
    words = np.array([[text(int(token)) for token in row] for row in ids], dtype=object)
    return variable(("showcase", "rank"), words, "tokens in words", "1")


def _of_block(weights: Float[Tensor, "feature token"], ranks: int) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    most, least = weights.topk(ranks, dim=1), weights.topk(ranks, dim=1, largest=False)
    return most.indices, most.values, least.indices, least.values, _moments(weights)


def _moments(weights: Float[Tensor, "feature token"]) -> Float[Tensor, "feature 4"]:
    mean = weights.mean(1)
    centred = weights - mean[:, None]
    squared = centred.square()
    variance, third = squared.mean(1), torch.linalg.vecdot(squared, centred) / weights.shape[1]
    fourth = torch.linalg.vecdot(squared, squared) / weights.shape[1]
    constant = variance <= (1e-6 * mean).square()
    skewness = torch.where(constant, torch.nan, third / variance**1.5)
    kurtosis = torch.where(constant, torch.nan, fourth / variance.square() - 3)
    return torch.stack([mean, variance.sqrt(), skewness, kurtosis], dim=1)
