"""How features are distributed over the eval tokens, from the tables that tell it."""

from pathlib import Path

import numpy as np
import xarray as xr

from polysem.io.errors import InputError
from polysem.io.tables import read_table
from polysem.saes.ranking import QUANTILES, Distributions


def distributions_of(frequency: xr.Dataset, quantiles: xr.Dataset, name: str | Path) -> Distributions:
    """The distributions that the tables `frequency` and `quantiles` of a dictionary hold, of which no other variables
    are read. InputError, in which `name` says which table it is, for quantiles at other shares than this version takes.
    """
    if quantiles["quantile"].values.tolist() != QUANTILES.tolist():
        raise InputError(f"{name} has quantiles at other shares than this version takes; run again")
    return Distributions(
        frequency["max_activation"].values.astype(np.float32),
        frequency["frequency"].values.astype(np.float32),
        quantiles["activation"].values,
        int(frequency.attrs["tokens"]),
    )


def read_distributions(frequency: Path, quantiles: Path) -> Distributions:
    """The same of the files of the tables. InputError for a file that is no table, too."""
    counted = read_table(frequency, without=("activation_histogram",))
    return distributions_of(counted, read_table(quantiles), quantiles)
