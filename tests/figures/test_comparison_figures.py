"""Figures of what dictionaries have in common, on tables of a grid, of the smallest study, and of none."""

from itertools import pairwise

import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure
from scipy.cluster import hierarchy

from polysem.figures.registry import NotApplicable, find_figure
from polysem.params.analysis import Analysis

from .conftest import legible_texts, origin

FIGURES = {
    "universality": "S1.F7",
    "wrong_site": "S0.X1",
    "feature_splitting": "S1.F8",
    "feature_map": "S1.F8",
    "splitting_tree": "S1.F8",
    "ultra_low_directions": "S2.F8 S2.F9",
}
PER_PAIR = ("correlation", "logit", "cosine")
SITE = "blocks.0.mlp.hook_post"


def comparison(relations: list[str], features: int = 300, seed: int = 0) -> xr.Dataset:
    random = np.random.default_rng(seed)
    count = len(relations)
    names = [f"l1-x8_l1=3e-4_seed={number}" for number in range(count)]
    related = list(dict.fromkeys(relations))
    pooled = np.array([features * relations.count(name) for name in related], int)
    pair = {"dictionary": names, "relation": relations, "model": "toy", "site": SITE, "other": names[::-1]}
    table = xr.Dataset(
        {
            **{
                f"pair_{name}": ("pair", np.full(count, value) if isinstance(value, str) else np.array(value, object))
                for name, value in pair.items()
            },
            "features": ("pair", np.full(count, features)),
            "correlation_shuffled": (("pair", "draw"), random.random((count, 50)) / 10),
            "logit_shuffled": (("pair", "draw"), random.normal(size=(count, 50)) / 5),
            "cosine_random": (("pair", "draw"), random.random((count, 50)) / 5),
            "correlation": ("match", random.random(count * features)),
            "logit_correlation": ("match", random.random(count * features)),
            "cosine": ("match", random.random(count * features)),
            "ultra_low_cosine": ("pair", random.random(count)),
            "ultra_low_cosine_others": ("pair", random.random(count) / 2),
            **{f"median_{name}": ("pair", random.random(count)) for name in PER_PAIR},
            "relation": ("relation", np.array(related, object)),
            "relation_features": ("relation", pooled),
            "relation_correlated_features": ("relation", pooled.copy()),
            "relation_median_correlation": ("relation", np.linspace(0.5, 0.6, len(related))),
        }
    )
    attributes = {"tokens": 32_768, "neurons": 512, "reader": "", "split_cosine": 0.5, "ultra_low_frequency": 1e-4}
    return table.assign_attrs(origin("all dictionaries") | attributes)


def with_sources(table: xr.Dataset, others: int) -> xr.Dataset:
    random = np.random.default_rng(1)
    count = others + 1
    shares = ("coherent_share", "coherent_share_permuted", "read_share", "same_token_share")
    return table.assign(
        source_model=("source", np.array(["toy"] * count, object)),
        source_site=("source", np.array([f"blocks.{number}.mlp.hook_post" for number in range(count)], object)),
        coherence=(("source", "reader_feature"), random.random((count, 9))),
        coherence_random=("random_draw", random.random(100) / 4),
        coherent_share_random=0.0,
        median_coherence_random=0.125,
        **{name: ("source", random.random(count)) for name in shares},
    ).assign_attrs(reader="l1-x8_l1=3e-4_seed=0")


def with_sizes(table: xr.Dataset, sizes: list[int]) -> xr.Dataset:
    random = np.random.default_rng(2)
    levels = len(sizes) - 1
    level = np.repeat(np.arange(levels), sizes[1:])
    parent = np.concatenate([random.integers(0, small, large) for small, large in pairwise(sizes)])
    leaves = 12
    merges = hierarchy.linkage(random.random((leaves, 3)), "average")
    points = np.concatenate([np.full(size, number) for number, size in enumerate(sizes)])
    return table.assign(
        size_dictionary=("size", np.array([f"topk-x{number}" for number in range(len(sizes))], object)),
        size_features=("size", np.array(sizes)),
        child_level=("child", level),
        features_by_children=(("level", "children"), np.array([by_children(size) for size in sizes[:-1]])),
        child_parent=("child", parent),
        child_cosine=("child", random.random(len(parent))),
        child_cosine_random=("child", random.random(len(parent)) / 4),
        point_size=("point", points),
        point_x=("point", random.random(len(points))),
        point_y=("point", random.random(len(points))),
        leaf_size=("leaf", np.arange(leaves) % len(sizes)),
        leaf_feature=("leaf", np.arange(leaves)),
        leaf_token=("leaf", np.array([" the", "$x$", "\n", "文", *["a"] * (leaves - 4)], object)),
        leaf_coherence=("leaf", np.r_[np.nan, np.full(leaves - 1, 0.5)]),
        merge=(("merge_step", "merge_column"), merges),
        **{f"{name}_share": ("level", random.random(levels)) for name in ("split", "new", "random")},
    )


def by_children(size: int) -> list[int]:
    """Half without a child, and fewer and fewer with more."""
    return [size - size // 2, size // 2 - size // 4, size // 4 - size // 8, size // 8]


CASES = {
    "one pair": lambda: with_sizes(with_sources(comparison(["seed"]), 1), [64, 128]),
    "all relations": lambda: with_sizes(
        with_sources(comparison(["seed", "setting", "recipe", "avoided", "site", "model", "neurons"]), 4),
        [64, 128, 256, 512],
    ),
    "a grid of a hundred": lambda: with_sizes(
        with_sources(comparison(["seed"] * 60 + ["recipe"] * 40, 20), 12), [2048, 4096]
    ),
}


def draw(name: str, table: xr.Dataset) -> Figure:
    return find_figure(name).draw(site_comparison=table, analysis=Analysis())


def note(figure: Figure) -> str:
    return " ".join(" ".join(text.get_text().split()) for text in figure.texts)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_names_itself_and_no_text_covers_another(name, case, tmp_path, monkeypatch):
    texts = legible_texts(draw(name, CASES[case]()), tmp_path / "figure.svg", monkeypatch)
    assert f"{FIGURES[name]}  {find_figure(name).TITLE}" in texts


@pytest.mark.parametrize("name", FIGURES)
def test_a_site_with_nothing_to_compare_gets_a_reason_that_says_what_to_add(name):
    with pytest.raises(NotApplicable, match=r"add|would show|may have"):
        draw(name, comparison([]))


def test_a_line_stands_at_the_share_of_features_that_reach_a_level():
    table = comparison(["seed"], 4)
    table["correlation"].values[:] = [0.1, 0.5, 0.9, np.nan]
    table["relation_correlated_features"].values[:] = 3
    (line, *_) = draw("universality", table).axes[0].lines
    assert line.get_drawstyle() == "steps-post"  # each share holds up to the next level
    assert line.get_xdata().tolist() == [-np.inf, 0.1, 0.5, 0.9]
    np.testing.assert_allclose(line.get_ydata(), [100, 200 / 3, 100 / 3, 0], atol=1e-9)
    assert draw("universality", table).axes[1].get_ylabel() == ""
    assert "Left out: 1 (25.0 %) of 4 features" in note(draw("universality", table))
    assert "Median with another seed: 0.50." in note(draw("universality", table))


def test_a_sae_without_a_cluster_is_left_out_and_pairs_beyond_the_most_are_counted():
    table = comparison(["seed"] * 30)
    table["ultra_low_cosine"].values[0] = np.nan
    figure = draw("ultra_low_directions", table)
    assert "Drawn: 24 of 29 pairs." in note(figure)
    table["ultra_low_cosine"].values[:] = np.nan
    with pytest.raises(NotApplicable, match="cluster of ultra-low features"):
        draw("ultra_low_directions", table)


def test_children_are_drawn_as_shares_of_the_smaller_dictionary():
    table = with_sizes(comparison(["seed"]), [2, 4])
    table["features_by_children"].values[:] = [[1, 0, 1, 0]]
    bars = [patch.get_width() for patch in draw("feature_splitting", table).axes[1].patches]
    assert bars == [50, 0, 50, 0]  # one feature without a child, one with two


def test_a_tree_without_a_feature_that_splits_is_not_applicable():
    table = with_sizes(comparison(["seed"]), [2, 4])
    table = table.drop_dims("merge_step").assign(merge=(("merge_step", "merge_column"), np.zeros((0, 4))))
    with pytest.raises(NotApplicable, match="no feature of the smallest dictionary has two children"):
        draw("splitting_tree", table)
