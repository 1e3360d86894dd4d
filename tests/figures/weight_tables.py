"""Tables of weights, made by the code that makes them, of an SAE with an ultra-low cluster and of its relatives."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr
from torch.nn.functional import normalize

from polysem.params.analysis import Analysis
from polysem.saes.activation_functions.standard import Function
from polysem.saes.dictionary import Dictionary, Neurons
from polysem.saes.sae import SAE
from polysem.tables.of_dictionary.alignment import BLOCK, neuron_alignment
from polysem.tables.of_dictionary.geometry import geometry
from polysem.tables.of_dictionary.logits import logits
from polysem.tables.of_dictionary.ultra_low import ultra_low
from polysem.tables.parts.correlated_neurons import of_all_features, weight_ranks
from polysem.tables.parts.directions import Directions
from polysem.tables.parts.labels import index, labelled, scalar, variable
from polysem.tables.passes.survey.co_firing import at_least, independent

SITE = "blocks.0.mlp.hook_post"
TOKENS = 200_000
ATTRIBUTES = {"processing": "fold_ln: false", "final_norm": "gain and centring are in the unembedding"}
TOKEN_TEXTS = (" the", " cat", "\n", " $5", "ing", " שלום", "日本", "\x00", " wonderfully-long-token")
EDGES = 2.0 ** (np.arange(-80, 49) / 4)


@dataclass(frozen=True)
class WeightTables:
    frequency: xr.Dataset
    geometry: xr.Dataset
    ultra_low: xr.Dataset
    logits: xr.Dataset
    associations: xr.Dataset
    neurons_frequency: xr.Dataset


def made(
    dictionary: Dictionary,
    frequency: np.ndarray,
    *,
    w_out: bool = True,
    path: bool = True,
    showcase: int = 4,
    tags: bool = True,
    seed: int = 0,
) -> WeightTables:
    random = np.random.default_rng(seed)
    neurons, features = dictionary.inputs, dictionary.features
    name = "neurons" if isinstance(dictionary, Neurons) else "l1-x8_l1=3e-4_seed=0"
    attributes = {"model": "toy", "site": SITE, "dictionary": name, "catalogue": "S2.F4"}
    tokens = min(max(8, neurons // 2), 48)
    tensors = {
        f"{SITE}/output_weights": torch.randn(neurons, max(1, neurons // 4), generator=torch.manual_seed(1)),
        "unembedding": torch.randn(max(1, neurons // 4), 10 * tokens, generator=torch.manual_seed(2)),
    }
    if not w_out:
        del tensors[f"{SITE}/output_weights"]
        tensors["unembedding"] = torch.randn(neurons, 10 * tokens, generator=torch.manual_seed(2))
        tensors[f"{SITE}/residual"] = torch.zeros(0)
    if not path:
        del tensors["unembedding"]
    directions = Directions(tensors, ATTRIBUTES)
    counted = frequency_table(frequency, random)
    chosen = [int(feature) for feature in np.argsort(-frequency, kind="stable")[:showcase] if frequency[feature] > 0]
    blocks = (block.numpy() for block in dictionary.decoder().split(BLOCK))
    analysis = Analysis()
    weights = geometry(
        dictionary, counted, neuron_alignment(blocks, neurons), directions, SITE, analysis, showcase=chosen
    )
    related = associations(features, neurons, random)
    ranks = weight_ranks(dictionary.decoder(), related["correlated_neuron"].to_numpy()[:, 0])
    of_all = of_all_features(related["neuron_correlation"].to_numpy())
    related = related.assign(of_all | {"correlated_neuron_weight_rank": ranks})
    best = [int(related["correlated_neuron"][feature, 0]) for feature in chosen]
    context = random.random((len(chosen), 10 * tokens)) < 0.1 if tags and chosen else None
    names = ["kind:dna", *[""] * (len(chosen) - 1)] if context is not None else None
    effects = logits(
        dictionary, directions, SITE, chosen, best, context, lambda token: TOKEN_TEXTS[token % len(TOKEN_TEXTS)], names
    )
    cluster = xr.merge([ultra_low(dictionary, counted, analysis), co_firing(frequency, random)])
    with_tokens = cluster.assign_attrs(ultra_low(dictionary, counted, analysis).attrs)
    tables = (counted, weights, with_tokens, effects, related, frequency_table(np.full(neurons, 0.3), random))
    return WeightTables(*(table.assign_attrs({**table.attrs, **attributes}) for table in tables))


def frequency_table(frequency: np.ndarray, random: np.random.Generator) -> xr.Dataset:
    active = np.round(frequency * TOKENS).astype(np.int64)
    share = np.exp(-((np.arange(128) - 80 - 6 * random.random((active.size, 1))) ** 2) / 60)
    histogram = np.round(share / share.sum(1, keepdims=True) * active[:, None]).astype(np.int32)
    variables = {
        "frequency": variable("feature", active / TOKENS, "share of tokens", "1"),
        "active_tokens": variable("feature", histogram.sum(1), "active tokens", "token"),
        "activation_histogram": variable(("feature", "bin"), histogram, "active tokens by activation", "token"),
        "bin_edge": variable("edge", EDGES, "edges of the bins", "activation"),
    }
    return labelled(variables, {"feature": index("feature", 0, active.size, "feature")}, {"tokens": TOKENS})


def associations(features: int, neurons: int, random: np.random.Generator) -> xr.Dataset:
    """As of the pass over the activations: the best neurons of every feature, most of them weak."""
    shape = (features, min(5, neurons))
    variables = {
        "correlated_neuron": variable(("feature", "rank"), random.integers(neurons, size=shape), "neurons", "neuron"),
        "neuron_correlation": variable(
            ("feature", "rank"), -np.sort(-random.beta(2, 4, shape), axis=1), "correlation", "1"
        ),
    }
    return labelled(variables, {"feature": index("feature", 0, features, "feature")}, {"tokens": TOKENS})


def co_firing(frequency: np.ndarray, random: np.random.Generator) -> xr.Dataset:
    """As of the pass over the activations: on a few tokens, most of the cluster."""
    low = frequency[(frequency < 1e-4) & (frequency > 0)]
    counts = np.zeros(int(0.9 * low.size) + 1, np.int64)
    counts[np.minimum(random.geometric(0.3, 400), len(counts) - 1) if low.size else []] += 1
    counts[-1] += low.size > 0
    counts[0] = TOKENS - counts[1:].sum()
    largest = len(counts) - 1
    variables = {
        "ultra_low_active": variable("active", counts, "tokens by ultra-low features active on them", "token"),
        "ultra_low_active_at_least": variable("active", at_least(counts), "at least", "token"),
        "ultra_low_active_at_least_independent": variable(
            "active", at_least(independent(counts)), "independent features", "token"
        ),
        "ultra_low_firing": scalar(low.size, "ultra-low features that are ever active", "feature"),
        "co_firing_largest": scalar(largest, "most ultra-low features active on one token", "feature"),
    }
    return labelled(variables, {"active": index("active", 0, len(counts), "active")}, {"tokens": TOKENS})


def clustered(features: int, neurons: int, seed: int = 0) -> tuple[SAE, np.ndarray]:
    """Frequent features that read what they write, and a third whose encoder rows are all alike."""
    random = np.random.default_rng(seed)
    low = random.random(features) < 0.35
    decoder = random.standard_t(4, (features, neurons))
    encoder = decoder / np.linalg.norm(decoder, axis=1, keepdims=True)
    encoder += random.standard_normal((features, neurons)) * random.choice([0.9, 1.8], (features, 1)) / neurons**0.5
    common = random.standard_normal(neurons) / neurons**0.5
    near = common + 0.2 * random.standard_normal((int(low.sum()), neurons)) / neurons**0.5
    encoder[low] = near * random.choice([0.4, 0.9], (int(low.sum()), 1)) * random.uniform(0.8, 1.2, (int(low.sum()), 1))
    exponent = np.where(low, random.normal(-4.5, 0.2, features), random.normal(-2.5, 0.5, features))
    frequency = np.clip(10**exponent, 0, 0.9)
    frequency[random.random(features) < 0.05] = 0
    frequency[low & (frequency >= 1e-4)] = 9e-5
    bias = np.where(low, -0.3, -0.1) + 0.05 * random.standard_normal(features)
    unit = normalize(torch.as_tensor(decoder, dtype=torch.float32), dim=1)
    weights = torch.as_tensor(encoder.T, dtype=torch.float32).contiguous()
    sae = SAE(weights, torch.as_tensor(bias, dtype=torch.float32), unit, torch.zeros(neurons), Function())
    return sae, np.round(frequency * TOKENS) / TOKENS


def _large() -> WeightTables:
    return made(*clustered(4096, 512))


def _small() -> WeightTables:
    return made(*clustered(64, 16))


def _no_cluster() -> WeightTables:
    sae, frequency = clustered(256, 64)
    return made(sae, np.maximum(frequency, 1e-3))


def _silent() -> WeightTables:
    sae, _ = clustered(64, 16)
    return made(sae, np.zeros(64))


def _residual() -> WeightTables:
    return made(*clustered(256, 64), w_out=False, tags=False)


def _no_path() -> WeightTables:
    return made(*clustered(256, 64), path=False)


def _neurons() -> WeightTables:
    return made(Neurons(64), np.random.default_rng(0).uniform(0.02, 0.4, 64))


def _one_shown() -> WeightTables:
    return made(*clustered(256, 64), showcase=1)


CASES: dict[str, Callable[[], WeightTables]] = {
    "an ultra-low cluster": _large,
    "a small dictionary": _small,
    "no ultra-low cluster": _no_cluster,
    "all features never active": _silent,
    "a site of the residual stream": _residual,
    "no direct path": _no_path,
    "the identity dictionary": _neurons,
    "one feature shown": _one_shown,
}
