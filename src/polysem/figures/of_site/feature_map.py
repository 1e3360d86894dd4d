"""S1.F8: a map of the decoder directions of dictionaries of several sizes."""

import xarray as xr
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from polysem.figures.parts import theme
from polysem.figures.parts.sizes import MARKERS, SHADES, require_sizes
from polysem.params.analysis import Analysis

CATALOGUE = "S1.F8"
READS = ("site/comparison",)
PARAMS = ()
TITLE = "Map of features"
CAPTION = """\
Decoder directions of dictionaries of several sizes on one map (UMAP with cosine distance and exact neighbours; one
seed). Where a large point stands among many small ones, the larger dictionaries have several features near the smaller
one's. Distances across the map mean little. Source: document S1, "Feature splitting".
"""


@theme.styled
def draw(site_comparison: xr.Dataset, analysis: Analysis) -> Figure:
    """Features of all sizes where UMAP puts their decoder rows; the smaller the dictionary, the larger its points.

    Source: document S1, "Feature splitting": features of several dictionaries in clusters.
    """
    require_sizes(site_comparison)
    figure = theme.sheet(6.2)
    axes = figure.subplots()
    sizes = site_comparison["size_features"].to_numpy()
    point, x, y = (site_comparison[f"point_{name}"].to_numpy() for name in ("size", "x", "y"))
    legend = []
    for number in reversed(range(len(sizes))):
        here = point == number
        colour, marker = SHADES[number % len(SHADES)], MARKERS[number % len(MARKERS)]
        area = 46.0 / 2.2**number
        axes.scatter(
            x[here],
            y[here],
            s=area,
            marker=marker,
            c=colour,
            alpha=0.8,
            linewidths=0.4,
            edgecolors="white",
            rasterized=True,
            zorder=0.4 - number / 10,
        )
        name = str(site_comparison["size_dictionary"].to_numpy()[number])
        points = int(here.sum())
        shown = f"{points:,} of {sizes[number]:,}" if points < sizes[number] else f"{sizes[number]:,}"
        legend.append(
            Line2D([], [], marker=marker, linestyle="", color=colour, markersize=area**0.5, label=f"{name}: {shown}")
        )
    axes.set_aspect("equal", adjustable="datalim")
    axes.set(xticks=[], yticks=[])
    axes.grid(visible=False)
    axes.spines[["left", "bottom"]].set_visible(False)
    theme.frame(
        figure,
        site_comparison,
        title=TITLE,
        catalogue=CATALOGUE,
        legend=legend[::-1],
        columns=2,
        notes=[
            f"{point.size:,} decoder rows by UMAP (15 neighbours by cosine, exact, one seed). Near points are near "
            "directions; lengths, areas and empty space between clusters mean nothing."
        ],
    )
    return figure
