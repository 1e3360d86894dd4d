"""S3.F2: the examples of one feature as a tree, with the clusters that the cut makes of it."""

import xarray as xr
from matplotlib.figure import Figure

from polysem.figures.parts import theme
from polysem.figures.parts.dendrogram_panel import draw_dendrogram
from polysem.figures.parts.feature_names import noun
from polysem.figures.parts.shown_feature import (
    EXAMPLES,
    MOST,
    RARE,
    TIGHTEST,
    TWO,
    require_clusters,
    shown_for,
    states_in_words,
)
from polysem.figures.registry import NotApplicable
from polysem.params.analysis import Analysis

CATALOGUE = "S3.F2"
TABLES = ("clusters",)
TITLE = "Clusters of one feature's examples"


@theme.styled
def draw(clusters: xr.Dataset, analysis: Analysis) -> Figure:
    """Tree of the neuron embeddings of the shown feature with most clusters, its examples at the leaves.

    Source: document S3, section 4.1.2 and its figure 2.
    """
    require_clusters(clusters)
    found = shown_for(clusters, MOST, TWO, RARE, EXAMPLES, TIGHTEST)
    if not found:
        raise NotApplicable(f"no {noun(clusters)} has examples to cluster: {states_in_words(clusters)}")
    shown = found[0]
    count, most = shown.sizes.size, int(clusters["clusters"].sel(embedding="neuron").max())
    note = f"Shown: {theme.several(count, 'cluster')}; the {noun(clusters)} with most has {most}."
    return draw_dendrogram(shown, clusters, title=TITLE, catalogue=CATALOGUE, notes=[note])
