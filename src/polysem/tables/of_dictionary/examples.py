"""S0.F4: where each feature is most active, where else it is active, and what stands around these places."""

import xarray as xr

from polysem.models.batches import TokenStore
from polysem.tables.inputs import Inputs
from polysem.tables.parts.reading import activation_rows, dictionary_of
from polysem.tables.passes.survey.examples import Examples
from polysem.tables.passes.survey.survey import gathered, surveyed
from polysem.tables.passes.survey.windows import Window

CATALOGUE = "S0.F4"
READS = ("survey", "store", "weights", "tokens", "table:frequency")
PARAMS = ("top_examples", "sampled_examples", "context_before", "context_after", "baseline_seed")
VARIABLES = {
    "kind": ("example", "1", "how the example was chosen"),
    "activation": ("feature example", "activation", "activation of the feature"),
    "sequence": ("feature example", "1", "sequence in the token store"),
    "position": ("feature example", "1", "position in the sequence"),
    "quantile": ("feature example", "1", "share of active tokens with a smaller activation"),
    "token": ("feature example offset", "1", "token id"),
    "window_activation": ("feature example offset", "activation", "activation of the same feature"),
    "feature": ("feature", "1", "feature"),
    "offset": ("offset", "1", "tokens behind the example"),
}


def gatherer(inputs: Inputs) -> Examples:
    """What keeps the best and the drawn examples during the survey."""
    chosen = inputs.params
    return Examples(
        dictionary_of(inputs).features,
        chosen.top_examples,
        chosen.sampled_examples,
        Window(chosen.context_before, chosen.context_after),
        chosen.baseline_seed,
    )


def measure(inputs: Inputs) -> xr.Dataset:
    """The table: see `Examples.table`."""
    found, again = gathered(inputs, Examples), surveyed(inputs).again
    return found.table(inputs.table("frequency"), activation_rows(inputs), again, TokenStore(inputs.path("tokens")))
