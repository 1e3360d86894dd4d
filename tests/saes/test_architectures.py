"""Searches, auxiliary loss, training and saving of the architectures; test_contract.py has what all keep."""

import pytest
import torch
import torch.nn.functional as F
from directions import random_directions, sparse_sums
from recipes import ARCHITECTURES, CASES, random_weights, recipe_of, single, step, trainer_of
from test_contract import FORMS

from polysem.saes import search as search_module
from polysem.saes.architecture import Architecture, recipe_class
from polysem.saes.entries import SparseEntries
from polysem.saes.gradients import auxiliary_gradients
from polysem.saes.gradients import search as find
from polysem.saes.losses import pre_activations
from polysem.saes.products import BFLOAT16, PRODUCTS
from polysem.saes.sae import SAE, load_sae, save_sae
from polysem.saes.search import Above, Largest, LargestOfBatch, active_entries


def test_the_gradients_of_the_auxiliary_loss_equal_those_of_autograd():
    recipe = recipe_of("topk")
    x = torch.randn(200, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    weights = random_weights(recipe, 40, 16)
    dead = torch.tensor([1, 5, 7, 20, 33])
    found = step(recipe, x.float(), single(weights))
    before = {name: tensor.clone() for name, tensor in found.by_weight.items()}
    paid = auxiliary_gradients(found, x.float(), single(weights), dead, k=2, weight=0.25)

    leaves = {name: tensor.clone().requires_grad_() for name, tensor in weights.items()}
    pre = pre_activations(x, leaves)[:, dead]
    least = pre.sort(dim=-1, descending=True).values[:, 1:2]
    predicted = torch.where(pre >= least, pre, 0.0).relu() @ leaves["W_dec"][dead]
    missed = -found.residual.double()
    loss = 0.25 * (missed - predicted).square().sum(-1).mean()
    wanted = dict(zip(leaves, torch.autograd.grad(loss, list(leaves.values())), strict=True))
    assert paid == pytest.approx(loss.item(), rel=1e-5)
    for name, gradient in wanted.items():
        torch.testing.assert_close(found.by_weight[name] - before[name], gradient.float(), rtol=1e-3, atol=1e-5)


RULES = [Above(), Above(torch.linspace(0, 1, 640)), Largest(5), Largest(39), LargestOfBatch(5), LargestOfBatch(60)]


def searched(heavy):
    """Tokens, encoder rows and biases."""
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(700, 64, generator=generator)
    if heavy:  # a few neurons carry most of the norm, as behind a ReLU; some tokens are far larger than others
        x = x.abs() ** 3 * (1 + 10 * (torch.rand(700, 1, generator=generator) > 0.98))
    W_enc = F.normalize(torch.randn(640, 64, generator=generator), dim=1)
    return x, W_enc, -1.5 - 0.2 * torch.rand(640, generator=generator)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: type(rule).__name__)
@pytest.mark.parametrize("heavy", [False, True])
def test_which_product_is_fastest_moves_no_bit_of_what_is_found(rule, heavy, monkeypatch):
    x, W_enc, bias = searched(heavy)
    for same in (5, 300):  # equal entries, of which a product may find any first
        W_enc[same], bias[same] = W_enc[77].clone(), bias[77].clone()
    found = []
    for product in PRODUCTS.values():
        for name, value in FORMS[f"sparse, searched in {product.name}"].items():
            monkeypatch.setattr(search_module, name, value)
        entries = active_entries(x, W_enc, bias, rule)
        found.append((entries.row, entries.feature, entries.value))
    for other in found[1:]:
        for one, same in zip(found[0], other, strict=True):
            assert torch.equal(one, same)


@pytest.mark.parametrize("form", [name for name in FORMS if name != "dense"])
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: type(rule).__name__)
@pytest.mark.parametrize("heavy", [False, True])
def test_a_search_finds_what_a_sort_of_all_pre_activations_finds(rule, form, heavy, monkeypatch):
    for name, value in FORMS[form].items():
        monkeypatch.setattr(search_module, name, value)
    x, W_enc, bias = searched(heavy)
    found = active_entries(x, W_enc, bias, rule)
    assert isinstance(found, SparseEntries)
    pre = torch.addmm(bias, x, W_enc.T)
    wanted = rule.mask(pre)
    ours = torch.zeros_like(wanted)
    ours[found.row, found.feature] = True
    differing = torch.nonzero(ours != wanted, as_tuple=True)
    if rule.floor is None and isinstance(rule, Above):  # an entry may round to either side of its bound
        assert (pre[differing].abs() < 1e-5).all()
    else:
        assert len(differing[0]) <= 4
    both = ours & wanted
    dense = torch.zeros_like(pre)
    dense[found.row, found.feature] = found.value
    torch.testing.assert_close(dense[both], pre[both], rtol=1e-4, atol=1e-4)
    assert (torch.diff(found.row) >= 0).all()


@pytest.mark.parametrize(("architecture", "case"), CASES, ids=str)
def test_a_finished_sae_has_as_many_active_features_as_the_loss_saw(architecture, case):
    recipe = recipe_class(architecture)(architecture=architecture, **case)
    weights = single(random_weights(recipe, 96, 32))
    x = torch.randn(300, 32, generator=torch.Generator().manual_seed(2))
    found = step(recipe, x, weights)
    function = Architecture(recipe).function(weights, x)
    f = SAE(weights["W_enc"].T, weights["b_enc"], weights["W_dec"], weights["b_dec"], function).encode(x)
    # a threshold that is measured stands for the choice of a batch, or is moved until L0 is what was asked for
    wanted = recipe.target_l0 * len(x) if "target_l0" in case and architecture == "jumprelu" else found.active.count()
    assert float((f > 0).sum()) == pytest.approx(wanted, abs=2)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_saved_sae_loads_to_the_same_features_and_reconstructions(architecture, store, tmp_path):
    trainer = trainer_of(store(sparse_sums(1000, random_directions(24, 16), 3)), recipe_of(architecture))
    for _ in range(5):
        trainer.advance()
    sae = trainer.finished()
    save_sae(sae, tmp_path / "sae", {}, trainer.frequency())
    loaded = load_sae(tmp_path / "sae", 16)
    x = torch.randn(50, 16)
    f = sae.encode(x)
    assert f.any()
    assert torch.equal(loaded.encode(x), f)
    assert torch.equal(loaded.reconstruct(x, f), sae.reconstruct(x, f))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_training_lowers_the_error_and_keeps_decoder_rows_at_norm_1(architecture, store):
    trainer = trainer_of(store(sparse_sums(2000, random_directions(24, 16), 3)), recipe_of(architecture))
    errors = [trainer.advance()[0]["squared_error"] for _ in range(trainer.steps)]
    assert sum(errors[-5:]) < 0.7 * sum(errors[:5])
    norms = trainer.finished().W_dec.norm(dim=1)
    torch.testing.assert_close(norms, torch.ones_like(norms))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_folded_scale_gives_the_reconstruction_of_the_training(architecture, store):
    activations = 7.5 * sparse_sums(2000, random_directions(24, 16), 3)
    recipe = recipe_of(architecture)
    trainer = trainer_of(store(activations), recipe)
    for _ in range(10):
        trainer.advance()
    x = torch.from_numpy(activations[:100]).float()
    weights, scale, finished = trainer.weights, trainer.scale, trainer.finished()
    function = finished.activation.scaled(scale)
    inner = SAE(weights["W_enc"].T, weights["b_enc"], weights["W_dec"], weights["b_dec"], function)
    f = finished.encode(x)
    norms = weights["W_dec"].norm(dim=1)  # free ones are folded into the encoder
    torch.testing.assert_close(f * scale, inner.encode(x * scale) * norms, rtol=1e-4, atol=1e-3)
    trained = inner.decode(inner.encode(x * scale)) / scale
    torch.testing.assert_close(finished.decode(f), trained, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_two_trainings_of_the_same_recipe_are_equal_and_another_seed_is_not(architecture, store):
    path = store(sparse_sums(1000, random_directions(24, 16), 3))

    def train(seed):
        trainer = trainer_of(path, recipe_of(architecture, seed=seed))
        for _ in range(8):
            trainer.advance()
        return trainer.finished().W_enc

    assert torch.equal(train(0), train(0))
    assert not torch.equal(train(0), train(1))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_training_has_the_same_bytes_whichever_product_is_fastest(architecture, store, monkeypatch):
    path = store(sparse_sums(1000, random_directions(24, 16), 3))
    ends = []
    for product in PRODUCTS.values():
        for name, value in FORMS[f"sparse, searched in {product.name}"].items():
            monkeypatch.setattr(search_module, name, value)
        trainer = trainer_of(path, recipe_of(architecture))
        for _ in range(20):
            trainer.advance()
        ends.append(trainer.finished())
    for other in ends[1:]:
        for name in ("W_enc", "b_enc", "W_dec", "b_dec"):
            assert torch.equal(getattr(ends[0], name), getattr(other, name)), name


STEERED = ("relu", "jumprelu", "gated")


@pytest.mark.parametrize("architecture", STEERED)
def test_a_training_with_a_target_reaches_that_l0_on_rows_that_it_has_not_seen(architecture, store):
    directions = random_directions(48, 32)
    path = store(sparse_sums(12_000, directions, 4))
    for target in (3, 8):
        trainer = trainer_of(path, recipe_of(architecture, target_l0=target, tokens=400 * 128))
        weights = [trainer.advance()[0]["coefficient"] for _ in range(trainer.steps)]
        unseen = torch.from_numpy(sparse_sums(4000, directions, 4, seed=9)).float()
        l0 = float((trainer.finished().encode(unseen) > 0).sum(1).double().mean())
        assert l0 == pytest.approx(target, rel=0.1)
        assert len(set(weights[len(weights) // 2 :])) > 1, "nothing was steered"


@pytest.mark.parametrize("architecture", STEERED)
def test_a_steered_training_that_goes_on_from_a_checkpoint_ends_with_the_same_bits(architecture, store):
    path = store(sparse_sums(1000, random_directions(24, 16), 3))
    keys = {"target_l0": 4}
    whole, first, second = (trainer_of(path, recipe_of(architecture, **keys)) for _ in range(3))
    for _ in range(20):
        last, _ = whole.advance()
    for _ in range(11):
        first.advance()
    second.load_state(torch.load(saved(first.state()), weights_only=True))
    for _ in range(9):
        resumed, _ = second.advance()
    assert resumed == last
    for name, tensor in whole.finished().tensors().items():
        assert torch.equal(second.finished().tensors()[name], tensor), name


@pytest.mark.parametrize("k", [2, 5])
@pytest.mark.parametrize("architecture", ["topk", "batchtopk"])
def test_as_many_features_are_active_on_unseen_rows_as_k_asks_for(architecture, k, store):
    directions = random_directions(48, 32)
    path = store(sparse_sums(12_000, directions, 4))
    trainer = trainer_of(path, recipe_of(architecture, k=k, tokens=100 * 128))
    for _ in range(trainer.steps):
        trainer.advance()
    unseen = torch.from_numpy(sparse_sums(4000, directions, 4, seed=9)).float()
    l0 = float((trainer.finished().encode(unseen) > 0).sum(1).double().mean())
    assert l0 == pytest.approx(k, rel=0.03)


def test_the_threshold_of_a_finished_batchtopk_sae_is_exceeded_by_k_features_per_row_of_the_sample():
    recipe = recipe_of("batchtopk")
    weights = single(random_weights(recipe, 96, 32))
    x = torch.randn(2500, 32, generator=torch.Generator().manual_seed(2))
    threshold = Architecture(recipe).function(weights, x).threshold
    pre = torch.addmm(weights["b_enc"] - weights["W_enc"] @ weights["b_dec"], x, weights["W_enc"].T)
    assert int((pre > float(threshold[0])).sum()) == pytest.approx(recipe.k * len(x), abs=2)


@pytest.mark.parametrize("target", [2, 9])
def test_thresholds_of_a_steered_jumprelu_sae_move_together_until_the_sample_has_the_l0_asked_for(target):
    recipe = recipe_of("jumprelu", target_l0=target)
    weights = single(random_weights(recipe, 96, 32))
    x = torch.randn(2500, 32, generator=torch.Generator().manual_seed(2))
    learned = weights["threshold"].clamp(min=0)
    moved = Architecture(recipe).function(weights, x).threshold
    pre = torch.addmm(weights["b_enc"] - weights["W_enc"] @ weights["b_dec"], x, weights["W_enc"].T)
    assert int((pre > moved).sum()) == pytest.approx(target * len(x), abs=2)
    shifts = (moved - learned)[moved > 0]
    assert float(shifts.max() - shifts.min()) < 1e-6


def test_thresholds_of_jumprelu_fall_by_half_a_bandwidth_at_most_and_never_below_0():
    recipe = recipe_of("jumprelu", target_l0=4, bandwidth=0.2)
    threshold = torch.tensor([0.3, 0.3, 0.05, 0.0])
    weights = {"W_enc": torch.eye(4), "b_enc": torch.zeros(4), "W_dec": torch.eye(4), "b_dec": torch.zeros(4)}
    function = Architecture(recipe).function(weights | {"threshold": threshold}, torch.tensor([[1.0, 0.25, 1.0, -1.0]]))
    torch.testing.assert_close(function.threshold, torch.tensor([0.2, 0.2, 0.0, 0.0]))


def test_where_too_few_features_are_active_the_threshold_of_batchtopk_is_0():
    recipe = recipe_of("batchtopk", k=3)
    weights = {"W_enc": torch.eye(4), "b_enc": torch.zeros(4), "W_dec": torch.eye(4), "b_dec": torch.zeros(4)}
    rows = torch.tensor([[1.0, 2.0, -1.0, -1.0], [1.0, -2.0, -1.0, -1.0]])
    assert Architecture(recipe).function(weights, rows).threshold.tolist() == [0.0] * 4


def test_thresholds_of_jumprelu_can_move_far_in_a_few_hundred_steps_and_never_below_0(store):
    path = store(sparse_sums(4000, random_directions(48, 32), 4))
    trainer = trainer_of(path, recipe_of("jumprelu", target_l0=3, tokens=300 * 128))
    for _ in range(trainer.steps):
        trainer.advance()
    threshold = trainer.finished().activation.threshold
    assert float(threshold.min()) >= 0
    assert float(threshold.max()) > 2 * 0.3 / trainer.scale


OPTIONS = [
    {"tied": True},
    {"decoder_norm": "project_only"},
    {"decoder_norm": "free"},
    {"decoder_norm": "unpenalised", "start": "independent", "weight_decay": 0.1},
    {"embedding_loss": 0.5, "embedding_loss_from": 3, "embedding_momentum": 0.8},
    {"embedding_loss": 0.5, "embedding_loss_from": 14, "tied": True},
    {"encoder_l1": 0.1, "encoder_l2": 0.1},
    {"clip_norm": 0.5},
    {"dead_features": "reinitialise", "dead_every": 6, "dead_below": 0.05},
    {"dead_features": "loss_weighted", "dead_every": 6, "dead_below": 0.05, "dead_tokens": 500},
    {"dead_features": "auxk", "dead_every": 6, "dead_below": 0.05, "auxk": 4},
]


@pytest.mark.parametrize("keys", [{}, *OPTIONS], ids=str)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_training_that_goes_on_from_a_checkpoint_ends_with_the_same_bits(architecture, keys, store):
    path = store(sparse_sums(1000, random_directions(24, 16), 3))
    whole = trainer_of(path, recipe_of(architecture, **keys))
    first = trainer_of(path, recipe_of(architecture, **keys))
    for _ in range(20):
        whole.advance()
    for _ in range(11):
        first.advance()
    second = trainer_of(path, recipe_of(architecture, **keys))
    second.load_state(torch.load(saved(first.state()), weights_only=True))
    for _ in range(9):
        second.advance()
    for name, tensor in whole.finished().tensors().items():
        assert torch.equal(second.finished().tensors()[name], tensor), name
    assert torch.equal(second.frequency(), whole.frequency())


def saved(state):
    import io

    stream = io.BytesIO()
    torch.save(state, stream)
    stream.seek(0)
    return stream


def test_a_case_of_the_relu_loss_worked_by_hand():
    # one token x = (2, 0), b_dec = (1, 0); feature 0 reads and writes neuron 0, feature 1 is off
    recipe = recipe_of("relu", l1=0.5, decoder_norm="unit")
    weights = {
        "W_enc": torch.tensor([[2.0, 0.0], [0.0, 1.0]]),
        "b_enc": torch.tensor([1.0, -1.0]),
        "W_dec": torch.tensor([[1.0, 0.0], [0.0, 1.0]]),
        "b_dec": torch.tensor([1.0, 0.0]),
    }
    found = step(recipe, torch.tensor([[2.0, 0.0]]), weights)
    # pre = 2 · (2 − 1) + 1 = 3, x̂ = (4, 0), residual 2: squared error 4, penalty 1.5
    assert found.terms == {"squared_error": pytest.approx(4.0), "penalty": pytest.approx(1.5)}
    # d/df = 2 · 2 + 0.5 = 4.5; W_enc: 4.5 · (x − b_dec) = (4.5, 0); W_dec: f · 4 = 12; b_dec: 4 − 2 · 4.5
    assert found.by_weight["b_enc"].tolist() == pytest.approx([4.5, 0.0])
    assert found.by_weight["W_enc"].flatten().tolist() == pytest.approx([4.5, 0.0, 0.0, 0.0])
    assert found.by_weight["W_dec"].flatten().tolist() == pytest.approx([12.0, 0.0, 0.0, 0.0])
    assert found.by_weight["b_dec"].tolist() == pytest.approx([-5.0, 0.0])


def test_batchtopk_takes_the_largest_of_the_batch_not_of_each_token():
    weights = {"W_enc": torch.eye(4), "b_enc": torch.zeros(4), "W_dec": torch.eye(4), "b_dec": torch.zeros(4)}
    x = torch.tensor([[5.0, 4.0, 3.0, 0.1], [1.0, 0.2, 0.0, -1.0]])
    found = find(x, weights, LargestOfBatch(2))
    assert found.firings().tolist() == [2, 1, 1, 0]


def test_tokens_whose_largest_entries_are_in_doubt_are_searched_again_in_float32(monkeypatch):
    for name, value in FORMS["sparse, searched in bfloat16"].items():
        monkeypatch.setattr(search_module, name, value)
    again = []
    exact = search_module._scored_again

    def counted(x, W_enc, bias, rule, product, sure=False):
        if product != BFLOAT16:
            again.append(len(x))
        return exact(x, W_enc, bias, rule, product, sure)

    monkeypatch.setattr(search_module, "_scored_again", counted)
    generator = torch.Generator().manual_seed(4)
    W_enc = 1e-3 * F.normalize(torch.randn(640, 64, generator=generator), dim=1)
    W_enc[:40] = F.normalize(torch.randn(40, 64, generator=generator), dim=1)
    # most features are tiny and have a tiny margin; where the k-th largest is none of these, it is in doubt
    x = torch.randn(700, 64, generator=generator)
    x[::2] = -3 * W_enc[:40].sum(0)
    pre = x @ W_enc.T
    found = active_entries(x, W_enc, torch.zeros(640), Largest(10))
    assert again
    assert 0 < again[0] < 700
    wanted = Largest(10).mask(pre)
    ours = torch.zeros_like(wanted)
    ours[found.row, found.feature] = True
    assert int((ours != wanted).sum()) <= 4
    assert (torch.diff(found.row) >= 0).all()


def test_a_gate_of_exactly_0_is_closed():
    """f = ReLU(W·0 + b_mag) · [gate > 0]; a gate of 0 lets a magnitude of 1 not through."""
    recipe = recipe_of("gated")
    weights = {"W_enc": torch.eye(2), "W_dec": torch.eye(2), "b_enc": torch.zeros(2), "b_dec": torch.zeros(2)}
    weights |= {"b_mag": torch.ones(2), "r_mag": torch.zeros(2)}
    loss = Architecture(recipe).loss
    loss.begin(weights, 1.0)
    x = torch.tensor([[0.0, 3.0]])
    # the first feature is 0; the second is 3 + 1, one more than what is read
    forward = loss(x, x, weights)
    assert forward.reconstruction.tolist() == [[0.0, 4.0]]
