"""S1.F5: what setting features does to a model's text, by dose, beside what else may lead it there."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

from polysem.figures.parts import theme
from polysem.figures.parts.steered_ways import COLOURS, LEVELS, MARKERS, WORDS
from polysem.figures.registry import NotApplicable
from polysem.params.analysis import Analysis

CATALOGUE = "S1.F5"
READS = ("steering",)
PARAMS = ()
TITLE = "Steering by dose"
CAPTION = """\
Features are set to multiples of their largest activation while the model writes. Left: the share of the written tokens
that carry the feature's tag, by a recogniser of words and characters. Right: how unlikely the model without an edit
finds what was written. A feature steers where the left line rises and the right one does not; a random direction of the
same norm shows what any push does, the difference of means what a direction with known tags does, the best neuron what
the model's own units do, and the prompt what words do. Means over features, with 95 % bootstrap intervals over these.
Below: the output score, by which it can be told beforehand which features steer, against what was gained with features
at their maximum. Source: document S1, "Feature downstream effect"; the output score: Arad et al. (2025).
"""
PANEL, SCATTER = 2.15, 2.3
"""Inches: the panels of a site; those of output scores."""
DODGE = 0.05
"""By how much points of one dose stand apart, as a share of the dose."""
GAINS = {"tag_gain": "tag share", "promoted_gain": "promoted tokens"}


@theme.styled
def draw(steering: xr.Dataset, analysis: Analysis) -> Figure:
    """Two panels for each site, and two with output scores.

    Source: document S1, "Feature downstream effect".
    """
    if reason := steering.attrs.get("not_applicable"):
        raise NotApplicable(str(reason))
    sites = steering["site_name"].to_numpy().astype(str).tolist()
    figure = theme.sheet(2.0 + PANEL * len(sites) + SCATTER)
    panels = figure.subplots(len(sites) + 1, 2, squeeze=False, height_ratios=[*[PANEL] * len(sites), SCATTER])
    for number, site in enumerate(sites):
        of = steering.isel(place=number)
        share, perplexity = panels[number]
        if int(np.isfinite(of["mean_tag_share"].to_numpy()).sum()):
            _curves(share, of, "mean_tag_share")
            share.set(ylabel="tokens with the tag", ylim=(0, None))
        else:
            theme.message(share, "no steered feature is about a tag\nthat is recognised")
        share.set_title(site, loc="left", size=9.5, parse_math=False)
        _curves(perplexity, of, "perplexity")
        perplexity.set(ylabel="perplexity", yscale="log")
        theme.plain_log_ticks(perplexity.yaxis)
    for axes, (gain, words) in zip(panels[-1], GAINS.items(), strict=True):
        _scores(axes, steering, gain, words)
    theme.frame(figure, steering, title=TITLE, catalogue=CATALOGUE, legend=_legend(), columns=3, notes=_notes(steering))
    return figure


def _curves(axes: Axes, of: xr.Dataset, name: str) -> None:
    """A number of one site over the doses, a line for each way; the levels of those without a dose."""
    doses = of["dose"].to_numpy()
    for place, way in enumerate(WORDS):
        mean, low, high = (of[f"{name}{end}"].sel(way=way).to_numpy() for end in ("", "_low", "_high"))
        if way in LEVELS:
            axes.axhline(mean[0], color=COLOURS[way], linewidth=1.1, linestyle=_dashes(way), zorder=2)
            continue
        x = doses * (1 + DODGE * (place - 1.5))
        axes.vlines(x, low, high, color=COLOURS[way], linewidth=1.1, zorder=3)
        axes.plot(x, mean, color=COLOURS[way], marker=MARKERS[way], markersize=4, linewidth=1.3, zorder=4)
    axes.set(xscale="log", xlabel="dose (multiple of the largest activation)")
    axes.xaxis.set_major_locator(FixedLocator(doses.tolist()))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(doses.tolist(), [f"{dose:g}" for dose in doses])


def _scores(axes: Axes, steering: xr.Dataset, gain: str, words: str) -> None:
    x, y = steering["output_score"].to_numpy(), steering[gain].to_numpy()
    known = np.isfinite(x) & np.isfinite(y)
    if not known.any():
        theme.message(axes, "no feature has both numbers")
        return
    by_tag = steering["chosen_by"].to_numpy().astype(str) == "best feature of a tag"
    for chosen, filled in ((by_tag, True), (~by_tag, False)):
        face = COLOURS["feature"] if filled else "white"
        axes.plot(x[known & chosen], y[known & chosen], "o", markersize=5, color=COLOURS["feature"], mfc=face)
    axes.axhline(0, color=theme.FAINT, linewidth=0.7, zorder=1)
    axes.axvline(0, color=theme.FAINT, linewidth=0.7, zorder=1)
    axes.set(xlabel="output score", ylabel=f"gain in {words}")
    axes.xaxis.set_major_locator(MaxNLocator(3))
    rho, low, high = (float(steering[f"output_score_{gain}{end}"]) for end in ("", "_low", "_high"))
    said = f"Spearman {rho:.2f} ({low:.2f} to {high:.2f})" if np.isfinite(rho) else "too few features for a correlation"
    axes.set_title(said, loc="left", size=8.5)


def _dashes(way: str) -> Any:
    return "--" if way == "prompt" else "-"


def _legend() -> list[Line2D]:
    return [
        Line2D(
            [],
            [],
            color=COLOURS[way],
            marker=MARKERS[way],
            markersize=4,
            linestyle=_dashes(way),
            label=words,
        )
        for way, words in WORDS.items()
    ]


def _notes(steering: xr.Dataset) -> list[str]:
    texts, tokens = steering.sizes["text"], steering.attrs["written_tokens"]
    scored = steering["features_scored"].sel(way="feature").to_numpy().tolist()
    sites = steering["site_name"].to_numpy().astype(str).tolist()
    chosen = steering["site"].to_numpy().astype(str).tolist()
    counts = [
        f"{number} of {theme.several(chosen.count(site), 'feature')} at {site}"
        for site, number in zip(sites, scored, strict=True)
    ]
    notes = [
        f"{theme.several(texts, 'text')} of {theme.several(tokens, 'token')} for each feature, way and dose, drawn "
        f"with the same noise. With a tag that is recognised: {_listed(counts)}. In the panels of output scores: "
        "filled, best features of tags; hollow, chosen by their output score."
    ]
    if left_out := str(steering.attrs["left_out"]):
        notes.append(f"Left out: {left_out}.")
    return notes


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
