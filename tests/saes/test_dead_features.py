import numpy as np
import pytest
import torch
from recipes import recipe_of

from polysem.saes.dead_features import Census, poorly_reconstructed, replace_features
from polysem.saes.entries import DenseEntries


def fired(*features, of=4, tokens=10):
    """Entries of a batch in which some features are active on every token."""
    active = torch.zeros(tokens, of, dtype=torch.bool)
    active[:, list(features)] = True
    return DenseEntries(active, torch.ones(tokens, of))


def census(every=6, steps=100, **keys):
    keys = {"dead_features": "reinitialise", "dead_below": 0.4, **keys}
    return Census(recipe_of("relu", dead_every=every, **keys), features=4, steps=steps)


def test_the_census_counts_the_second_half_of_each_interval():
    """Of six steps the last three: feature 0 fired in the first half alone, 1 in two steps of the second, 2 in one, and
    3 in none; two of three steps are above 0.4 of the tokens."""
    counted = census()
    batches = [fired(0), fired(0), fired(0), fired(1), fired(1, 2), fired()]
    due = [counted.take(step, active, 10) for step, active in enumerate(batches, 1)]
    assert due == [False] * 5 + [True]
    assert counted.dead.tolist() == [0, 2, 3]


def test_each_interval_is_counted_for_itself():
    counted = census(every=2)
    for step, active in enumerate([fired(), fired(0, 1), fired(), fired(2, 3)], 1):
        counted.take(step, active, 10)
    assert counted.dead.tolist() == [0, 1]


def test_a_feature_that_fires_on_just_the_share_of_the_recipe_is_not_dead():
    counted = census(every=2, dead_below=0.5)
    half = torch.zeros(10, 4, dtype=torch.bool)
    half[:5, 0] = half[:4, 1] = True
    counted.take(1, fired(), 10)
    assert counted.take(2, DenseEntries(half, torch.ones(10, 4)), 10)
    assert counted.dead.tolist() == [1, 2, 3]


def test_features_are_replaced_up_to_a_share_of_training_and_only_by_what_replaces_them():
    counted = census(steps=100, dead_until=0.5)
    assert [counted.replaces(step) for step in (1, 50, 51)] == [True, True, False]
    assert not census(dead_features="auxk").replaces(1)


def test_a_census_goes_on_from_its_state_which_is_its_own():
    whole, part = census(), census()
    batches = [fired(0), fired(1), fired(2), fired(3), fired(3), fired(1)]
    for step, active in enumerate(batches[:4], 1):
        whole.take(step, active, 10)
        part.take(step, active, 10)
    other = census()
    other.load_state(part.state())
    part.take(5, fired(0), 10)
    for step, active in enumerate(batches[4:], 5):
        assert whole.take(step, active, 10) == other.take(step, active, 10)
    assert whole.dead.tolist() == other.dead.tolist() == [0, 1, 2]


def test_inputs_are_drawn_by_the_square_of_their_loss_and_taken_less_the_bias():
    """Losses of 1 and 3 make 1 to 9; an input without loss is never drawn."""
    x = torch.tensor([[3.0, 1.0], [1.0, 3.0], [9.0, 9.0]])
    generator = torch.Generator().manual_seed(0)
    rows = poorly_reconstructed(x, torch.tensor([1.0, 3.0, 0.0]), torch.ones(2), 20_000, generator)
    first, second = (rows == torch.tensor([1.0, 0.0])).all(1), (rows == torch.tensor([0.0, 1.0])).all(1)
    assert (first | second).all()
    assert float(second.double().mean()) == pytest.approx(0.9, abs=0.01)


def test_inputs_are_drawn_where_all_are_reconstructed_exactly():
    rows = poorly_reconstructed(torch.eye(2), torch.zeros(2), torch.zeros(2), 5, torch.Generator().manual_seed(0))
    assert np.allclose(rows.norm(dim=1), 1)


def trained():
    """Weights of four features after a step of Adam, so that it has averages of all of them."""
    generator = torch.Generator().manual_seed(0)
    weights = {name: torch.randn(4, 3, generator=generator) for name in ("W_enc", "W_dec")}
    weights |= {name: torch.randn(4, generator=generator) for name in ("b_enc", "threshold")}
    weights["b_dec"] = torch.randn(3, generator=generator)
    optimiser = torch.optim.Adam(list(weights.values()), lr=0.1)
    for tensor in weights.values():
        tensor.grad = torch.randn(tensor.shape, generator=generator)
    optimiser.step()
    return weights, optimiser


def test_replaced_features_get_new_weights_and_the_others_keep_theirs():
    weights, optimiser = trained()
    before = {name: tensor.clone() for name, tensor in weights.items()}
    directions = torch.tensor([[1.0, 0, 0], [0, 0, 1.0]])
    replace_features(weights, optimiser, torch.tensor([1, 3]), directions, 0.5)
    assert torch.equal(weights["W_dec"][[1, 3]], directions)
    assert torch.equal(weights["W_enc"][[1, 3]], 0.5 * directions)
    assert weights["b_enc"][[1, 3]].tolist() == [0, 0]
    mean = float(before["threshold"][[0, 2]].mean())
    assert weights["threshold"][[1, 3]].tolist() == pytest.approx([mean, mean])
    for name, tensor in weights.items():
        kept = slice(None) if name == "b_dec" else [0, 2]
        assert torch.equal(tensor[kept], before[name][kept]), name


def test_the_optimiser_forgets_the_replaced_features_and_no_others():
    weights, optimiser = trained()
    before = {name: dict(optimiser.state[tensor]) for name, tensor in weights.items()}
    before = {name: {key: value.clone() for key, value in state.items()} for name, state in before.items()}
    replace_features(weights, optimiser, torch.tensor([1, 3]), torch.eye(3)[:2], 0.5)
    for name, tensor in weights.items():
        for average in ("exp_avg", "exp_avg_sq"):
            was, value = before[name][average], optimiser.state[tensor][average]
            assert (was != 0).all(), "else nothing could be forgotten"
            if name == "b_dec":
                assert torch.equal(value, was)
            else:
                assert not value[[1, 3]].any(), (name, average)
                assert torch.equal(value[[0, 2]], was[[0, 2]])
        assert optimiser.state[tensor]["step"] == 1


def test_where_all_are_dead_added_weights_get_the_mean_of_all():
    weights, optimiser = trained()
    mean = float(weights["threshold"].mean())
    replace_features(weights, optimiser, torch.arange(4), torch.eye(3)[[0, 1, 2, 0]], 1.0)
    assert weights["threshold"].tolist() == pytest.approx([mean] * 4)


def test_a_tied_encoder_is_the_new_decoder_row_itself():
    weights, optimiser = trained()
    weights["W_enc"] = weights["W_dec"]
    replace_features(weights, optimiser, torch.tensor([2]), torch.tensor([[0.0, 1, 0]]), 0.5)
    assert weights["W_enc"][2].tolist() == [0, 1, 0]
