"""Batches of features as SAEDashboard writes them and Neuronpedia takes them: `batch-{i}.json`.

All comes from the tables of the run. What they do not hold has no key, rather than an empty one, and a note says so.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

from polysem.io.atomic import write_json
from polysem.io.errors import InputError
from polysem.io.tables import read_table
from polysem.saes.exported import ExportedOfRun

BATCH = 128
"""Features of a file."""
ALIGNED = 3
"""Neurons of a feature's alignment."""
BINS = 40
"""Of the histogram of logit weights."""
TOP = -1
"""What `bin_min`, `bin_max` and `bin_contains` of the most active examples are."""
TABLES = ("frequency", "logits", "examples", "associations")
RANKED = {"neurons": ("correlated_neuron", "neuron"), "features": ("correlated_feature", "feature")}
"""Whose correlations there are: the variable of the partners, and what the others begin with."""
NO_PROMPTS = "n_prompts_total is left out: no table of this run counts the prompts"


def write(exported: ExportedOfRun, folder: Path) -> None:
    """`batch-0.json`, … with 128 features each. InputError if a table that it is written from is not made."""
    for name in TABLES:
        path = exported.tables / f"{name}.nc"
        if not path.is_file():
            raise InputError(f"{path} is not made yet; run `snakemake --cores all {exported.tables}` first")
    frequency, logits, examples, associations = (read_table(exported.tables / f"{name}.nc") for name in TABLES)
    parts = (
        _measured(exported, frequency),
        _correlated(associations),
        _logits(exported, logits),
        _histograms(frequency),
        _examples(exported, examples, frequency),
    )
    exported.missing.append(NO_PROMPTS)
    if exported.sae.target is not None:
        exported.missing.append(f"neuron_alignment_* are of neurons of {exported.sae.target}, which the SAE predicts")
    heading = {
        "model_id": exported.model_name,
        "layer": exported.layer(),
        "sae_set": exported.site,
        "sae_id_suffix": exported.name,
    }
    features = [{key: value for part in each for key, value in part.items()} for each in zip(*parts, strict=True)]
    for number, start in enumerate(range(0, len(features), BATCH)):
        write_json(folder / f"batch-{number}.json", heading | {"features": features[start : start + BATCH]})


def _measured(exported: ExportedOfRun, frequency: xr.Dataset) -> Iterator[dict[str, Any]]:
    """Frequency of each feature, and its alignment with neurons: the largest weights of its decoder row, and these as
    shares of the row's L1 norm."""
    active = frequency["frequency"].to_numpy()
    weights, neurons = exported.sae.W_dec.topk(min(ALIGNED, exported.sae.outputs), dim=1)
    norms = exported.sae.W_dec.abs().sum(dim=1).clamp_min(torch.finfo(torch.float32).tiny)
    shares = weights.abs() / norms[:, None]
    context = exported.settings().get("context_size")
    for index in range(exported.sae.features):
        yield {
            "feature_index": index,
            "neuron_alignment_indices": neurons[index].tolist(),
            "neuron_alignment_values": _numbers(weights[index].numpy()),
            "neuron_alignment_l1": _numbers(shares[index].numpy()),
            "frac_nonzero": float(active[index]),
            "dataset": exported.corpus,
        } | ({} if context is None else {"n_tokens_in_prompt": context})


def _correlated(associations: xr.Dataset) -> Iterator[dict[str, Any]]:
    """Neurons and features with the highest correlations; what the format calls `_l1` is a cosine of activations."""
    columns: dict[str, NDArray[Any]] = {}
    partners = {}
    for whose, (indices, kind) in RANKED.items():
        partners[whose] = associations[indices].to_numpy()
        columns[f"correlated_{whose}_pearson"] = associations[f"{kind}_correlation"].to_numpy()
        columns[f"correlated_{whose}_l1"] = associations[f"{kind}_activation_cosine"].to_numpy()
    for row in range(associations.sizes["feature"]):
        found: dict[str, Any] = {}
        for whose, partner in partners.items():
            known = partner[row] >= 0
            found[f"correlated_{whose}_indices"] = partner[row][known].tolist()
            for name in (f"correlated_{whose}_pearson", f"correlated_{whose}_l1"):
                found[name] = _numbers(columns[name][row][known])
        yield found


def _logits(exported: ExportedOfRun, logits: xr.Dataset) -> Iterator[dict[str, Any]]:
    """Tokens that a feature makes most and least likely, as its sheet has them, and a histogram over all tokens."""
    if reason := logits.attrs.get("not_applicable"):
        exported.missing.append(f"pos_*, neg_* and logits_hist_data_bar_* are left out: {reason}")
        yield from ({} for _ in range(exported.sae.features))
        return
    boosted, boost, suppressed, suppression = (
        logits[name].to_numpy() for name in ("boosted_token", "boost", "suppressed_token", "suppression")
    )
    for start in range(0, exported.sae.features, BATCH):
        effects = exported.logit_weights(exported.sae.decoder()[start : start + BATCH])
        for row, effect in enumerate(effects, start):
            heights, edges = torch.histogram(effect, BINS)
            yield {
                "pos_str": [exported.token_text(token) for token in boosted[row].tolist()],
                "pos_values": _numbers(boost[row]),
                "neg_str": [exported.token_text(token) for token in suppressed[row].tolist()],
                "neg_values": _numbers(suppression[row]),
                "logits_hist_data_bar_heights": heights.int().tolist(),
                "logits_hist_data_bar_values": _numbers(((edges[1:] + edges[:-1]) / 2).numpy()),
            }


def _histograms(frequency: xr.Dataset) -> Iterator[dict[str, Any]]:
    """Active tokens by activation, from the first to the last bin that has any; a bin stands at its middle."""
    edges, counts = frequency["bin_edge"].to_numpy(), frequency["activation_histogram"].to_numpy()
    middles = (edges[1:] + edges[:-1]) / 2
    for row in counts:
        filled = np.flatnonzero(row)
        shown = slice(filled[0], filled[-1] + 1) if filled.size else slice(0)
        yield {
            "freq_hist_data_bar_heights": row[shown].tolist(),
            "freq_hist_data_bar_values": _numbers(middles[shown]),
        }


def _examples(exported: ExportedOfRun, examples: xr.Dataset, frequency: xr.Dataset) -> Iterator[dict[str, Any]]:
    """The most active examples, and those drawn from all, each with the bin of the histogram that it lies in."""
    token, window = examples["token"].to_numpy(), examples["window_activation"].to_numpy()
    if not (token >= 0).any():
        exported.missing.append("activations are left out: the table of examples holds no tokens")
        yield from ({} for _ in range(exported.sae.features))
        return
    activation, kind = examples["activation"].to_numpy(), examples["kind"].to_numpy().astype(str)
    offsets, edges = examples["offset"].to_numpy(), frequency["bin_edge"].to_numpy()
    counts = frequency["activation_histogram"].to_numpy()
    unknown = int((np.isnan(window) & (token >= 0)).sum())
    if unknown:
        exported.missing.append(
            f"{unknown:,} tokens of contexts are not in the activation store; their activations are written as 0"
        )
    active = np.maximum(counts.sum(axis=1), 1)
    for row in range(exported.sae.features):
        shown = []
        for place in np.flatnonzero(np.isfinite(activation[row])).tolist():
            inside = token[row, place] >= 0
            if kind[place] == "top":
                bins: tuple[float, float, float] = (TOP, TOP, TOP)
            else:
                value = np.float32(activation[row, place])
                found = int(np.clip(np.searchsorted(edges, value, side="right") - 1, 0, counts.shape[1] - 1))
                bins = (*_numbers(edges[found : found + 2]), _number(counts[row, found] / active[row]))  # type: ignore[assignment]
            shown.append(
                dict(zip(("bin_min", "bin_max", "bin_contains"), bins, strict=True))
                | {
                    "qualifying_token_index": int(np.flatnonzero(offsets[inside] == 0)[0]),
                    "tokens": [exported.token_text(index) for index in token[row, place][inside].tolist()],
                    "values": _numbers(np.nan_to_num(window[row, place][inside])),
                }
            )
        yield {"activations": shown}


def _numbers(values: NDArray[Any]) -> list[float]:
    return [_number(value) for value in values.tolist()]


def _number(value: float) -> float:
    """Six significant digits: more would be noise."""
    return float(f"{value:.6g}")
