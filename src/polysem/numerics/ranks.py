"""Ranks from pandas, which xarray imports anyway; importing scipy.stats takes longer than all ranks of a survey."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray


def ranks(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Ranks from 1, equal values with the mean of theirs."""
    return np.asarray(pd.Series(values).rank(), np.float64).copy()
