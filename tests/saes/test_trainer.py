"""Pieces of a training, worked by hand."""

import math

import numpy as np
import pytest
import torch
from directions import random_directions, sparse_sums
from recipes import recipe_of, trainer_of

from polysem.io.errors import InputError
from polysem.saes.architecture import Architecture
from polysem.saes.losses import ramp
from polysem.saes.scales import activation_scale
from polysem.saes.trainer import new_weights, rate_factor


def test_the_learning_rate_rises_over_the_warmup_and_falls_over_the_decay():
    recipe = recipe_of("relu", warmup=0.1, decay=0.2)
    factors = [rate_factor(recipe, progress) for progress in (0, 0.05, 0.099, 0.5, 0.8, 0.9, 1)]
    assert factors == pytest.approx([0.01, 0.51, 1, 1, 1, 0.5, 0])
    constant = recipe_of("relu", warmup=0.0, decay=0.0)
    assert [rate_factor(constant, progress) for progress in (0, 0.5, 1)] == [1, 1, 1]


def test_each_step_has_the_rate_of_the_progress_before_it(store):
    recipe = recipe_of("relu", tokens=10 * 128, warmup=0.5, decay=0.0, learning_rate=0.02)
    trainer = trainer_of(store(sparse_sums(1500, random_directions(24, 16), 3)), recipe)
    rates = [trainer.advance()[0]["learning_rate"] for _ in range(10)]
    assert rates == pytest.approx([0.02 * min(1, (step / 10 + 1e-3) / 0.5) for step in range(10)])


def test_a_penalty_rises_and_falls_over_its_shares_of_training():
    found = [ramp(0.2, 0.5, progress) for progress in (0, 0.1, 0.2, 0.5, 0.75, 1)]
    assert found == pytest.approx([0, 0.5, 1, 1, 0.5, 0])
    assert [ramp(0, 0, progress) for progress in (0, 1)] == [1, 1]
    assert [ramp(0.2, 0, progress) for progress in (0.1, 1)] == [0.5, 1]


def test_activations_are_scaled_to_a_mean_norm_of_the_root_of_their_neurons():
    assert activation_scale(torch.tensor([[3.0, 4, 0, 0], [0, 0, 1, 0]])) == pytest.approx(2 / 3)
    with pytest.raises(InputError, match="all sampled activations are 0"):
        activation_scale(torch.zeros(3, 4))


def test_new_weights_are_unit_directions_around_the_mean_and_follow_the_seed():
    sample = torch.tensor([[1.0, 2, 3], [3, 2, 1]])
    recipes = [recipe_of("relu", expansion=4, decoder_norm="unit", seed=seed) for seed in (1, 1, 2)]
    first, again, other = (new_weights(sample, recipe, Architecture(recipe).loss) for recipe in recipes)
    assert {name: tuple(tensor.shape) for name, tensor in first.items()} == {
        "W_enc": (12, 3),
        "b_enc": (12,),
        "W_dec": (12, 3),
        "b_dec": (3,),
    }
    assert first["b_dec"].tolist() == [2, 2, 2]
    assert not first["b_enc"].any()
    torch.testing.assert_close(first["W_dec"].norm(dim=1), torch.ones(12))
    torch.testing.assert_close(first["W_enc"], 0.1 * first["W_dec"])
    assert torch.equal(first["W_dec"], again["W_dec"])
    assert not torch.equal(first["W_dec"], other["W_dec"])


def test_the_finished_sae_is_that_of_the_activations_as_they_are(store):
    """The scale goes into the biases: 10 x is reconstructed as 10 times as much, whatever the training saw."""
    x = sparse_sums(1500, random_directions(24, 16), 3)
    for keys in ({}, {"decoder_norm": "free", "decoder_start": 0.5}):
        trainer = trainer_of(store(10 * x), recipe_of("relu", **keys))
        assert trainer.scale == pytest.approx(4 / np.linalg.norm(10 * x, axis=1).mean(), rel=1e-3)
        for _ in range(5):
            trainer.advance()
        sae, weights = trainer.finished(), trainer.weights
        rows = torch.from_numpy(10 * x[:50]).float()
        scaled = rows * trainer.scale
        f = ((scaled - weights["b_dec"]) @ weights["W_enc"].T + weights["b_enc"]).relu()
        expected = (f @ weights["W_dec"] + weights["b_dec"]) / trainer.scale
        found = sae.encode(rows)
        assert (found > 0).any()
        torch.testing.assert_close(found @ sae.W_dec + sae.b_dec, expected, rtol=1e-4, atol=1e-4)


def test_encoder_rows_of_the_history_are_those_of_the_finished_sae_but_for_the_scale(store):
    path = store(sparse_sums(1500, random_directions(24, 16), 3))
    for keys in ({}, {"decoder_norm": "free", "decoder_start": 0.5}, {"tied": True}):
        trainer = trainer_of(path, recipe_of("relu", **keys))
        for _ in range(5):
            trainer.advance()
        (encoder, bias), sae = trainer.encoder(), trainer.finished()
        torch.testing.assert_close(encoder, sae.W_enc.T)
        torch.testing.assert_close(bias / trainer.scale, sae.b_enc)


def test_an_encoder_row_stays_where_the_decoder_row_has_norm_0(store):
    trainer = trainer_of(store(sparse_sums(1500, random_directions(24, 16), 3)), recipe_of("relu", decoder_norm="free"))
    trainer.weights["W_dec"][:2] = torch.stack([torch.zeros(16), torch.full((16,), 0.5)])
    encoder, bias = trainer.encoder()
    # of the second the norm, 2, goes into the encoder
    torch.testing.assert_close(encoder[:2], trainer.weights["W_enc"][:2] * torch.tensor([[1.0], [2.0]]))
    torch.testing.assert_close(bias[:2], trainer.weights["b_enc"][:2] * torch.tensor([1.0, 2.0]))


def test_the_error_of_rows_is_measured_without_moving_the_training(store):
    path = store(sparse_sums(1500, random_directions(24, 16), 3))
    trainer, other = (trainer_of(path, recipe_of("relu", target_l0=2)) for _ in range(2))
    for _ in range(3):
        trainer.advance()
        other.advance()
    x, loss = trainer._measured(40)
    assert x.shape == (40, 16) and loss.shape == (40,)
    found = trainer._architecture.gradients(x, x, trainer.weights)
    torch.testing.assert_close(loss, found.residual.square().sum(1))
    state = trainer._loss.state()
    assert state
    for name, tensor in other._loss.state().items():
        assert torch.equal(state[name], tensor)
    assert trainer.advance()[0] == other.advance()[0]


def test_a_loss_that_is_not_finite_names_the_step_and_what_to_change(store):
    trainer = trainer_of(store(sparse_sums(1500, random_directions(24, 16), 3)), recipe_of("relu"))
    trainer.advance()
    trainer.weights["b_dec"][0] = math.inf
    with pytest.raises(FloatingPointError, match=r"at step 1; lower the recipe's learning_rate \(now 0.005\) or set"):
        trainer.advance()
