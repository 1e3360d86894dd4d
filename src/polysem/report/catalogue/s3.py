"""S3 · Tackling polysemanticity with neuron embeddings (GPT-2 small, and an MLP on MNIST)."""

from polysem.report.catalogue.entry import Entry, Setting

NO_CLUSTERS = (
    "It needs a feature with strong examples, at a site whose neurons have input weights (mlp.hook_pre, mlp.hook_post, "
    "layers of a classifier), or an SAE."
)
NO_LOSS = (
    "It needs SAEs that differ in embedding_loss alone; a recipe with embedding_loss: [0, 0.001] and several seeds has "
    "them."
)
WITHIN_AND_BETWEEN = ("clusters_median_intra_cluster_distance", "clusters_median_inter_cluster_distance")

ENTRIES = (
    Entry(
        id="S3.M1",
        title="Neuron embeddings",
        published="The embedding of an input for a neuron is the vector that enters it times its input weights, "
        "element by element, at the token that activates it most; summed and put through the activation function it is "
        "the neuron's activation.",
        shown="Neuron embeddings of every feature's strong examples: the vector behind the norm times the input (or "
        "gate) weights for neurons, the activation less b_dec times the encoder row for SAE features.",
        absent=NO_CLUSTERS,
        figures=("embedding_making",),
        metrics=("clustered_features",),
        tables=("clusters",),
    ),
    Entry(
        id="S3.M2",
        title="Feature clusters",
        published="At most the first 100 examples that reach 75 % of a neuron's largest activation, clustered by "
        "cosine distance with hierarchical agglomerative clustering, cut at 0.5.",
        shown="Average linkage of the same examples; the three numbers are params (strong_examples, strong_share, "
        "cluster_cut), and the largest activation is that on the eval tokens.",
        absent=NO_CLUSTERS,
        figures=("dendrogram",),
        metrics=("clustered_features", "clusters_median_clusters", "clusters_median_size"),
        tables=("clusters",),
    ),
    Entry(
        id="S3.M3",
        title="Measures of polysemanticity",
        published="Largest and mean distance of a neuron's examples, distances within and between clusters, the number "
        "of clusters and of examples.",
        shown="All six and a silhouette for every feature under three embeddings, beside as many random tokens, "
        "because the measures move with the number of examples; features that cannot be clustered are named and not "
        "counted.",
        absent=NO_CLUSTERS,
        figures=("cluster_distances",),
        metrics=("clusters_median_max_distance", "clusters_median_mean_distance", *WITHIN_AND_BETWEEN),
        tables=("clusters",),
    ),
    Entry(
        id="S3.M4",
        title="The neuron-embedding loss",
        published="Each SAE neuron keeps a running mean (momentum 0.9) of the inputs that activated it; λ₂ times one "
        "less the cosine of its neuron embedding with that of the current input is added to the loss, from step 200 "
        "on.",
        shown="`embedding_loss`, an option of every recipe that is trained here.",
        absent="No recipe of this run has `embedding_loss`.",
        settings=(Setting("embedding_loss", off=0),),
        metrics=("clusters_median_mean_distance", "never_active_share"),
    ),
    Entry(
        id="S3.F1",
        title="How a neuron embedding is made",
        published="The weights pick out of the entering vector what the neuron reacts to: products of two inputs can "
        "be closer than the inputs, or further apart.",
        shown="Entering vector, weights and product of the central examples of a feature's two largest clusters.",
        absent=NO_CLUSTERS,
        tables=("clusters",),
    ),
    Entry(
        id="S3.F2",
        title="Dendrogram with examples",
        published="The examples of a neuron in layer 7 fall into [6] clusters, each one behaviour; similar ones lie "
        "close in the tree.",
        shown="The tree of a feature with many clusters, its tokens shaded by activation, the key token marked.",
        absent=NO_CLUSTERS,
        tables=("clusters",),
    ),
    Entry(
        id="S3.F3",
        title="Common primary, rare secondary behaviour",
        published="A neuron's primary behaviour outnumbers the rare one almost [50:1]; without clusters it passes as "
        "monosemantic.",
        shown="One such feature, and how many obey the rule: 20 examples, 90 % of them in one cluster, another beside.",
        absent="No feature of this run has 90 % of at least 20 examples in one cluster and others beside it.",
        metrics=("rare_secondary_features",),
        tables=("clusters",),
    ),
    Entry(
        id="S3.F4",
        title="Pre-MLP embedding against neuron embedding",
        published="Two clusters in the plane are denser and further apart by neuron embeddings than by what enters the "
        "MLP.",
        shown="Two clusters of one feature under both embeddings, with their distances in the titles.",
        absent=NO_CLUSTERS,
        tables=("clusters",),
    ),
    Entry(
        id="S3.F5",
        title="Sheet of an MNIST SAE neuron",
        published="A neuron that was trained with the loss has a single cluster with a mean distance of [0.01] and a "
        "largest of [0.04]; it reacts to lines along the middle and boosts 9, 6 and 4.",
        shown="Activation map, importance map, logit weights of the classes and random examples of up to three "
        "features.",
        absent="It needs a classifier; the default run has one of digits.",
        sheets=True,
        tables=("clusters", "logits"),
    ),
    Entry(
        id="S3.T1",
        title="Distances within and between clusters",
        published="Medians over all neurons of GPT-2 small: within clusters [0.31] by what enters, [0.21] by neuron "
        "embeddings; between clusters [0.63] and [0.73].",
        shown="Both distributions over the features of every dictionary, with medians and a random baseline.",
        absent=NO_CLUSTERS,
        metrics=(*WITHIN_AND_BETWEEN, *(f"{name}_input" for name in WITHIN_AND_BETWEEN)),
        tables=("clusters",),
    ),
    Entry(
        id="S3.T2",
        title="SAEs with and without the loss",
        published="On MNIST without and with the loss: mean squared error [0.33 / 0.55], L1 [2600 / 3300], L0 [2.4 / "
        "9.1 %], accuracy lost [1.5 / 4.6 %] of [94.0 %].",
        shown="The same quantities, mean and interval over seeds, for every weight of the loss.",
        absent=NO_LOSS,
        metrics=("mse", "l1", "L0", "accuracy_loss", "loss_recovered_zero"),
        tables=("fidelity",),
    ),
    Entry(
        id="S3.T3",
        title="Distances and dead units with and without the loss",
        published="Medians over neurons without and with the loss: largest distance [0.45 / 0.28], mean distance [0.21 "
        "/ 0.08], size [7 / 32]; dead [23.8 / 3.7 %].",
        shown="The same quantities, mean and interval over seeds, for every weight of the loss.",
        absent=NO_LOSS,
        metrics=("clusters_median_max_distance", "clusters_median_mean_distance", "clusters_median_size", "dead_share"),
        tables=("clusters", "ultra_low"),
    ),
    Entry(
        id="S3.U1",
        title="Cluster explorer",
        published="Any neuron of the model with its clusters, the importance of each token, and similar features of "
        "other neurons by nearest neighbours of cluster centres.",
        shown="A section Clusters on the sheet of every feature: measures, contexts or images of the first clusters, "
        "importance of tokens, similar clusters. `polysem explore` has a page for any neuron and feature.",
        absent="No sheets were chosen; sheets in params.yaml says which features get one.",
        tables=("clusters",),
        sheets=True,
    ),
    Entry(
        id="S3.X1",
        title="Beyond the paper",
        published="Named as future work: the measures on SAEs of language models, the loss in such SAEs, embeddings "
        "from several tokens.",
        shown="Mean distance against monosemanticity, frequency and alignment with a shuffled baseline; SAEs of "
        "language models with and without the loss; agreement of clusters and tags by embedding.",
        absent="It needs at least three features that can be clustered.",
        figures=("embedding_loss",),
        metrics=("agreement_monosemanticity", "agreement_monosemanticity_shuffled", "agreement_frequency"),
        tables=("clusters", "tags"),
    ),
)
