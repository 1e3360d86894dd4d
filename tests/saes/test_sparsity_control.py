"""The controller of `target_l0`, step by step with a calculator."""

import math

import pytest
from directions import random_directions, sparse_sums
from recipes import recipe_of, trainer_of

from polysem.saes.architecture import Architecture
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
    loss = Architecture(recipe_of("relu", l1=0.5, l1_warmup=0.2)).loss
    weights = []
    for progress in (0, 0.1, 0.5):
        loss.begin({}, progress)
        weights.append(loss.weight)
        loss.see(80.0, progress)
    assert weights == pytest.approx([0, 0.25, 0.5])
    assert loss.coefficient is None
    assert loss.state() == {}


def test_the_weight_of_a_batch_is_told_before_it_is_seen(store):
    trainer = trainer_of(store(sparse_sums(1500, random_directions(24, 16), 3)), recipe_of("relu", target_l0=2))
    first, second, third = (trainer.advance()[0] for _ in range(3))
    assert first["coefficient"] == pytest.approx(0.3)
    assert second["coefficient"] == pytest.approx(0.3)
    assert second["L0"] > 2
    error = math.log(second["L0"] / 2) - math.log(first["L0"] / 2) * (1 - 1 / trainer.steps / 0.3)
    assert third["coefficient"] == pytest.approx(0.3 * math.exp(error * (1 + 1 / max(15, 0.05 * trainer.steps))))
    assert third["coefficient"] != pytest.approx(0.3)
