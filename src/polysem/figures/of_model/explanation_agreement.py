"""S1.F10: whether scores of explanations agree with what is known of features without them."""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from polysem.figures.parts import theme
from polysem.figures.parts.explainer_rows import Rows, estimate
from polysem.figures.registry import NotApplicable
from polysem.params.analysis import Analysis

CATALOGUE = "S1.F10"
READS = ("explanations",)
PARAMS = ()
TITLE = "Do scores of explanations agree with the truth?"
CAPTION = """\
Rank correlations over the features of a dictionary, with 95 % bootstrap intervals, of the score of an explanation, and
of the share of intruders that embeddings find, with what is known without them: how well the feature tells its main tag
(F1 on held-out texts), and how alike its strong examples are to the model (mean cosine of their neuron embeddings, the
measure without labels of document S3). Source: document S1, "Interpretability", and S3.
"""
SCORES = ("simulation", "detection")
INTRUDER = "intruder"
SHORT = {"F1 of the main tag": "F1 of tag", "cosine of strong examples": "cosine"}


@theme.styled
def draw(explanations: xr.Dataset, analysis: Analysis) -> Figure:
    """Below the name of each site a row for each explainer and for intruders; a panel for each score and truth."""
    if reason := explanations.attrs.get("not_applicable"):
        raise NotApplicable(str(reason))
    agreement = explanations["agreement"].to_numpy()
    if not np.isfinite(agreement[..., 0]).any():
        raise NotApplicable("no dictionary has ten scored features of which anything else is known")
    names = [*explanations["explainer"].to_numpy().astype(str).tolist(), INTRUDER]
    measures, truths = (explanations[name].to_numpy().astype(str).tolist() for name in ("measure", "truth"))
    dictionaries = explanations["dictionary"].to_numpy().astype(str)
    rows = Rows.of(explanations, names)
    figure = theme.sheet(2.05 + rows.tall)
    panels = figure.subplots(1, len(SCORES) * len(truths), sharey=True).tolist()
    columns = [(truth, score) for truth in range(len(truths)) for score in SCORES]
    for axes, (truth, score) in zip(panels, columns, strict=True):
        for (name, place), height in rows.heights.items():
            measure = INTRUDER if name == INTRUDER else f"{name}: {score}"
            estimate(axes, agreement[place, measures.index(measure), truth], height, dictionaries[place])
        axes.set_title(f"{score} and\n{SHORT.get(truths[truth], truths[truth])}", loc="left", size=8)
        axes.set_xlim(-1.03, 1.03)
        axes.axvline(0, color=theme.FAINT, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
        axes.xaxis.set_major_locator(MaxNLocator(3))
    rows.finish(figure, panels)
    theme.frame(
        figure,
        explanations,
        title=TITLE,
        catalogue=CATALOGUE,
        legend=[theme.dot("real", "features"), theme.dot("bulk", "neurons")],
        notes=["The row of intruders is the same for both scores.", *rows.notes()],
    )
    return figure
