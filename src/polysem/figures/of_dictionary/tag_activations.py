"""S1.F2: how the activations of a feature differ between tokens with and without the context it may stand for."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from polysem.figures.parts import theme
from polysem.figures.parts.feature_names import name_of
from polysem.figures.parts.tags import require_tags
from polysem.figures.registry import NotApplicable
from polysem.params.analysis import Analysis
from polysem.tables.parts.showcase import showcase_tags

CATALOGUE = "S1.F2"
READS = ("tags", "labels")
PARAMS = ()
TITLE = "Activations of the best feature of a tag"
CAPTION = """\
Activations of the feature that knows a tag best, on tokens with the tag and without it; for real text a regular
expression stands in for the tag (``proxies``). Where the document compares with a log-likelihood ratio, the tag itself
takes its place. Left: tokens by activation, on log axes. Right: how much of the feature's expected value each bin
brings, so that many weak activations do not hide a few strong ones. Feature and threshold are chosen by F1 on half of
the sequences and shown on the other half. Tags are Arabic, Hebrew, base64, DNA and code, where a feature finds them,
then those that are known best. Specificity is the share of the expected value that tokens with the tag bring,
sensitivity the correlation of activation and tag; precision and recall are of the threshold. Source: document S1,
section "Feature activation distribution".
"""
ROWS, ROW_HEIGHT = 5, 1.42
DECADES = 1e-3
"""The axis begins at this part of the largest activation; what is smaller falls into its first bin."""
LOWEST = 0.5
"""Where bars of the log axis start, so that one token is seen."""


@theme.styled
def draw(tags: xr.Dataset, analysis: Analysis) -> Figure:
    """A row per tag: tokens by activation, split by the tag, and the part of the expected value that each bin brings.

    Tags are those that S1 looks at (Arabic, Hebrew, base64, DNA) and code, where a feature knows them, then those that
    features know best. Source: document S1, section "Feature activation distribution".
    """
    require_tags(tags)
    chosen = showcase_tags(tags, ROWS)
    if not chosen:
        raise NotApplicable(
            "no feature knows a tag better than one that is always active would; more eval_tokens or another recipe "
            "could change it"
        )
    figure = theme.sheet(1.75 + ROW_HEIGHT * len(chosen))
    grid = figure.subplots(len(chosen), 2, squeeze=False, width_ratios=[1, 1])
    for axes, tag in zip(grid, chosen, strict=True):
        _draw_row(axes, tags.isel(tag=tag))
    grid[-1, 0].set_xlabel("activation (log scale)")
    grid[-1, 1].set_xlabel("activation (log scale)")
    theme.frame(
        figure,
        tags,
        title=TITLE,
        catalogue=CATALOGUE,
        legend=[
            theme.swatch("with_tag", "active tokens with the tag"),
            theme.swatch("without_tag", "active tokens without it"),
            Line2D([], [], color=theme.INK, linewidth=0.9, linestyle=(0, (4, 3)), label="threshold"),
        ],
        columns=3,
        notes=[_note(tags)],
    )
    return figure


def _draw_row(axes: list[Axes], row: xr.Dataset) -> None:
    edges = row["bin_edge"].to_numpy()
    tokens = np.stack([row[f"tokens_{side}"].to_numpy() for side in ("without", "with")])
    mass = np.stack([row[f"mass_{side}"].to_numpy() for side in ("without", "with")])
    filled = np.flatnonzero(tokens.any(0))
    last = int(filled[-1]) if filled.size else len(edges) - 2
    first = max(int(filled[0]) if filled.size else 0, int(np.searchsorted(edges, DECADES * edges[last + 1])))
    shown = edges[first : last + 2]
    share = 100 * mass / max(float(mass.sum()), np.finfo(float).tiny)
    for place, values in enumerate((tokens, share)):
        folded = np.concatenate([values[:, : first + 1].sum(1, keepdims=True), values[:, first + 1 : last + 1]], axis=1)
        bottom = LOWEST if place == 0 else 0
        for colour, counts in zip(("without_tag", "with_tag"), folded, strict=True):
            style: dict[str, Any] = {"fill": True, "alpha": 0.75, "baseline": bottom, "color": theme.COLOURS[colour]}
            axes[place].stairs(np.maximum(counts, bottom), shown, **style)
    axes[0].set(xscale="log", yscale="log", xlim=(shown[0], shown[-1]), ylim=(LOWEST, max(10, 2 * tokens.max())))
    axes[0].set_ylabel("tokens per bin", size=8.2)
    axes[1].set(xscale="log", xlim=(shown[0], shown[-1]), ylim=(0, None))
    axes[1].set_ylabel("share, %", size=8.2)
    theme.plain_log_ticks(axes[0].yaxis)
    for one in axes:
        theme.plain_log_ticks(one.xaxis)
        one.axvline(float(row["threshold"]), color=theme.INK, linewidth=0.9, linestyle=(0, (4, 3)))
    axes[0].set_title(f"{row['tag'].item()}: {name_of(row, int(row['best_feature']))}\n{_hits(row)}", **_HEADING)
    axes[1].set_title(f"{_expected(row)}\n{_proxy(row)}", **_HEADING)


_HEADING: dict[str, Any] = {"loc": "left", "size": 8.2, "color": theme.INK, "linespacing": 1.35, "parse_math": False}


def _hits(row: xr.Dataset) -> str:
    return f"precision {_percent(row['precision'])}, recall {_percent(row['recall'])}, F1 {float(row['f1']):.2f}"


def _proxy(row: xr.Dataset) -> str:
    specific, sensitive = _percent(row["specificity"]), float(row["sensitivity"])
    return f"specificity {specific}, sensitivity {sensitive:.2f}, AUROC {float(row['auroc']):.3f}"


def _expected(row: xr.Dataset) -> str:
    with_tag, without = (theme.scientific(float(row[f"mean_{side}"])) for side in ("with", "without"))
    return f"expected value {with_tag} with, {without} without"


def _percent(value: xr.DataArray) -> str:
    share = float(value)
    return f"{100 * share:.1f} %" if np.isfinite(share) else "undefined"


def _note(tags: xr.Dataset) -> str:
    sampled = int(tags["sampled_with"][0] + tags["sampled_without"][0])
    return (
        "Features and thresholds (dashed) chosen by F1 on half A of the sequences "
        f"({tags.attrs['tokens_choosing']:,} tokens), shown on half B ({tags.attrs['tokens_held_out']:,} tokens, "
        f"{sampled:,} of them drawn). Precision: share of the tokens above the threshold that carry the tag; recall: "
        "share of the tag's tokens above it. Expected value: mean activation of a token, and on the right the share of "
        "it that each bin brings. Specificity: share of it that tokens with the tag bring; sensitivity: correlation of "
        "activation and tag. Activations below the axis are in its first bin."
    )
