"""S0.F2: frequency by rank, and which law it follows."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter

from polysem.figures import theme
from polysem.params.analysis import Analysis

CATALOGUE = "S0.F2"
TABLES = ("rank_frequency",)
TITLE = "Frequency by rank"
LAWS: dict[str, Any] = {"power_law": "--", "exponential": "-", "truncated_power_law": ":"}
"""Each with its dashes."""
CURVE_POINTS = 200
LEAST_SPAN = 30.0
"""The frequency axis spans at least this factor, so that it holds a power of ten to be labelled."""


@theme.styled
def draw(rank_frequency: xr.Dataset, analysis: Analysis) -> Figure:
    """Frequency over rank, log-log and log-linear, with the laws fitted to head and tail.

    The legend gives the parameters and, by AIC, which law fits best and by how much; nothing is judged by eye.
    Source: document S0, section "Feature frequency".
    """
    figure = theme.sheet(4.9)
    both = figure.subplots(1, 2, sharey=True)
    frequencies = rank_frequency["frequency_sorted"].to_numpy()
    for axes, scale in zip(both, ("log", "linear"), strict=True):
        _draw_ranks(axes, rank_frequency, scale)
    both[0].set_ylabel("share of eval tokens (log scale)")
    ranges = [str(name) for name in rank_frequency["range"].to_numpy()]
    legend = [entry for name in ranges for entry in _entries(rank_frequency, name)]
    if rank_frequency["aic"].isnull().all():
        legend = [_words(f"{' and '.join(ranges)}: too few ranks to fit")]
    theme.frame(
        figure,
        rank_frequency,
        title=TITLE,
        catalogue=CATALOGUE,
        legend=legend,
        notes=[
            f"Grey: {theme.several(frequencies.size, 'feature')} ever active, by descending frequency f; head: ranks "
            f"below {analysis.head_ranks:,}. Power law: f ∝ r^(−α); exponential: f ∝ exp(−r/L), L in ranks; truncated "
            "power law: their product. Each is drawn over the ranks it was fitted to. ΔAIC: by how much the best law's "
            "AIC lies below the next."
        ],
    )
    return figure


def _draw_ranks(axes: Axes, table: xr.Dataset, scale: str) -> None:
    ranks, frequencies = table["rank"].to_numpy(), table["frequency_sorted"].to_numpy()
    axes.set(xscale=scale, yscale="log", xlabel=f"rank r of the feature ({scale} scale)")
    if not ranks.size:
        theme.message(axes, "no feature\nis ever active")
        axes.set(ylim=(1e-6, 1), xlim=(1, 10))
        return
    marker = "." if ranks.size < 100 else ""
    axes.plot(ranks, frequencies, color=theme.COLOURS["bulk"], linewidth=4, marker=marker, solid_capstyle="round")
    highest = min(1.6 * float(frequencies.max()), 1.6)
    axes.set_ylim(min(float(frequencies.min()) / 1.6, highest / LEAST_SPAN), highest)
    axes.yaxis.set_minor_formatter(NullFormatter())
    last_rank = max(int(ranks[-1]), 10)
    axes.set_xlim((0.8, 1.25 * last_rank) if scale == "log" else (-0.02 * last_rank, 1.04 * last_rank))
    if scale == "linear":
        theme.number_in_thousands(axes.xaxis)
    for name in table["range"].to_numpy():
        for law in LAWS:
            fit = table.sel(range=name, law=law)
            exponent, length, amplitude = (float(fit[key]) for key in ("exponent", "decay_length", "amplitude"))
            if np.isnan(exponent) or not np.isfinite(amplitude):
                continue
            first, last = float(fit["first_rank"]), float(fit["last_rank"])
            space = np.geomspace if scale == "log" else np.linspace
            drawn = space(first, last, CURVE_POINTS)
            curve = amplitude * drawn**-exponent * np.exp(-drawn / length)
            axes.plot(drawn, curve, color=theme.COLOURS[law], linewidth=1.4, linestyle=LAWS[law])


def _entries(table: xr.Dataset, name: str) -> list[Artist]:
    """A heading and one line per law, for one column of the legend."""
    fits = table.sel(range=name)
    aic = {law: float(fits["aic"].sel(law=law)) for law in LAWS}
    if np.isnan(list(aic.values())).any():
        return [_words(f"{name}: too few ranks to fit"), *(_words("") for _ in LAWS)]
    winner = str(fits["winner"].item())
    heading = f"{name}, ranks {int(fits['first_rank']):,} to {int(fits['last_rank']):,}"
    lines: list[Artist] = [_words(heading if winner else f"{heading}: all laws fit alike")]
    for law in LAWS:
        exponent, length = (float(fits[key].sel(law=law)) for key in ("exponent", "decay_length"))
        label = {
            "power_law": f"power law, α = {exponent:.2f}",
            "exponential": f"exponential, L = {theme.scientific(length)}",
            "truncated_power_law": f"truncated, α = {exponent:.2f}, L = {theme.scientific(length)}",
        }[law]
        if law == winner:
            best, second = sorted(aic.values())[:2]
            label += f"; best, ΔAIC = {theme.scientific(second - best)}"
        lines.append(Line2D([], [], color=theme.COLOURS[law], linewidth=1.6, linestyle=LAWS[law], label=label))
    return lines


def _words(text: str) -> Line2D:
    return Line2D([], [], linestyle="", label=text or " ")
