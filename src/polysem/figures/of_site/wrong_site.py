"""S0.X1: activations of another site through a dictionary, and directions of dictionaries at different sites."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from polysem.figures.parts import relations, theme
from polysem.figures.registry import NotApplicable
from polysem.params.analysis import Analysis

CATALOGUE = "S0.X1"
READS = ("site/comparison",)
PARAMS = ()
TITLE = "Activations of another site"
CAPTION = """\
The bug of document S0 as an experiment. Left: activations of other sites of the same width, read through an SAE of
this site. A feature is coherent if at least half of the 20 tokens on which it is most active are the same token.
Permuting the neurons of the activations leaves no learned direction in place: coherence that survives it is owed to
the activations and not to the SAE. Right: how near each decoder row comes to one of an SAE at another site, against
rows with permuted weights. Source: document S0, "Conclusion".
"""
MOST = 8
"""Other sites that are drawn, the nearest in the order of the params file."""
NEIGHBOURS = ("site", "model")


@theme.styled
def draw(site_comparison: xr.Dataset, analysis: Analysis) -> Figure:
    """Left: share of coherent features by whose activations are read. Right: best cosines of decoder rows.

    A feature is coherent if at least half of the 20 tokens on which it is most active are the same token.
    Source: document S0, "Conclusion": layer-0 activations that went through an SAE of layer 1 by mistake.
    """
    if "coherence" not in site_comparison:
        raise NotApplicable(
            f"no other site with {site_comparison.attrs['neurons']:,} neurons reads the same tokens as this one, or "
            "this one has no SAE; add such a site to the model, or a model with one"
        )
    figure = theme.sheet(4.6)
    left, right = figure.subplots(1, 2, width_ratios=[1.15, 1])
    _draw_coherence(left, site_comparison)
    known = np.isfinite(site_comparison["median_cosine"].to_numpy())
    pairs = [
        (name, numbers[known[numbers]])
        for name, numbers in relations.groups(site_comparison)
        if name in (*NEIGHBOURS, "seed") and known[numbers].any()
    ]
    for name, numbers in pairs:
        values = relations.of_features(site_comparison, "cosine", numbers)
        relations.survival(right, values, color=relations.colour(name), linewidth=1.6)
    every = np.concatenate([numbers for _, numbers in pairs] or [np.zeros(0, int)])
    relations.survival(right, relations.of_draws(site_comparison, "cosine_random", every), **relations.BASELINE)
    right.set(xlim=(0, 1), ylim=(0, 103))
    right.set_xlabel("largest cosine with a decoder row")
    right.set_ylabel("% of features that reach it")
    if not pairs:
        theme.message(right, "no SAE of the same width\nat another site")
    theme.frame(
        figure,
        site_comparison,
        title=TITLE,
        catalogue=CATALOGUE,
        legend=[
            theme.swatch("real", "activations as they are"),
            theme.swatch("random", "their neurons permuted"),
            *(relations.line(name, len(numbers)) for name, numbers in pairs),
            relations.baseline("decoder rows permuted"),
        ],
        notes=[_note(site_comparison)],
        columns=3,
    )
    return figure


def _draw_coherence(axes: Axes, comparison: xr.Dataset) -> None:
    count = min(comparison.sizes["source"], MOST + 1)
    place = np.arange(count)[::-1]
    for name, colour, shift in (("coherent_share", "real", 0.2), ("coherent_share_permuted", "random", -0.2)):
        values = 100 * comparison[name].to_numpy()[:count]
        axes.barh(place + shift, np.nan_to_num(values), height=0.36, color=theme.COLOURS[colour])
        for y, value in zip(place + shift, values, strict=True):
            text = f"{value:.0f} %" if np.isfinite(value) else "none active"
            axes.text(np.nan_to_num(value) + 1.5, y, text, va="center", size=8)
    chance = 100 * float(comparison["coherent_share_random"])
    if np.isfinite(chance):
        axes.axvline(chance, color=theme.FAINT, linewidth=1, linestyle=(0, (3, 2)), zorder=1)
    axes.set(xlim=(0, 112), xticks=[0, 25, 50, 75, 100], yticks=place)
    axes.set_yticklabels([_name(comparison, number) for number in range(count)], parse_math=False)
    axes.grid(axis="x")
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("% of features that are coherent")


def _name(comparison: xr.Dataset, number: int) -> str:
    model, site = (str(comparison[f"source_{key}"].to_numpy()[number]) for key in ("model", "site"))
    short = site.replace("blocks.", "").replace("hook_", "").replace("layers.", "")
    own = comparison.attrs["model"]
    where = short if model == own else f"{model}\n{short}"
    return f"{where}\n(its own)" if number == 0 else where


def _note(comparison: xr.Dataset) -> str:
    random = float(comparison["median_coherence_random"])
    read = 100 * comparison["read_share"].to_numpy()[1:]
    same = 100 * comparison["same_token_share"].to_numpy()[1:]
    words = [
        f"Read through {comparison.attrs['reader']}. Coherent: at least half of the 20 tokens on which the feature is "
        "most active are the same token; of features active on 20 of "
        f"{comparison.attrs['tokens']:,} eval tokens ({_span(read)} of the features at other sites). 20 tokens at "
        f"random have a median of {random:.2f} (dashed line: share of draws that are coherent)."
    ]
    if np.isfinite(same).any():
        words.append(f"Of features coherent at both sites, {_span(same[np.isfinite(same)])} have the same token.")
    if comparison.sizes["source"] > MOST + 1:
        words.append(f"Drawn: {MOST} of {comparison.sizes['source'] - 1} other sites.")
    return " ".join(words)


def _span(values: np.ndarray) -> str:
    low, high = f"{values.min():.0f}", f"{values.max():.0f}"
    return f"{low} %" if low == high else f"{low} to {high} %"
