"""Rows of explainers below the name of each site, in which every dictionary has a point with its interval."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from polysem.figures.parts import theme
from polysem.figures.parts.token_words import visible
from polysem.params.base import NEURONS

STEP, ROW, HEAD = 0.062, 0.07, 0.2
"""Inches: from one dictionary to the next, around the dictionaries of a row, the name of a site."""
LONGEST = 22
"""Characters of a name."""
MOST = 40
"""Points of a panel, about, beyond which no further site is drawn."""


@dataclass(frozen=True)
class Rows:
    """Where the rows of some sites are, in inches from the top."""

    labels: tuple[tuple[float, str, str], ...]
    """Height, text and colour."""
    heights: Mapping[tuple[str, int], float]
    """By row and place."""
    tall: float
    left_out: int
    """Sites that are not drawn."""

    @classmethod
    def of(cls, table: xr.Dataset, names: Sequence[str]) -> "Rows":
        """Rows of these names for each site that has scored features."""
        sites = table["site"].to_numpy().astype(str)
        there = table["scored_features"].to_numpy() > 0
        every = [site for site in dict.fromkeys(sites.tolist()) if there[sites == site].any()]
        labels: list[tuple[float, str, str]] = []
        heights: dict[tuple[str, int], float] = {}
        at, points, drawn = 0.0, 0, 0
        for site in every:
            places = np.flatnonzero((sites == site) & there).tolist()
            if drawn and points + len(places) * len(names) > MOST * len(names):
                break
            labels.append((at + HEAD / 2, visible(site), theme.FAINT))
            at += HEAD
            for name in names:
                middle = at + ROW + STEP * (len(places) - 1) / 2
                labels.append((middle, name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…", theme.INK))
                for number, place in enumerate(places):
                    heights[name, place] = at + ROW + STEP * number
                at += 2 * ROW + STEP * (len(places) - 1)
            points, drawn = points + len(places) * len(names), drawn + 1
        return cls(tuple(labels), heights, at, len(every) - drawn)

    def finish(self, figure: Figure, panels: Sequence[Axes]) -> None:
        """Write the names, and set the limits of all panels."""
        panels[0].set_yticks([height for height, *_ in self.labels], [text for _, text, _ in self.labels])
        for label, (_, _, colour) in zip(panels[0].get_yticklabels(), self.labels, strict=True):
            label.set(size=7.5, color=colour, parse_math=False)
        for axes in panels:
            axes.set_ylim(self.tall, 0)
            axes.tick_params(axis="y", length=0)
            axes.tick_params(axis="x", labelsize=7.5)
            axes.grid(visible=False)

    def notes(self) -> list[str]:
        """What stands in a row from top to bottom, and what is not drawn."""
        notes = ["In a row from top to bottom: the neurons, then the first SAE of each recipe as in params.yaml."]
        if self.left_out:
            notes.append(f"Not drawn: {theme.several(self.left_out, 'site')}.")
        return notes


def estimate(axes: Axes, numbers: np.ndarray, height: float, dictionary: str) -> None:
    """A point with its interval, as far as they are known."""
    middle, low, high = numbers
    colour = theme.COLOURS["bulk" if dictionary == NEURONS else "real"]
    if np.isfinite(middle):
        axes.plot([middle], [height], marker="o", markersize=3.6, color=colour, zorder=3, clip_on=False)
    if np.isfinite(low):
        axes.hlines(height, low, high, color=colour, linewidth=1.1, zorder=2)
