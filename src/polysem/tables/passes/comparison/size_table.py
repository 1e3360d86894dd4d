"""Feature splitting as variables of a table (S1.F8)."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from polysem.params.analysis import Analysis
from polysem.tables.parts.labels import variable
from polysem.tables.passes.comparison.coherence import coherence
from polysem.tables.passes.comparison.pair_table import Variables
from polysem.tables.passes.comparison.shelf import Site
from polysem.tables.passes.comparison.splitting import Leaf, Split, evenly, showcase, split, tree, two_dimensions

Text = Callable[[int], str]
MOST = 3
"""Children from which on features are counted together."""


def growing(here: Site, names: Sequence[str]) -> list[str]:
    """The first dictionary of each number of features, ascending."""
    first: dict[int, str] = {}
    for name in names:
        first.setdefault(here.dictionary(name).features, name)
    return [first[features] for features in sorted(first)]


def splitting(here: Site, names: Sequence[str], params: Analysis, text: Text) -> Variables:
    """How the features of dictionaries of growing size descend from each other; `text` spells a token.

    Over `size`: `size_dictionary`, `size_features`. Over `level`, from each size to the next: `split_share`,
    `kept_share`, `childless_share` (of the smaller one's features, those with several, one and no children),
    `new_share` (of the larger one's, those without a parent), `random_share` (the larger one's with a parent when
    their neurons are permuted); (…, `children`) `features_by_children`, how many of the smaller one's have 0, 1, 2, and
    3 or more children. Over `child`, features of all but the smallest: `child_level`, `child_feature`,
    `child_parent` (of the next smaller dictionary), `child_cosine`, `child_cosine_random`. A child has a parent if the
    cosine of their decoder rows is at least `split_cosine`. Over `point`, `leaf` and `merge`: the map and the tree.
    """
    decoders = [here.decoder(name) for name in names]
    splits = [split(small, large, params.baseline_seed) for small, large in pairwise(decoders)]
    features = [len(decoder) for decoder in decoders]
    variables: Variables = {
        "size_dictionary": variable("size", np.array(names, object), "dictionaries by size", "1"),
        "size_features": variable("size", np.array(features), "their numbers of features", "feature"),
    }
    variables |= _levels(splits, features, params.split_cosine) | _children(splits) | _map(decoders, params)
    leaves = showcase(splits, features, params.split_cosine)
    return variables | _tree(here, names, decoders, leaves, params, text)


def _levels(splits: Sequence[Split], features: Sequence[int], threshold: float) -> Variables:
    counts = [level.children(features[number], threshold) for number, level in enumerate(splits)]
    words = {
        "split_share": ([np.mean(count > 1) for count in counts], "share of features with several children"),
        "kept_share": ([np.mean(count == 1) for count in counts], "share of features with one child"),
        "childless_share": ([np.mean(count == 0) for count in counts], "share of features without a child"),
        "new_share": (
            [np.mean(level.cosine < threshold) for level in splits],
            "share of the larger dictionary's features without a parent",
        ),
        "random_share": (
            [np.mean(level.random >= threshold) for level in splits],
            "share of the larger dictionary's features with a parent when their neurons are permuted",
        ),
    }
    shares = {
        name: variable("level", np.array(values, np.float64), text, "1") for name, (values, text) in words.items()
    }
    by_children = np.array([np.bincount(count.clip(max=MOST), minlength=MOST + 1) for count in counts])
    return shares | {
        "children": variable("children", np.arange(MOST + 1), f"children of a feature, {MOST}: so many or more", "1"),
        "features_by_children": variable(
            ("level", "children"), by_children, "features of the smaller dictionary with so many children", "feature"
        ),
    }


def _children(splits: Sequence[Split]) -> Variables:
    def joined(parts: list[NDArray], kind: type, text: str, units: str) -> tuple[NDArray, str, str]:
        return np.concatenate(parts).astype(kind), text, units

    columns = {
        "child_level": joined(
            [np.full(len(level.parent), number) for number, level in enumerate(splits)], np.int32, "level", "1"
        ),
        "child_feature": joined(
            [np.arange(len(level.parent)) for level in splits], np.int32, "feature of the larger dictionary", "feature"
        ),
        "child_parent": joined(
            [level.parent for level in splits], np.int32, "nearest feature of the smaller dictionary", "feature"
        ),
        "child_cosine": joined([level.cosine for level in splits], np.float32, "cosine of their decoder rows", "1"),
        "child_cosine_random": joined(
            [level.random for level in splits], np.float32, "the same after permuting the child's neurons", "1"
        ),
    }
    return {name: variable("child", *values) for name, values in columns.items()}


def _map(decoders: Sequence[NDArray], params: Analysis) -> Variables:
    chosen = evenly([len(decoder) for decoder in decoders])
    rows = np.concatenate([decoder[some] for decoder, some in zip(decoders, chosen, strict=True)])
    places = two_dimensions(rows, params.baseline_seed)
    size = np.concatenate([np.full(len(some), number) for number, some in enumerate(chosen)])
    return {
        "point_size": variable("point", size.astype(np.int32), "number of the dictionary by size", "1"),
        "point_feature": variable("point", np.concatenate(chosen).astype(np.int32), "feature", "feature"),
        "point_x": variable("point", places[:, 0], "place on the map of decoder directions", "1"),
        "point_y": variable("point", places[:, 1], "place on the map of decoder directions", "1"),
    }


def _tree(
    here: Site,
    names: Sequence[str],
    decoders: Sequence[NDArray],
    leaves: Sequence[Leaf],
    params: Analysis,
    text: Text,
) -> Variables:
    rows = np.array([decoders[leaf.dictionary][leaf.feature] for leaf in leaves]).reshape(
        len(leaves), decoders[0].shape[1]
    )
    merges = tree(rows) if len(leaves) > 1 else np.zeros((0, 4))
    sample = here.sample(params.comparison_tokens)
    tokens = here.token_ids(sample)
    known = [coherence(here.codes(name, sample), tokens) for name in names if leaves]
    said = [
        (text(int(token)), float(known[leaf.dictionary].share[leaf.feature]))
        for leaf in leaves
        for token in known[leaf.dictionary].token[[leaf.feature]]
    ]
    return {
        "leaf_size": variable(
            "leaf", np.array([leaf.dictionary for leaf in leaves], np.int32), "number of the dictionary by size", "1"
        ),
        "leaf_feature": variable("leaf", np.array([leaf.feature for leaf in leaves], np.int32), "feature", "feature"),
        "leaf_token": variable(
            "leaf", np.array([word for word, _ in said], object), "most common of its top tokens", "1"
        ),
        "leaf_coherence": variable(
            "leaf", np.array([share for _, share in said], np.float64), "its share of the top tokens", "1"
        ),
        "merge": variable(
            ("merge_step", "merge_column"), merges, "average linkage: two clusters, distance, leaves", "1"
        ),
    }
