"""S2.F8, S2.F9: whether the ultra-low clusters of several SAEs share their direction."""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from polysem.figures.parts import relations, theme
from polysem.figures.registry import NotApplicable
from polysem.params.analysis import Analysis

CATALOGUE = "S2.F8 S2.F9"
READS = ("site/comparison",)
PARAMS = ("ultra_low_frequency",)
TITLE = "Directions of ultra-low clusters"
CAPTION = """\
Cosine of the mean encoder row of the ultra-low features of two SAEs: across seeds (S2.F8), where document S2 finds
0.96, and between an SAE and the one whose direction it was trained to avoid (``orthogonal_to``, S2.F9), which is 0 if
the cluster has formed elsewhere. Hollow: the same of as many features that are not ultra-low, because encoder rows of
any kind have directions in common. Grey band: random directions. Source: document S2, "Ultra Low Frequency Features
Are All The Same Feature".
"""
MOST = 24
"""Pairs that are drawn, those of other seeds and avoided directions first."""
ROW = 0.3
WITHIN = ("seed", "avoided", "setting", "recipe")


@theme.styled
def draw(site_comparison: xr.Dataset, analysis: Analysis) -> Figure:
    """Cosine of the mean ultra-low encoder rows of two SAEs, and that of as many of their other features.

    Source: document S2, section "Ultra Low Frequency Features Are All The Same Feature": across seeds, and after
    training orthogonally to the direction.
    """
    cosine = site_comparison["ultra_low_cosine"].to_numpy()
    known = [
        (relation, int(number))
        for relation in WITHIN
        for name, numbers in relations.groups(site_comparison)
        if name == relation
        for number in numbers
        if np.isfinite(cosine[number])
    ]
    if not known:
        raise NotApplicable(
            "no two SAEs of this site have a cluster of ultra-low features, at least three active on less than "
            f"{analysis.ultra_low_frequency:g} of eval tokens; two seeds of a recipe with a larger l1 and "
            "encoder_start: 1 may have"
        )
    shown = known[:MOST]
    figure = theme.sheet(2.3 + ROW * len(shown))
    axes = figure.subplots()
    others = site_comparison["ultra_low_cosine_others"].to_numpy()
    spread = 1.96 / np.sqrt(site_comparison.attrs["neurons"])
    axes.axvspan(-spread, spread, color="#E9E9E9", linewidth=0, zorder=0)
    for place, (relation, number) in enumerate(shown):
        axes.plot(others[number], place, "o", color="white", markeredgecolor=theme.FAINT, markersize=6.5, zorder=3)
        axes.plot(cosine[number], place, "o", color=relations.colour(relation), markersize=7.5, zorder=4)
    axes.set(ylim=(len(shown) - 0.4, -0.6), yticks=range(len(shown)))
    axes.set_xlim(min(-0.12, np.nanmin(cosine) - 0.05, np.nanmin(others) - 0.05), 1.02)
    axes.set_yticklabels([_name(site_comparison, number) for _, number in shown], parse_math=False, size=8)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("cosine of the mean encoder rows")
    axes.grid(axis="x")
    found = {relation: sum(other == relation for other, _ in known) for relation in WITHIN}
    legend = [
        Line2D([], [], marker="o", linestyle="", color=relations.colour(name), label=_entry(name, count))
        for name, count in found.items()
        if count
    ]
    legend.append(
        Line2D([], [], marker="o", linestyle="", color="white", markeredgecolor=theme.FAINT, label="as many others")
    )
    theme.frame(
        figure,
        site_comparison,
        title=TITLE,
        catalogue=CATALOGUE,
        legend=legend,
        columns=3,
        notes=[_note(site_comparison, known, analysis, spread)],
    )
    return figure


def _entry(relation: str, count: int) -> str:
    return f"{relations.RELATIONS[relation]}: {theme.several(count, 'pair')}"


def _name(comparison: xr.Dataset, number: int) -> str:
    one, other = (str(comparison[name].to_numpy()[number]) for name in ("pair_dictionary", "pair_other"))
    return f"{_short(one)}\n{_short(other)}" if len(one) + len(other) > 40 else f"{one} · {other}"


def _short(name: str) -> str:
    return name if len(name) <= 40 else f"{name[:39]}…"


def _note(comparison: xr.Dataset, known: list[tuple[str, int]], analysis: Analysis, spread: float) -> str:
    words = (
        f"Ultra-low: active on < {theme.scientific(analysis.ultra_low_frequency)} of eval tokens. As many others: the "
        "mean of as many features that are not ultra-low, drawn at random. Grey: 95 % of pairs of random directions "
        f"(±{spread:.2f})."
    )
    if len(known) > MOST:
        words += f" Drawn: {MOST} of {len(known)} pairs."
    if any(relation == "avoided" for relation, _ in known):
        words += (
            " Avoiding a direction makes that cosine 0; whether rare features are one cluster again is in S2.F4 of "
            "that SAE."
        )
    return words
