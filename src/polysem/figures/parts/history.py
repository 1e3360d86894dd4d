"""The history of a training, which only dictionaries have that were trained here."""

import xarray as xr

from polysem.figures.registry import NotApplicable

NO_HISTORY = (
    "{dictionary} was not trained here and has no history; an SAE with an architecture of its own in the params has one"
)


def require_history(training: xr.Dataset) -> None:
    """NotApplicable where nothing was trained."""
    if "frequency_histogram" not in training:
        raise NotApplicable(NO_HISTORY.format(dictionary=training.attrs["dictionary"]))
