"""Clusters as scipy and scikit-learn find them, one feature at a time."""

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import pdist
from sklearn.metrics import silhouette_score


def slow_clusters(e, cut):
    """Cluster of each embedding, the largest 0, the earlier first among equals."""
    found = fcluster(linkage(np.asarray(e, np.float64), "average", "cosine"), cut, "distance")
    members = [np.flatnonzero(found == number) for number in np.unique(found)]
    members.sort(key=lambda places: (-len(places), places[0]))
    cluster = np.empty(len(e), int)
    for number, places in enumerate(members):
        cluster[places] = number
    return cluster


def slow_measures(e, cut):
    """The measures of some embeddings."""
    cluster = slow_clusters(e, cut)
    distance = pdist(np.asarray(e, np.float64), "cosine")
    row, column = np.triu_indices(len(e), 1)
    same = cluster[row] == cluster[column]
    clusters = cluster.max() + 1
    return {
        "max_distance": distance.max(),
        "mean_distance": distance.mean(),
        "intra_cluster_distance": distance[same].mean() if same.any() else np.nan,
        "inter_cluster_distance": distance[~same].mean() if not same.all() else np.nan,
        "silhouette": silhouette_score(e, cluster, metric="cosine") if 1 < clusters < len(e) else np.nan,
        "clusters": clusters,
    }
