"""S3.F1-F5, S3.T1, S3.T3, S3.X1: what the strong examples of each feature have in common.

Neurons without input weights have the attribute `not_applicable` alone, and no variables.
"""

import xarray as xr

from polysem.tables.inputs import Inputs
from polysem.tables.parts.directions import weights_around
from polysem.tables.parts.reading import dictionary_of
from polysem.tables.parts.words import words
from polysem.tables.passes.embeddings.clusters import clusters
from polysem.tables.passes.survey.survey import surveyed

CATALOGUE = "S3.F1 S3.F2 S3.F3 S3.F4 S3.F5 S3.T1 S3.T3 S3.X1"
READS = (
    "survey",
    "store",
    "weights",
    "tokens",
    "tokenizer",
    "directions",
    "table:frequency",
    "table:alignment",
    "table:tags",
)
PARAMS = ("strong_share", "strong_examples", "cluster_cut", "context_before", "baseline_seed")
VARIABLES = {
    "max_distance": ("embedding feature", "1", "largest cosine distance of two examples"),
    "median_max_distance": ("embedding", "1", "median over features: largest cosine distance of two examples"),
    "mean_distance": ("embedding feature", "1", "mean cosine distance of two examples"),
    "median_mean_distance": ("embedding", "1", "median over features: mean cosine distance of two examples"),
    "intra_cluster_distance": ("embedding feature", "1", "mean cosine distance of two examples in one cluster"),
    "median_intra_cluster_distance": (
        "embedding",
        "1",
        "median over features: mean cosine distance of two examples in one cluster",
    ),
    "inter_cluster_distance": ("embedding feature", "1", "mean cosine distance of two examples in two clusters"),
    "median_inter_cluster_distance": (
        "embedding",
        "1",
        "median over features: mean cosine distance of two examples in two clusters",
    ),
    "silhouette": ("embedding feature", "1", "mean silhouette of the examples"),
    "median_silhouette": ("embedding", "1", "median over features: mean silhouette of the examples"),
    "clusters": ("embedding feature", "cluster", "clusters of the examples"),
    "median_clusters": ("embedding", "cluster", "median over features: clusters of the examples"),
    "purity": ("embedding feature", "1", "share of examples with the most frequent tag of their cluster"),
    "median_purity": (
        "embedding",
        "1",
        "median over features: share of examples with the most frequent tag of their cluster",
    ),
    "adjusted_mutual_information": (
        "embedding feature",
        "1",
        "mutual information of clusters and tags beyond chance, 1: the same",
    ),
    "median_adjusted_mutual_information": (
        "embedding",
        "1",
        "median over features: mutual information of clusters and tags beyond chance, 1: the same",
    ),
    "random_max_distance": ("feature", "1", "largest cosine distance of two examples, of as many random tokens"),
    "random_mean_distance": ("feature", "1", "mean cosine distance of two examples, of as many random tokens"),
    "random_intra_cluster_distance": (
        "feature",
        "1",
        "mean cosine distance of two examples in one cluster, of as many random tokens",
    ),
    "random_inter_cluster_distance": (
        "feature",
        "1",
        "mean cosine distance of two examples in two clusters, of as many random tokens",
    ),
    "random_median_distance": (
        "distance",
        "1",
        "median over features: distance of two examples, of as many random tokens",
    ),
    "random_clusters": ("feature", "cluster", "clusters of the examples, of as many random tokens"),
    "state": ("feature", "1", "whether the examples could be clustered, or why not"),
    "size": ("feature", "example", "strong examples found"),
    "largest_cluster_share": ("feature", "1", "share of the examples in the largest cluster"),
    "rare_secondary": ("feature", "1", "whether a common and a rare behaviour show"),
    "rare_secondary_features": ("", "feature", "features with a common and a rare behaviour"),
    "median_size": ("", "example", "median over features: examples"),
    "clustered_features": ("", "feature", "features whose state is: clustered"),
    "never_active_features": ("", "feature", "features whose state is: never active"),
    "one_example_features": ("", "feature", "features whose state is: one example"),
    "identical_examples_features": ("", "feature", "features whose state is: identical examples"),
    "not_a_number_features": ("", "feature", "features whose state is: not a number"),
    "example_sequence": ("feature example", "1", "sequence in the token store, -1: no such example"),
    "example_position": ("feature example", "1", "position in the sequence"),
    "example_activation": ("feature example", "activation", "activation of the feature"),
    "example_cluster": ("feature example", "1", "cluster of the neuron embedding, the largest 0; -1: none"),
    "cluster_size": ("feature cluster", "example", "examples of the cluster"),
    "central_example": ("feature cluster", "1", "its example nearest to the others, -1: no such cluster"),
    "cluster_example": (
        "feature cluster member",
        "1",
        "examples of the cluster: the central one, then the earliest others; -1: none",
    ),
    "cluster_sequence": ("feature cluster member", "1", "sequence in the token store"),
    "cluster_token": ("feature cluster member offset", "1", "token id"),
    "cluster_activation": ("feature cluster member offset", "activation", "activation of the same feature"),
    "agreement_frequency": ("", "1", "Spearman correlation of mean distance and log frequency"),
    "agreement_frequency_shuffled": ("", "1", "95th percentile of its size over 200 shuffles"),
    "agreement_frequency_residual": (
        "",
        "1",
        "Spearman correlation of mean distance minus that of as many random tokens and log frequency",
    ),
    "agreement_frequency_residual_shuffled": ("", "1", "95th percentile of its size over 200 shuffles"),
    "agreement_power_top1": (
        "",
        "1",
        "Spearman correlation of mean distance and share of squared weight in the strongest neuron",
    ),
    "agreement_power_top1_shuffled": ("", "1", "95th percentile of its size over 200 shuffles"),
    "agreement_power_top1_residual": (
        "",
        "1",
        "Spearman correlation of mean distance minus that of as many random tokens and share of squared "
        "weight in the strongest neuron",
    ),
    "agreement_power_top1_residual_shuffled": ("", "1", "95th percentile of its size over 200 shuffles"),
    "agreement_monosemanticity": ("", "1", "Spearman correlation of mean distance and monosemanticity above base"),
    "agreement_monosemanticity_shuffled": ("", "1", "95th percentile of its size over 200 shuffles"),
    "agreement_monosemanticity_residual": (
        "",
        "1",
        "Spearman correlation of mean distance minus that of as many random tokens and monosemanticity above base",
    ),
    "agreement_monosemanticity_residual_shuffled": ("", "1", "95th percentile of its size over 200 shuffles"),
    "shown_feature": ("shown", "1", "feature shown"),
    "shown_for": ("shown", "1", "what the feature is shown for"),
    "token": ("shown example offset", "1", "token id"),
    "window_activation": ("shown example offset", "activation", "activation of the same feature"),
    "linkage": ("shown merge column", "1", "average linkage: two clusters, their distance, examples in both"),
    "entering": ("shown example input", "activation", "what enters the feature at the key token"),
    "weight": ("shown input", "weight", "the feature's *"),
    "plane": ("shown embedding example axis", "1", "cosine distances in the plane"),
    "contrast_example": (
        "shown contrast",
        "1",
        "two examples: central ones of the two largest clusters, or of one and the most unlike",
    ),
    "contrast_distance": ("shown embedding", "1", "cosine distance of these two examples"),
    "contrast_embedding": ("shown contrast input", "activation", "neuron embedding of each of these two examples"),
    "contrast_input": ("shown contrast_rank", "1", "inputs with the largest products in either, descending"),
    "contrast_input_share": ("shown contrast", "1", "share of the embedding's squared length in these inputs"),
    "two_clusters_intra_distance": (
        "shown embedding",
        "1",
        "mean cosine distance of two examples in one of the two largest clusters",
    ),
    "two_clusters_inter_distance": (
        "shown embedding",
        "1",
        "mean cosine distance of two examples in the two largest clusters",
    ),
    "pixels": ("shown example pixel", "1", "pixels of the example"),
    "image_enters": ("shown", "1", "whether what enters is the image itself, in whatever scale"),
    "drawn_example": ("shown draw", "1", "examples drawn at random; -1: none"),
    "mean_example": ("shown pixel", "1", "mean example"),
    "activation_map": (
        "shown pixel",
        "activation",
        "what one bright pixel adds to the activation before its threshold",
    ),
    "importance_map": ("shown pixel", "activation", "the same times the mean example"),
    "feature": ("feature", "1", "feature"),
    "embedding": ("embedding", "1", "embedding of an example"),
    "distance": ("distance", "1", "measure of distances"),
    "offset": ("offset", "1", "tokens behind the key token"),
    "token_text": ("shown example offset", "1", "tokens in words"),
}
ONLY = {
    "where tokens have tags": (
        "purity",
        "median_purity",
        "adjusted_mutual_information",
        "median_adjusted_mutual_information",
    ),
    "where features are clustered": (
        "shown_feature",
        "shown_for",
        "token",
        "window_activation",
        "linkage",
        "entering",
        "weight",
        "plane",
        "contrast_*",
        "two_clusters_*",
    ),
    "of text, where features are clustered": ("token_text",),
    "of images, where features are clustered": (
        "pixels",
        "image_enters",
        "drawn_example",
        "mean_example",
        "activation_map",
        "importance_map",
    ),
}


def measure(inputs: Inputs) -> xr.Dataset:
    """The table: see `polysem.tables.passes.embeddings.clusters`."""
    return clusters(
        inputs.path("store"),
        dictionary_of(inputs),
        weights_around(inputs),
        inputs.site,
        surveyed(inputs).again,
        inputs.path("tokens"),
        inputs.table("frequency"),
        inputs.table("tags"),
        inputs.table("alignment"),
        inputs.params,
        words(inputs.path_if_any("tokenizer")),
    )
