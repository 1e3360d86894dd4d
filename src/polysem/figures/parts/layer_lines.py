"""Lines through the layers of a model: dictionaries of one series at the same hook of several layers."""

from dataclasses import dataclass

import numpy as np
import xarray as xr

from polysem.figures.parts import theme
from polysem.figures.parts.families import MARKERS
from polysem.params.base import NEURONS

LONGEST = 22
"""Characters of a line's name."""


@dataclass(frozen=True)
class Line:
    """One line of the table `match_layers`."""

    number: int
    """Its place along `line`."""
    hook: str
    series: str
    layers: tuple[int, ...]
    places: tuple[int, ...]
    """Those of its dictionaries along `place`, one for each layer."""
    colour: str
    marker: str

    @property
    def name(self) -> str:
        """The series, shortened."""
        return self.series if len(self.series) <= LONGEST else f"{self.series[: LONGEST - 1]}…"


def lines_of(match_layers: xr.Dataset) -> dict[str, list[Line]]:
    """The lines of each hook, the neurons first; those of one series look alike at all hooks."""
    names = [str(name) for name in match_layers["line_series"].to_numpy()]
    recipes = [name for name in dict.fromkeys(names) if name != NEURONS]
    of_place, layer = match_layers["line_of_place"].to_numpy(), match_layers["layer"].to_numpy()
    found: dict[str, list[Line]] = {}
    for number, (hook, series) in enumerate(zip(match_layers["line_hook"].to_numpy(), names, strict=True)):
        places = np.flatnonzero(of_place == number)
        places = places[np.argsort(layer[places], kind="stable")]
        order = None if series == NEURONS else recipes.index(series)
        colour = theme.FAINT if order is None else theme.FAMILIES[order % len(theme.FAMILIES)]
        marker = "s" if order is None else ("o" + MARKERS[2:])[order % (len(MARKERS) - 1)]
        line = Line(number, str(hook), series, tuple(layer[places].tolist()), tuple(places.tolist()), colour, marker)
        found.setdefault(line.hook, []).append(line)
    return {hook: sorted(lines, key=lambda line: line.series != NEURONS) for hook, lines in found.items()}
