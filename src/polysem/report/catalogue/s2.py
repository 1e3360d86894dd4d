"""S2 · SAE replication on gelu-1l: what it shows of features."""

from polysem.report.catalogue.entry import Entry

NO_CLUSTER = (
    "No dictionary of this run has a cluster of ultra-low features; an SAE with a strong penalty and more tokens grows "
    "one."
)
NEEDS_SAE = "It needs an SAE with an encoder: neurons have none."

ENTRIES = (
    Entry(
        id="S2.F1",
        title="Neuron sparsity",
        published="Of the features that are not ultra-low, [3.9 %] are 1-sparse, [4.0 %] 10-sparse and [92.1 %] dense "
        "in "
        "the neuron basis.",
        shown="Top neuron against next nine with the same three classes; a note says which of them are empty.",
        absent="It needs an SAE with features that are not ultra-low.",
        metrics=("one_sparse_share", "ten_sparse_share", "dense_share"),
        tables=("alignment", "frequency"),
    ),
    Entry(
        id="S2.F2",
        title="Kurtosis against random directions",
        published="Almost all features have a larger excess kurtosis than normal random rows (0); the tail reaches "
        "1,700.",
        shown="Histogram with a baseline of random rows; the clipped tail is counted.",
        absent="It needs an SAE: a neuron's own direction is that neuron.",
        metrics=("median_kurtosis_excess",),
        tables=("alignment",),
    ),
    Entry(
        id="S2.F3",
        title="The ultra-low cluster",
        published="About [60 %] of the features are active on less than one token in ten thousand, clearly a mode of "
        "their own; never active ones stand apart.",
        shown="Frequency histogram with the cluster and the never active coloured.",
        absent="No dictionary of this run has been drawn; every model in params.yaml has at least its neurons.",
        metrics=("ultra_low_share", "ultra_low_threshold_firings", "never_active_share"),
        tables=("frequency",),
    ),
    Entry(
        id="S2.F4",
        title="Encoder rows of ultra-low features",
        published="They are almost one direction: [97.5 %] have a cosine above 0.95 with their mean.",
        shown="Cosines with the mean against random rows.",
        absent=NO_CLUSTER,
        tables=("ultra_low",),
    ),
    Entry(
        id="S2.F5",
        title="Projections on the mean direction",
        published="Ultra-low rows vary in their length along the mean direction, in two modes; others hardly point "
        "there.",
        shown="Projection of each encoder row on the mean direction.",
        absent=NO_CLUSTER,
        tables=("ultra_low",),
    ),
    Entry(
        id="S2.F6",
        title="Ultra-low features fire together",
        published="On one token [95 %] of them are active; contexts in which the direction is strong show no pattern.",
        shown="Active ultra-low features per token, the largest share, and the contexts with the highest projection.",
        absent=NO_CLUSTER,
        tables=("ultra_low",),
    ),
    Entry(
        id="S2.F7",
        title="Decoder rows of ultra-low features",
        published="Very little of their variance lies along any single direction.",
        shown="Share of variance by singular direction.",
        absent=NO_CLUSTER,
        tables=("ultra_low",),
    ),
    Entry(
        id="S2.F8",
        title="The same direction for another seed",
        published="The mean directions of two seeds have a cosine of [0.96].",
        shown="Cosines of the mean directions of all SAEs of a site.",
        absent="It needs two SAEs of a site with an ultra-low cluster, such as two seeds of a recipe that grows one.",
    ),
    Entry(
        id="S2.F11",
        title="Encoder against decoder",
        published="The median cosine of a feature's encoder and decoder row is [0.5], with modes at 0.5 and about "
        "0.75.",
        shown="Histogram of the cosines of features that are not ultra-low.",
        absent=NEEDS_SAE,
        tables=("geometry",),
    ),
    Entry(
        id="S2.F12",
        title="Share in the null space of W_out",
        published="Much of each row lies where W_out cannot see it; random rows have [0.75 ± 0.013] there, real ones "
        "spread far more.",
        shown="Histograms of encoder and decoder rows against random ones.",
        absent="It needs an SAE at `mlp.hook_post`, the site that W_out reads.",
        tables=("geometry",),
    ),
    Entry(
        id="S2.F13",
        title="Frequency, bias, encoder · decoder",
        published="In a comment: ultra-low features have a broad distribution of encoder · decoder, symmetric around "
        "0; "
        "frequent ones lie near 1. Their biases are not lower.",
        shown="Pair plot of the three.",
        absent=NEEDS_SAE,
        tables=("geometry", "frequency"),
    ),
    Entry(
        id="S2.F14",
        title="Decoder rows against each other",
        published="In a comment: cosines of frequent features have a mean of [0.0026] and a variance of [0.002], four "
        "times 1/d; without the neuron-sparse ones, too.",
        shown="Mean and variance with and without neuron-sparse features, against 1/d and random rows.",
        absent="It needs an SAE with frequent features.",
        tables=("geometry",),
    ),
    Entry(
        id="S2.T1",
        title="Loss recovered",
        published="The SAE recovers [92 %] of the loss between zero ablation and the model; mean ablation [25 %]; "
        "without "
        "the ultra-low features it is [91 %].",
        shown="Loss recovered of every dictionary against L0, with and without its ultra-low features.",
        absent="It needs a dictionary with a fidelity table; every site has one for its neurons.",
        metrics=("loss_recovered_zero", "loss_recovered_mean"),
        tables=("fidelity",),
    ),
)
