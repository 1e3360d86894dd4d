"""Neuron embeddings of all neurons of a model, clustered and measured on one thread, beside scipy and scikit-learn.

`OPENBLAS_NUM_THREADS=1 python benchmarks/clusters.py` takes 2,048 neurons in each of 12 layers with 100 strong examples
of width 768, drawn from 20,000 tokens that lie around 50 directions; scipy, in the same process, a sample of the
neurons. Both get the vectors that enter, as the store gives them, and the neurons' weights. Times are of the CPU, so
that what else the machine does counts less.
"""

import argparse
import time

import numpy as np
import torch
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import pdist
from sklearn.metrics import silhouette_score

from polysem.numerics.cluster_measures import cluster_measures
from polysem.numerics.linkage import cosine_distances
from polysem.tables.passes.embeddings.measured import FEATURES, grouped, pieces

CUT = 0.5


def vectors(tokens, width, rng):
    centres = rng.standard_normal((50, width), np.float32)
    return centres[rng.integers(0, 50, tokens)] + rng.standard_normal((tokens, width), np.float32)


def ours(table, token, weights):
    """Clusters and measures of all neurons, a few at a time, and the share of the time that gathering takes."""
    gathering, clusters, examples = 0.0, [], token.shape[1]
    for start in range(0, len(token), FEATURES):
        here = token[start : start + FEATURES]
        distances = np.empty((len(here), examples, examples), np.float32)
        for piece in pieces(len(here), examples * table.shape[1]):
            begun = time.process_time()
            chosen = table[here[piece]]
            gathering += time.process_time() - begun
            distances[piece] = cosine_distances(chosen, weights[start : start + FEATURES][piece])
        cluster = grouped(distances, np.full(len(here), examples), CUT).cluster
        clusters.append(cluster_measures(distances, cluster)["clusters"])
    return np.concatenate(clusters), gathering


def scipys(e):
    """The same of one neuron."""
    distance = pdist(e, "cosine")
    cluster = fcluster(linkage(distance, "average"), CUT, "distance")
    row, column = np.triu_indices(len(e), 1)
    same = cluster[row] == cluster[column]
    measures = [distance.max(), distance.mean()]
    measures += [distance[which].mean() if which.any() else np.nan for which in (same, ~same)]
    if 1 < cluster.max() < len(e):
        measures.append(silhouette_score(e, cluster, metric="cosine"))
    return cluster.max()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--neurons", type=int, default=2048)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--examples", type=int, default=100)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--sample", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    table = vectors(20_000, given.width, rng)
    neurons = given.neurons * given.layers
    token = rng.integers(0, len(table), (neurons, given.examples))
    weights = rng.standard_normal((neurons, given.width), np.float32)
    for _ in range(given.rounds):
        begun = time.process_time()
        clusters, gathering = ours(table, token, weights)
        taken = time.process_time() - begun
        begun = time.process_time()
        slow = [scipys(table[token[neuron]] * weights[neuron]) for neuron in range(given.sample)]
        theirs = (time.process_time() - begun) / given.sample * neurons
        same = (clusters[: given.sample] == slow).mean()
        print(
            f"{neurons:,} neurons: {taken:.1f} s, {taken / neurons * 1e6:.0f} us each, of these {gathering:.1f} s to "
            f"gather; scipy and scikit-learn {theirs:.0f} s ({theirs / taken:.1f} times); "
            f"same number of clusters: {same:.3f}"
        )
