"""S1.X2: how well probes on few features, and on few neurons, tell each tag."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from polysem.figures.parts import theme
from polysem.figures.registry import NotApplicable
from polysem.params.analysis import Analysis
from polysem.params.base import NEURONS

CATALOGUE = "S1.X2"
READS = ("sparse_probing", "neurons/sparse_probing")
PARAMS = ()
TITLE = "Probes on few features, for each tag"
CAPTION = """\
How well few features tell whether a token carries a tag: F1, on half of the sequences, of logistic regressions on the
features whose means differ most between tokens with the tag and without it, on the other half. Left: one feature, eight
features with the 95 % bootstrap interval over sequences, eight neurons, and the probe on all activations of the site.
A cross marks as many features of the random-model control, where there is one; tags in brackets are those that all
activations of the control tell as well. Right: the fewest features, and the fewest neurons, that come within 0.02 of
the probe on all activations; *more* than eight where none do. Sources: Gurnee et al. 2023, *Finding Neurons in a
Haystack*; Karvonen et al. 2025, *SAEBench*; document S1 asks the question of single features.
"""
MOST = 70
"""Tags that are drawn, those that a probe on all activations tells best."""
LINE = 0.132
"""Inches per tag."""
BESIDE = 17.0
"""Where features stand that are more than eight."""
APART = 0.16
"""Rows' height by which features and neurons are moved apart, so that equal ones can be seen."""


@theme.styled
def draw(sparse_probing: xr.Dataset, neurons_sparse_probing: xr.Dataset, analysis: Analysis) -> Figure:
    """A line per tag, in two panels. Sources: Gurnee et al. 2023; Karvonen et al. 2025."""
    if reason := sparse_probing.attrs.get("not_applicable"):
        raise NotApplicable(reason)
    probed = np.flatnonzero(sparse_probing["probed"].to_numpy())
    if not probed.size:
        raise NotApplicable(
            f"no tag is on {sparse_probing.attrs['least']} tokens of each half; more eval_tokens could change it"
        )
    dense = neurons_sparse_probing["dense_f1"].to_numpy()
    order = probed[np.argsort(dense[probed], kind="stable")][-MOST:]
    figure = theme.sheet(2.35 + LINE * max(len(order), 6))
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=[2.1, 1])
    height = np.arange(len(order))
    own, beside = sparse_probing.isel(tag=order), neurons_sparse_probing.isel(tag=order)
    are_neurons = sparse_probing.attrs.get("dictionary") == NEURONS
    legend = _draw_f1(left, own, beside, height, are_neurons)
    _draw_fewest(right, own, beside, height, are_neurons)
    names = zip(own["tag"].to_numpy(), own["kept"].to_numpy().astype(bool), strict=True)
    left.set_yticks(height, [str(name) if kept else f"({name})" for name, kept in names], size=7, parse_math=False)
    left.set(ylim=(-0.8, len(order) - 0.2), xlim=(-0.02, 1.02), xlabel="F1 on held-out sequences")
    right.set_xlabel("fewest within 0.02 of the\nF1 on all activations")
    theme.frame(
        figure,
        sparse_probing,
        title=TITLE,
        catalogue=CATALOGUE,
        legend=legend,
        columns=3,
        notes=_notes(sparse_probing, neurons_sparse_probing, len(probed) - len(order), are_neurons),
    )
    return figure


def _mark(colour: str, marker: str, label: str, filled: bool = True, size: float = 4.5) -> Line2D:
    face = colour if filled else "white"
    return Line2D([], [], linestyle="", marker=marker, markersize=size, color=colour, markerfacecolor=face, label=label)


def _draw_f1(
    axes: Axes, own: xr.Dataset, beside: xr.Dataset, height: NDArray[np.int64], are_neurons: bool
) -> list[Line2D]:
    """Marks of the left panel, and what the legend says of them."""
    what, colour = ("neuron", theme.COLOURS["bulk"]) if are_neurons else ("feature", theme.COLOURS["real"])
    f1 = own["f1"].to_numpy()
    marks = [
        (f1[:, 0], _mark(colour, "o", f"1 {what}", filled=False)),
        (f1[:, -1], _mark(colour, "o", f"{own['k'].to_numpy()[-1]} {what}s")),
        (beside["dense_f1"].to_numpy(), _mark(theme.INK, "|", "all activations", size=8)),
    ]
    if not are_neurons:
        marks.insert(2, (beside["f1"].to_numpy()[:, -1], _mark(theme.COLOURS["bulk"], "D", "8 neurons", size=3.6)))
    if "control_f1" in own:
        marks.append(
            (own["control_f1"].to_numpy()[:, -1], _mark(theme.FAINT, "x", f"8 {what}s, random model", size=3.6))
        )
    axes.hlines(height, own["f1_low"].to_numpy()[:, -1], own["f1_high"].to_numpy()[:, -1], color=colour, linewidth=1.1)
    for values, mark in marks:
        axes.plot(
            values, height, linestyle="", marker=mark.get_marker(), markersize=mark.get_markersize(),
            color=mark.get_color(), markerfacecolor=mark.get_markerfacecolor(), zorder=3, clip_on=False,
        )  # fmt: skip
    axes.grid(True, axis="both")
    axes.tick_params(axis="y", length=0)
    return [mark for _, mark in marks]


def _draw_fewest(axes: Axes, own: xr.Dataset, beside: xr.Dataset, height: NDArray[np.int64], are_neurons: bool) -> None:
    """Marks of the right panel: on a log axis, more than the most that are tried at its end."""
    shown = [(beside, theme.COLOURS["bulk"], "D", -APART)]
    if not are_neurons:
        shown.append((own, theme.COLOURS["real"], "o", APART))
    for table, colour, marker, moved in shown:
        fewest = table["fewest"].to_numpy().astype(np.float64)
        places = np.where(fewest < 0, BESIDE, fewest)
        axes.plot(places, height + moved, linestyle="", marker=marker, markersize=3.4, color=colour, clip_on=False)
    counts = own["k"].to_numpy().tolist()
    axes.set_xscale("log", base=2)
    axes.set_xlim(0.8, BESIDE * 1.2)
    axes.set_xticks([*counts, BESIDE], [*map(str, counts), "more"])
    axes.minorticks_off()
    axes.grid(True, axis="both")
    axes.tick_params(axis="y", length=0)


def _notes(table: xr.Dataset, neurons: xr.Dataset, left: int, are_neurons: bool) -> list[str]:
    own = " / ".join(f"{value:.2f}" for value in table["mean_f1"].to_numpy())
    counts = ", ".join(map(str, table["k"].to_numpy().tolist()))
    dense = float(neurons["dense_probe_f1"])
    tags = int(table["probed_tags"]) - int(table["left_out_tags"])
    means = f"Mean F1 over {theme.several(tags, 'tag')} with {counts}: {own}"
    if not are_neurons:
        means += f"; neurons {' / '.join(f'{value:.2f}' for value in neurons['mean_f1'].to_numpy())}"
    if "control_mean_f1" in table:
        means += f"; control {' / '.join(f'{value:.2f}' for value in table['control_mean_f1'].to_numpy())}"
    notes = [
        "Features chosen, probes fitted and thresholds set on half A of the sequences, scored on half B; lines: 95 % "
        "bootstrap intervals.",
        f"{means}; all activations {dense:.2f}.",
    ]
    if not are_neurons:
        share, low, high = (100 * float(table[f"fewer_than_most_neurons_share{end}"]) for end in ("", "_low", "_high"))
        notes.append(
            f"Fewer than 8 features do as well as 8 neurons for {share:.0f} % of the tags ({low:.0f}–{high:.0f} %)."
        )
    if out := int(table["left_out_tags"]):
        notes.append(
            f"Left out of means and shares: {theme.several(out, 'tag')} in brackets (intervals of F1 overlap)."
        )
    skipped = int((~table["probed"].to_numpy().astype(bool)).sum())
    if skipped:
        notes.append(
            f"Not probed: {theme.several(skipped, 'tag')} with fewer than {table.attrs['least']} tokens in a half."
        )
    if left:
        notes.append(f"Not drawn: {theme.several(left, 'tag')} that all activations tell worse.")
    return notes
