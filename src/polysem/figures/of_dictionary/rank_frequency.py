"""S0.F2: frequency by rank, and which law it follows."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from polysem.figures.parts import theme
from polysem.params.analysis import Analysis

CATALOGUE = "S0.F2"
READS = ("rank_frequency",)
PARAMS = ()
TITLE = "Frequency by rank"
CAPTION = """\
Features ranked by one half of the eval tokens (half A, whole sequences), and their mean frequencies in the other half,
on log–log axes (where a power law is straight) and on log–linear axes (where an exponential is). Sorted by the counts
that are shown, any tail of few firings would fall off. Both laws and their product, the truncated power law, are
fitted by maximum likelihood to the head, ranks below ``analysis.head_ranks``, and to the tail, if these have at least
100 ranks; lines show what each leads to where half A misplaces features by chance. Of the fall that the product
describes, a share belongs to its exponential: near 0 it is a power law, near 1 an exponential, clearly between them a
truncated power law, and else undecided. Its standard error is that over resamples of the features. Source: document
S0, section "Feature frequency".
"""
LAWS: dict[str, Any] = {"power_law": "--", "exponential": "-", "truncated_power_law": ":"}
"""Each with its dashes."""
LEAST_SPAN = 30.0
"""The frequency axis spans at least this factor, so that it holds a power of ten to be labelled."""
THIN, THICK = 1.0, 2.0
"""Lines of laws, and of the one that was chosen."""


@theme.styled
def draw(rank_frequency: xr.Dataset, analysis: Analysis) -> Figure:
    """Frequency in one half of the tokens over rank in the other, log-log and log-linear, with the laws fitted to head
    and tail as these ranks show them.

    The legend gives the parameters, the law, and what it was chosen by; nothing is judged by eye.
    Source: document S0, section "Feature frequency".
    """
    figure = theme.sheet(5.4)
    both = figure.subplots(1, 2, sharey=True)
    for axes, scale in zip(both, ("log", "linear"), strict=True):
        _draw_ranks(axes, rank_frequency, scale)
    both[0].set_ylabel("frequency f in half B (log scale)")
    ranges = [str(name) for name in rank_frequency["range"].to_numpy()]
    legend = [entry for name in ranges for entry in _entries(rank_frequency, name)]
    if rank_frequency["aic"].isnull().all():
        legend = [_words(f"{' and '.join(ranges)}: too few ranks to fit")]
    ranked = int(rank_frequency["bin_last"].max()) if rank_frequency.sizes["bin"] else 0
    theme.frame(
        figure,
        rank_frequency,
        title=TITLE,
        catalogue=CATALOGUE,
        legend=legend,
        notes=[
            f"Grey: {theme.several(ranked, 'feature')} ranked by half A of the tokens, mean frequency f in half B over "
            f"bins of ranks; head: ranks below {int(rank_frequency['first_rank'].sel(range='tail')):,}. Power law: "
            "f ∝ r^(−α); exponential: f ∝ exp(−r/L), L in ranks; truncated power law: their product. Lines: what these "
            "laws lead to where half A misplaces features by chance. Of the fall of the truncated law, a share is that "
            "of its exponential: 0 speaks for a power law, 1 for an exponential; below 0 or above 1 none of the laws, "
            "and so no line, describes the fall; ± standard error over resamples."
        ],
    )
    return figure


def _draw_ranks(axes: Axes, table: xr.Dataset, scale: str) -> None:
    axes.set(xscale=scale, yscale="log", xlabel=f"rank r of the feature in half A ({scale} scale)")
    first, last = table["bin_first"].to_numpy(), table["bin_last"].to_numpy()
    ranks, frequencies = np.sqrt(first * last), table["bin_frequency"].to_numpy()
    known = frequencies > 0
    if not known.any():
        theme.message(
            axes, "no feature\nis ever active" if not table.sizes["rank"] else "no feature is\nin both halves"
        )
        axes.set(ylim=(1e-6, 1), xlim=(1, 10))
        return
    marker = "." if int(known.sum()) < 30 else ""
    shown = np.where(known, frequencies, np.nan)
    axes.plot(ranks, shown, color=theme.COLOURS["bulk"], linewidth=4, marker=marker, solid_capstyle="round")
    highest = min(1.6 * float(frequencies.max()), 1.6)
    axes.set_ylim(min(float(frequencies[known].min()) / 1.6, highest / LEAST_SPAN), highest)
    theme.plain_log_ticks(axes.yaxis)
    last_rank = max(int(last[-1]), 10)
    axes.set_xlim((0.8, 1.25 * last_rank) if scale == "log" else (-0.02 * last_rank, 1.04 * last_rank))
    if scale == "linear":
        theme.number_in_thousands(axes.xaxis)
    else:
        theme.plain_log_ticks(axes.xaxis)
    for name in table["range"].to_numpy():
        winner = str(table["winner"].sel(range=name).item())
        for law in LAWS:
            curve = table["bin_expected"].sel(range=name, law=law).to_numpy()
            if np.isfinite(curve).any():
                width = THICK if law == winner else THIN
                axes.plot(ranks, curve, color=theme.COLOURS[law], linewidth=width, linestyle=LAWS[law])


def _entries(table: xr.Dataset, name: str) -> list[Artist]:
    """A heading, one line per law and what decides between them, for one column of the legend."""
    fits = table.sel(range=name)
    if fits["aic"].isnull().any():
        return [_words(f"{name}: too few ranks to fit"), *(_words("") for _ in (*LAWS, "share"))]
    winner = str(fits["winner"].item())
    heading = f"{name}, ranks {int(fits['first_rank']):,} to {int(fits['last_rank']):,}"
    lines: list[Artist] = [_words(f"{heading}: {winner.replace('_', ' ')}")]
    for law in LAWS:
        exponent, length = (float(fits[key].sel(law=law)) for key in ("exponent", "decay_length"))
        label = {
            "power_law": f"power law, α = {exponent:.2f}",
            "exponential": f"exponential, L = {theme.scientific(length)}",
            "truncated_power_law": f"truncated, α = {exponent:.2f}, L = {theme.scientific(length)}",
        }[law]
        width = THICK if law == winner else THIN
        lines.append(Line2D([], [], color=theme.COLOURS[law], linewidth=width, linestyle=LAWS[law], label=label))
    share, error = (float(fits[key]) for key in ("exponential_share", "exponential_share_error"))
    lines.append(_words(f"share of the exponential: {_signed(share)} ± {error:.2f}"))
    return lines


def _words(text: str) -> Line2D:
    return Line2D([], [], linestyle="", label=text or " ")


def _signed(number: float) -> str:
    return f"{number:.2f}".replace("-", "−")
