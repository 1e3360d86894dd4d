"""S1.X3: where the feature of a tag is off, and another one on in its place, as a more special tag is there."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from polysem.figures.parts import theme
from polysem.figures.registry import NotApplicable
from polysem.params.analysis import Analysis

CATALOGUE = "S1.X3"
READS = ("tag_hierarchy",)
PARAMS = ()
TITLE = "Features of tags that other tags imply"
CAPTION = """\
Pairs of tags of which the first implies the second: 99 % of the tokens with it carry the other, too. Left: share of
tokens on which the main feature of the implied tag, the one whose mean is most above that of tokens without it, is off;
among tokens with both tags, and among those with the implied one alone, on half of the sequences that chose no feature,
with 95 % bootstrap intervals over sequences. Right: share of the tokens with both tags on which it is off, and the main
feature of the other tag is on and points along the implied one: the cosine of its decoder row with the direction of the
probe on all activations is above that of 95 % of the dictionary's rows. A cross marks the same of the random-model
control, where there is one; pairs in brackets have a tag that all activations of the control tell as well. Sources:
Chanin et al. 2024, *A is for Absorption*; Karvonen et al. 2025, *SAEBench*; document S1 asks how features split.
"""
MOST = 40
"""Pairs that are drawn, at most."""
LINE = 0.145
"""Inches per pair."""
APART = 0.15
"""Rows' height by which the two marks of a pair are moved apart, so that equal ones can be seen."""


@theme.styled
def draw(tag_hierarchy: xr.Dataset, analysis: Analysis) -> Figure:
    """A line per pair, in two panels. Sources: Chanin et al. 2024; Karvonen et al. 2025."""
    if reason := tag_hierarchy.attrs.get("not_applicable"):
        raise NotApplicable(reason)
    order = _order(tag_hierarchy)
    shown = tag_hierarchy.isel(pair=order[:MOST][::-1])
    figure = theme.sheet(2.8 + LINE * max(shown.sizes["pair"], 6))
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=[1.35, 1])
    height = np.arange(shown.sizes["pair"])
    legend = [*_draw_missed(left, shown, height), *_draw_absorbed(right, shown, height)]
    left.set_yticks(height, _labels(shown), size=7, parse_math=False)
    left.set(ylim=(-0.8, len(height) - 0.2), xlabel="implied tag's feature is off,\nshare of tokens")
    right.set_xlabel("absorbed,\nshare of tokens with both tags")
    for axes in (left, right):
        axes.set_xlim(-0.02, 1.02)
        axes.grid(True, axis="both")
        axes.tick_params(axis="y", length=0)
    notes = _notes(tag_hierarchy, len(order) - len(height))
    theme.frame(figure, tag_hierarchy, title=TITLE, catalogue=CATALOGUE, legend=legend, columns=2, notes=notes)
    return figure


def _order(table: xr.Dataset) -> NDArray[np.int64]:
    """Pairs that are kept before the others, the most absorbed first, and among equal ones the most missed; those
    without a share last."""
    missed, absorbed = (np.nan_to_num(table[name].to_numpy(), nan=-1.0) for name in ("missed_with_child", "absorbed"))
    return np.lexsort((-missed, -absorbed, ~table["kept"].to_numpy().astype(bool)))


def _labels(shown: xr.Dataset) -> list[str]:
    names = [
        f"{child} in {parent}" for child, parent in zip(shown["child"].values, shown["parent"].values, strict=True)
    ]
    kept = shown["kept"].to_numpy().astype(bool)
    return [name if one else f"({name})" for name, one in zip(names, kept, strict=True)]


def _draw_missed(axes: Axes, shown: xr.Dataset, height: NDArray[np.int64]) -> list[Line2D]:
    """Marks of the left panel, joined for each pair, and what the legend says of them."""
    elsewhere, with_child = (shown[name].to_numpy() for name in ("missed_elsewhere", "missed_with_child"))
    axes.hlines(height, elsewhere, with_child, color=theme.COLOURS["bulk"], linewidth=0.6, zorder=1)
    return [
        _marks(axes, shown, "missed_elsewhere", height - APART, "bulk", "off with the implied tag alone"),
        _marks(axes, shown, "missed_with_child", height + APART, "real", "off with both tags"),
    ]


def _draw_absorbed(axes: Axes, shown: xr.Dataset, height: NDArray[np.int64]) -> list[Line2D]:
    """Marks of the right panel, and what the legend says of them."""
    found = [_marks(axes, shown, "absorbed", height.astype(np.float64), "random", "absorbed")]
    if "control_absorbed" in shown:
        of_control = shown["control_absorbed"].to_numpy()
        (line,) = axes.plot(
            of_control, height, linestyle="", marker="x", markersize=3.6, color=theme.FAINT, zorder=4, clip_on=False
        )
        found.append(_key(line, "absorbed, random model"))
    return found


def _marks(axes: Axes, shown: xr.Dataset, name: str, height: NDArray[np.floating], colour: str, label: str) -> Line2D:
    """Shares with their intervals, and their line of the legend."""
    shade = theme.COLOURS[colour]
    low, high = (shown[f"{name}_{end}"].to_numpy() for end in ("low", "high"))
    axes.hlines(height, low, high, color=shade, linewidth=1.1, zorder=2)
    (line,) = axes.plot(
        shown[name].to_numpy(), height, linestyle="", marker="o", markersize=3.6, color=shade, zorder=3, clip_on=False
    )
    return _key(line, label)


def _key(line: Line2D, label: str) -> Line2D:
    return Line2D([], [], linestyle="", marker=line.get_marker(), markersize=4.5, color=line.get_color(), label=label)


def _notes(table: xr.Dataset, left: int) -> list[str]:
    pairs, out = int(table["hierarchy_pairs"]), int(table["left_out_pairs"])
    notes = [
        "Main features are chosen on half A of the sequences, shares are of half B; lines: 95 % bootstrap intervals."
    ]
    if pairs > out:
        with_child, elsewhere, absorbed = (
            _mean(table, name) for name in ("missed_with_child", "missed_elsewhere", "absorbed")
        )
        control = table.get("control_absorbed_share")
        beside = "" if control is None else f", of the control {100 * float(control):.1f} %"
        notes.append(
            f"Means over {theme.several(pairs - out, 'pair')}: the implied tag's feature is off on {with_child} of the "
            f"tokens with both tags and on {elsewhere} of those with it alone; {absorbed} is absorbed{beside}."
        )
        notes.append(_of_parents(table))
    if unknown := int(np.isnan(table["missed_with_child"].to_numpy()).sum()):
        notes.append(f"Without shares: {theme.several(unknown, 'pair')} of an implied tag without a main feature.")
    if out:
        notes.append(f"Left out of means: {theme.several(out, 'pair')} in brackets.")
    if left:
        notes.append(f"Not drawn: {theme.several(left, 'pair')} that come behind these.")
    return notes


def _of_parents(table: xr.Dataset) -> str:
    """What is known of the implied tags, whatever their pairs."""
    parents = _kept_parents(table)
    split = int((table["split_features"].to_numpy()[parents] > 1).sum())
    own, of_children = (float(table[f"parents_{name}"]) for name in ("own_f1", "children_f1"))
    return (
        f"{split} of {theme.several(len(parents), 'implied tag')} need more than 1 feature for an F1 within 0.03 of "
        f"that of 8. Mean F1 of their own main features {own:.2f}, of those of the tags that imply them, together, "
        f"{of_children:.2f}."
    )


def _kept_parents(table: xr.Dataset) -> NDArray[np.int64]:
    """The places along `tag` of the implied tags of pairs that are kept."""
    kept = table["kept"].to_numpy().astype(bool)
    return np.flatnonzero(np.isin(table["tag"].to_numpy(), table["parent"].to_numpy()[kept]))


def _mean(table: xr.Dataset, name: str) -> str:
    share, low, high = (100 * float(table[f"{name}_share{end}"]) for end in ("", "_low", "_high"))
    return f"{share:.1f} % ({low:.1f}–{high:.1f} %)" if np.isfinite(low) else f"{share:.1f} %"
