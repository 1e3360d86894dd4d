"""S0.F4, S1.F6: neurons and features that are active when a feature is, and those whose decoder rows are near."""

import xarray as xr

from polysem.params.base import NEURONS
from polysem.tables.inputs import Inputs
from polysem.tables.parts.labels import index
from polysem.tables.parts.nearest import nearest
from polysem.tables.parts.reading import activation_rows, dictionary_of
from polysem.tables.passes.survey.correlation import Correlation
from polysem.tables.passes.survey.survey import gathered, surveyed

CATALOGUE = "S0.F4 S1.F6"
READS = ("survey", "store", "weights", "table:frequency")
PARAMS = ()
VARIABLES = {
    "neuron_activation_cosine": (
        "feature rank",
        "1",
        "cosine of its activations and those of that neuron over all tokens",
    ),
    "correlated_neuron": ("feature rank", "1", "neuron whose activation correlates most"),
    "neuron_correlation": ("feature rank", "1", "Pearson correlation with that neuron over all tokens"),
    "feature_activation_cosine": (
        "feature rank",
        "1",
        "cosine of its activations and those of that feature over all tokens",
    ),
    "correlated_feature": ("feature rank", "1", "feature whose activation correlates most"),
    "feature_correlation": ("feature rank", "1", "Pearson correlation with that feature over all tokens"),
    "nearest_feature": ("feature rank", "feature", "features with the nearest decoder rows"),
    "nearest_cosine": ("feature rank", "1", "cosine with these decoder rows"),
    "feature": ("feature", "1", "feature"),
    "rank": ("rank", "1", "place, 0 is the first"),
}


def gatherer(inputs: Inputs) -> Correlation:
    """What adds up products of features and neurons during the survey."""
    return Correlation(dictionary_of(inputs).features, activation_rows(inputs).width)


def measure(inputs: Inputs) -> xr.Dataset:
    """The table: see `Correlation.table` and `nearest`."""
    is_neurons = inputs.place.dictionary == NEURONS
    correlations = gathered(inputs, Correlation).table(inputs.table("frequency"), surveyed(inputs).again, is_neurons)
    near = nearest(dictionary_of(inputs)).drop_vars("rank")
    found = correlations.drop_vars("rank").merge(near, combine_attrs="drop_conflicts", join="exact")
    return found.assign_coords(rank=index("rank", 0, found.sizes["rank"], "place, 0 is the first"))
