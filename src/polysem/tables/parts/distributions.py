"""How features are distributed over the eval tokens, from the tables that tell it."""

from pathlib import Path

import numpy as np

from polysem.io.errors import InputError
from polysem.io.tables import read_table
from polysem.saes.ranking import QUANTILES, Distributions


def read_distributions(frequency: Path, quantiles: Path) -> Distributions:
    """The distributions that the files of the tables `frequency` and `quantiles` of a dictionary hold.

    Raises InputError for a file that is no table, and for quantiles at other shares than this version takes.
    """
    counted = read_table(frequency, without=("activation_histogram",))
    knots = read_table(quantiles)
    if knots["quantile"].values.tolist() != QUANTILES.tolist():
        raise InputError(f"{quantiles} has quantiles at other shares than this version takes; run again")
    return Distributions(
        counted["max_activation"].values.astype(np.float32),
        counted["frequency"].values.astype(np.float32),
        knots["activation"].values,
        int(counted.attrs["tokens"]),
    )
