"""S1.F10: what explanations are worth on examples that they did not see, by explainer, of features and of neurons."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from polysem.figures.parts import theme
from polysem.figures.parts.explainer_rows import Rows, estimate
from polysem.figures.parts.token_words import visible
from polysem.figures.registry import NotApplicable
from polysem.params.analysis import Analysis

CATALOGUE = "S1.F10"
READS = ("explanations",)
PARAMS = ()
TITLE = "Scores of explanations"
CAPTION = """\
How well explanations predict a feature on texts that they were not made of: means over features with 95 % bootstrap
intervals. From left to right: correlation of predicted and real activation over the strongest and random examples
(simulation, Bills et al. 2023); balanced accuracy of saying in which contexts the feature is active (detection), and on
which marked tokens (fuzzing; both Paulo et al. 2024), where half of the contexts without activation, and as many of the
marks as can be, have a token on which the feature is active elsewhere; and, without any explanation, how often the one
example in five on which the feature is not active is the one whose embedding is least like the others. Ticks: the score
of the explanation of another feature; crosses: explanations of features of the random-model control, where there is
one, whose SAE has the same recipe and whose model learnt nothing. Explainers are rules that are made of shown examples
and executed: a tag, a regular expression, tokens, tokens behind others, what the logit weights promote, and as baseline
a single token.
Source: document S1, "Interpretability".
"""
PANELS = {"simulation": "simulation", "detection": "detection", "fuzzing": "fuzzing"}
CHANCE = {"simulation": 0.0, "detection": 0.5, "fuzzing": 0.5}
LIMITS = {"simulation": (-0.12, 1.02), "detection": (0.38, 1.02), "fuzzing": (0.38, 1.02)}
NO_TEXT = "no explanation"


@theme.styled
def draw(explanations: xr.Dataset, analysis: Analysis) -> Figure:
    """Below the name of each site a row for each explainer, and a panel for each score."""
    if reason := explanations.attrs.get("not_applicable"):
        raise NotApplicable(str(reason))
    if not explanations["scored_features"].to_numpy().any():
        raise NotApplicable("no feature of the model has examples enough to be explained")
    names = explanations["explainer"].to_numpy().astype(str).tolist()
    rows = Rows.of(explanations, [*names, NO_TEXT])
    figure = theme.sheet(1.95 + rows.tall)
    panels = figure.subplots(1, 1 + len(PANELS), sharey=True).tolist()
    has_control = "control_mean_score" in explanations
    dictionaries, scores = (explanations[name].to_numpy().astype(str) for name in ("dictionary", "score"))
    for axes, (score, title) in zip(panels, PANELS.items(), strict=False):
        number = scores.tolist().index(score)
        own, shuffled = (explanations[name].to_numpy()[:, :, number] for name in ("mean_score", "mean_shuffled_score"))
        control = explanations["control_mean_score"].to_numpy()[:, :, number] if has_control else None
        for (name, place), height in rows.heights.items():
            if name != NO_TEXT:
                row = names.index(name)
                estimate(axes, own[place, row], height, dictionaries[place])
                axes.plot(shuffled[place, row, :1], [height], **_TICK)
                if control is not None:
                    axes.plot(control[place, row, :1], [height], **_CROSS)
        axes.set_title(title, loc="left", size=8)
        axes.set_xlim(LIMITS[score])
        axes.axvline(CHANCE[score], **_CHANCE)
        axes.xaxis.set_major_locator(MaxNLocator(3))
    last = panels[-1]
    for (name, place), height in rows.heights.items():
        if name == NO_TEXT:
            estimate(last, explanations["mean_intruder_share"].to_numpy()[place], height, dictionaries[place])
    last.set_title("intruders found", loc="left", size=8)
    last.set_xlim(-0.03, 1.03)
    last.axvline(explanations.attrs["intruder_chance"], **_CHANCE)
    last.xaxis.set_major_locator(MaxNLocator(3))
    rows.finish(figure, panels)
    count = int(explanations["scored_features"].to_numpy().sum())
    left_out = int((np.isnan(explanations["score_of"].to_numpy()).all(axis=(1, 2))).sum())
    notes = [
        f"{theme.several(count, 'feature')}, scored on texts that explainers were not shown; left out: "
        f"{left_out:,} with too few examples. Dashed: chance."
    ]
    said = zip(names, explanations["note"].to_numpy().astype(str), strict=True)
    notes += [f"{name}: {visible(note)}." for name, note in said if note]
    theme.frame(
        figure,
        explanations,
        title=TITLE,
        catalogue=CATALOGUE,
        legend=[
            theme.dot("real", "features"),
            theme.dot("bulk", "neurons"),
            Line2D([], [], label="explanation of another feature", **_TICK),
            *([Line2D([], [], label="feature of the random model", **_CROSS)] if has_control else []),
        ],
        columns=4 if has_control else 3,
        notes=[*notes, *rows.notes()],
    )
    return figure


_TICK: Any = {"marker": "|", "markersize": 4.5, "color": theme.INK, "linestyle": "", "zorder": 2, "clip_on": False}
_CROSS: Any = {"marker": "x", "markersize": 3.2, "color": theme.FAINT, "linestyle": "", "zorder": 2, "clip_on": False}
_CHANCE: Any = {"color": theme.FAINT, "linewidth": 0.8, "linestyle": (0, (4, 3)), "zorder": 1}
