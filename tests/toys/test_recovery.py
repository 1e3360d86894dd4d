"""S1.X1: SAEs find the features that their activations are made of."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from polysem.io.tables import read_table
from polysem.params.study import section_class
from polysem.params.toys import Toy
from polysem.saes.activation_functions.standard import Function
from polysem.saes.sae import SAE
from polysem.toys.known_features import KnownFeatures, KnownRows
from polysem.toys.recover_features import recover_features, recovered
from polysem.toys.recovery import recovery

torch.set_num_threads(1)

ORTHOGONAL = Toy(
    neurons=32,
    features=16,
    orthogonal=True,
    active=4,
    decay=1,
    correlated=False,
    least=0.5,
    largest=1.5,
    eval_rows=5000,
)
"""16 directions at right angles among 32 neurons, each active on a quarter of the rows, as in SAELens's documentation
of synthetic data."""
SUPERPOSED = Toy(neurons=64, features=128, active=2.5, decay=1, correlated=False, eval_rows=5000)
"""The set of Sharkey et al. in a quarter of its size, with features that are equally likely."""
KEYS = {
    "relu": {"l1": 1.0},
    "topk": {"k": 4},
    "batchtopk": {"k": 4},
    "jumprelu": {"l0": 1.0},
    "gated": {"l1": 3.0},
}


def trained(toy, architecture, expansion=1, tokens=800_000, **keys):
    values = {"architecture": architecture, "expansion": expansion, "tokens": tokens, "learning_rate": 3e-3}
    recipe = section_class("saes", architecture).model_validate(values | keys)
    return recovered(recipe, toy)


def test_a_card_recovers_what_a_cpu_does_and_the_table_says_so(tmp_path, gpu):
    recipe = {"architecture": "topk", "k": 4, "expansion": 1, "tokens": 40_000, "learning_rate": 3e-3}
    for device in ("cpu", gpu):
        recover_features(tmp_path / f"{device}.nc", ORTHOGONAL, "topk", recipe, device)
    wanted, found = (read_table(tmp_path / f"{device}.nc") for device in ("cpu", gpu))
    assert float(found["mean_max_cosine"]) == pytest.approx(float(wanted["mean_max_cosine"]), abs=0.01)
    assert [found.attrs[key] for key in ("device", "precision")] == ["cuda", "bfloat16"]
    assert "device" not in wanted.attrs


@pytest.mark.parametrize("architecture", KEYS)
def test_every_architecture_recovers_orthogonal_features(architecture):
    table = trained(ORTHOGONAL, architecture, **KEYS[architecture])
    assert float(table["mean_max_cosine"]) >= 0.95
    assert float(table["recall"]) == 1
    assert float(table["L0_known"]) == pytest.approx(4, abs=0.1)


@pytest.mark.parametrize(
    ("architecture", "keys"),
    [
        ("relu", {"l1": 3.0}),
        ("topk", {"k": 3}),
        ("batchtopk", {"k": 3}),
        ("jumprelu", {"l0": 4.0}),
        ("gated", {"l1": 10.0}),
    ],
)
def test_every_architecture_recovers_twice_as_many_features_as_neurons(architecture, keys):
    table = trained(SUPERPOSED, architecture, expansion=4, **keys)
    assert float(table["mean_max_cosine"]) >= 0.95
    assert float(table["recall"]) >= 0.9


def test_random_directions_recover_nothing():
    known = KnownFeatures(Toy())
    other = KnownFeatures(Toy(seed=1)).directions
    sae = SAE(other.T.contiguous(), torch.zeros(512), other, torch.zeros(256), activation=Function())
    x, sizes = known.rows(1000, torch.Generator().manual_seed(0))
    table = recovery(sae, known.directions, x, sizes, 0.9)
    assert float(table["mean_max_cosine"]) < 0.3
    assert float(table["recall"]) == float(table["precision"]) == 0


def identity(features, living=None):
    """An SAE whose feature i is neuron i; the dead ones have a bias far below 0."""
    bias = torch.zeros(features)
    if living is not None:
        bias[living:] = -100
    return SAE(torch.eye(features), bias, torch.eye(features), torch.zeros(features), activation=Function())


def test_precision_and_recall_on_a_case_worked_by_hand():
    directions = torch.tensor([[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0.6, 0.8, 0]])
    sizes = torch.tensor([[1.0, 0, 0], [1, 1, 0], [0, 0, 1], [0, 0, 0]])
    table = recovery(identity(4), directions, sizes @ directions, sizes, 0.9)
    np.testing.assert_allclose(table["best_cosine"], [1, 1, 0.8], rtol=1e-6)
    np.testing.assert_array_equal(table["best_feature"], [0, 1, 2])
    assert float(table["mean_max_cosine"]) == pytest.approx(2.8 / 3)
    assert float(table["recall"]) == pytest.approx(2 / 3)
    assert float(table["living"]) == 3  # feature 3 is active on no row
    assert float(table["precision"]) == pytest.approx(2 / 3)
    np.testing.assert_allclose(table["firing_precision"], [1, 1 / 2, 1])  # feature 1 is active with the third, too
    np.testing.assert_allclose(table["firing_recall"], [1, 1, 1])
    assert float(table["firing_precision_all"]) == pytest.approx(4 / 5)
    assert float(table["explained_variance"]) == pytest.approx(1)
    assert float(table["L0"]) == pytest.approx(5 / 4)
    assert float(table["L0_known"]) == 1


def test_a_dead_feature_recovers_nothing():
    directions = torch.eye(4)
    sizes = torch.ones(8, 4)
    table = recovery(identity(4, living=2), directions, sizes @ directions, sizes, 0.9)
    assert float(table["living"]) == 2
    assert float(table["recall"]) == 0.5
    assert float(table["precision"]) == 1


def test_where_no_feature_lives_the_table_says_so():
    sizes = torch.ones(8, 4)
    table = recovery(identity(4, living=0), torch.eye(4), sizes, sizes, 0.9)
    assert (
        np.isnan(table["mean_max_cosine"]) and np.isnan(table["precision"]) and np.isnan(table["firing_precision_all"])
    )
    assert float(table["recall"]) == 0
    assert set(table["best_feature"].values) == {-1}


@pytest.mark.parametrize("correlated", [False, True])
def test_features_are_as_frequent_as_the_set_says(correlated):
    toy = Toy(correlated=correlated)
    known = KnownFeatures(toy)
    x, sizes = known.rows(20_000, torch.Generator().manual_seed(3))
    frequency = (sizes > 0).float().mean(0)
    assert float(frequency.sum()) == pytest.approx(5, rel=0.02)
    assert float(frequency[:64].sum() / frequency[64:128].sum()) == pytest.approx(0.99**-64, rel=0.1)
    assert float(sizes.max()) <= 1
    torch.testing.assert_close(x, sizes @ known.directions)


def test_correlated_features_come_together_more_often_than_chance():
    def excess(toy):
        _, sizes = KnownFeatures(toy).rows(40_000, torch.Generator().manual_seed(3))
        active = (sizes > 0).double()
        chance = active.mean(0)[:, None] * active.mean(0)
        ratio = (active.T @ active / len(active) / chance)[~torch.eye(8, dtype=torch.bool)]
        return float((ratio - 1).abs().max())

    few = {"neurons": 8, "features": 8, "active": 2, "decay": 1}
    assert excess(Toy(**few, correlated=True)) > 0.15
    assert excess(Toy(**few, correlated=False)) < 0.08


def test_the_rows_of_a_step_depend_on_the_seeds_and_the_step_alone():
    known = KnownFeatures(SUPERPOSED)
    one, other = (KnownRows(known, SUPERPOSED, 64, seed) for seed in (0, 1))
    later = one.batch(5)
    one.batch(0)
    assert torch.equal(one.batch(5), later)
    assert not torch.equal(one.batch(4), later)
    assert not torch.equal(other.batch(5), later)
    assert not torch.equal(one.sample(64, 5), later)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"neurons": 8, "features": 16, "orthogonal": True}, "right angles"),
        ({"least": 2.0}, "must exceed"),
        ({"features": 4, "active": 3.0, "decay": 0.5}, "would have probability"),
    ],
)
def test_a_set_that_cannot_be_is_refused(keys, words):
    with pytest.raises(ValidationError, match=words):
        Toy(**keys)


def test_an_sae_does_not_begin_with_the_known_directions():
    table = trained(Toy(eval_rows=1000), "topk", k=5, expansion=2, tokens=1024)
    assert float(table["mean_max_cosine"]) < 0.5


def test_the_step_writes_the_same_table_each_time(tmp_path):
    toy = Toy(neurons=8, features=8, active=1, decay=1, eval_rows=500)
    values = {"architecture": "topk", "k": 1, "expansion": 1, "tokens": 4096, "batch_size": 256}
    recipe = section_class("saes", "topk").model_validate(values)
    config = {"toy": toy.rows(), "architecture": recipe.architecture, "params": recipe.hyper_parameters()}
    command = [sys.executable, "-m", "polysem", "step", "recover_features", f"--config={json.dumps(config)}"]
    for name in ("one.nc", "two.nc"):
        subprocess.run([*command, f"--output={tmp_path / name}"], check=True)
    assert (tmp_path / "one.nc").read_bytes() == (tmp_path / "two.nc").read_bytes()
    table = read_table(tmp_path / "one.nc")
    assert table.attrs["catalogue"] == "S1.X1" and table.attrs["rows"] == 500
    assert dict(table.sizes) == {"known": 8, "feature": 8}
