"""S1 · Reading club on Towards Monosemanticity (a ReLU transformer of one layer)."""

from polysem.report.catalogue.entry import Entry, Setting

ENTRIES = (
    Entry(
        id="S1.M1",
        title="The sparse autoencoder",
        published="x̄ = x − b_d, f = ReLU(W_e x̄ + b_e), x̂ = W_d f + b_d; the loss is the mean squared error plus λ "
        "times "
        "the L1 norm of f; decoder rows have norm 1.",
        shown="`architecture: relu`; with `recipe: towards-monosemanticity` rows have norm 1 at every step, too.",
        absent="No recipe of this run has `architecture: relu`.",
        settings=(Setting("architecture", on=("relu",)),),
        metrics=("loss_recovered_zero", "L0"),
    ),
    Entry(
        id="S1.F1",
        title="Feature density",
        published="Each feature is active on few tokens; the histogram of log density has a mode of ultra-low density "
        "features and some that are dead.",
        shown="The histogram of S2.F3, in which the ultra-low mode and never active features are told apart.",
        absent="No dictionary of this run has been drawn; every model in params.yaml has at least its neurons.",
        figures=("ultra_low_frequency",),
        metrics=("ultra_low_share", "ultra_low_threshold_firings", "never_active_share"),
        tables=("frequency",),
    ),
    Entry(
        id="S1.F2",
        title="Hypothesis test of a feature",
        published="A proxy, the log-likelihood of a string under a hypothesis over that under the whole distribution, "
        "splits the activations of a feature: high activations are specific to the context, and the two correlate.",
        shown="For every tag its best feature and best neuron on a held-out half, and activations split by the proxy.",
        absent="It needs tags: a generated corpus has them, real text gets them from analysis.proxies.",
        tables=("tags",),
    ),
    Entry(
        id="S1.F3",
        title="Logit weights",
        published="When active, a feature makes some tokens more likely and others less: the Arabic feature boosts "
        "Arabic tokens.",
        shown="The direct path from decoder to logits: its distribution, and the most boosted and suppressed tokens.",
        absent="The site has no direct path to the logits, or the model no tokens.",
        tables=("logits",),
    ),
    Entry(
        id="S1.F4",
        title="Feature ablation",
        published="With the Arabic feature set to 0 on a context, the log-likelihood of Arabic tokens falls: the "
        "tokens that its logit weights make likelier, and that ablation makes unlikelier, are much the same.",
        shown="Features and neurons set to 0 at tokens from all intervals of their activation, beside as much along "
        "random directions of the same norm; the change of every token of some contexts; and whether logit weights say "
        "what happens.",
        absent="Models of this run have no dictionaries.",
        metrics=("ablation_median_kl", "ablation_above_random_share"),
        tables=("ablation",),
    ),
    Entry(
        id="S1.F5",
        title="Steering",
        published="With a feature set to its maximum observed value, the model writes what is of the feature's "
        "context: the Arabic feature makes it write Arabic.",
        shown="Texts before and after, by dose; how many of their tokens carry the feature's tag and how unlikely the "
        "model as it is finds them, beside a random direction, the difference of means, the best neuron and a prompt; "
        "and whether output scores tell which features steer.",
        absent="It needs a language model with an SAE; analysis.steered_features must not be 0.",
        tables=("steering",),
    ),
    Entry(
        id="S1.F6",
        title="A feature is not a neuron",
        published="The Arabic feature has weights on many neurons; the neuron most correlated with it responds to "
        "several languages.",
        shown="For every feature its most correlated neuron, and the distribution of these correlations.",
        absent="It needs an SAE: a neuron's best match among neurons is itself.",
        tables=("associations", "alignment"),
    ),
    Entry(
        id="S1.F7",
        title="Universality",
        published="A very similar feature forms in another model: the correlation of the two Arabic features is "
        "[0.91].",
        shown="Best-match correlations of activations and of logit weights between SAEs of other seeds, recipes, sites "
        "and models with the same tokenizer.",
        absent="It needs two SAEs to compare: another seed in a recipe is enough.",
    ),
    Entry(
        id="S1.F8",
        title="Feature splitting",
        published="Larger dictionaries split features into several; decoder directions form clusters.",
        shown="Maps and trees of decoder directions of several expansions, and which features split into which.",
        absent="It needs one recipe with several values of `expansion`.",
    ),
    Entry(
        id="S1.F9",
        title="Finite-state automata",
        published="A feature makes tokens more likely that activate another feature on the next step, and so on: a "
        "feature that excites itself is the simplest example, two take turns in ALL_CAPS names.",
        shown="Features that follow each other more often than in shuffled tokens, in loops of one and of two and "
        "in chains, beside what their logit weights predict; the strongest are confirmed by ablation, or not, "
        "against random directions of the same length.",
        absent="It needs tokens: an image has no next one.",
        metrics=(
            "self_loops",
            "confirmed_self_loops",
            "two_loops",
            "confirmed_two_loops",
            "lift_prediction_correlation",
            "lift_prediction_correlation_exchanged",
        ),
        tables=("automata",),
    ),
    Entry(
        id="S1.F10",
        title="Interpretability scores",
        published="People who were not told which is which scored features and neurons by a rubric of 14 points: the "
        "median feature got [12], the median neuron [0] (Bricken et al. 2023, human analysis). A language model "
        "explained features and predicted activations by its explanations: features come out above neurons, too.",
        shown="A blind sheet of features and neurons in random order, with examples from all intervals of their "
        "activations, on which people score an explanation of their own; what both got, with intervals, and how far "
        "several people agree. Features and neurons explained by rules that need no model, a tag, a regular "
        "expression, tokens, tokens behind others, and what logit weights promote, and by language models where params "
        "name some; scored by simulation, detection and fuzzing on texts that are held out, beside single tokens and "
        "explanations of other features; and whether the scores agree with tags and with embeddings.",
        absent="Nobody has scored the rubric sheet of a model of this run; `analysis.rubric_features: 0` leaves "
        "sheets out. Explanations need a language model with features that are active on eval tokens of both halves.",
        metrics=("simulation_n_gram", "detection_n_gram", "simulation_unigram", "intruder_share"),
        tables=("rubric", "explanations", "explained_examples"),
        rubric=True,
    ),
    Entry(
        id="S1.F11",
        title="Case studies",
        published="Arabic, DNA, base64 and Hebrew features are examined in full: active where their context is and "
        "nowhere else, with the effect that they promise, found in other models too, and no neuron.",
        shown="A page for the best feature of each context, with everything that was measured of it, and whether it "
        "meets the document's bar; the same page for the best neuron, for contrast.",
        absent="It needs tags and an SAE, or features that are named under case_studies.",
        cases=True,
        tables=("case_studies",),
    ),
    Entry(
        id="S1.X1",
        title="Toy models with known features",
        published="Where the features that data are made of are known, it can be asked whether the SAE finds them.",
        shown="SAEs on activations made of known features: the share found, and how well; of features that imply "
        "others absorption and hedging.",
        absent="params.yaml names no toys.",
        toys=True,
    ),
    Entry(
        id="S1.X2",
        title="Sparse probing",
        published="No number of the document: how few features, or neurons, classify a token by a known tag as well as "
        "a probe on all activations does (Gurnee et al. 2023; SAEBench 2025).",
        shown="F1 on a held-out half of logistic regressions on the 1, 2, 4 and 8 features that differ most, for every "
        "tag, beside neurons and the probe on all activations; and for how many tags fewer features than neurons "
        "suffice.",
        absent="It needs tags: a generated corpus has them, real text gets them from proxies, images are of classes.",
        metrics=("sparse_probe_f1_1", "sparse_probe_f1_8", "dense_probe_f1", "fewer_than_neurons_share"),
        tables=("sparse_probing",),
    ),
    Entry(
        id="S1.X3",
        title="Absorption and splitting of tags",
        published="No number of the document: whether the feature of a general tag is off where the feature of a more "
        "special one takes its place, and whether the tag is split among several (Chanin et al. 2024; SAEBench 2025).",
        shown="For every pair of tags of which one implies the other, how often the main feature of the implied one is "
        "off with the other and without it, and how much of that another feature absorbs; how many features tell the "
        "implied tag, and how well those of the tags that imply it do.",
        absent="It needs an SAE and tags of which some imply others, as those of the generated stories do.",
        metrics=("absorbed_share", "missed_with_child_share", "missed_elsewhere_share", "split_tag_share"),
        tables=("tag_hierarchy",),
    ),
)

LATER: tuple[tuple[str, str], ...] = ()
"""Lines of the document that are not part of the report yet."""
