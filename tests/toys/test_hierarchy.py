"""Absorption and hedging of known features with children: cases worked by hand, and what trained SAEs do."""

import math

import pytest
import torch

from polysem.params.toys import Toy
from polysem.saes.activation_functions.standard import Function
from polysem.saes.architecture import recipe_class
from polysem.saes.sae import SAE
from polysem.toys.hierarchy import components, families, hierarchy
from polysem.toys.known_features import KnownFeatures, stream
from polysem.toys.recover_features import recovered

FAMILY = Toy(neurons=32, features=32, orthogonal=True, parents=4, children=4, child_chance=0.4, active=2, decay=1,
    correlated=False, least=0.8, largest=1.2, eval_rows=5000)  # fmt: skip
E = torch.eye(4)
"""Known directions: a parent, a feature without children, and two children."""
SIZES = torch.tensor([[1.0, 0, 0, 0], [1, 0, 1, 0], [1, 0, 1, 0], [1, 0, 0, 1], [0, 1, 0, 0]])


def sae_of(encoder, bias, decoder):
    return SAE(torch.tensor(encoder).T, torch.tensor(bias), torch.tensor(decoder), torch.zeros(4), Function())


def numbers(table):
    return {name: float(table[name]) for name in table.data_vars if table[name].ndim == 0}


def test_absorption_of_a_case_worked_by_hand():
    half = math.sqrt(0.5)
    sae = sae_of(
        [[1.0, 0, -1, 0], [0, 0, 1, 0], [0, 0, 0, 1], [0, 1, 0, 0]],  # the parent's latent closes on the first child
        [-0.5] * 4,
        [[1.0, 0, 0, 0], [half, 0, half, 0], [0, 0, 0, 1], [0, 1, 0, 0]],  # whose latent says both
    )
    table = hierarchy(sae, E, 1, 2, SIZES @ E, SIZES)
    # of the three rows with a child, the parent's latent is silent on the two with the first
    assert table["absorption"].values.tolist() == pytest.approx([2 / 3])
    assert table["silent_with_child"].values.tolist() == pytest.approx([2 / 3])
    assert table["silent_alone"].values.tolist() == [0.0]
    assert table["hedging"].values.tolist() == pytest.approx([0.0])
    assert table["parent_in_children"].values.tolist() == pytest.approx([(1 + 0) / 2])
    assert table["children_in_encoder"].values.tolist() == pytest.approx([(-1 + 0) / 2])
    assert numbers(table)["absorption_rate"] == pytest.approx(2 / 3)


def test_a_parent_that_is_silent_while_no_child_says_so_is_not_absorbed():
    sae = sae_of(
        [[1.0, 0, -1, 0], [0, 0, 1, 0], [0, 0, 0, 1]], [-0.5] * 3, [[1.0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    )
    table = hierarchy(sae, E, 1, 2, SIZES @ E, SIZES)
    assert table["silent_with_child"].values.tolist() == pytest.approx([2 / 3])
    assert table["absorption"].values.tolist() == [0.0]


def test_hedging_of_a_case_worked_by_hand():
    """Two latents for four features: the parent's mixes in a quarter of each child."""
    sae = sae_of([[1.0, 0, 0.5, 0.5], [0, 1, 0, 0]], [-0.5] * 2, [[1.0, 0, 0.25, 0.25], [0, 1, 0, 0]])
    table = hierarchy(sae, E, 1, 2, SIZES @ E, SIZES)
    assert table["hedging"].values.tolist() == pytest.approx([0.5])
    assert table["children_in_encoder"].values.tolist() == pytest.approx([0.5])
    assert table["absorption"].values.tolist() == [0.0]
    assert math.isnan(numbers(table)["mean_parent_in_children"])  # no child has a latent of its own


def test_components_of_directions_that_are_not_at_right_angles():
    directions = torch.tensor([[1.0, 0.0, 0.0], [0.6, 0.8, 0.0]])
    row = 2 * directions[0] - 3 * directions[1] + torch.tensor([0.0, 0.0, 5.0])
    torch.testing.assert_close(components(row[None], directions), torch.tensor([[2.0, -3.0]], dtype=torch.float64))


def test_an_sae_of_dead_features_has_no_numbers():
    sae = sae_of([[1.0, 0, 0, 0]], [-9.0], [[1.0, 0, 0, 0]])
    found = numbers(hierarchy(sae, E, 1, 2, SIZES @ E, SIZES))
    assert math.isnan(found["mean_hedging"])
    assert found["mean_absorption"] == 0.0


def test_a_child_is_active_only_with_its_parent_as_often_as_asked_for_and_never_two_are():
    known = KnownFeatures(FAMILY)
    _, sizes = known.rows(40_000, stream(3))
    there = sizes > 0
    family = families(4, 4, 32)
    assert family[1].tolist() == [1, 20, 21, 22, 23]
    for members in family:
        parent, children = there[:, members[0]], there[:, members[1:]]
        assert not (children.any(1) & ~parent).any()
        assert children.sum(1).max() == 1
        assert float(children.any(1)[parent].float().mean()) == pytest.approx(0.4, abs=0.02)
    measured = there.float().mean(0)
    torch.testing.assert_close(measured, known.probability, rtol=0.15, atol=2e-3)
    assert float(there[:, :16].float().sum(1).mean()) == pytest.approx(2, rel=0.02)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"children": 0}, r"parents \(4\) and children \(0\) belong together"),
        ({"children": 8}, "4 with 8 children each do not fit into 32 features"),
        ({"parents": 0, "children": 0}, "child_chance is read with parents and children"),
    ],
)
def test_a_hierarchy_that_cannot_be_is_refused(keys, words):
    with pytest.raises(ValueError, match=words):
        Toy.model_validate(FAMILY.model_dump() | keys)


def test_a_toy_without_children_has_the_rows_that_it_had_before_there_were_any_and_no_such_numbers():
    toy = Toy(neurons=16, features=24, active=2, decay=1, eval_rows=500)
    x, sizes = KnownFeatures(toy).rows(200, stream(5))
    assert int((sizes > 0).sum()) == 385
    assert float(sizes.double().sum()) == pytest.approx(189.20368999242783, rel=1e-9)
    assert float(x.double().abs().sum()) == pytest.approx(430.6630626905826, rel=1e-6)
    recipe = recipe_class("topk")(architecture="topk", k=2, expansion=1, tokens=2000, batch_size=100)
    assert "absorption" not in recovered(recipe, toy)


def test_matryoshka_absorbs_less_than_batchtopk():
    absorbed = {}
    for architecture, keys in (("batchtopk", {}), ("matryoshka_batchtopk", {"prefixes": [0.25]})):
        values = {"k": 2, "expansion": 2, "tokens": 150_000, "batch_size": 128, "learning_rate": 3e-3, **keys}
        table = recovered(recipe_class(architecture)(architecture=architecture, **values), FAMILY)
        absorbed[architecture] = float(table["mean_absorption"])
    assert absorbed["batchtopk"] > 0.2
    assert absorbed["matryoshka_batchtopk"] < 0.6 * absorbed["batchtopk"]
