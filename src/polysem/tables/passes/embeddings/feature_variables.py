"""What is said of each feature's clusters, and in the median over features."""

from collections.abc import Mapping

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from polysem.numerics.cluster_measures import MEASURES
from polysem.tables.parts.labels import scalar, variable
from polysem.tables.passes.embeddings.first_clusters import FirstClusters, rare_secondary
from polysem.tables.passes.embeddings.measured import EMBEDDINGS, RANDOM
from polysem.tables.passes.embeddings.strong_examples import StrongExamples
from polysem.tables.passes.embeddings.tag_agreement import TAG_MEASURES

Variables = dict[str, xr.Variable]
DISTANCES = ("max_distance", "mean_distance", "intra_cluster_distance", "inter_cluster_distance")
"""Measures that are cosine distances."""
DRAWN = ("intra_cluster_distance", "inter_cluster_distance")
"""Measures with lines at their medians in figures: these are not rounded to float32."""
STATES = {
    "clustered": "clustered_features",
    "never active": "never_active_features",
    "one example": "one_example_features",
    "identical examples": "identical_examples_features",
    "not a number": "not_a_number_features",
}


def measure_variables(measures: Mapping[str, Mapping[str, NDArray]], counted: NDArray[np.bool_]) -> Variables:
    """Measures of each embedding, of random tokens, and their medians over features that count."""
    variables: Variables = {}
    for name in measures[EMBEDDINGS[0]]:
        words, units = (MEASURES | TAG_MEASURES)[name]
        values = np.stack([measures[of][name] for of in EMBEDDINGS])
        variables[name] = variable(("embedding", "feature"), values, words, units)
        counting = values[:, counted].astype(np.float64 if name in DRAWN else values.dtype)
        medians = [_median(row) for row in counting]
        variables[f"median_{name}"] = variable("embedding", medians, f"median over features: {words}", units)
    for name, values in measures[RANDOM].items():
        if name != "silhouette":
            words, units = MEASURES[name]
            variables[f"random_{name}"] = variable("feature", values, f"{words}, of as many random tokens", units)
    of_random = [_median(measures[RANDOM][name][counted].astype(np.float64)) for name in DISTANCES]
    variables["random_median_distance"] = variable(
        "distance", of_random, "median over features: distance of two examples, of as many random tokens", "1"
    )
    return variables


def _median(values: NDArray) -> float:
    """Of the known values, in their precision: of an even number the mean of the two in the middle is rounded to it."""
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else np.nan


def state_variables(state: NDArray[np.object_], examples: StrongExamples, first: FirstClusters) -> Variables:
    """The state of each feature and how its examples are spread over its clusters; features in each state."""
    size = examples.size
    largest = first.size[:, 0]
    share = np.divide(largest, size, out=np.full(len(size), np.nan), where=largest > 0)
    rare = rare_secondary(size, largest) & (state == "clustered")
    return {
        "state": variable("feature", state, "whether the examples could be clustered, or why not", "1"),
        "size": variable("feature", size.astype(np.int32), "strong examples found", "example"),
        "largest_cluster_share": variable(
            "feature", share.astype(np.float32), "share of the examples in the largest cluster", "1"
        ),
        "rare_secondary": variable("feature", rare, "whether a common and a rare behaviour show", "1"),
        "rare_secondary_features": scalar(int(rare.sum()), "features with a common and a rare behaviour", "feature"),
        "median_size": scalar(_median(size[state == "clustered"]), "median over features: examples", "example"),
    } | {
        name: scalar(int((state == of).sum()), f"features whose state is: {of}", "feature")
        for of, name in STATES.items()
    }
