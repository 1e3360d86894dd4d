"""The contract that every registered architecture keeps."""

from importlib import import_module

import pytest
import torch
import torch.nn.functional as F
from directions import random_directions, sparse_sums

from polysem.activations.rows import ActivationRows
from polysem.params.study import kinds, section_class
from polysem.saes import gradients as engine
from polysem.saes.gradients import active_entries, gradients
from polysem.saes.sae import SAE, load_sae, save_sae
from polysem.saes.trainer import Trainer

KEYS = {"relu": {"l1": 0.3}, "topk": {"k": 3}}
ARCHITECTURES = kinds("saes")


def recipe_of(architecture, **keys):
    values = {"architecture": architecture, "expansion": 2, "tokens": 4096, "batch_size": 128, "learning_rate": 5e-3}
    return section_class("saes", architecture).model_validate(values | KEYS[architecture] | keys)


def module_of(architecture):
    return import_module(f"polysem.saes.architectures.{architecture}")


def random_weights(features, neurons, dtype=torch.float64):
    generator = torch.Generator().manual_seed(1)
    W_dec = F.normalize(torch.randn(features, neurons, generator=generator, dtype=dtype), dim=1)
    return {
        "W_enc": W_dec + 0.1 * torch.randn(features, neurons, generator=generator, dtype=dtype),
        "b_enc": 0.1 * torch.randn(features, generator=generator, dtype=dtype),
        "W_dec": W_dec,
        "b_dec": 0.1 * torch.randn(neurons, generator=generator, dtype=dtype),
    }


def test_this_file_has_keys_for_every_architecture():
    assert set(KEYS) == set(ARCHITECTURES)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("dense", [True, False])
def test_gradients_equal_those_of_autograd(architecture, dense, monkeypatch):
    monkeypatch.setattr(engine, "DENSE_ABOVE", 0.0 if dense else 1.0)
    recipe, kind = recipe_of(architecture), module_of(architecture)
    x = torch.randn(300, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    weights = random_weights(40, 16)
    penalty = kind.penalty(recipe, progress=0.5)
    found = gradients(
        x.float(), **{k: v.float() for k, v in weights.items()}, select=kind.select(recipe), penalty=penalty
    )

    leaves = {name: tensor.clone().requires_grad_() for name, tensor in weights.items()}
    sae = SAE(leaves["W_enc"].T, leaves["b_enc"], leaves["W_dec"], leaves["b_dec"], kind.activation(recipe))
    f = sae.encode(x)
    squared_error = (sae.decode(f) - x).square().sum(-1).mean()
    paid = penalty.value(f[f > 0]).sum() / len(x)
    wanted = dict(zip(leaves, torch.autograd.grad(squared_error + paid, list(leaves.values())), strict=True))

    for name, gradient in wanted.items():
        error = (getattr(found, name) - gradient).norm() / gradient.norm()
        assert error < 1e-5, f"{name}: {error}"
    assert found.squared_error == pytest.approx(squared_error.item(), rel=1e-5)
    assert found.penalty == pytest.approx(paid.item(), rel=1e-5)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_slope_of_the_penalty_is_its_derivative(architecture):
    penalty = module_of(architecture).penalty(recipe_of(architecture), progress=0.7)
    values = torch.tensor([0.1, 1.0, 3.0], dtype=torch.float64, requires_grad=True)
    total = penalty.value(values).sum() + 0 * values.sum()
    (derivative,) = torch.autograd.grad(total, values)
    torch.testing.assert_close(penalty.slope(values.detach()), derivative)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_active_entries_are_those_of_the_activation_function(architecture):
    recipe, kind = recipe_of(architecture), module_of(architecture)
    weights = random_weights(40, 16, torch.float32)
    x = torch.randn(600, 16, generator=torch.Generator().manual_seed(2))
    found = active_entries(x, weights["W_enc"], weights["b_enc"], kind.select(recipe))
    f = kind.activation(recipe)(torch.addmm(weights["b_enc"], x, weights["W_enc"].T))
    row, feature = torch.nonzero(f, as_tuple=True)
    assert torch.equal(found.row, row)
    assert torch.equal(found.feature, feature)
    torch.testing.assert_close(found.value, f[row, feature])


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_saved_sae_loads_to_the_same_features_and_reconstructions(architecture, tmp_path):
    recipe, kind = recipe_of(architecture), module_of(architecture)
    weights = random_weights(40, 16, torch.float32)
    W_enc = weights["W_enc"].T.contiguous()
    sae = SAE(W_enc, weights["b_enc"], weights["W_dec"], weights["b_dec"], kind.activation(recipe))
    save_sae(sae, tmp_path, {}, torch.rand(40))
    loaded = load_sae(tmp_path, 16)
    x = torch.randn(50, 16)
    assert torch.equal(loaded.encode(x), sae.encode(x))
    assert torch.equal(loaded.decode(loaded.encode(x)), sae.decode(sae.encode(x)))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_training_lowers_the_error_and_keeps_decoder_rows_at_norm_1(architecture, store):
    rows = ActivationRows(store(sparse_sums(2000, random_directions(24, 16), 3)))
    trainer = Trainer(module_of(architecture), recipe_of(architecture), rows)
    errors = [trainer.advance()["squared_error"] for _ in range(trainer.steps)]
    assert sum(errors[-5:]) < 0.7 * sum(errors[:5])
    norms = trainer.finished().W_dec.norm(dim=1)
    torch.testing.assert_close(norms, torch.ones_like(norms))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_folded_scale_gives_the_reconstruction_of_the_training(architecture, store):
    activations = 7.5 * sparse_sums(2000, random_directions(24, 16), 3)
    trainer = Trainer(module_of(architecture), recipe_of(architecture), ActivationRows(store(activations)))
    for _ in range(10):
        trainer.advance()
    x = torch.from_numpy(activations[:100]).float()
    weights, scale = trainer.weights, trainer.scale
    inner = SAE(weights["W_enc"].T, weights["b_enc"], weights["W_dec"], weights["b_dec"], trainer.finished().activation)
    trained = inner.decode(inner.encode(x * scale)) / scale
    finished = trainer.finished()
    torch.testing.assert_close(finished.decode(finished.encode(x)), trained, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(finished.encode(x) * scale, inner.encode(x * scale), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_two_trainings_of_the_same_recipe_are_equal_and_another_seed_is_not(architecture, store):
    path = store(sparse_sums(1000, random_directions(24, 16), 3))

    def train(seed):
        trainer = Trainer(module_of(architecture), recipe_of(architecture, seed=seed), ActivationRows(path))
        for _ in range(8):
            trainer.advance()
        return trainer.finished().W_enc

    assert torch.equal(train(0), train(0))
    assert not torch.equal(train(0), train(1))


def test_topk_keeps_k_features_and_none_below_0():
    kind, recipe = module_of("topk"), recipe_of("topk")
    pre = torch.tensor([[3.0, 1.0, 2.0, 0.5, -1.0], [-1.0, 0.2, -3.0, -4.0, -5.0]])
    assert kind.activation(recipe)(pre).tolist() == [[3.0, 1.0, 2.0, 0, 0], [0, pytest.approx(0.2), 0, 0, 0]]


def test_a_case_of_the_relu_loss_worked_by_hand():
    # one token x = (2, 0), b_dec = (1, 0); feature 0 reads and writes neuron 0, feature 1 is off
    kind, recipe = module_of("relu"), recipe_of("relu", l1=0.5, l1_warmup=0.0)
    weights = {
        "W_enc": torch.tensor([[2.0, 0.0], [0.0, 1.0]]),
        "b_enc": torch.tensor([1.0, -1.0]),
        "W_dec": torch.eye(2),
        "b_dec": torch.tensor([1.0, 0.0]),
    }
    step = gradients(torch.tensor([[2.0, 0.0]]), **weights, select=kind.select(recipe), penalty=kind.penalty(recipe, 0))
    # f0 = 2·(2−1) + 1 = 3, x̂ = (4, 0), residual (2, 0), so the error is 4 and the penalty 0.5·3
    assert step.squared_error == pytest.approx(4.0)
    assert step.penalty == pytest.approx(1.5)
    # dL/df0 = 2·2·1 + 0.5 = 4.5; dL/dW_dec = f0·2·residual; dL/db_dec = 2·residual − W_encᵀ dL/df
    assert step.b_enc.tolist() == pytest.approx([4.5, 0.0])
    assert step.W_enc[0].tolist() == pytest.approx([4.5, 0.0])
    assert step.W_dec[0].tolist() == pytest.approx([12.0, 0.0])
    assert step.b_dec.tolist() == pytest.approx([4.0 - 9.0, 0.0])
