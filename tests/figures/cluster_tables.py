"""Tables `clusters` of the form that the table step writes, with real clusters of made-up embeddings."""

from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy.cluster.hierarchy import fcluster
from scipy.cluster.hierarchy import linkage as scipy_linkage
from scipy.spatial.distance import pdist, squareform

from polysem.tables.parts.labels import index, labelled, variable
from polysem.tables.passes.embeddings.contrast import contrast_variables

SITE = "blocks.0.mlp.hook_post"
EMBEDDINGS = ("neuron", "input", "weighted")
BEFORE, AFTER, INPUTS, EXAMPLES, CUT = 20, 5, 48, 100, 0.5
WORDS = [
    "once",
    " upon",
    " a",
    " time",
    " there",
    " was",
    " Lily",
    ",",
    ".",
    "\n",
    " $5",
    " שלום",
    " עולם",
    " 日本",
    "\x00",
]
SEEN = 6
MEASURES = ("max_distance", "mean_distance", "intra_cluster_distance", "inter_cluster_distance")


@dataclass
class Made:
    """A feature: embeddings of its examples, and what follows from them."""

    entering: np.ndarray
    weight: np.ndarray
    cluster: np.ndarray
    linkage: np.ndarray

    def vectors(self, embedding: str) -> np.ndarray:
        return self.entering if embedding == "input" else self.entering * self.weight


def made(sizes: list[int], random: np.random.Generator, inputs: int = INPUTS, spread: float = 0.5) -> Made:
    """A feature with clusters of these sizes: each has a direction of its own, plus noise in all."""
    weight = random.standard_normal(inputs) * (random.random(inputs) < 0.5)
    behaviour = np.repeat(np.arange(len(sizes)), sizes)
    random.shuffle(behaviour)
    centres = random.standard_normal((len(sizes), inputs))
    entering = centres[behaviour] + spread * random.standard_normal((len(behaviour), inputs))
    merges = scipy_linkage(pdist(entering * weight, "cosine"), "average")
    return Made(entering, weight, numbered(fcluster(merges, CUT, "distance")), merges)


def numbered(labels: np.ndarray) -> np.ndarray:
    """Clusters by size, ties by first example."""
    names, first, counts = np.unique(labels, return_index=True, return_counts=True)
    order = sorted(range(len(names)), key=lambda place: (-counts[place], first[place]))
    rank = {int(names[place]): number for number, place in enumerate(order)}
    return np.array([rank[int(label)] for label in labels])


def measures(vectors: np.ndarray, cluster: np.ndarray) -> dict[str, float]:
    distance = squareform(pdist(vectors, "cosine"))
    apart = ~np.eye(len(vectors), dtype=bool)
    same = cluster[:, None] == cluster[None]
    return {
        "max_distance": distance.max(),
        "mean_distance": distance[apart].mean(),
        "intra_cluster_distance": distance[same & apart].mean() if (same & apart).any() else np.nan,
        "inter_cluster_distance": distance[~same].mean() if (~same).any() else np.nan,
    }


def plane(vectors: np.ndarray) -> np.ndarray:
    """Classical scaling of the cosine distances."""
    squared = squareform(pdist(vectors, "cosine")) ** 2
    centring = np.eye(len(squared)) - 1 / len(squared)
    values, axes = np.linalg.eigh(-centring @ squared @ centring / 2)
    return axes[:, ::-1][:, :2] * np.sqrt(np.maximum(values[::-1][:2], 0))


SIZES = ([12, 9, 5, 3, 2, 1], [40, 1, 1], [60, 30, 5, 2, 1, 1, 1], [30], [25, 20])
"""Clusters of the features; the last states are those of features that cannot be clustered."""
STATES = ("never active", "one example", "not a number", "identical examples")


def cluster_table(
    sizes=SIZES,
    *,
    dictionary: str = "l1-x8_l1=3e-4_seed=0",
    states=STATES,
    seed: int = 0,
    words=tuple(WORDS),
    picture: tuple[int, int] | None = None,
    inputs: int = INPUTS,
    tags: bool = True,
    spread: float = 0.35,
) -> xr.Dataset:
    """`picture` [height, width] makes it a table of images; with as many `inputs` as pixels the image itself enters."""
    random = np.random.default_rng(seed)
    each = [made(list(parts), random, inputs, spread) for parts in sizes]
    features = len(each) + len(states)
    offsets = np.array([0]) if picture else np.arange(-BEFORE, AFTER + 1)
    places = ("feature", "example")
    sequence = np.full((features, EXAMPLES), -1, np.int32)
    activation = np.full((features, EXAMPLES), np.nan, np.float32)
    cluster = np.full((features, EXAMPLES), -1, np.int16)
    cluster_size = np.zeros((features, SEEN), np.int32)
    central = np.full((features, SEEN), -1, np.int16)
    by_embedding = {name: np.full((3, features), np.nan, np.float32) for name in (*MEASURES, "silhouette")}
    clusters = np.zeros((3, features), np.int32)
    members = (features, SEEN, 3)
    member_sequence = np.full(members, -1, np.int32)
    member_token = np.full((*members, offsets.size), -1, np.int32)
    member_activation = np.full((*members, offsets.size), np.nan, np.float32)
    for feature, one in enumerate(each):
        count = len(one.cluster)
        sequence[feature, :count] = np.arange(count) + 10
        activation[feature, :count] = random.uniform(3, 4, count)
        cluster[feature, :count] = one.cluster
        sizes_of = np.bincount(one.cluster)[:SEEN]
        cluster_size[feature, : len(sizes_of)] = sizes_of
        distance = squareform(pdist(one.vectors("neuron"), "cosine"))
        for number in range(len(sizes_of)):
            own = np.flatnonzero(one.cluster == number)
            middle = int(own[distance[np.ix_(own, own)].mean(1).argmin()])
            central[feature, number] = middle
            listed = [middle, *[int(example) for example in own if example != middle][:2]]
            for place, example in enumerate(listed):
                member_sequence[feature, number, place] = sequence[feature, example]
                if not picture:
                    member_token[feature, number, place] = random.integers(len(words), size=offsets.size)
                member_activation[feature, number, place] = np.where(
                    offsets == 0, activation[feature, example], random.uniform(0, 2, offsets.size)
                )
        for place, embedding in enumerate(EMBEDDINGS):
            for name, value in measures(one.vectors(embedding), one.cluster).items():
                by_embedding[name][place, feature] = value
            clusters[place, feature] = one.cluster.max() + 1
    size = np.array([len(one.cluster) for one in each] + [0, 1, 30, 30][: len(states)], np.int32)
    variables = {
        "state": ("feature", np.array(["clustered"] * len(each) + list(states), dtype=object)),
        "size": ("feature", size),
        **{name: (("embedding", "feature"), values) for name, values in by_embedding.items()},
        "clusters": (("embedding", "feature"), clusters),
        **{
            f"random_{name}": ("feature", by_embedding[name][0] + random.uniform(0, 0.3, features)) for name in MEASURES
        },
        "random_clusters": ("feature", clusters[0] + 3),
        "largest_cluster_share": ("feature", cluster_size[:, 0] / np.maximum(size, 1)),
        "example_sequence": (places, sequence),
        "example_position": (places, np.where(sequence < 0, -1, 7)),
        "example_activation": (places, activation),
        "example_cluster": (places, cluster),
        "cluster_size": (("feature", "cluster"), cluster_size),
        "central_example": (("feature", "cluster"), central),
        "cluster_sequence": (("feature", "cluster", "member"), member_sequence),
        "cluster_token": (("feature", "cluster", "member", "offset"), member_token),
        "cluster_activation": (("feature", "cluster", "member", "offset"), member_activation),
    }
    share, count = variables["largest_cluster_share"][1], cluster_size
    variables["rare_secondary"] = ("feature", (size >= 20) & (share >= 0.9) & (count[:, 1] > 0))
    if tags:
        for name in ("purity", "adjusted_mutual_information"):
            variables[name] = (
                ("embedding", "feature"),
                np.where(np.isfinite(by_embedding["max_distance"]), 0.4, np.nan),
            )
            variables[f"median_{name}"] = ("embedding", np.full(3, 0.4))
    variables |= shown(
        each, share, variables["rare_secondary"][1], activation, words, offsets, picture, random, central
    )
    for name in ("frequency", "power_top1", *(["monosemanticity"] if tags else [])):
        for part, value in (("", -0.31), ("_shuffled", 0.05)):
            variables[f"agreement_{name}{part}"] = ((), value)
            variables[f"agreement_{name}_residual{part}"] = ((), value / 2)
    for name in MEASURES:
        variables[f"median_{name}"] = ("embedding", [median(row) for row in by_embedding[name]])
    of_random = [median(variables[f"random_{name}"][1][: len(each)]) for name in MEASURES]
    variables["random_median_distance"] = ("distance", of_random)
    variables["median_size"] = ((), float(np.median(size[: len(each)])))
    attributes = {
        "model": "toy",
        "site": "layers.0.hook_post" if picture else SITE,
        "dictionary": dictionary,
        "catalogue": "S3.F1 S3.F2",
        "strong_share": 0.75,
        "strong_examples": 100,
        "cluster_cut": CUT,
        "weights": "encoder rows",
    }
    if picture:
        attributes |= {"height": picture[0], "width": picture[1]}
    coordinates = {
        "feature": index("feature", 0, features, "feature"),
        "embedding": variable("embedding", np.array(EMBEDDINGS, dtype=object), "embedding", "1"),
        "distance": variable("distance", np.array(MEASURES, dtype=object), "measure of distances", "1"),
        "offset": variable("offset", offsets, "tokens after the key token", "token"),
    }
    return labelled({name: variable(*values, name, "1") for name, values in variables.items()}, coordinates, attributes)


def median(values) -> float:
    """Of what is known, in float64."""
    known = values[np.isfinite(values)].astype(np.float64)
    return float(np.median(known)) if known.size else np.nan


def shown(each, share, rare, activation, words, offsets, picture, random, centres):
    """Variables of the features that figures show."""
    chosen = [(int(np.argmax([one.cluster.max() for one in each])), "most clusters")]
    chosen += [(int(feature), "rare secondary behaviour") for feature in np.flatnonzero(rare)[:1]]
    chosen += [(int(np.argmax([len(one.cluster) for one in each])), "most examples"), (len(each) - 1, "tightest")]
    count, inputs = len(chosen), each[0].weight.size
    token = np.full((count, EXAMPLES, offsets.size), -1, np.int32)
    text = np.full(token.shape, "", dtype=object)
    window = np.full(token.shape, np.nan, np.float32)
    linkage = np.full((count, EXAMPLES - 1, 4), np.nan)
    entering = np.full((count, EXAMPLES, inputs), np.nan, np.float32)
    weight = np.zeros((count, inputs), np.float32)
    planes = np.full((count, 3, EXAMPLES, 2), np.nan, np.float32)
    cluster, central = np.full((count, EXAMPLES), -1), np.full((count, SEEN), -1)
    distances = {name: np.full((count, EXAMPLES, EXAMPLES), np.nan) for name in EMBEDDINGS}
    height, width = picture or (1, 1)
    pixels = np.full((count, EXAMPLES, height * width), np.nan, np.float32)
    for place, (feature, _) in enumerate(chosen):
        one = each[feature]
        image_enters = picture is not None and height * width == inputs
        examples = len(one.cluster)
        entering[place, :examples], weight[place] = one.entering, one.weight
        linkage[place, : examples - 1] = one.linkage
        for number, embedding in enumerate(EMBEDDINGS):
            planes[place, number, :examples] = plane(one.vectors(embedding))
            distances[embedding][place, :examples, :examples] = squareform(pdist(one.vectors(embedding), "cosine"))
        cluster[place, :examples], central[place] = one.cluster, centres[feature]
        for example in range(examples):
            first = random.integers(0, BEFORE) if offsets.size > 1 else 0
            inside = np.arange(offsets.size) >= first
            token[place, example] = np.where(inside, random.integers(len(words), size=offsets.size), -1)
            token[place, example, offsets == 0] = int(one.cluster[example]) % len(words)
            text[place, example] = [words[number] if number >= 0 else "" for number in token[place, example]]
            window[place, example] = np.where(inside, random.choice([0, 0, 1.0, 2.5], offsets.size), np.nan)
            window[place, example, offsets == 0] = activation[feature, example]
            if image_enters:
                pixels[place, example] = 0.5 + one.entering[example] / 10
                continue
            grid = np.hypot(*(np.mgrid[:height, :width] - [[[height / 2]], [[one.cluster[example] % 5 * width / 5]]]))
            pixels[place, example] = np.clip(1 - grid / height + 0.1 * random.standard_normal(grid.shape), 0, 1).ravel()
    by_example = ("shown", "example")
    variables = {
        "shown_feature": ("shown", np.array([feature for feature, _ in chosen], np.int32)),
        "shown_for": ("shown", np.array([reason for _, reason in chosen], dtype=object)),
        "token": ((*by_example, "offset"), token),
        "window_activation": ((*by_example, "offset"), window),
        "linkage": (("shown", "merge", "column"), linkage),
        "entering": ((*by_example, "input"), entering),
        "weight": (("shown", "input"), weight),
        "plane": (("shown", "embedding", "example", "axis"), planes),
    }
    contrast = contrast_variables(distances, cluster, central, entering, weight)
    variables |= {name: (made.dims, made.values) for name, made in contrast.items()}
    if picture:
        variables["pixels"] = ((*by_example, "pixel"), pixels)
        activation_map, mean = random.standard_normal((count, height * width)), np.nanmean(pixels, axis=1)
        variables["activation_map"] = (("shown", "pixel"), activation_map)
        variables["mean_example"] = (("shown", "pixel"), mean)
        variables["importance_map"] = (("shown", "pixel"), activation_map * mean)
        variables["image_enters"] = ("shown", np.full(count, height * width == inputs))
        drawn = [np.r_[random.permutation(len(each[feature].cluster)), np.full(8, -1)][:8] for feature, _ in chosen]
        variables["drawn_example"] = (("shown", "draw"), np.array(drawn))
    else:
        variables["token_text"] = ((*by_example, "offset"), text)
    return variables


def without_inputs() -> xr.Dataset:
    """Of a site whose neurons have no input weights."""
    reason = "neurons at hook_mlp_out have no input weights; sites that have: blocks.0.mlp.hook_post"
    attributes = {"model": "toy", "site": SITE, "dictionary": "neurons", "catalogue": "S3.F1", "not_applicable": reason}
    return xr.Dataset(attrs=attributes)


def unclustered(*states: str) -> xr.Dataset:
    """Of a dictionary none of whose features can be clustered."""
    table = cluster_table(([3, 2],), states=states).drop_dims("shown")
    table["state"].values[0] = states[0]
    table["rare_secondary"].values[:] = False
    return table
