"""Tables and a tokenizer of a made-up dictionary, in the shapes that the workflow writes, for benchmarks.

Features are sparse and random, over random text: 20 top and 20 drawn examples of 31 tokens, up to 100 strong examples
in clusters, six of which are shown with three examples of 26 tokens each, 17 quantiles.
"""

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from polysem.io.tables import write_table
from polysem.tables.of_dictionary.alignment import neuron_alignment
from polysem.tables.parts.labels import COMPRESSED, index, labelled, variable

NEURONS, TOKENS, VOCABULARY = 512, 100_000, 1024
EXAMPLES, BEFORE, AFTER = 20, 20, 10
STRONG, CLUSTERS, MEMBERS, BEHIND, KNOTS = 100, 6, 3, 5, 17
ACTIVE = 0.15
"""Share of the tokens of a context on which its feature is active."""
EMBEDDINGS = ("neuron", "input", "weighted")
LARGE = (
    "token", "window_activation", "activation_histogram", "cluster_token", "cluster_activation", "example_sequence",
    "example_position", "example_cluster",
)  # fmt: skip


def dataset(features, coordinates, attributes=None, **variables):
    made = {name: variable(dims, values, name, "1") for name, (dims, values) in variables.items()}
    for name in made.keys() & set(LARGE):
        made[name].encoding = dict(COMPRESSED)
    coordinates = {"feature": index("feature", 0, features, "feature")} | coordinates
    return labelled(made, coordinates, attributes or {})


def tokenizer(path):
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trained.decoder = decoders.ByteLevel()
    words = ["".join(letters) for letters in np.random.default_rng(0).choice(list("etaoinshrdlu"), (20_000, 6))]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trained.train_from_iterator(words, trainers.BpeTrainer(vocab_size=VOCABULARY, initial_alphabet=alphabet))
    path.parent.mkdir(parents=True, exist_ok=True)
    trained.save(str(path))


def write_tables(folder, features, seed=0):
    """Those that sheets show, and `quantiles`; the names of all."""
    random = np.random.default_rng(seed)
    histogram = random.poisson(40 * np.exp(-(((np.arange(128) - 80) / 8) ** 2)), (features, 128))
    active = histogram.sum(axis=1)
    edges = variable("edge", 2.0 ** (np.arange(-80, 49) / 4), "edge", "activation")
    shown = examples(features, random)

    def per(low, high):
        return ("feature", random.uniform(low, high, features))

    def ranked(places, high):
        return (("feature", "rank"), random.integers(0, high, (features, places)))

    def weights(places):
        return (("feature", "rank"), -np.sort(-random.random((features, places), np.float32)))

    tables = {
        "frequency": dataset(
            features, {"bin_edge": edges}, {"tokens": TOKENS}, frequency=("feature", active / TOKENS),
            active_tokens=("feature", active), mean_active=per(0.1, 1), standard_deviation=per(0.1, 1),
            mean=per(0.1, 1), max_activation=("feature", shown["activation"].to_numpy().max(axis=1)),
            activation_histogram=(("feature", "bin"), histogram.astype(np.int32)),
        ),
        "alignment": neuron_alignment([random.standard_t(4, (features, NEURONS)).astype(np.float32)], NEURONS),
        "examples": shown,
        "associations": dataset(
            features, {}, correlated_neuron=ranked(5, NEURONS), neuron_correlation=weights(5),
            neuron_activation_cosine=weights(5), feature_activation_cosine=weights(5),
            correlated_feature=ranked(5, features), feature_correlation=weights(5),
            nearest_feature=ranked(5, features), nearest_cosine=weights(5),
        ),
        "geometry": dataset(
            features, {}, encoder_decoder_cosine=per(0, 1), encoder_decoder_product=per(0, 1),
            null_share_decoder=per(0, 1), encoder_norm=per(0, 1),
        ),
        "logits": dataset(
            features, {}, boosted_token=ranked(10, VOCABULARY), boost=weights(10),
            suppressed_token=ranked(10, VOCABULARY), suppression=weights(10),
        ),
        "tags": dataset(features, {}),
        "clusters": clusters(features, random),
        "quantiles": dataset(
            features, {}, activation=(("feature", "quantile"), np.sort(random.random((features, KNOTS), np.float32)))
        ),
    }  # fmt: skip
    for name, table in tables.items():
        write_table(folder / f"{name}.nc", table)
    return list(tables)


def examples(features, random):
    places, width = 2 * EXAMPLES, BEFORE + AFTER + 1
    window = contexts(random, (features, places, width))
    window[:, :, BEFORE] = np.sort(random.exponential(1, (features, places)))[:, ::-1] + 0.01
    kind = variable("example", np.repeat(["top", "sample"], EXAMPLES), "kind", "1")
    quantile = np.tile(np.r_[np.full(EXAMPLES, np.nan), np.linspace(0.99, 0, EXAMPLES)], (features, 1))
    each = ("feature", "example")
    return dataset(
        features,
        {"offset": index("offset", -BEFORE, AFTER + 1, "offset"), "kind": kind},
        activation=(each, window[:, :, BEFORE]),
        sequence=(each, random.integers(0, 5000, (features, places), np.int32)),
        position=(each, random.integers(BEFORE, 200, (features, places), np.int32)),
        quantile=(each, quantile.astype(np.float32)),
        token=((*each, "offset"), random.integers(0, VOCABULARY, window.shape, dtype=np.int32)),
        window_activation=((*each, "offset"), window),
    )


def clusters(features, random):
    """All examples are in the clusters that are shown, as even as they can be."""
    width = BEFORE + BEHIND + 1
    shape, each = (features, CLUSTERS, MEMBERS, width), ("feature", "cluster", "member")
    size = np.bincount(np.arange(STRONG) % CLUSTERS, minlength=CLUSTERS).astype(np.int32)
    strong = ("feature", "example")
    by_embedding = {
        name: (("embedding", "feature"), random.random((len(EMBEDDINGS), features), np.float32))
        for name in (
            "max_distance", "mean_distance", "intra_cluster_distance", "inter_cluster_distance", "silhouette", "purity",
            "adjusted_mutual_information",
        )
    }  # fmt: skip
    by_chance = {
        f"random_{name}": ("feature", random.random(features, np.float32))
        for name in ("max_distance", "mean_distance", "intra_cluster_distance", "inter_cluster_distance", "clusters")
    }
    members = np.tile(np.arange(CLUSTERS * MEMBERS, dtype=np.int16).reshape(CLUSTERS, MEMBERS), (features, 1, 1))
    return dataset(
        features,
        {
            "embedding": variable("embedding", np.array(EMBEDDINGS, dtype=object), "embedding", "1"),
            "offset": index("offset", -BEFORE, BEHIND + 1, "offset"),
        },
        {
            "model": "m", "site": "s", "dictionary": "random", "strong_share": 0.5, "strong_examples": STRONG,
            "cluster_cut": 0.5, "weights": "encoder rows",
        },
        state=("feature", np.array(["clustered"] * features, dtype=object)),
        size=("feature", np.full(features, STRONG, np.int32)),
        clusters=(("embedding", "feature"), np.full((len(EMBEDDINGS), features), CLUSTERS, np.int32)),
        rare_secondary=("feature", random.random(features) < 0.1),
        largest_cluster_share=("feature", random.random(features, np.float32)),
        **by_embedding,
        **by_chance,
        example_sequence=(strong, random.integers(0, 5000, (features, STRONG), np.int32)),
        example_position=(strong, random.integers(BEFORE, 200, (features, STRONG), np.int32)),
        example_activation=(strong, random.exponential(1, (features, STRONG)).astype(np.float32)),
        example_cluster=(strong, np.tile(np.arange(STRONG, dtype=np.int16) % CLUSTERS, (features, 1))),
        cluster_size=(each[:2], np.tile(size, (features, 1))),
        cluster_example=(each, members),
        cluster_sequence=(each, random.integers(0, 5000, shape[:3], np.int32)),
        cluster_token=((*each, "offset"), random.integers(0, VOCABULARY, shape, np.int32)),
        cluster_activation=((*each, "offset"), contexts(random, shape)),
    )  # fmt: skip


def contexts(random, shape):
    """Activations around examples."""
    window = random.exponential(0.3, shape).astype(np.float32)
    window *= random.random(shape, np.float32) < ACTIVE
    return window
