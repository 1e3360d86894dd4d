"""What the page of results keeps of a run: its numbers, the intervals of some, and the machine."""

import json
import os
import platform
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polysem.io.errors import InputError
from polysem.io.tables import read_arrays
from polysem.numerics.resampling import interval_of_values
from polysem.params.base import NEURONS
from polysem.params.study import Study

MODEL, ALL_SITES = "model", "all sites"
KNOWN = "known"
"""Stands in place of a site for toys, whose features are known."""
LIBRARIES = ("torch", "numpy", "transformer_lens")
OWN = ("features", "tokens", "accuracy_clean", "accuracy_spliced", "accuracy_loss", "mse", "l1", "L0")
BEGINNINGS = (
    "agreement_", "clusters_", "clustered_", "co_firing_largest", "cross_entropy", "dead_", "dense_share",
    "explained_variance", "head_", "loss_recovered", "median_monosemanticity", "monosemantic", "most_polysemantic",
    "never_active", "one_sparse", "other_site_", "own_site_", "recipe_", "seed_", "tag_", "tags", "tail_",
    "ten_sparse", "top_", "ultra_low", "training_images",
)  # fmt: skip
"""Metrics that tables of the page may show begin so, or are in `OWN`."""


def recorded(results: Path, study: Study, machine: str = "") -> dict[str, Any]:
    """The record of a finished run: `{machine, models: {model: numbers}, sites: [{model, site, tags, found}],
    dictionaries: [{model, site, dictionary, setting, numbers, intervals}]}`, with numbers as `metrics.json` has them.
    `sites` are those of several SAEs, and how many of the tags some of these find; `setting` is the id of an SAE
    without its seed.

    `intervals` are 95 % bootstrap intervals [low, high]: over sequences, as the tables of fidelity have them, over tags
    and over features. `machine` is described by this machine's name and libraries where it is empty.
    Raises InputError if the run is not finished, or is none of this study.
    """
    metrics = _metrics(results / "metrics.json")
    dictionaries, together = [], []
    for model, sites in metrics.items():
        for site, found in sites.items():
            if site == MODEL:
                continue
            saes = [name for name in found if name != NEURONS]
            if site not in (KNOWN, ALL_SITES) and len(saes) > 1:
                together.append({"model": model, "site": site, **tags_of_any(results / "tables" / model / site, saes)})
            for name, numbers in found.items():
                if name != NEURONS and name not in study.saes:
                    raise InputError(
                        f"{results}/metrics.json has numbers of {name}, which the params file has not; pass the one "
                        "that the run was made with as --configfile"
                    )
                setting = study.saes[name].setting if name in study.saes else name
                entry = {"model": model, "site": site, "dictionary": name, "setting": setting}
                ends = _ends(numbers)
                if site not in (KNOWN, ALL_SITES):
                    ends |= intervals(results / "tables" / model / site / name)
                shown = {
                    key: value
                    for key, value in numbers.items()
                    if site == KNOWN
                    or key in OWN
                    or (key.startswith(BEGINNINGS) and not key.endswith(("_low", "_high")))
                }
                dictionaries.append(entry | {"numbers": shown, "intervals": ends})
    models = {
        model: {"numbers": sites[MODEL], "intervals": _ends(sites[MODEL])}
        for model, sites in metrics.items()
        if sites.get(MODEL)
    }
    return {
        "machine": machine or this_machine(),
        "models": models,
        "sites": together,
        "dictionaries": dictionaries,
    }


def tags_of_any(folder: Path, saes: Iterable[str]) -> dict[str, int]:
    """How many tags there are, and how many of them some SAE of a site finds."""
    found = np.array([read_arrays(folder / sae / "tags.nc", lambda name: name == "found")["found"] for sae in saes])
    return {"tags": found.shape[1], "found": int(found.any(axis=0).sum())}


def intervals(folder: Path) -> dict[str, list[float]]:
    """Bootstrap intervals of numbers over the tags and the features of a dictionary, from its tables."""
    tags = read_arrays(folder / "tags.nc", lambda name: name in {"f1", "auroc", "monosemanticity_above_base"})
    clusters = read_arrays(folder / "clusters.nc", lambda name: name in {"embedding", "state", "mean_distance"})
    found = {
        "tag_mean_best_f1": interval_of_values(tags["f1"], np.mean),
        "tag_mean_best_auroc": interval_of_values(tags["auroc"], np.mean),
        "median_monosemanticity_above_base": interval_of_values(tags["monosemanticity_above_base"]),
    }
    if "mean_distance" in clusters:
        found["clusters_median_mean_distance"] = interval_of_values(_of_neurons(clusters))
    return {name: _rounded(ends) for name, ends in found.items() if np.isfinite(ends).all()}


def _of_neurons(clusters: dict[str, NDArray[Any]]) -> NDArray[np.float64]:
    """Mean distances by neuron embeddings, of the features that are clustered."""
    embedding = clusters["embedding"].tolist().index("neuron")
    found: NDArray[np.float64] = clusters["mean_distance"][embedding][clusters["state"] == "clustered"]
    return found.astype(np.float64)


def _ends(numbers: dict[str, Any]) -> dict[str, list[float]]:
    """Intervals that stand among the metrics themselves, as two numbers."""
    names = [name.removesuffix("_low") for name in numbers if name.endswith("_low")]
    both = {name: (numbers[f"{name}_low"], numbers.get(f"{name}_high")) for name in names if name in numbers}
    return {name: _rounded(ends) for name, ends in both.items() if None not in ends}


def _rounded(ends: tuple[Any, Any]) -> list[float]:
    return [float(f"{end:.6g}") for end in ends]


def this_machine() -> str:
    """Processor, number of CPUs and versions of what computes, in words."""
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    return f"{_processor()}, {os.cpu_count()} CPUs; Python {platform.python_version()}, {libraries}"


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.is_file():
        fields = dict(
            line.split(":", 1) for line in information.read_text(encoding="utf-8").splitlines() if ":" in line
        )
        named = {name.strip(): value.strip() for name, value in fields.items()}
        if "model name" in named:
            family = f" (family {named['cpu family']}, model {named['model']})" if "cpu family" in named else ""
            return named["model name"] + family
    return platform.processor() or platform.machine()


def _metrics(path: Path) -> dict[str, Any]:
    try:
        metrics: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}); the page needs a finished run") from error
    if not any(NEURONS in found for sites in metrics.values() for site, found in sites.items() if site != MODEL):
        raise InputError(f"{path} holds no dictionaries; the page needs a finished run")
    return metrics
