"""S4.X2: how each feature's activations are distributed over the tokens on which it is active.

Over (`feature`, `quantile`): `activation`, of the feature's active eval tokens the one at that place, in ascending
order: for a share q of n tokens the ⌈q·n⌉-th, which is the smallest activation that at least this share of them does
not exceed; the first for 0. It is one of the activations as they are, never between two; NaN where the feature is
never active. Knots lie closer together where activations are strong. `polysem.saes.ranking` makes scales of them.
"""

import xarray as xr

from polysem.saes.ranking import PER_MILLE, QUANTILES
from polysem.tables.inputs import Inputs
from polysem.tables.parts.labels import index, labelled, variable
from polysem.tables.passes.survey.order_statistics import order_statistics
from polysem.tables.passes.survey.survey import surveyed

CATALOGUE = "S4.X2"
READS = ("survey", "store", "weights", "table:frequency")
PARAMS = ()
VARIABLES = {
    "activation": ("feature quantile", "activation", "activation that a share of the active tokens does not exceed"),
    "feature": ("feature", "1", "feature"),
    "quantile": ("quantile", "1", "share of the tokens on which the feature is active"),
}


def measure(inputs: Inputs) -> xr.Dataset:
    """The table, from a second look at what the survey found."""
    frequency = inputs.table("frequency")
    activation = order_statistics(frequency["active_tokens"].values, surveyed(inputs).again, PER_MILLE)
    return labelled(
        {
            "activation": variable(
                ("feature", "quantile"),
                activation,
                "activation that a share of the active tokens does not exceed",
                "activation",
            )
        },
        {
            "feature": index("feature", 0, len(activation), "feature"),
            "quantile": variable("quantile", QUANTILES, "share of the tokens on which the feature is active", "1"),
        },
        {"tokens": frequency.attrs["tokens"]},
    )
