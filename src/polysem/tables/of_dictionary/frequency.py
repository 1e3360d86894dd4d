"""S0.F1, S1.F1, S2.F3: on how many tokens each feature is active, and how strongly."""

import xarray as xr

from polysem.saes.dictionary import Neurons
from polysem.tables.inputs import Inputs
from polysem.tables.parts.reading import dictionary_of
from polysem.tables.passes.survey.frequency import Frequency
from polysem.tables.passes.survey.survey import gathered

CATALOGUE = "S0.F1 S1.F1 S2.F3"
READS = ("survey", "store", "weights")
PARAMS = ()
VARIABLES = {
    "frequency": ("feature", "1", "share of tokens on which the feature is active"),
    "active_tokens": ("feature", "token", "tokens on which the feature is active"),
    "active_tokens_of_half": ("feature half", "token", "tokens of a half on which the feature is active"),
    "tokens_of_half": ("half", "token", "tokens of sequences of a half"),
    "mean_active": ("feature", "activation", "mean activation over the tokens on which it is active"),
    "max_activation": ("feature", "activation", "largest activation"),
    "mean": ("feature", "activation", "mean activation over all tokens, 0 where not active"),
    "standard_deviation": ("feature", "activation", "standard deviation of the activation over all tokens"),
    "activation_histogram": ("feature bin", "token", "active tokens by activation"),
    "bin_edge": ("edge", "activation", "edges of the bins of activations"),
    "feature": ("feature", "1", "feature"),
    "half": ("half", "1", "half of the sequences, by a hash of their number"),
}


def gatherer(inputs: Inputs) -> Frequency:
    """What counts during the survey."""
    dictionary = dictionary_of(inputs)
    return Frequency(dictionary.features, isinstance(dictionary, Neurons))


def measure(inputs: Inputs) -> xr.Dataset:
    """The table: see `Frequency.table`."""
    return gathered(inputs, Frequency).table()
