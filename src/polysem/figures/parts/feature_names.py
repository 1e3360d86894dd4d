"""Features in a figure by number and, where people gave them one, by label."""

import xarray as xr

from polysem.figures.parts.token_words import visible
from polysem.params.base import NEURONS

LABELS = "labels"
"""Attribute of the tables of a figure with `labels` among what it reads: the labels of features, by number."""
LONGEST = 28


def noun(table: xr.Dataset) -> str:
    """What a row of the table is."""
    return "neuron" if table.attrs["dictionary"] == NEURONS else "feature"


def name_of(table: xr.Dataset, feature: int) -> str:
    """`feature 2,024`, or `feature 2,024 “Arabic letters”`; a long label is cut to 28 characters.

    KeyError if the figure does not read labels.
    """
    if LABELS not in table.attrs:
        raise KeyError(f"the figure names features, and its READS lacks {LABELS!r}; add it")
    name = f"{noun(table)} {feature:,}"
    label = visible(table.attrs[LABELS].get(feature, ""))
    if not label:
        return name
    return f"{name} “{label if len(label) <= LONGEST else label[: LONGEST - 1] + '…'}”"
