"""The controller of `target_l0`, step by step with a calculator."""

import math

import pytest
import torch
from recipes import method_of, recipe_of

from polysem.saes.sparsity_control import SparsityControl


def test_the_weight_follows_the_deviation_and_its_integral():
    """1,000 steps: deviations are integrated over 50. L0 starts at 80 and is to fall to 8 along a line in its logarithm
    over the first 0.3 of training."""
    control = SparsityControl(8.0, 1000)
    assert control.weight == pytest.approx(0.3)
    control.see(80.0, 0.0)
    assert control.weight == pytest.approx(0.3)  # as large as wanted at the start
    control.see(80.0, 0.15)
    ahead = math.log(10) / 2  # wanted is half of the way
    assert control.weight == pytest.approx(0.3 * math.exp(ahead + ahead / 50))
    control.see(4.0, 0.3)
    below = math.log(0.5)
    assert control.weight == pytest.approx(0.3 * math.exp(below + (ahead + below) / 50))
    control.see(8.0, 0.9)
    assert control.weight == pytest.approx(0.3 * math.exp((ahead + below) / 50))


@pytest.mark.parametrize(("steps", "time"), [(100, 15), (300, 15), (400, 20), (4000, 200), (100_000, 200)])
def test_the_time_of_integration_is_a_twentieth_of_training_within_bounds(steps, time):
    control = SparsityControl(8.0, steps)
    control.see(8.0, 0.5)
    control.see(16.0, 0.5)
    control.see(8.0, 0.5)
    assert math.log(control.weight / 0.3) == pytest.approx(math.log(2) / time)


def test_no_active_feature_is_a_finite_deviation():
    control = SparsityControl(8.0, 1000)
    control.see(8.0, 0.5)
    control.see(0.0, 0.5)
    deviation = math.log(1e-3 / 8)
    assert math.log(control.weight / 0.3) == pytest.approx(deviation * (1 + 1 / 50))


def test_another_controller_goes_on_from_a_state_that_is_no_longer_touched():
    one, other = SparsityControl(8.0, 1000), SparsityControl(8.0, 1000)
    one.see(80.0, 0.1)
    one.see(40.0, 0.2)
    other.load_state({name: tensor.clone() for name, tensor in one.state().items()})
    assert other.weight == one.weight != pytest.approx(0.3)
    one.see(20.0, 0.25)
    assert other.weight != one.weight
    other.see(20.0, 0.25)
    assert other.weight == one.weight


def test_a_given_weight_rises_and_is_not_steered():
    method = method_of(recipe_of("relu", l1=0.5, l1_warmup=0.2))
    assert [method.penalty_weight(progress) for progress in (0, 0.1, 0.5)] == pytest.approx([0, 0.25, 0.5])
    assert method.state() == {}


def test_the_weight_of_a_batch_is_told_before_it_is_seen():
    recipe = recipe_of("relu", target_l0=2)
    method = method_of(recipe)
    weights = {"W_enc": torch.eye(4), "W_dec": torch.eye(4), "b_enc": torch.zeros(4), "b_dec": torch.zeros(4)}
    x = torch.ones(3, 4)  # four active features for each token
    first, second = (method.gradients(x, weights, progress) for progress in (0.0, 0.5))
    assert first.coefficient == pytest.approx(0.3)
    assert second.coefficient == pytest.approx(0.3)
    error = math.log(2)
    steps = recipe.tokens // recipe.batch_size
    assert method.penalty_weight(0.5) == pytest.approx(0.3 * math.exp(error * (1 + 1 / max(15, 0.05 * steps))))
