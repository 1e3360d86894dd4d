"""S3.T2, S3.T3: what the neuron-embedding loss changes, over SAEs that differ in its weight alone.

A family is a recipe whose SAEs differ in the weight of the loss and in their seeds alone. Where none do, the table has
the attribute `not_applicable` alone. Source: document S3, section 4.2 and its tables 2 and 3.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from polysem.io.tables import read_arrays, read_table
from polysem.numerics.resampling import students_interval
from polysem.tables.inputs import Inputs
from polysem.tables.parts.labels import labelled, variable

CATALOGUE = "S3.T2 S3.T3"
READS = (
    "recipes",
    "families",
    "table:fidelity",
    "dictionaries:table:ultra_low",
    "dictionaries:table:tags",
    "dictionaries:table:clusters",
)
PARAMS = ()
VARIABLES = {
    "dictionary": ("dictionary", "1", "dictionary of the site"),
    "family": ("family", "1", "recipes whose SAEs differ in the weight of the loss alone"),
    "weight": ("weight", "1", "weight of the neuron-embedding loss, per token"),
    "family_of": ("dictionary", "1", "family of the SAE, as its place along family; -1: none"),
    "weight_of": ("dictionary", "1", "weight of the loss, as its place along weight; -1: none"),
    "seeds": ("family weight", "1", "SAEs with this weight"),
    "mse": ("dictionary", "activation^2", "squared error, mean over neurons and tokens"),
    "mse_mean": ("family weight", "activation^2", "its mean over the seeds"),
    "mse_interval": ("family weight", "activation^2", "half of the 95 % interval of that mean"),
    "l1": ("dictionary", "activation", "sum of the features, mean over tokens"),
    "l1_mean": ("family weight", "activation", "its mean over the seeds"),
    "l1_interval": ("family weight", "activation", "half of the 95 % interval of that mean"),
    "active_share": ("dictionary", "1", "share of features active on a token (L0 / features)"),
    "active_share_mean": ("family weight", "1", "its mean over the seeds"),
    "active_share_interval": ("family weight", "1", "half of the 95 % interval of that mean"),
    "accuracy_loss": ("dictionary", "1", "share of tokens that are predicted by the model alone, net"),
    "accuracy_loss_mean": ("family weight", "1", "its mean over the seeds"),
    "accuracy_loss_interval": ("family weight", "1", "half of the 95 % interval of that mean"),
    "loss_recovered": ("dictionary", "1", "loss recovered against zero ablation"),
    "loss_recovered_mean": ("family weight", "1", "its mean over the seeds"),
    "loss_recovered_interval": ("family weight", "1", "half of the 95 % interval of that mean"),
    "max_distance": ("dictionary", "1", "median over features: largest cosine distance of two examples"),
    "max_distance_mean": ("family weight", "1", "its mean over the seeds"),
    "max_distance_interval": ("family weight", "1", "half of the 95 % interval of that mean"),
    "mean_distance": ("dictionary", "1", "median over features: mean cosine distance of two examples"),
    "mean_distance_mean": ("family weight", "1", "its mean over the seeds"),
    "mean_distance_interval": ("family weight", "1", "half of the 95 % interval of that mean"),
    "size": ("dictionary", "example", "median over features: strong examples"),
    "size_mean": ("family weight", "example", "its mean over the seeds"),
    "size_interval": ("family weight", "example", "half of the 95 % interval of that mean"),
    "dead_share": ("dictionary", "1", "share of features that are dead on the training images"),
    "dead_share_mean": ("family weight", "1", "its mean over the seeds"),
    "dead_share_interval": ("family weight", "1", "half of the 95 % interval of that mean"),
    "never_active_share": ("dictionary", "1", "share of features that are active on no eval token"),
    "never_active_share_mean": ("family weight", "1", "its mean over the seeds"),
    "never_active_share_interval": ("family weight", "1", "half of the 95 % interval of that mean"),
    "monosemanticity_above_base": ("dictionary", "1", "median of monosemanticity above its base rate"),
    "monosemanticity_above_base_mean": ("family weight", "1", "its mean over the seeds"),
    "monosemanticity_above_base_interval": ("family weight", "1", "half of the 95 % interval of that mean"),
}
NONE = "no two SAEs of this site differ in embedding_loss alone; a recipe with embedding_loss: [0, 0.001] has two"
OWN = "embedding_"
"""How the keys of the loss begin; without the loss the others are not read."""
OF_CLUSTERS = {"max_distance": "median_max_distance", "mean_distance": "median_mean_distance", "size": "median_size"}
OF_FIDELITY = {"mse": "mse", "l1": "l1", "accuracy_loss": "accuracy_loss", "loss_recovered": "loss_recovered_zero"}
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Family:
    """SAEs that differ in the weight of the loss and in their seeds alone."""

    name: str
    members: dict[float, list[int]]
    """Numbers of dictionaries by weight, smallest first."""


def measure(inputs: Inputs) -> xr.Dataset:
    """Every quantity of each dictionary, NaN where it is not known; its mean over the seeds of each family and weight,
    and half of that mean's 95 % interval (Student's t; NaN with fewer than two seeds)."""
    each = inputs.each("dictionaries")
    names = [its.place.dictionary for its in each]
    found = families(names, inputs.value("recipes"), inputs.value("families"))
    if not found:
        return xr.Dataset(attrs={"not_applicable": NONE})
    of_dictionaries = [_of_dictionary(its) for its in each]
    values = {name: np.array([one[name] for one in of_dictionaries]) for name in of_dictionaries[0]}
    fidelity = read_table(inputs.table_file("fidelity")).sel(dictionary=names)
    values |= {name: fidelity[of].to_numpy().astype(np.float64) for name, of in OF_FIDELITY.items()}
    values["active_share"] = fidelity["L0"].to_numpy() / values.pop("features")
    return compared(found, names, values)


def _of_dictionary(inputs: Inputs) -> dict[str, float]:
    low = read_arrays(inputs.table_file("ultra_low"), {"feature", "never_active", "dead_share"}.__contains__)
    tags = read_arrays(inputs.table_file("tags"), {"median_monosemanticity_above_base"}.__contains__)
    clusters = read_arrays(inputs.table_file("clusters"), {"embedding", *OF_CLUSTERS.values()}.__contains__)
    features = len(low["feature"])
    return {
        "features": float(features),
        "dead_share": _number(low.get("dead_share")),
        "never_active_share": float(low["never_active"]) / features,
        "monosemanticity_above_base": _number(tags.get("median_monosemanticity_above_base")),
        **{name: _of_neuron_embedding(clusters, of) for name, of in OF_CLUSTERS.items()},
    }


def _of_neuron_embedding(clusters: Mapping[str, NDArray[Any]], name: str) -> float:
    if name not in clusters or not clusters[name].ndim:
        return _number(clusters.get(name))
    return float(clusters[name][clusters["embedding"] == "neuron"][0])


def _number(value: NDArray[Any] | None) -> float:
    return np.nan if value is None else float(value)


def compared(found: Sequence[Family], names: Sequence[str], values: Mapping[str, Values]) -> xr.Dataset:
    """The table of these families, from the quantities of the dictionaries `names`."""
    weights = sorted({weight for family in found for weight in family.members})
    place = np.full((2, len(names)), -1, np.int64)
    seeds = np.zeros((len(found), len(weights)), np.int64)
    for number, family in enumerate(found):
        for weight, members in family.members.items():
            place[:, members] = [[number], [weights.index(weight)]]
            seeds[number, weights.index(weight)] = len(members)
    columns: dict[str, NDArray[Any]] = {"family_of": place[0], "weight_of": place[1], "seeds": seeds}
    for name, of in values.items():
        columns[name] = of
        both = np.array(
            [
                [students_interval(of[(place[0] == one) & (place[1] == weight)]) for weight in range(len(weights))]
                for one in range(len(found))
            ]
        )
        columns[f"{name}_mean"], columns[f"{name}_interval"] = both[:, :, 0], both[:, :, 1]
    coordinates = {
        "dictionary": np.array(names, object),
        "family": np.array([family.name for family in found], object),
        "weight": np.array(weights),
    }
    made = {name: _declared(name, column) for name, column in (coordinates | columns).items()}
    return labelled({name: made[name] for name in columns}, {name: made[name] for name in coordinates}, {})


def _declared(name: str, values: NDArray[Any]) -> xr.Variable:
    dimensions, units, long_name = VARIABLES[name]
    return variable(tuple(dimensions.split()), values, long_name, units)


def families(
    names: Sequence[str], recipes: Mapping[str, Mapping[str, Any]], recipe_names: Mapping[str, str]
) -> list[Family]:
    """Families with at least two weights, in the order of their first members among the dictionaries `names`; `recipes`
    are the hyper-parameters of those that are trained here, `recipe_names` their keys under `saes:`."""
    grouped: dict[str, dict[float, list[int]]] = {}
    for number, name in enumerate(names):
        keys = recipes.get(name, {})
        if "embedding_loss" not in keys:
            continue
        weight = float(keys["embedding_loss"])
        shared = {key: value for key, value in keys.items() if key != "seed" and not key.startswith(OWN)}
        grouped.setdefault(json.dumps(shared, sort_keys=True), {}).setdefault(weight, []).append(number)
    return [
        Family(
            _name([recipe_names[names[n]] for each in members.values() for n in each]), dict(sorted(members.items()))
        )
        for members in grouped.values()
        if len(members) > 1
    ]


def _name(recipe_names: list[str]) -> str:
    """What a family of these recipes is called, `standard, embedding`."""
    return ", ".join(dict.fromkeys(recipe_names))


def metrics(table: xr.Dataset) -> dict[str, dict[str, float]]:
    """Means and their intervals, `embedding_loss_mse_mean` and `embedding_loss_mse_interval`, by the first SAE of each
    family and weight; nothing where there is no family."""
    found: dict[str, dict[str, float]] = {}
    if "family_of" not in table:
        return found
    family, weight = table["family_of"].to_numpy(), table["weight_of"].to_numpy()
    for number, name in enumerate(table["dictionary"].to_numpy().astype(str)):
        is_first = not ((family[:number] == family[number]) & (weight[:number] == weight[number])).any()
        if family[number] >= 0 and is_first:
            found[name] = {
                f"embedding_loss_{key}": float(of.to_numpy()[family[number], weight[number]])
                for key, of in table.data_vars.items()
                if str(key).endswith(("_mean", "_interval"))
            }
    return found
