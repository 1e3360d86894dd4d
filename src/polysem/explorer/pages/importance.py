"""S3.U1: how much tokens matter in the clusters of any feature, and which are like them, where the run did not say."""

import json

import numpy as np

from polysem.explorer.explorer import Explorer
from polysem.explorer.inference.jobs import ImportanceJob, SimilarJob, checked
from polysem.explorer.pages.sheet import Alike, Importance
from polysem.explorer.pages.shown import ShownDictionary
from polysem.report.sheet_clusters import Like


async def found_alike(explorer: Explorer, dictionary: ShownDictionary, feature: int) -> Alike:
    """The clusters of other features that are like those of a feature whose dictionary the run held against no others.
    Raises what asking the inference process raises."""
    if dictionary.relations or "central_example" not in dictionary.index.variables("clusters"):
        return {}
    job = checked(SimilarJob, {"place": dictionary.place.path, "feature": feature}, "similar")
    found = json.loads(await explorer.inference.similar(job))["similar"]
    return {(feature, cluster): [Like(**one) for one in near] for cluster, near in enumerate(found)}


async def measured_importance(explorer: Explorer, dictionary: ShownDictionary, feature: int) -> Importance:
    """That of tokens in the central example of each cluster that the page shows, as the table `cluster_relations` has
    it of features in figures. Raises what asking the inference process raises."""
    column = dictionary.index.column
    if "central_example" not in dictionary.index.variables("clusters"):
        return {}
    examples = column("clusters", "central_example")[feature]
    clusters = np.flatnonzero(examples >= 0)
    if not len(clusters):
        return {}
    sequences = column("clusters", "example_sequence")[feature, examples[clusters]].tolist()
    positions = column("clusters", "example_position")[feature, examples[clusters]].tolist()
    before = dictionary.dictionary.site.recorded.analysis().context_before
    asked = {"place": dictionary.place.path, "feature": feature, "sequences": sequences, "positions": positions}
    job = checked(ImportanceJob, asked | {"before": before}, "importance")
    found = json.loads(await explorer.inference.importance(job))["importance"]
    return {
        (feature, cluster): {offset - before: share for offset, share in enumerate(shares) if share is not None}
        for cluster, shares in zip(clusters.tolist(), found, strict=True)
    }
