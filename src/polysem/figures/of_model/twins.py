"""S4.X1: features and neurons that are nearly the same, within and across layers and dictionaries."""

from collections.abc import Iterator
from typing import Literal

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import StrMethodFormatter, SymmetricalLogLocator

from polysem.figures.parts import theme
from polysem.figures.parts.token_words import shown
from polysem.figures.registry import NotApplicable
from polysem.params.analysis import Analysis

CATALOGUE = "S4.X1"
READS = ("twins",)
PARAMS = ("twin_correlation",)
TITLE = "Twins, triplets and larger families"
CAPTION = """\
Features and neurons that are active on the same tokens, among the neurons and the first SAE of each recipe at all
sites. Left: families of two, three, and more members, in which the activations of every two correlate at least
``analysis.twin_correlation``, by what all their members have in common; blue the same when one feature of each pair has
its tokens shuffled among those of the same position. Right: how many pairs correlate at least so well, and so
shuffled. Below: the closest families of each kind, the correlation of the two members that are least alike, the cosine
of what two members write into the residual stream (mean), the share of top contexts that two members have in common
(mean), and the most common of each member's ten strongest tokens. Source: document S4, "Finding directions that are
similar to neurons (and to each other)".
"""
SIZES = ("2", "3", "4+")
LINES: tuple[Literal["-", "--", "-.", ":"], ...] = ("-", "--", "-.", ":")
LISTED = (2, 1, 1)
"""Families of two, three, and more members that are listed for each span."""
MEMBERS = 4
"""Members of a family that are listed."""
LONGEST = 25
"""Characters of a name."""
LINE = 0.158
"""Inches."""
COLUMNS = (0.0, 0.095, 0.165, 0.245, 0.5, 0.72, 0.82)
HEAD = ("correlation", "cosine", "contexts", "site", "dictionary", "feature", "token")


@theme.styled
def draw(twins: xr.Dataset, analysis: Analysis) -> Figure:
    """Counts of families, pairs by correlation, and the closest families. Source: document S4."""
    if not int(twins["possible_pairs"].sum()):
        raise NotApplicable(
            f"no two features of this model are active on {twins.attrs['fewest_tokens']} of the tokens that are "
            "compared; raise eval_tokens or comparison_tokens"
        )
    rows = [*_rows(twins)]
    height = 3.7 + LINE * (len(rows) + 1)
    figure = theme.sheet(height)
    grid = figure.add_gridspec(2, 2, height_ratios=(2.4, LINE * (len(rows) + 1)))
    _draw_families(figure.add_subplot(grid[0, 0]), twins)
    _draw_pairs(figure.add_subplot(grid[0, 1]), twins, analysis.twin_correlation)
    _write(figure.add_subplot(grid[1, :]), rows)
    theme.frame(
        figure,
        twins,
        title=TITLE,
        catalogue=CATALOGUE,
        notes=[*_notes(twins)],
        legend=[
            theme.swatch("real", "as they are"),
            theme.swatch("random", "tokens of the one shuffled"),
            *(
                Line2D([], [], linestyle=style, color=theme.INK, linewidth=1.2, label=span)
                for style, span in zip(LINES, _spans(twins), strict=False)
            ),
        ],
        columns=3,
    )
    return figure


def _draw_families(axes: Axes, twins: xr.Dataset) -> None:
    """A bar for each size of each span, with its number; what is found in shuffled tokens upon it."""
    names: list[str] = []
    most = 1
    for span in _spans(twins):
        for number, size in enumerate(SIZES):
            count, shuffled = (
                int(twins[name].sel(span=span).isel(size=number).sum()) for name in ("families", "families_shuffled")
            )
            for value, colour, height in ((count, "real", 0.76), (shuffled, "random", 0.3)):
                axes.barh(len(names), value, height, color=theme.COLOURS[colour])
            words = f"{count:,}; shuffled {shuffled:,}" if shuffled else f"{count:,}"
            most, place = max(most, count, shuffled), (max(count, shuffled), len(names))
            axes.annotate(words, place, (3, 0), textcoords="offset points", va="center", size=7)
            names.append(f"{span}:  {size}" if not number else size)
    axes.set_yticks(range(len(names)), names, size=7.5)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    axes.grid(visible=True, axis="x")
    axes.set(xlabel="families")
    axes.set_xscale("symlog", linthresh=1)
    axes.set_xlim(0, 12 * most)
    _label_counts(axes.xaxis)


def _draw_pairs(axes: Axes, twins: xr.Dataset, limit: float) -> None:
    level = twins["level"].to_numpy()
    for style, span in zip(LINES, _spans(twins), strict=False):
        for name, colour in (("pairs_reaching_shuffled", "random"), ("pairs_reaching", "real")):
            count = twins[name].sel(span=span).to_numpy()
            axes.plot(level, count, style, color=theme.COLOURS[colour], linewidth=1.4, clip_on=False)
    axes.axvline(limit, color=theme.FAINT, linewidth=0.8)
    axes.set(xlim=(level[0], 1), xlabel="correlation of activations", ylabel="pairs that reach it")
    axes.set_yscale("symlog", linthresh=1)
    axes.set_ylim(0)
    _label_counts(axes.yaxis)


def _spans(twins: xr.Dataset) -> list[str]:
    """What two features of this model can have in common."""
    possible = twins["possible_pairs"]
    return [str(span) for span in twins["span"].to_numpy() if int(possible.sel(span=span).sum())]


def _label_counts(axis: Axis) -> None:
    """Powers of ten, not too many, on a log axis with a place for nought."""
    powers = SymmetricalLogLocator(base=10, linthresh=1)
    powers.set_params(numticks=4)
    axis.set_major_locator(powers)
    axis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))


def _rows(twins: xr.Dataset) -> Iterator[tuple[str, ...]]:
    """Lines of the list: for each span the closest families of each size, a line for each member."""
    size, closest, spans = (twins[f"family_{name}"].to_numpy() for name in ("size", "correlation", "span"))
    family = twins["twin_family"].to_numpy()
    for span in _spans(twins):
        listed = []
        for number, count in enumerate(LISTED):
            here = twins["span"].to_numpy()[spans] == span
            found = np.flatnonzero(here & (size.clip(max=len(LISTED) + 1) == number + 2))
            listed += found[np.argsort(-closest[found], kind="stable")][:count].tolist()
        if listed:
            yield (span,)
        for one in listed:
            values = (float(twins[f"family_{name}"][one]) for name in ("correlation", "cosine", "contexts"))
            said = [f"{value:.3f}" if np.isfinite(value) else "–" for value in values]
            members = np.flatnonzero(family == one)
            for place, twin in enumerate(members[:MEMBERS]):
                yield (*(said if not place else ("", "", "")), *_member(twins, int(twin)))
            if len(members) > MEMBERS:
                yield ("", "", "", f"and {len(members) - MEMBERS} more")


def _member(twins: xr.Dataset, twin: int) -> tuple[str, ...]:
    place = int(twins["twin_place"][twin])
    names = (str(twins[f"place_{name}"].to_numpy()[place]) for name in ("site", "dictionary"))
    site, dictionary = (name if len(name) <= LONGEST else name[: LONGEST - 1] + "…" for name in names)
    token, share = shown(str(twins["twin_token"].to_numpy()[twin])), float(twins["twin_token_share"][twin])
    return site, dictionary, f"{int(twins['twin_feature'][twin]):,}", f"{token}  {share:.0%}"


def _write(axes: Axes, rows: list[tuple[str, ...]]) -> None:
    axes.axis("off")
    axes.set(xlim=(0, 1), ylim=(len(rows) + 0.5, -0.5))
    for number, row in enumerate([HEAD, *rows]):
        for place, text in zip(COLUMNS, row, strict=False):
            colour = theme.FAINT if row is HEAD or len(row) == 1 else theme.INK
            axes.text(place, number, text, size=7, va="center", color=colour, parse_math=False)
        if number and row[0]:
            axes.axhline(number - 0.5, color="#E6E6E6", linewidth=0.6)
    if not rows:
        theme.message(axes, "no twins")


def _notes(twins: xr.Dataset) -> Iterator[str]:
    features, compared = (sum(twins[f"place_{name}"].to_numpy().tolist()) for name in ("features", "compared"))
    yield (
        f"Pairs of twins: {int(twins['twin_pairs']):,} of {int(twins['possible_pairs'].sum()):,}, and "
        f"{int(twins['twin_pairs_shuffled']):,} when shuffled. Pearson correlations over {twins.attrs['tokens']:,} "
        "eval tokens, evenly spread; activations below 0 count as 0. Left out: "
        f"{theme.counted(features - compared, features)} of {features:,} features and neurons, active on fewer than "
        f"{twins.attrs['fewest_tokens']} of these tokens."
    )
    spans = [(span, twins.sel(span=span)) for span in _spans(twins) if int(twins["pairs"].sel(span=span).sum())]
    if said := [f"{span} {float(of['median_cosine']):.2f}" for span, of in spans if np.isfinite(of["median_cosine"])]:
        others = [f"{float(of['median_cosine_exchanged']):.2f}" for _, of in spans]
        yield (
            f"Median cosine of what two twins write into the residual stream: {', '.join(said)}; with their partners "
            f"exchanged {', '.join(others)}."
        )
    if spans:
        said = [f"{span} {float(of['median_contexts']):.2f}" for span, of in spans]
        yield f"Median share of top contexts that two twins have in common: {', '.join(said)}."
    if alone := int(twins["without_family"]):
        yield f"In no family, as not all their twins are twins of each other: {theme.several(alone, 'feature')}."
    if "cosine_not_applicable" in twins.attrs:
        yield f"No cosines: {twins.attrs['cosine_not_applicable']}."
