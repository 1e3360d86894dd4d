"""The neuron-embedding loss (S3.M4) against plain autograd, plain loops and a case worked by hand."""

import pytest
import torch
from directions import random_directions, sparse_sums
from recipes import ARCHITECTURES, random_weights, recipe_of, single, step, trainer_of
from test_architectures import saved
from test_contract import FORMS

from polysem.saes import gradients as gradients_module
from polysem.saes import search as search_module
from polysem.saes.embedding_loss import EmbeddingLoss
from polysem.saes.entries import DenseEntries, SparseEntries
from polysem.saes.gradients import Gradients

ON = {"embedding_loss": 0.5, "embedding_loss_from": 0}


def activity(entries, shape):
    """The active entries as a matrix of booleans."""
    if isinstance(entries, DenseEntries):
        return entries.active
    found = torch.zeros(shape, dtype=torch.bool)
    found[entries.row, entries.feature] = True
    return found


def by_autograd(z, W_enc, mean, met, active, weight):
    """The loss from all embeddings [token, feature, input], and its gradient by the encoder."""
    leaf = W_enc.clone().requires_grad_()
    cosine = torch.nn.functional.cosine_similarity(z[:, None] * leaf, mean * leaf, dim=2, eps=1e-30)
    loss = weight * ((1 - cosine) * (active & met)).sum() / len(z)
    return torch.autograd.grad(loss, leaf)[0], loss.item()


def one_by_one(mean, met, z, active, momentum):
    """Means and what was met, entry after entry."""
    mean, met = mean.clone(), met.clone()
    for row, feature in torch.nonzero(active).tolist():
        mean[feature] = momentum * mean[feature] + (1 - momentum) * z[row] if met[feature] else z[row]
        met[feature] = True
    return mean, met


def prepared(recipe, weights):
    """The loss with some means, of which a few features have none; float32, with the same means in float64."""
    loss = EmbeddingLoss(recipe, 96, 32, "cpu")
    mean = torch.randn(96, 32, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    met = torch.arange(96) % 4 > 0
    mean[~met] = 0.0
    loss.mean.copy_(mean)
    loss.met.copy_(met)
    return loss, mean.float().double(), met


def step_of(recipe, form, monkeypatch):
    for name, value in form.items():
        monkeypatch.setattr(search_module, name, value)
    x = torch.randn(120, 32, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    weights = random_weights(recipe, 96, 32)
    return x, weights, step(recipe, x.float(), single(weights))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_its_gradient_equals_that_of_autograd_in_float64_and_no_other_weight_has_one(architecture, form, monkeypatch):
    recipe = recipe_of(architecture, **ON)
    x, weights, found = step_of(recipe, FORMS[form], monkeypatch)
    before = {name: tensor.clone() for name, tensor in found.by_weight.items()}
    loss, mean, met = prepared(recipe, weights)
    paid = loss.add_gradients(found, x.float(), single(weights), 0)
    z = x - weights["b_dec"]
    wanted, value = by_autograd(z, weights["W_enc"], mean, met, activity(found.active, (120, 96)), 0.5)
    assert paid == pytest.approx(value, rel=1e-5)
    ours = found.by_weight["W_enc"] - before["W_enc"]
    assert (ours - wanted).norm() / wanted.norm() < 1e-5
    assert all(torch.equal(found.by_weight[name], before[name]) for name in before if name != "W_enc")


@pytest.mark.parametrize("momentum", [0.8, 0.0])
@pytest.mark.parametrize("form", FORMS)
def test_the_means_follow_the_entries_as_if_taken_one_by_one(form, momentum, monkeypatch):
    recipe = recipe_of("relu", embedding_momentum=momentum, **ON)
    x, weights, found = step_of(recipe, FORMS[form], monkeypatch)
    loss, mean, met = prepared(recipe, weights)
    loss.add_gradients(found, x.float(), single(weights), 0)
    active = activity(found.active, (120, 96))
    wanted, met = one_by_one(mean, met, x - weights["b_dec"], active, momentum)
    torch.testing.assert_close(loss.mean.double(), wanted, rtol=1e-5, atol=1e-6)
    assert torch.equal(loss.met, met)
    assert active[:, :4].sum(0).max() > 20


def test_the_form_for_a_gpu_has_a_gradient_within_the_precision_of_bfloat16(monkeypatch):
    monkeypatch.setattr(
        gradients_module, "active_entries", lambda *batch: search_module.masked_matrix(*batch, torch.bfloat16)
    )
    recipe = recipe_of("topk", **ON)
    x, weights, found = step_of(recipe, {}, monkeypatch)
    found.by_weight["W_enc"].zero_()
    loss, mean, met = prepared(recipe, weights)
    active = activity(found.active, (120, 96))
    paid = loss.add_gradients(found, x.float(), single(weights), 0)
    wanted, value = by_autograd(x - weights["b_dec"], weights["W_enc"], mean, met, active, 0.5)
    assert paid == pytest.approx(value, rel=0.01)
    assert (found.by_weight["W_enc"] - wanted).norm() / wanted.norm() < 0.02


def test_a_case_of_the_loss_worked_by_hand():
    # one feature with w = (1, 2) and mean (1, 0), and one token z = x − b_dec = (3, 2) − (1, 1) = (2, 1)
    loss = EmbeddingLoss(recipe_of("relu", **ON), 1, 2, "cpu")
    loss.mean.copy_(torch.tensor([[1.0, 0.0]]))
    loss.met[0] = True
    weights = {"W_enc": torch.tensor([[1.0, 2.0]]), "b_dec": torch.ones(2)}
    active = SparseEntries(torch.tensor([0]), torch.tensor([0]), torch.tensor([3.0]), (1, 1))
    found = Gradients({"W_enc": torch.zeros(1, 2)}, active, torch.zeros(1, 2))
    # embeddings (1, 0) and (2, 2): cos = 1/√2, paid 0.5 · (1 − 1/√2)
    paid = loss.add_gradients(found, torch.tensor([[3.0, 2.0]]), weights, 0)
    assert paid == pytest.approx(0.5 * (1 - 0.5**0.5))
    # cos = 2 w₁ / √(4 w₁² + w₂²): by w₁ 2 w₂² / 8^1.5 = 8 / 22.627, by w₂ −2 w₁ w₂ / 8^1.5 = −4 / 22.627
    assert found.by_weight["W_enc"].flatten().tolist() == pytest.approx([-0.5 * 8 / 8**1.5, 0.5 * 4 / 8**1.5])
    # then the mean is 0.9 · (1, 0) + 0.1 · (2, 1)
    assert loss.mean.flatten().tolist() == pytest.approx([1.1, 0.1])


def test_embeddings_of_norm_0_pay_in_full_and_have_no_slope():
    loss = EmbeddingLoss(recipe_of("relu", **ON), 2, 2, "cpu")
    loss.mean.copy_(torch.tensor([[0.0, 5.0], [1.0, 1.0]]))
    loss.met[:] = True
    weights = {"W_enc": torch.tensor([[1.0, 0.0], [0.0, 1.0]]), "b_dec": torch.zeros(2)}
    both = SparseEntries(torch.tensor([0, 0]), torch.tensor([0, 1]), torch.ones(2), (1, 2))
    found = Gradients({"W_enc": torch.zeros(2, 2)}, both, torch.zeros(1, 2))
    assert loss.add_gradients(found, torch.tensor([[3.0, 0.0]]), weights, 0) == pytest.approx(0.5 * 2)
    assert found.by_weight["W_enc"].tolist() == [[0.0, 0.0], [0.0, 0.0]]


@pytest.fixture
def path(store):
    return store(sparse_sums(2000, random_directions(24, 16), 3))


def test_until_it_counts_a_training_has_the_bits_of_one_without_it(path):
    plain = trainer_of(path, recipe_of("relu"))
    late = trainer_of(path, recipe_of("relu", embedding_loss=20.0, embedding_loss_from=6))
    for number in range(8):
        terms, _ = plain.advance()
        with_it, _ = late.advance()
        assert "embedding" not in terms
        assert (with_it["embedding"] > 0) == (number >= 6)
        assert torch.equal(plain.weights["W_enc"], late.weights["W_enc"]) == (number < 6)
    assert with_it["loss"] == pytest.approx(sum(with_it[name] for name in ("squared_error", "penalty", "embedding")))


def test_it_brings_the_embeddings_of_a_feature_together(path):
    def distance(weight):
        trainer = trainer_of(path, recipe_of("relu", embedding_loss=weight, embedding_loss_from=10, tokens=12_800))
        found = [trainer.advance()[0] for _ in range(trainer.steps)][-20:]
        return sum(terms["embedding"] / terms["L0"] for terms in found) / weight

    assert distance(5.0) < 0.7 * distance(1e-6)


def test_features_that_get_new_weights_start_a_new_mean(path):
    keys = {"dead_features": "reinitialise", "dead_every": 8, "dead_below": 0.01}
    trainer = trainer_of(path, recipe_of("relu", **keys, **ON))
    for _ in range(7):
        trainer.advance()
    assert trainer._embedding.met[:5].all()
    trainer.weights["b_enc"][:5] = -100.0
    trainer._census.firings[:5] = 0
    trainer.advance()
    assert trainer.replaced >= 5
    assert not trainer._embedding.met[:5].any()
    assert not trainer._embedding.mean[:5].any()


def test_a_resumed_training_has_its_means(path):
    first, second = (trainer_of(path, recipe_of("relu", **ON)) for _ in range(2))
    for _ in range(5):
        first.advance()
    second.load_state(torch.load(saved(first.state()), weights_only=True))
    assert torch.equal(second._embedding.mean, first._embedding.mean)
    assert torch.equal(second._embedding.met, first._embedding.met)
    assert first._embedding.met.any()


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"embedding_momentum": 0.5}, "embedding_momentum is read with embedding_loss above 0; here it is 0"),
        ({"embedding_loss_from": 5}, "embedding_loss_from is read with embedding_loss above 0"),
        ({"embedding_loss": 1.0}, "embedding_loss never counts: embedding_loss_from is 200, and .* are 32 steps"),
    ],
)
def test_keys_that_nothing_reads_are_refused(keys, message):
    with pytest.raises(ValueError, match=message):
        recipe_of("relu", **keys)
