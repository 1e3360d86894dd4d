"""S1.F3: which tokens each feature makes more and less likely, on the direct path from its decoder to the logits."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from polysem.models.batches import TokenStore
from polysem.numerics.strongest import largest
from polysem.saes.dictionary import Dictionary
from polysem.tables.inputs import Inputs
from polysem.tables.parts.directions import NO_DIRECT_PATH, Directions, through, weights_around
from polysem.tables.parts.in_context import in_context_tokens
from polysem.tables.parts.labels import index, labelled, variable
from polysem.tables.parts.null_space import SeenRows, shared_seen_rows
from polysem.tables.parts.reading import activation_rows, dictionary_of
from polysem.tables.parts.showcase import showcase, showcase_tags
from polysem.tables.parts.token_tags import TokenTags
from polysem.tables.parts.words import words

CONTEXT_TOKENS = 200_000
"""Eval tokens by which tokens of the vocabulary are told to belong to a context."""

CATALOGUE = "S0.F4 S1.F3"
READS = ("weights", "store", "tokens", "tokenizer", "directions", "table:frequency", "table:tags", "table:associations")
PARAMS = ()
VARIABLES = {
    "boosted_token": ("feature rank", "token", "tokens whose logits it raises most"),
    "boost": ("feature rank", "logit", "logit weight of these tokens"),
    "suppressed_token": ("feature rank", "token", "tokens whose logits it lowers most"),
    "suppression": ("feature rank", "logit", "logit weight of these tokens"),
    "logit_mean": ("feature", "logit", "mean logit weight over the tokens"),
    "logit_std": ("feature", "logit", "standard deviation of the logit weights over the tokens"),
    "logit_skewness": ("feature", "1", "skewness of the logit weights over the tokens"),
    "logit_kurtosis_excess": ("feature", "1", "excess kurtosis (Fisher) of the logit weights over the tokens"),
    "logit_weight": ("showcase token", "logit", "logit weight of the feature"),
    "boosted_text": ("showcase rank", "1", "tokens in words"),
    "suppressed_text": ("showcase rank", "1", "tokens in words"),
    "neuron_logit_weight": ("showcase token", "logit", "logit weight of the neuron"),
    "showcase_neuron": ("showcase", "neuron", "neuron shown beside it"),
    "neuron_logit_correlation": (
        "showcase",
        "1",
        "Pearson correlation over the tokens of the logit weights of the feature and of that neuron",
    ),
    "context": ("showcase", "1", "tag that the feature's context is"),
    "feature": ("feature", "1", "feature"),
    "rank": ("rank", "1", "place, 0 is the strongest"),
    "showcase": ("showcase", "feature", "feature shown"),
    "in_context": ("showcase token", "1", "1 for a token of the feature's context"),
}
ONLY = {
    "where the site has a direct path to the logits": (
        "boosted_token",
        "boost",
        "suppressed_token",
        "suppression",
        "logit_mean",
        "logit_std",
        "logit_skewness",
        "logit_kurtosis_excess",
        "rank",
    ),
    "of text with tags, where the site has a direct path to the logits, and features are shown": ("in_context",),
    "where the site has a direct path to the logits, and features are shown": (
        "logit_weight",
        "boosted_text",
        "suppressed_text",
        "neuron_logit_weight",
        "neuron_logit_correlation",
        "showcase_neuron",
        "context",
        "showcase",
    ),
}
RANKS = 10
ENTRIES = 1 << 23
"""Logit weights per product: 32 MiB of float32."""
CACHED = 1 << 18
"""Logit weights that are looked at together: 1 MiB, read from the cache again and again."""
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
    text: Callable[[int], str] = str,
    contexts: Sequence[str] | None = None,
    seen: SeenRows | None = None,
) -> xr.Dataset:
    """Logit weights of every feature: its decoder row times the weights between the site and the logits.

    Over (`feature`, `rank`): `boosted_token`, `boost` (largest first), `suppressed_token`, `suppression` (most negative
    first); over `feature`: `logit_mean`, `logit_std`, `logit_skewness`, `logit_kurtosis_excess`, over the tokens, NaN
    where all weights are equal. Of the features in `showcase`, over (`showcase`, `token`): `logit_weight`, and, of one
    neuron for each of them given in `neurons`, `neuron_logit_weight`, with the correlation of both over `showcase`,
    `neuron_logit_correlation` (NaN where one is constant); `in_context` [showcase, token], 1 for the tokens
    of the feature's context, and `context`, what it is called; over (`showcase`, `rank`): `boosted_text` and
    `suppressed_text`, by `text` of an id.
    The path of a transcoder begins at the site that it predicts, that of the neurons at the site itself, if it has one.
    `seen` saves the product of all rows with W_out where the caller has it for the geometry too.
    The attributes `processing` and `final_norm` say what was done to the weights. A site without a direct path has none
    of the variables, and the attribute `not_applicable`.
    Source: document S1, "Feature downstream effects" (the path expansion trick).
    """
    basis = dictionary.target or site
    path = directions.logit_path(basis)
    feature = index("feature", 0, dictionary.features, "feature")
    if path is None:
        return labelled(
            {}, {"feature": feature}, {"not_applicable": no_direct_path(dictionary), **directions.attributes}
        )
    decoder, tokens = dictionary.decoder().cpu(), path[-1].shape[1]
    ranks = min(RANKS, tokens)
    rows, matrices = decoder, path
    if seen is not None and path[0] is directions.output_weights(basis):
        onward = seen.onward(path[0])
        if onward is not None:
            rows, matrices = seen.decoder, [through(onward, path[1:])]
    parts = [_of_block(through(block, matrices), ranks) for block in rows.split(max(1, ENTRIES // tokens))]
    boosted, boost, suppressed, suppression, moments = (np.concatenate(part) for part in zip(*parts, strict=True))
    by_rank = ("feature", "rank")
    variables = {
        "boosted_token": variable(by_rank, boosted, "tokens whose logits it raises most", "token"),
        "boost": variable(by_rank, boost, "logit weight of these tokens", "logit"),
        "suppressed_token": variable(by_rank, suppressed, "tokens whose logits it lowers most", "token"),
        "suppression": variable(by_rank, suppression, "logit weight of these tokens", "logit"),
    }
    for column, (name, long_name) in enumerate(MOMENTS.items()):
        unit = "logit" if name in ("logit_mean", "logit_std") else "1"
        variables[name] = variable("feature", moments[:, column], long_name, unit)
    coordinates = {"feature": feature, "rank": index("rank", 0, ranks, "place, 0 is the strongest")}
    if showcase:
        chosen = list(showcase)
        coordinates["showcase"] = variable("showcase", chosen, "feature shown", "feature")
        variables["logit_weight"] = _all_weights(directions, basis, decoder[chosen], "feature")
        variables["boosted_text"] = _in_words(boosted[chosen], text)
        variables["suppressed_text"] = _in_words(suppressed[chosen], text)
        if neurons and directions.logit_path(site) is not None:
            rows = torch.eye(dictionary.inputs)[list(neurons)]
            variables["neuron_logit_weight"] = _all_weights(directions, site, rows, "neuron")
            variables["neuron_logit_correlation"] = _correlation(
                variables["logit_weight"].values, variables["neuron_logit_weight"].values
            )
            variables["showcase_neuron"] = variable("showcase", list(neurons), "neuron shown beside it", "neuron")
        if in_context is not None:
            variables["in_context"] = variable(
                ("showcase", "token"), in_context.astype(np.int8), "1 for a token of the feature's context", "1"
            )
        if contexts is not None:
            names = np.array(contexts, dtype=object)
            variables["context"] = variable("showcase", names, "tag that the feature's context is", "1")
    return labelled(variables, coordinates, {"tokens_of_vocabulary": tokens, **directions.attributes})


def no_direct_path(dictionary: Dictionary) -> str:
    """Why a dictionary has no logit weights."""
    if dictionary.target is None:
        return NO_DIRECT_PATH
    return f"of {dictionary.target}, which the transcoder predicts: {NO_DIRECT_PATH}"


def _all_weights(directions: Directions, site: str, rows: Float[Tensor, "showcase neuron"], whose: str) -> xr.Variable:
    weights = directions.logit_weights(site, rows)
    assert weights is not None
    return variable(("showcase", "token"), weights.numpy(), f"logit weight of the {whose}", "logit")


def _correlation(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> xr.Variable:
    found = [
        np.corrcoef(one, other)[0, 1] if np.ptp(one) and np.ptp(other) else np.nan
        for one, other in zip(ours, theirs, strict=True)
    ]
    words = "Pearson correlation over the tokens of the logit weights of the feature and of that neuron"
    return variable("showcase", found, words, "1")


def _in_words(ids: NDArray[np.int64], text: Callable[[int], str]) -> xr.Variable:
    spelled = np.array([[text(int(token)) for token in row] for row in ids], dtype=object)
    return variable(("showcase", "rank"), spelled, "tokens in words", "1")


def _of_block(weights: Float[Tensor, "feature token"], ranks: int) -> list[NDArray[Any]]:
    """Tokens raised most and their weights, tokens lowered most and theirs [feature, rank], moments [feature, 4]."""
    parts = []
    for part in weights.split(max(1, CACHED // weights.shape[1])):
        moments = _moments(part).numpy()
        boosted, boost = largest(part.numpy(), ranks)
        suppressed, negative = largest(part.neg_().numpy(), ranks)
        parts.append((boosted, boost, suppressed, -negative, moments))
    return [np.concatenate(part) for part in zip(*parts, strict=True)]


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


def measure(inputs: Inputs) -> xr.Dataset:
    """The table: see `logits`. The features shown are those of `showcase`, each beside the neuron that it correlates
    with most."""
    frequency, tags = inputs.table("frequency"), inputs.table("tags")
    shown = showcase(frequency, tags)
    correlated = inputs.table("associations")["correlated_neuron"].values
    context = _context_tags(tags, shown)
    return logits(
        dictionary_of(inputs),
        weights_around(inputs),
        inputs.site,
        shown,
        [max(0, int(correlated[feature, 0])) for feature in shown],
        _contexts(inputs, tags, context),
        words(inputs.path_if_any("tokenizer")),
        [str(tags["tag"].values[tag]) if tag >= 0 else "" for tag in context],
        shared_seen_rows(inputs),
    )


def _contexts(inputs: Inputs, tags: xr.Dataset, context: NDArray[np.int64]) -> NDArray[np.bool_] | None:
    """Which tokens of the vocabulary belong to the context of each feature shown; None without tags or tokens."""
    basis = dictionary_of(inputs).target or inputs.site
    store, path = TokenStore(inputs.path("tokens")), weights_around(inputs).logit_path(basis)
    if not (store.is_text and tags.sizes["tag"] and len(context) and path):
        return None
    rows = activation_rows(inputs)
    sequence, position = rows.places(0, min(rows.length, CONTEXT_TOKENS))
    ids = store.ids(0, int(sequence[-1]) + 1)[sequence, position]
    carried = TokenTags(inputs.path("tokens")).at(sequence, position)
    return in_context_tokens(ids, carried, path[-1].shape[1], context)


def _context_tags(tags: xr.Dataset, shown: Sequence[int]) -> NDArray[np.int64]:
    """The tag for which each feature is shown, else its main tag, as places along `tag`; -1: none."""
    best = {int(tags["best_feature"].values[tag]): tag for tag in reversed(showcase_tags(tags, len(shown)))}
    return np.array([best.get(feature, int(tags["main_tag"].values[feature])) for feature in shown], np.int64)
