"""S3.F3: features with a common primary and a rare secondary behaviour, found by the sizes of their clusters."""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from polysem.figures.parts import theme
from polysem.figures.parts.dendrogram_panel import draw_dendrogram
from polysem.figures.parts.feature_names import noun
from polysem.figures.parts.shown_feature import RARE, require_clusters, shown_for
from polysem.figures.registry import NotApplicable
from polysem.params.analysis import Analysis

CATALOGUE = "S3.F3"
READS = ("clusters", "labels")
PARAMS = ()
TITLE = "A common primary and a rare secondary behaviour"
CAPTION = """\
A feature with a common primary and a rare secondary behaviour, drawn as in S3.F2. Such features are found by a rule:
at least 20 strong examples, at least 90 % of them in the largest cluster, and another cluster beside it; the note
counts and names them. Of several such features one with at least three examples of the rare behaviour is shown, and
each of these has a leaf of its own. Source: document S3, section 4.1.2 and figure 3.
"""
LEAST, SHARE = 20, 0.9
"""Examples, and share of them in the largest cluster, from which on the rule of the table looks for another cluster."""
LISTED = 12


@theme.styled
def draw(clusters: xr.Dataset, analysis: Analysis) -> Figure:
    """Tree of a feature whose largest cluster holds nearly all of its examples; how many features are like it.

    Source: document S3, section 4.1.2 and its figure 3.
    """
    require_clusters(clusters)
    rare = np.flatnonzero(clusters["rare_secondary"].to_numpy().astype(bool))
    clustered = clusters["state"].to_numpy().astype(str) == "clustered"
    enough = int((clustered & (clusters["size"].to_numpy() >= LEAST)).sum())
    found = shown_for(clusters, RARE)
    of = f"{theme.several(enough, noun(clusters))} with at least {LEAST} examples"
    if not rare.size or not found:
        raise NotApplicable(
            f"none of the {of} has {100 * SHARE:.0f} % of them in its largest cluster and others beside it; more "
            "eval tokens or a lower analysis.strong_share give more examples"
        )
    shown = found[0]
    first, rare_ones = shown.sizes[0], frozenset(range(1, shown.clusters))
    named = ", ".join(f"{number:,}" for number in rare[:LISTED].tolist()) + (", …" if rare.size > LISTED else "")
    notes = [
        f"The largest cluster holds {theme.counted(int(first), shown.cluster.size)} of the examples. Of the {of}, "
        f"{theme.counted(rare.size, enough)} have at least {100 * SHARE:.0f} % of them in the largest cluster and "
        f"another cluster beside it: {named}."
    ]
    return draw_dendrogram(shown, clusters, title=TITLE, catalogue=CATALOGUE, notes=notes, whole=rare_ones)
