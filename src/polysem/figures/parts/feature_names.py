"""Features in a figure by number and, where people gave them one, by label."""

import xarray as xr

from polysem.figures.parts.token_words import visible
from polysem.params.base import NEURONS

LABELS = "labels"
"""Attribute of a table with the labels of its features, by number; `draw_figures` sets it."""
LONGEST = 28


def noun(table: xr.Dataset) -> str:
    """What a row of the table is."""
    return "neuron" if table.attrs["dictionary"] == NEURONS else "feature"


def name_of(table: xr.Dataset, feature: int) -> str:
    """`feature 2,024`, or `feature 2,024 “Arabic letters”`; a long label is cut to 28 characters."""
    name = f"{noun(table)} {feature:,}"
    label = visible(table.attrs.get(LABELS, {}).get(feature, ""))
    if not label:
        return name
    return f"{name} “{label if len(label) <= LONGEST else label[: LONGEST - 1] + '…'}”"
