"""S0 · How polysemantic can one neuron be? (a TinyStories model of two layers)."""

from polysem.report.catalogue.entry import Entry

ENTRIES = (
    Entry(
        id="S0.F1",
        title="Feature frequency",
        published="Over some 700,000 tokens a few features are active almost everywhere, and many on one token in a "
        "thousand or ten thousand.",
        shown="Histogram of log10 frequency of every dictionary.",
        absent="No dictionary of this run has been drawn; every model in params.yaml has at least its neurons.",
        metrics=("median_frequency", "rare_share", "never_active_share"),
        tables=("frequency",),
    ),
    Entry(
        id="S0.F2",
        title="Rank and frequency",
        published="By eye the frequent features follow a power law; from rank 1,000 on a power law or an exponential "
        "will do, the exponential looking a little better.",
        shown="Both panels: features ranked by one half of the tokens, their frequencies in the other. Power law, "
        "exponential and truncated power law are fitted to head and tail; which one it is, or that it is undecided, "
        "follows from resamples of the features.",
        absent="No dictionary of this run has been drawn; every model in params.yaml has at least its neurons.",
        metrics=(
            "head_law",
            "head_exponential_share",
            "head_exponential_share_error",
            "tail_law",
            "tail_exponential_share",
            "tail_exponential_share_error",
        ),
        tables=("rank_frequency",),
    ),
    Entry(
        id="S0.F3a",
        title="Decoder power: the top neuron against the next nine",
        published="Rare and common features fill mostly the same part of the plane; only common ones reach far along "
        "either axis.",
        shown="The same scatter, coloured by the same threshold.",
        absent="It needs an SAE: a neuron's own direction is that neuron.",
        tables=("alignment",),
    ),
    Entry(
        id="S0.F3b",
        title="Decoder kurtosis",
        published="Features are far from Gaussian (3) in the neuron basis; the tail goes beyond [3,000].",
        shown="Histogram of Pearson's kurtosis; the clipped tail is counted in the figure.",
        absent="It needs an SAE: a neuron's own direction is that neuron.",
        metrics=("median_kurtosis_excess",),
        tables=("alignment",),
    ),
    Entry(
        id="S0.F3c",
        title="Features per neuron",
        published="Most neurons are the strongest one of a handful of features, some of hundreds: neuron 703 of [475], "
        "about evenly rare and common.",
        shown="Histogram over neurons; the top neuron is named with its rare and common features.",
        absent="It needs an SAE: every neuron is the strongest one of itself alone.",
        metrics=("most_polysemantic_neuron", "most_polysemantic_neuron_features"),
        tables=("alignment",),
    ),
    Entry(
        id="S0.F4",
        title="Feature sheets",
        published="About 1.8M tokens: for each feature the ten strongest contexts, the ten most boosted tokens and the "
        "ten most aligned neurons; for neuron 703 its features by largest activation and by alignment.",
        shown="A page per chosen feature with the same contents, for SAE features and neurons alike, and both "
        "orders of "
        "the most polysemantic neuron.",
        absent="No sheets were chosen; analysis.sheets in params.yaml says which features get one.",
        tables=("examples", "logits", "associations"),
        sheets=True,
    ),
    Entry(
        id="S0.T1",
        title="Loss when spliced",
        published="With the SAE in place of the MLP the loss is greater by [25 %], with zeros by [115 %]; about [30] "
        "features are active per token.",
        shown="The four cross-entropies of every dictionary, its L0, and loss recovered against L0.",
        absent="It needs a dictionary with a fidelity table; every site has one for its neurons.",
        figures=("loss_recovered",),
        metrics=("loss_increase_spliced", "loss_increase_zero", "L0"),
        tables=("fidelity",),
    ),
    Entry(
        id="S0.X1",
        title="The wrong layer",
        published="Features of a layer-1 SAE that was fed layer-0 activations by mistake still had top tokens that "
        "made "
        "sense; how do directions of SAEs of different layers compare?",
        shown="The activations of one site through the SAE of another, the coherence of the top tokens, and best-match "
        "cosines of decoder directions against a random baseline.",
        absent="It needs an SAE at two sites of the same width in one model.",
    ),
    Entry(
        id="S0.X2",
        title="Labels",
        published="About 100 features with the largest activations and 50 most aligned with neuron 703 were labelled "
        "by "
        "a person.",
        shown="A label in labels/{model}/{site}/{dictionary}.csv appears on its feature's sheet and in the search box.",
        absent="labels/ holds no label of a dictionary of this run; add feature, label, author and note to "
        "labels/{model}/{site}/{dictionary}.csv.",
        labels=True,
    ),
    Entry(
        id="S0.X3",
        title="Open questions, measured",
        published="Features mostly aligned with the most polysemantic neuron seemed harder to interpret than others; "
        "which law do feature frequencies follow, and is interpretability linked to power in the top neuron?",
        shown="Monosemanticity against known tags and share of power in the top neuron; features aligned with the most "
        "polysemantic neuron against the others; the winning law of every recipe.",
        absent="It needs tags: a generated corpus has them, real text gets them from analysis.proxies.",
        metrics=("head_law", "tail_law"),
        tables=("tags",),
    ),
)
