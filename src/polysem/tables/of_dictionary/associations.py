"""S0.F4, S1.F6: neurons and features that are active when a feature is, and those whose decoder rows are near."""

import xarray as xr

from polysem.params.base import NEURONS
from polysem.tables.inputs import Inputs
from polysem.tables.parts.correlated_neurons import of_all_features, weight_ranks
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
    "correlated_features": ("rank", "feature", "features that a neuron of that rank correlates with"),
    "neuron_correlation_median": (
        "rank",
        "1",
        "median over features: Pearson correlation with that neuron over all tokens",
    ),
    "neuron_correlation_above_09": (
        "rank",
        "feature",
        "features with a Pearson correlation with that neuron above 0.9",
    ),
    "correlated_neuron_weight_rank": (
        "feature",
        "1",
        "place of the decoder weight of the neuron that correlates most, by size, 1 is the largest; 0: no neuron",
    ),
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
ONLY = {"of an SAE whose decoder rows are over the neurons of its own site": ("correlated_neuron_weight_rank",)}


def gatherer(inputs: Inputs) -> Correlation:
    """What adds up products of features and neurons during the survey."""
    return Correlation(dictionary_of(inputs).features, activation_rows(inputs).width)


def measure(inputs: Inputs) -> xr.Dataset:
    """The table: see `Correlation.table`, `nearest` and `correlated_neurons`."""
    is_neurons = inputs.place.dictionary == NEURONS
    dictionary = dictionary_of(inputs)
    correlations = gathered(inputs, Correlation).table(inputs.table("frequency"), surveyed(inputs).again, is_neurons)
    near = nearest(dictionary).drop_vars("rank")
    found = correlations.drop_vars("rank").merge(near, combine_attrs="drop_conflicts", join="exact")
    found = found.assign(of_all_features(found["neuron_correlation"].values))
    if not is_neurons and dictionary.target is None:
        neuron = found["correlated_neuron"].values[:, 0]
        found["correlated_neuron_weight_rank"] = weight_ranks(dictionary.decoder().cpu(), neuron)
    return found.assign_coords(rank=index("rank", 0, found.sizes["rank"], "place, 0 is the first"))
