"""S2.F12: how much of encoder and decoder rows W_out does not see."""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from polysem.figures.parts import theme
from polysem.figures.parts.frequency_groups import baseline, bins, groups, legend, stack
from polysem.figures.registry import NotApplicable
from polysem.params.analysis import Analysis
from polysem.params.base import NEURONS

CATALOGUE = "S2.F12"
READS = ("geometry", "frequency")
PARAMS = ("ultra_low_frequency",)
TITLE = "Share in the null space of W_out"
CAPTION = """\
How much of each encoder and decoder row (its squared norm) lies in the null space of ``W_out``, where it cannot matter
to the model, against directions drawn at random. For the neurons, each is its own row. Source: document S2, "Should we
train autoencoders on the MLP output?".
"""


@theme.styled
def draw(geometry: xr.Dataset, frequency: xr.Dataset, analysis: Analysis) -> Figure:
    """Histograms of the share of each row's squared norm in the null space of W_out, random directions outlined.

    Source: document S2, "Should we train autoencoders on the MLP output?".
    """
    if reason := geometry.attrs.get("null_space_not_applicable"):
        raise NotApplicable(reason)
    sides = [side for side in ("encoder", "decoder") if f"null_share_{side}" in geometry]
    figure = theme.sheet(4.2 if len(sides) == 1 else 6.2)
    panels = np.atleast_1d(figure.subplots(len(sides), 1, sharex=True))
    random = geometry["null_share_random"].to_numpy()
    members = groups(frequency, analysis)
    every = np.concatenate([random, *(geometry[f"null_share_{side}"].to_numpy() for side in sides)])
    every = every[np.isfinite(every)]
    margin = 0.02 * np.ptp(every) or 0.01
    edges = np.linspace(every.min() - margin, min(1.0, every.max()) + margin, bins(members["bulk"].size) + 1)
    notes = []
    for axes, side in zip(panels, sides, strict=True):
        share = geometry[f"null_share_{side}"].to_numpy()
        features = stack(axes, share, members, edges)
        chance = baseline(axes, random, edges, share.size)
        limit = 1.08 * max(1.0, min(max(features, chance), 3 * features))
        cut = f", cut: up to {chance:,.0f}" if chance > limit else ""
        axes.set(xlim=(edges[0], edges[-1]), ylim=(0, limit))
        what = "neurons" if geometry.attrs["dictionary"] == NEURONS else f"{side} rows"
        axes.set_ylabel(what)
        theme.number_in_thousands(axes.yaxis)
        mean, deviation = (float(geometry[f"null_share_{side}_{name}"]) for name in ("mean", "standard_deviation"))
        notes.append(f"{what.capitalize()}: {mean:.3f} ± {deviation:.3f}{cut and f' (random outline{cut})'}.")
    panels[-1].set_xlabel(
        f"share of squared norm in the null space of W_out, bins of {theme.scientific(edges[1] - edges[0])}"
    )
    mean, deviation = (float(geometry[f"null_share_random_{name}"]) for name in ("mean", "standard_deviation"))
    theme.frame(
        figure,
        geometry,
        title=TITLE,
        catalogue=CATALOGUE,
        legend=legend(members, analysis, "random directions, as many as features"),
        columns=1,
        notes=[
            f"W_out has rank {geometry.attrs['rank']:,}. Mean ± standard deviation, ultra-low features left out: "
            + " ".join(notes)
            + f" Random directions: {mean:.3f} ± {deviation:.3f}. Document: 0.75 ± 0.013 for random directions."
        ],
    )
    return figure
