"""The numbers of all dictionaries and models in one small file, for `dvc metrics diff`."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from polysem.io.atomic import write_json
from polysem.io.errors import InputError
from polysem.io.tables import read_arrays, read_scalars, read_table
from polysem.params.analysis import Analysis, GivenAnalysis
from polysem.params.base import NEURONS
from polysem.tables.of_site import embedding_loss
from polysem.tables.parts.ablation_metrics import ablation_metrics
from polysem.tables.parts.automata_metrics import automata_metrics
from polysem.tables.parts.explanation_metrics import explanation_metrics
from polysem.tables.parts.frequency_classes import firings, is_ultra_low
from polysem.tables.parts.neuron_sparsity import sparsity_classes
from polysem.tables.parts.probe_metrics import probe_metrics
from polysem.tables.passes.comparison.metrics import site_metrics
from polysem.tables.passes.matches.metrics import match_metrics

DIGITS = 6
"""Significant digits of a number: more would be noise that makes git diffs of `metrics.json` longer, fewer would hide
changes of the loss."""
SPARSITY = {"one_sparse_share": "1-sparse", "ten_sparse_share": "10-sparse", "dense_share": "dense"}
EMBEDDINGS = {"neuron": "", "input": "_input"}
"""Embeddings whose medians are metrics, with the ends of their names."""
INTERVAL_OF_L0 = ("L0_low", "L0_high")
PAIRS = ("found_again_share", "median_correlation", "median_cosine", "ultra_low_cosine")
"""What is said of two dictionaries of which one is looked for in the other."""
ALL_SITES = "all sites"
"""Stands in place of a site for medians over the neurons of all sites of a model."""
ALL_NEURONS = ("max_distance", "mean_distance", "intra_cluster_distance", "inter_cluster_distance", "clusters")
"""Measures of clusters that are summed up so."""
Metrics = dict[str, Any]


def collect_metrics(
    tables: Path,
    dictionaries: list[str],
    models: list[str],
    output: Path,
    params: GivenAnalysis,
    names: list[str],
    toys: tuple[str, ...] = (),
    comparisons: tuple[str, ...] = (),
    matched: tuple[str, ...] = (),
    probed: tuple[str, ...] = (),
    ablated: tuple[str, ...] = (),
    traced: tuple[str, ...] = (),
    explained: tuple[str, ...] = (),
    of_models: tuple[str, ...] = ("model",),
) -> None:
    """Write `{model: {"model": {metric: value}, site: {dictionary: {metric: value}}}}`, keys sorted.

    Of a model with several sites whose neurons have clusters, medians over all of these stand at {"all sites":
    {"neurons": …}}.
    The metrics of a model are all variables without dimensions of its tables, which `of_models` lists. Those of a
    dictionary are all of its tables, which `names` lists, those of its site's table `fidelity.nc`, and some numbers
    that depend on thresholds.
    `dictionaries` are "model/site/dictionary" as their tables' folders below `tables` are called; `toys` are "toy/sae",
    whose numbers stand at {toy: {"known": {sae: {metric: value}}}}; `comparisons` are "model/site", whose table
    `comparison.nc` holds each SAE against others, and `embedding_loss.nc` those with the neuron-embedding loss against
    those without; `matched` are models, whose table `match_layers.nc` says what the strongest features of texts are;
    `probed` are models, whose table `concept_probes.nc` has words and their replacements; `ablated` are models, whose
    table `ablation.nc` says what it does to set features to 0; `traced` are models, whose table `automata.nc` has
    features that follow each other; `explained` are models, whose table `explanations.nc` says what explanations are
    worth.
    """
    metrics: dict[str, dict[str, Any]] = {
        model: {"model": together({name: read_scalars(tables / model / f"{name}.nc") for name in of_models})}
        for model in models
    }
    spliced: dict[str, dict[str, Metrics]] = {}
    for key in dictionaries:
        place, _, dictionary = key.rpartition("/")
        model, site = place.split("/")
        if place not in spliced:
            spliced[place] = fidelity_metrics(tables / place / "fidelity.nc")
        found = joined(spliced[place][dictionary], _of_dictionary(tables / key, names, params))
        metrics.setdefault(model, {}).setdefault(site, {})[dictionary] = found
    for model in models:
        if found := all_neurons(tables, [key.split("/") for key in dictionaries], model, names):
            metrics[model][ALL_SITES] = {NEURONS: found}
    for key in comparisons:
        model, site = key.split("/")
        comparison = read_table(tables / key / "comparison.nc")
        for of in (pair_metrics, site_metrics):
            for dictionary, found in of(comparison).items():
                known = {"the dictionary": metrics[model][site][dictionary], "comparison": found}
                metrics[model][site][dictionary] = together(known)
        for dictionary, found in embedding_loss.metrics(read_table(tables / key / "embedding_loss.nc")).items():
            known = {"the dictionary": metrics[model][site][dictionary], "embedding_loss": found}
            metrics[model][site][dictionary] = together(known)
    of_places = {
        "match_layers": (match_metrics, matched),
        "concept_probes": (probe_metrics, probed),
        "ablation": (ablation_metrics, ablated),
        "automata": (automata_metrics, traced),
        "explanations": (explanation_metrics, explained),
    }
    for table, (numbers, whose) in of_places.items():
        for model in whose:
            for (site, dictionary), found in numbers(read_table(tables / model / f"{table}.nc")).items():
                known = {"the dictionary": metrics[model][site][dictionary], table: found}
                metrics[model][site][dictionary] = together(known)
    for key in toys:
        toy, sae = key.split("/")
        found = read_scalars(tables / toy / "known" / f"{sae}.nc")
        metrics.setdefault(toy, {}).setdefault("known", {})[sae] = found
    write_json(output, plain(metrics))


def _of_dictionary(folder: Path, names: list[str], params: Analysis) -> Metrics:
    scalars = {name: read_scalars(folder / f"{name}.nc") for name in names}
    frequency, alignment, fits = (
        read_table(folder / f"{name}.nc") for name in ("frequency", "alignment", "rank_frequency")
    )
    if "clusters" in names:
        scalars["clusters"].pop("median_size", None)
        medians = read_arrays(folder / "clusters.nc", lambda name: name == "embedding" or name.startswith("median_"))
        scalars["clusters"] |= cluster_metrics(medians)
    scalars["frequency"] |= frequency_metrics(frequency, params)
    scalars["alignment"] |= alignment_metrics(alignment, frequency, params)
    scalars["rank_frequency"] |= law_metrics(fits)
    if "target" in frequency.attrs:
        scalars["frequency"]["target"] = frequency.attrs["target"]
    return together(scalars)


def together(metrics: Mapping[str, Metrics]) -> Metrics:
    """The metrics of several tables of one place. InputError if two tables give one name to a number each."""
    found: Metrics = {}
    source: dict[str, str] = {}
    for table, of_table in metrics.items():
        for name, value in of_table.items():
            if name in found:
                raise InputError(
                    f"the metric {name!r} is in the tables {source[name]} and {table}, and metrics.json can hold one "
                    "number of a name; call the variable something else in one of them"
                )
            found[name], source[name] = value, table
    return found


def fidelity_metrics(path: Path) -> dict[str, Metrics]:
    """{dictionary: {metric: value}} of the table of a site's fidelities, with the `tokens` that they are of."""
    table = read_table(path)
    tokens = {"tokens": int(table.attrs["tokens"])}
    return {
        name: tokens | {str(metric): float(of.values[number]) for metric, of in table.data_vars.items()}
        for number, name in enumerate(table["dictionary"].values.tolist())
    }


def joined(fidelity: Metrics, ours: Metrics) -> Metrics:
    """The metrics of a dictionary with those of its fidelity.

    `L0` and `tokens` are those of all eval tokens. The interval of L0 in the table of fidelity goes with the L0 there:
    unless both are of the same tokens it is left out, as the other L0 may lie outside of it.
    """
    if fidelity["tokens"] != ours["tokens"]:
        fidelity = {name: value for name, value in fidelity.items() if name not in INTERVAL_OF_L0}
    of_all_tokens = {"L0": ours["L0"], "tokens": ours["tokens"]}
    ours = {name: value for name, value in ours.items() if name not in of_all_tokens}
    return together({"fidelity": fidelity | of_all_tokens, "the dictionary": ours})


def frequency_metrics(table: xr.Dataset, params: Analysis) -> Metrics:
    """How often features are active.

    `never_active_share`; `ultra_low_share`: below the threshold, but active on a token at least (None where the
    threshold is one token or less, so that nothing could be); `rare_share`: below its threshold, the never active
    included; `median_frequency` over all features; `L0`, mean number of active features per token: the
    sum of the frequencies (over all eval activations; it stands in place of the L0 of the fidelity table, which counts
    fewer tokens).
    """
    frequency = table["frequency"].values
    return {
        "features": len(frequency),
        "tokens": int(table.attrs["tokens"]),
        "never_active_share": np.mean(frequency == 0),
        "ultra_low_share": (
            np.mean(is_ultra_low(table, params.ultra_low_frequency))
            if firings(table, params.ultra_low_frequency) > 1
            else None
        ),
        "rare_share": np.mean(frequency < params.rare_frequency),
        "median_frequency": np.median(frequency),
        "L0": frequency.sum(),
    }


def alignment_metrics(alignment: xr.Dataset, frequency: xr.Dataset, params: Analysis) -> Metrics:
    """Where features point.

    Shares of the classes of S2.F1 among features that are not ultra-low (None if all are); median and largest excess
    kurtosis of all that have one; the neuron that is the strongest of most features (the lowest one), of how many, and
    the share of rare ones among these.
    """
    frequencies = frequency["frequency"].values
    usual = frequencies >= params.ultra_low_frequency
    classes = sparsity_classes(alignment, params).values[usual]
    kurtosis = alignment["kurtosis_excess"].dropna("feature").values
    features_strongest = alignment["features_strongest"].values
    neuron = int(features_strongest.argmax())
    its_own = frequencies[alignment["strongest_neuron"].values == alignment["neuron"].values[neuron]]
    shares = {name: np.mean(classes == kind) if len(classes) else None for name, kind in SPARSITY.items()}
    return shares | {
        "median_kurtosis_excess": np.median(kurtosis) if len(kurtosis) else None,
        "largest_kurtosis_excess": kurtosis.max() if len(kurtosis) else None,
        "most_polysemantic_neuron": int(alignment["neuron"].values[neuron]),
        "most_polysemantic_neuron_features": int(features_strongest[neuron]),
        "most_polysemantic_neuron_rare_share": np.mean(its_own < params.rare_frequency),
    }


def law_metrics(table: xr.Dataset) -> Metrics:
    """The law of head and tail ("undecided" where it is, None where they are not fitted), with its exponent and decay
    length (None where there is no law), and the share of their fall owed to an exponential, with its standard error."""
    metrics: Metrics = {}
    for part in ("head", "tail"):
        of = table.sel(range=part)
        law = str(of["winner"].item())
        metrics[f"{part}_law"] = law or None
        for name in ("exponent", "decay_length"):
            metrics[f"{part}_{name}"] = of[name].sel(law=law).item() if law in of["law"] else None
        for name in ("exponential_share", "exponential_share_error"):
            metrics[f"{part}_{name}"] = of[name].item()
    return metrics


def cluster_metrics(table: Mapping[str, NDArray[Any]]) -> Metrics:
    """Medians over features of the measures of clusters, `clusters_median_{measure}` of neuron embeddings and with
    `_input` behind it of what enters alone; `clusters_median_size`. Nothing for neurons without input weights."""
    metrics: Metrics = {}
    place = {str(key): number for number, key in enumerate(table.get("embedding", ()))}
    for name, of in table.items():
        if name.startswith("median_") and of.ndim:
            metrics |= {f"clusters_{name}{end}": float(of[place[key]]) for key, end in EMBEDDINGS.items()}
        elif name.startswith("median_"):
            metrics[f"clusters_{name}"] = float(of)
    return metrics


def all_neurons(tables: Path, dictionaries: list[list[str]], model: str, names: list[str]) -> Metrics:
    """Medians of the measures of clusters over the neurons of all sites of a model, named as those of one site (S3.T1);
    nothing for a model with fewer than two sites whose neurons have clusters."""
    each = []
    for of, site, dictionary in dictionaries if "clusters" in names else []:
        if (of, dictionary) == (model, NEURONS):
            path = tables / of / site / dictionary / "clusters.nc"
            table = read_arrays(path, lambda name: name in {"embedding", "state", *ALL_NEURONS})
            if "state" in table:
                each.append(table | {name: table[name][:, table["state"] == "clustered"] for name in ALL_NEURONS})
    if len(each) < 2:
        return {}
    metrics: Metrics = {"clustered_features": sum(int((table["state"] == "clustered").sum()) for table in each)}
    for name in ALL_NEURONS:
        for key, end in EMBEDDINGS.items():
            values = np.concatenate([table[name][table["embedding"] == key].ravel() for table in each])
            known = values[np.isfinite(values)]
            metrics[f"clusters_median_{name}{end}"] = float(np.median(known)) if len(known) else None
    return metrics


def pair_metrics(table: xr.Dataset) -> dict[str, Metrics]:
    """Summaries of the pairs of a site by the dictionary whose features are looked for in another one: `PAIRS`, with
    the relation of that other one in front (`seed_ultra_low_cosine`); of several others of a relation the first."""
    metrics: dict[str, Metrics] = {}
    relations = zip(table["pair_dictionary"].values.tolist(), table["pair_relation"].values.tolist(), strict=True)
    for pair, (dictionary, relation) in enumerate(relations):
        for name in PAIRS:
            metrics.setdefault(dictionary, {}).setdefault(f"{relation}_{name}", float(table[name].values[pair]))
    return metrics


def plain(value: Any) -> Any:
    """JSON types: keys sorted, numbers with `DIGITS` significant digits, None for what is not finite."""
    if isinstance(value, dict):
        return {key: plain(value[key]) for key in sorted(value)}
    if isinstance(value, float | np.floating):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
    return value
