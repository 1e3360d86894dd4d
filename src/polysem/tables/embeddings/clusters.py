"""The table `clusters` (S3.F1-F5, S3.T1, S3.T3, S3.X1): what the strong examples of each feature have in common.

Coordinates: `feature`; `embedding` ("neuron", "input", "weighted"); `offset`, tokens behind the key token, from
−`context_before` to `AFTER` (images: 0 alone). Strong examples are the first `strong_examples` tokens whose activation
is at least `strong_share` of the feature's largest. An embedding of an example is

- "neuron": what enters the feature at the key token times its weights, element by element (S3.M1);
- "input": what enters alone;
- "weighted": the mean of what enters at the tokens up to the key token, weighted by the feature's activation, times the
  weights (S3.X1).

What enters a neuron is its layer's input; what enters a feature of an SAE is the activation minus b_dec.

| dimensions | variable | content |
|---|---|---|
| feature | `state` | "clustered", "never active", "one example", "identical examples", "not a number" |
| feature | `size` int32 | strong examples found |
| embedding, feature | `max_distance`, `mean_distance` | cosine distances of all pairs of examples |
| embedding, feature | `intra_cluster_distance`, `inter_cluster_distance` | means over all pairs in one cluster (NaN: every cluster has one example), in two clusters (NaN: one cluster) |
| embedding, feature | `silhouette`, `clusters` int32 (0: no measures), and with tags `purity`, `adjusted_mutual_information` | |
| feature | `random_{max,mean,intra_cluster,inter_cluster}_distance`, `random_clusters` | the same of as many random tokens, embedding "neuron" |
| feature | `largest_cluster_share`, `rare_secondary` bool | |
| feature, example | `example_sequence`, `example_position` int32 (−1), `example_activation` (NaN), `example_cluster` int16 (−1) | in the order of the store; clusters by size, the largest 0, earlier first among equals |
| feature, cluster (6) | `cluster_size` int32, `central_example` int16 (−1) | |
| feature, cluster, member (3) | `cluster_example` int16 (−1), `cluster_sequence` int32 (−1) | the central example, then the earliest others |
| feature, cluster, member, offset | `cluster_token` int32 (−1), `cluster_activation` (NaN) | |
| shown (≤ 6) | `shown_feature` int32, `shown_for` str | "most clusters", "two clusters", "rare secondary behaviour", "most examples", "tightest" |
| shown, example, offset | `token` int32 (−1), `window_activation` (NaN) | |
| shown, merge, column (4) | `linkage` | scipy's form over the feature's `size` examples; NaN behind its `size` − 1 merges |
| shown, example, input | `entering` | |
| shown, input | `weight` | |
| shown, embedding, example, axis (2) | `plane` | classical scaling of the cosine distances, NaN behind `size` |
| shown, pixel | `activation_map`, `mean_example` | images alone |
| embedding | `median_{measure}` | over features whose state is "clustered" |
| | `clustered_features`, `dead_features` …, `agreement_{frequency,power_top1,monosemanticity}`, with `_residual`, `_shuffled`, `_residual_shuffled` | see `agreement.py` |

Attributes: `strong_share`, `strong_examples`, `cluster_cut`, `weights` ("input weights", "gate weights", "encoder rows"),
`tokens`; or `not_applicable` alone, a sentence, with no variables.
"""
