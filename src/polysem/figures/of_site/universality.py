"""S1.F7: whether other dictionaries hold the same features."""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from polysem.figures.parts import relations, theme
from polysem.figures.registry import NotApplicable
from polysem.params.analysis import Analysis

CATALOGUE = "S1.F7"
READS = ("site/comparison",)
PARAMS = ()
TITLE = "Universality"
CAPTION = """\
How many features have a counterpart in another dictionary. Left: for each level, the share of features whose
activations correlate at least so well with those of some feature of the other dictionary (Pearson, over eval tokens
spread evenly over the store; at most ``analysis.comparison_tokens``). Right: the same for the logit weights of that
counterpart, on the direct path. One line per relation, all its pairs together: another seed, another setting or
recipe, another site or model of the same tokens, and the neurons. Grey: the other dictionary's tokens shuffled, and
counterparts exchanged at random. Source: document S1, "Universality".
"""


@theme.styled
def draw(site_comparison: xr.Dataset, analysis: Analysis) -> Figure:
    """For each level, the share of features whose best match reaches it: activations, and logit weights of that match.

    One line per relation, pooled over its pairs. Source: document S1, "Universality".
    """
    pairs = [
        (name, numbers)
        for name, numbers in relations.groups(site_comparison)
        if relations.of_features(site_comparison, "correlation", numbers).size
    ]
    if not pairs:
        raise NotApplicable(
            "no two dictionaries of this site, or of sites of the same tokens, have features that are active often "
            "enough to be correlated; add a recipe, a seed or a site, or raise eval_tokens"
        )
    figure = theme.sheet(4.5)
    left, right = figure.subplots(1, 2, sharey=True)
    everything = np.concatenate([numbers for _, numbers in pairs])
    for axes, name in ((left, "correlation"), (right, "logit_correlation")):
        for relation, numbers in pairs:
            values = relations.of_features(site_comparison, name, numbers)
            relations.survival(axes, values, color=relations.colour(relation), linewidth=1.6)
        drawn = {"correlation": "correlation_shuffled", "logit_correlation": "logit_shuffled"}[name]
        relations.survival(axes, relations.of_draws(site_comparison, drawn, everything), **relations.BASELINE)
        axes.set(xlim=(0, 1), ylim=(0, 103))
    left.set_xlabel("correlation of activations with the best match")
    right.set_xlabel("correlation of logit weights with that match")
    left.set_ylabel("% of features that reach it")
    if not np.isfinite(site_comparison["logit_correlation"].to_numpy()).any():
        theme.message(right, "no direct path to the logits,\nor none to the same tokens")
    theme.frame(
        figure,
        site_comparison,
        title=TITLE,
        catalogue=CATALOGUE,
        legend=[
            *(relations.line(relation, len(numbers)) for relation, numbers in pairs),
            relations.baseline("shuffled: tokens, or matches"),
        ],
        notes=[_note(site_comparison, pairs)],
    )
    return figure


def _note(comparison: xr.Dataset, pairs: list[tuple[str, np.ndarray]]) -> str:
    drawn = comparison.sel(relation=[name for name, _ in pairs])
    features, known = (
        sum(drawn[f"relation_{name}"].to_numpy().tolist()) for name in ("features", "correlated_features")
    )
    words = (
        f"Pearson correlations over {comparison.attrs['tokens']:,} eval tokens, evenly spread; activations below 0 "
        f"count as 0. Left out: {theme.counted(features - known, features)} of {features:,} features, active on fewer "
        "than 10 of these tokens."
    )
    if "seed" not in dict(pairs):
        return words
    median = float(comparison["relation_median_correlation"].sel(relation="seed"))
    return f"{words} Median with another seed: {median:.2f}."
