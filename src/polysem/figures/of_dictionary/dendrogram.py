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
READS = ("clusters", "labels")
PARAMS = ()
TITLE = "Clusters of one feature's examples"
CAPTION = """\
The strong examples of one feature as a tree: average linkage of the cosine distances of their neuron embeddings, cut
at ``analysis.cluster_cut``. Clusters are coloured and numbered by size. Beside each leaf stands its example: tokens
shaded by the feature's activation, the key token in a frame, five tokens behind it for context, which the embedding
knows nothing of. Where there are too many leaves the closest sub-clusters are folded into one, which the note counts.
Source: document S3, section 4.1.2 and figure 2.
"""


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
    count, most = shown.clusters, int(clusters["clusters"].sel(embedding="neuron").max())
    note = f"Shown: {theme.several(count, 'cluster')}; the {noun(clusters)} with most has {most}."
    return draw_dendrogram(shown, clusters, title=TITLE, catalogue=CATALOGUE, notes=[note])
