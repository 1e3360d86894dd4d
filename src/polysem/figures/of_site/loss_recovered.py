"""S0.T1, S2.T1: the model's loss that survives the dictionaries of a site, against how sparse they are."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from polysem.figures.parts import theme
from polysem.figures.parts.families import MARKERS
from polysem.figures.parts.predicted_sites import elsewhere
from polysem.params.analysis import Analysis
from polysem.params.base import NEURONS

CATALOGUE = "S2.T1"
READS = ("site/fidelity",)
PARAMS = ()
TITLE = "Loss recovered against sparsity"
CAPTION = """\
The share of the model's loss that survives the reconstruction of each SAE of a site, against the mean number of
features that it keeps active: as sparsity is given up, the curves of good recipes rise early and end near 1. Points of
one recipe are joined in the order of their L0. Two recipes are compared at the same L0, never by their loss alone.
Source: document S2 (loss recovered) and document S0, section "A TinyStories SAE".
"""
LOWEST = -0.25
"""Loss recovered below which a dictionary is drawn at the lower edge: far worse than zeros says nothing more."""
LEAST_SPAN = 0.05
"""Of the axis, so that noise does not look like a difference."""
LABEL_HEIGHT = 0.17
"""Inches between the middles of two labels."""
LONGEST = 26
"""Characters of a label."""


@theme.styled
def draw(site_fidelity: xr.Dataset, analysis: Analysis) -> Figure:
    """Loss recovered against zero ablation over L0, a point per dictionary, a marker and a line per recipe.

    `site_fidelity` holds all dictionaries of a site, along `dictionary`. The neurons reconstruct
    exactly: they stand at 1, at their own L0. Source: documents S0 (section "A TinyStories SAE") and S2 (loss
    recovered).
    """
    figure = theme.sheet(4.4)
    axes = figure.subplots()
    names = np.array([str(name) for name in site_fidelity["dictionary"].to_numpy()])
    active, recovered = site_fidelity["L0"].to_numpy(), site_fidelity["loss_recovered_zero"].to_numpy()
    known = np.isfinite(recovered) & (active > 0)
    _prepare(axes, active[known], recovered[known])
    of_each = site_fidelity["family"].to_numpy()
    families = {family: of_each == family for family in dict.fromkeys([NEURONS, *map(str, of_each)])}
    ends: list[tuple[str, str, float, float]] = []
    for number, (family, members) in enumerate(families.items()):
        some = members & known
        if some.any():
            colour = theme.FAINT if family == NEURONS else theme.FAMILIES[(number - 1) % len(theme.FAMILIES)]
            marker = "|" if family == NEURONS else MARKERS[(number - 1) % len(MARKERS)]
            ends.append((family, colour, *_draw_family(axes, colour, marker, active[some], recovered[some])))
    if not known.any():
        theme.message(axes, "no dictionary has both\na loss recovered and active features")
    _label(axes, ends, figure.get_figheight())
    theme.frame(
        figure,
        site_fidelity,
        title=TITLE,
        catalogue=CATALOGUE,
        notes=[_note(site_fidelity, names, recovered, known, active), *elsewhere(site_fidelity)],
    )
    return figure


def _prepare(axes: Axes, active: NDArray[np.float64], recovered: NDArray[np.float64]) -> None:
    low, high = (active.min(), active.max()) if active.size else (1.0, 100.0)
    axes.set_xscale("log")
    axes.set_xlim(min(low / 1.3, high / 4), max(high * 1.3, low * 4))
    theme.plain_log_ticks(axes.xaxis)
    least, most = (recovered.min(), recovered.max()) if recovered.size else (0.0, 1.0)
    top = max(most, 1.0)
    bottom = min(max(least, LOWEST), top - LEAST_SPAN)
    room = 0.07 * (top - bottom)
    axes.set_ylim(bottom - room, top + room)
    axes.set_xlabel("L0, mean number of active features per token (log scale)")
    axes.set_ylabel("loss recovered")
    axes.axhline(1, color=theme.FAINT, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)


def _draw_family(
    axes: Axes, colour: str, marker: str, active: NDArray[np.float64], recovered: NDArray[np.float64]
) -> tuple[float, float]:
    """Draw a family's points, joined in the order of L0; where its last point lies."""
    order = np.argsort(active, kind="stable")
    x, y = active[order], np.maximum(recovered[order], LOWEST)
    style: dict[str, Any] = {"linewidth": 1.0, "markersize": 12 if marker == "|" else 6.5, "markeredgewidth": 1.2}
    axes.plot(x, y, color=colour, marker=marker, markerfacecolor="white", clip_on=False, zorder=3, **style)
    return float(x[-1]), float(y[-1])


def _label(axes: Axes, ends: list[tuple[str, str, float, float]], height: float) -> None:
    """Name each family beside the axes, at the height of its last point, as far as the others leave room."""
    low, high = axes.get_ylim()
    gap = min(LABEL_HEIGHT / (0.62 * height), 1 / max(1, len(ends) - 1))
    ordered = sorted(ends, key=lambda end: end[3])
    places: list[float] = []
    for *_, y in ordered:
        wanted = (y - low) / (high - low)
        places.append(max(wanted, places[-1] + gap) if places else wanted)
    highest = 1.0
    for number in reversed(range(len(places))):
        places[number] = min(places[number], highest)
        highest = places[number] - gap
    for (family, colour, x, y), place in zip(ordered, places, strict=True):
        short = family if len(family) <= LONGEST else family[: LONGEST - 1] + "…"
        axes.annotate(
            short,
            (x, y),
            (1.03, place),
            textcoords="axes fraction",
            va="center",
            size=min(9.0, 9.0 * gap * 0.62 * height / LABEL_HEIGHT),
            color=colour,
            annotation_clip=False,
            parse_math=False,
            arrowprops={"arrowstyle": "-", "color": colour, "alpha": 0.4, "linewidth": 0.7, "shrinkA": 2, "shrinkB": 5},
        )


def _note(
    fidelity: xr.Dataset,
    names: NDArray[Any],
    recovered: NDArray[np.float64],
    known: NDArray[np.bool_],
    active: NDArray[np.float64],
) -> str:
    saes = int((names != NEURONS).sum())
    words = [
        f"{theme.several(saes, 'SAE')}, {fidelity.attrs['tokens']:,} eval tokens. Loss recovered = (CE with zeros in "
        "place − CE with the reconstruction) / (CE with zeros − CE of the model); CE: cross-entropy. 1: nothing is "
        "lost; 0: as bad as zeros."
    ]
    if NEURONS in names:
        words.append("neurons: the activations themselves, active where above 0.")
    if cut := int((recovered[known] < LOWEST).sum()):
        words.append(f"Drawn at the lower edge: {theme.several(cut, 'SAE')}, down to {recovered[known].min():.2f}.")
    if idle := int((active == 0).sum()):
        words.append(f"Left out: {idle} without an active feature.")
    if undefined := int((~np.isfinite(recovered) & (active != 0)).sum()):
        words.append(f"Left out: {undefined} without a loss recovered, as zeros change nothing here.")
    return " ".join(words)
