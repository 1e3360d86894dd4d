"""What dictionaries that are compared are to each other: words, colours, and which pairs a line stands for."""

from collections.abc import Iterator

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from polysem.figures.parts import theme

RELATIONS = {
    "seed": "another seed",
    "setting": "another setting of the recipe",
    "recipe": "another recipe",
    "avoided": "the SAE that it avoids",
    "site": "another site",
    "model": "another model",
    "neurons": "the neurons",
}
"""Relations in the order of the legend."""


def colour(relation: str) -> str:
    """The colour of a relation."""
    return theme.FAMILIES[list(RELATIONS).index(relation)]


def groups(comparison: xr.Dataset) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """Each relation with the numbers of its pairs."""
    relation = comparison["pair_relation"].to_numpy().astype(str)
    for name in RELATIONS:
        if (found := np.flatnonzero(relation == name)).size:
            yield name, found


def of_features(comparison: xr.Dataset, name: str, pairs: NDArray[np.int64]) -> NDArray[np.float64]:
    """The known values of a variable over `match` for the features of some pairs."""
    pair = np.repeat(np.arange(comparison.sizes["pair"]), comparison["features"].to_numpy())
    values = comparison[name].to_numpy()[np.isin(pair, pairs)]
    return values[np.isfinite(values)]


def of_draws(comparison: xr.Dataset, name: str, pairs: NDArray[np.int64]) -> NDArray[np.float64]:
    """The known values of a baseline over (`pair`, `draw`) for some pairs."""
    values = comparison[name].to_numpy()[pairs].reshape(-1)
    return values[np.isfinite(values)]


def survival(axes: Axes, values: NDArray[np.float64], **style: object) -> None:
    """The share of values that reach each level, as a line; nothing without values."""
    if values.size:
        import seaborn as sns  # takes a second to import, which only figures of whole sites spend

        said = {"xlabel": axes.get_xlabel(), "ylabel": axes.get_ylabel()}
        sns.ecdfplot(x=values, stat="percent", complementary=True, ax=axes, zorder=3, **style)
        axes.set(**said)


def line(relation: str, pairs: int) -> Line2D:
    """A legend entry."""
    text = f"{RELATIONS[relation]}: {theme.several(pairs, 'pair')}"
    return Line2D([], [], color=colour(relation), linewidth=1.6, label=text)


def baseline(label: str) -> Line2D:
    """The legend entry of a baseline."""
    return Line2D([], [], color=theme.FAINT, linewidth=1.2, linestyle=(0, (3, 2)), label=label)


BASELINE = {"color": theme.FAINT, "linewidth": 1.2, "linestyle": (0, (3, 2))}
