"""Which dictionaries are compared: a hand-worked study, and how the number of pairs grows."""

import pytest

from polysem.params.comparisons import pairs, sizes
from polysem.params.pair import Pair
from polysem.params.study import load_study

MLP = "blocks.0.mlp.hook_post"
MODELS = """
corpora:
  stories: {source: generated}
  digits: {source: images}
models:
  a: &a
    source: trained
    corpus: stories
    sites: [blocks.0.mlp.hook_post, blocks.0.hook_mlp_out]
    architecture: {layers: 1}
    training: {tokens: 1000, batch_tokens: 100}
  b:
    source: trained
    corpus: stories
    sites: [blocks.0.mlp.hook_post]
    architecture: {layers: 1, d_model: 32, heads: 2}
    training: {tokens: 1000, batch_tokens: 100}
  short:
    source: trained
    corpus: stories
    context_length: 64
    sites: [blocks.0.mlp.hook_post]
    architecture: {layers: 1}
    training: {tokens: 1000, batch_tokens: 100}
  mlp: {source: classifier, corpus: digits, hidden: [8]}
saes:
"""
SAES = """
  l1: {architecture: relu, l1: [1, 2], seed: [0, 1], models: [a, b, mlp]}
  topk: {architecture: topk, k: 4, models: [a]}
  away: {architecture: relu, l1: 1, orthogonal_to: l1_l1=2_seed=0, models: [a]}
"""


@pytest.fixture
def study(tmp_path):
    def load(saes: str):
        (tmp_path / "params.yaml").write_text(MODELS.replace("&a", "") + saes, encoding="utf-8")
        return load_study(tmp_path / "params.yaml")

    return load


def test_the_pairs_of_a_site_are_those_worked_out_by_hand(study):
    found = pairs(study(SAES), "a", MLP)
    out = "blocks.0.hook_mlp_out"
    assert [(pair.dictionary, pair.relation, pair.model, pair.site, pair.other) for pair in found] == [
        ("l1_l1=1_seed=0", "seed", "a", MLP, "l1_l1=1_seed=1"),
        ("l1_l1=1_seed=1", "seed", "a", MLP, "l1_l1=1_seed=0"),
        ("l1_l1=2_seed=0", "setting", "a", MLP, "l1_l1=1_seed=0"),
        ("l1_l1=2_seed=1", "seed", "a", MLP, "l1_l1=2_seed=0"),
        ("topk", "recipe", "a", MLP, "l1_l1=1_seed=0"),
        ("away", "recipe", "a", MLP, "l1_l1=1_seed=0"),
        ("away", "avoided", "a", MLP, "l1_l1=2_seed=0"),
        ("l1_l1=1_seed=0", "neurons", "a", MLP, "neurons"),
        ("topk", "neurons", "a", MLP, "neurons"),
        ("away", "neurons", "a", MLP, "neurons"),
        ("l1_l1=1_seed=0", "site", "a", out, "l1_l1=1_seed=0"),
        ("topk", "site", "a", out, "topk"),
        ("away", "site", "a", out, "away"),
    ]


def test_a_model_is_compared_with_those_before_it_and_not_they_with_it(study):
    """So that adding one below the others runs nothing of theirs again."""
    out = "blocks.0.hook_mlp_out"
    elsewhere = [
        (pair.dictionary, pair.model, pair.site, pair.other)
        for pair in pairs(study(SAES), "b", MLP)
        if pair.relation == "model"
    ]
    assert elsewhere == [
        ("l1_l1=1_seed=0", "a", MLP, "l1_l1=1_seed=0"),
        ("l1_l1=1_seed=0", "a", out, "l1_l1=1_seed=0"),
    ]
    assert {pair.model for pair in pairs(study(SAES), "a", MLP)} == {"a"}


def test_a_model_with_sequences_of_another_length_or_with_images_is_compared_with_no_other(study):
    loaded = study(SAES)
    assert pairs(loaded, "short", MLP) == []
    assert {pair.model for pair in pairs(loaded, "mlp", "layers.0.hook_post")} == {"mlp"}


def test_pairs_grow_with_the_saes_of_a_site_and_not_with_their_square(study):
    def count(seeds: int, values: int) -> int:
        grid = f"seed: {list(range(seeds))}, l1: {list(range(1, 1 + values))}"
        return len(pairs(study(f"  l1: {{architecture: relu, models: [a], {grid}}}\n"), "a", MLP))

    assert count(20, 50) - count(10, 50) == 10 * 50
    assert count(20, 50) <= 1000 + 4


def test_the_first_sae_alone_at_its_site_is_compared_with_the_neurons(study):
    saes = "  one: {architecture: relu, l1: 1, models: [mlp]}\n"
    assert pairs(study(saes), "mlp", "layers.0.hook_post") == [
        Pair("one", "neurons", "mlp", "layers.0.hook_post", "neurons")
    ]


def test_sizes_are_those_of_the_recipe_with_the_most_expansions_at_one_setting(study):
    saes = """
  two: {architecture: relu, l1: 1, expansion: [8, 4], models: [a]}
  three: {architecture: topk, k: [4, 8], expansion: [16, 2, 4], seed: [0, 1], models: [a]}
"""
    assert sizes(study(saes), "a", MLP) == [f"three_k=4_expansion={size}_seed=0" for size in (2, 4, 16)]


def test_sizes_of_different_recipes_of_one_architecture_serve_where_no_recipe_has_two(study):
    saes = """
  other: {architecture: topk, k: 4, models: [a]}
  large: {architecture: relu, l1: 1, expansion: 8, models: [a]}
  small: {architecture: relu, l1: 2, expansion: 2, models: [a]}
"""
    assert sizes(study(saes), "a", MLP) == ["small", "large"]


def test_a_site_with_one_size_has_no_sizes_to_compare(study):
    assert sizes(study(SAES), "a", MLP) == []


def test_many_sizes_are_thinned_out_with_the_ends_kept(study):
    saes = "  r: {architecture: relu, l1: 1, expansion: [1, 2, 3, 4, 5, 6, 7], models: [a]}\n"
    assert sizes(study(saes), "a", MLP) == [f"r_expansion={size}" for size in (1, 3, 5, 7)]
