"""Dictionaries that predict another site: gradients, what is folded in the end, pairs of rows, saved folders."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from recipes import recipe_of
from test_streamed import BATCH, CONTEXT, SITE, kernels, model, opened, recipe, tokens  # noqa: F401

from polysem.activations.extract_activations import extract_activations
from polysem.activations.rows import ActivationRows
from polysem.io.errors import InputError
from polysem.io.stores import create_array, written_store
from polysem.saes import search as search_module
from polysem.saes.architecture import Architecture
from polysem.saes.architectures.jumprelu.loss import Jump, Step
from polysem.saes.gradients import auxiliary_gradients
from polysem.saes.sae import load_sae, save_sae
from polysem.saes.sources.stored import StoredRows
from polysem.saes.sources.streamed import ModelRows
from polysem.saes.train_sae import train_sae
from polysem.saes.trainer import Trainer
from polysem.saes.transcoder import Transcoder
from polysem.saes.transcoding import Transcoding, linear_map

TARGET = "blocks.0.hook_mlp_out"
NEURONS, OUTPUTS = 16, 10
KINDS = ["relu", "jumprelu", "batchtopk"]
VARIANTS = [
    *((kind, {}) for kind in KINDS),
    *((kind, {"skip": True}) for kind in KINDS),
    ("relu", {"decoder_norm": "free", "skip": True}),
    ("relu", {"decoder_norm": "unit"}),
    ("jumprelu", {"penalty_moves": "thresholds", "skip": True}),
    ("jumprelu", {"decoder_norm": "free"}),
]
FORMS = {"dense": {"DENSE_ABOVE": -1.0}, "sparse": {"DENSE_ABOVE": 1.1, "SCORED_AGAIN_BELOW": -1.0}}


def transcoder_of(kind, **keys):
    return recipe_of(kind, target=TARGET, **keys)


def pairs(count=600, dtype=torch.float32):
    """Rows of two sites: the second follows from the first, through other features than it and through a linear map."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(count, NEURONS, generator=generator, dtype=torch.float64) + 0.5
    hidden = (x @ torch.randn(NEURONS, 40, generator=generator, dtype=torch.float64) - 2).relu()
    y = hidden @ torch.randn(40, OUTPUTS, generator=generator, dtype=torch.float64) / 6
    y += 0.3 * x @ torch.randn(NEURONS, OUTPUTS, generator=generator, dtype=torch.float64) + 3
    return torch.cat([x, y], dim=1).to(dtype)


def random_weights(recipe, features=48):
    generator = torch.Generator().manual_seed(1)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    W_dec = F.normalize(normal(features, OUTPUTS), dim=1)
    if recipe.decoder_norm in ("free", "unpenalised"):
        W_dec *= 0.5 + torch.rand(features, 1, generator=generator, dtype=torch.float64)
    weights = {
        "W_enc": F.normalize(normal(features, NEURONS), dim=1),
        "b_enc": 0.1 * normal(features),
        "W_dec": W_dec,
        "b_dec_out": 0.1 * normal(OUTPUTS),
    }
    if recipe.skip:
        weights["W_skip"] = 0.3 * normal(OUTPUTS, NEURONS)
    for name, tensor in Architecture(recipe).loss.extra_weights(features).items():
        weights[name] = tensor.double() + 0.1 * normal(features)
    return weights


def loss_of(x, y, weights, recipe):
    """The loss in plain autograd, written down from scratch."""
    pre = x @ weights["W_enc"].T + weights["b_enc"]
    penalty = 0.0
    if recipe.architecture == "relu":
        f = pre.relu()
        norms = weights["W_dec"].norm(dim=1) if recipe.decoder_norm == "free" else 1.0
        penalty = recipe.l1 * (f * norms).sum(-1).mean()
    elif recipe.architecture == "jumprelu":
        both, theta = recipe.penalty_moves == "all", weights["threshold"]
        f = Jump.apply(pre, theta, recipe.bandwidth, both)
        penalty = recipe.l0 * Step.apply(pre, theta, recipe.bandwidth, both).sum(-1).mean()
    else:
        f = torch.where(pre >= pre.flatten().sort(descending=True).values[recipe.k * len(x) - 1], pre, 0.0).relu()
    predicted = f @ weights["W_dec"] + weights["b_dec_out"]
    if recipe.skip:
        predicted = predicted + x @ weights["W_skip"].T
    return (predicted - y).square().sum(-1).mean() + penalty


def single(weights, recipe):
    seen = {name: tensor.float() for name, tensor in weights.items()}
    return seen | ({"decoder_norm": seen["W_dec"].norm(dim=1)} if recipe.decoder_norm == "free" else {})


def found_for(recipe, weights, x, y):
    architecture, seen = Architecture(recipe), single(weights, recipe)
    architecture.loss.begin(seen, 0.5)
    return Transcoding(architecture, recipe, NEURONS, pairs(), "cpu").gradients(x.float(), y.float(), seen)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("kind", "keys"), VARIANTS, ids=str)
def test_gradients_equal_those_of_autograd_in_float64(kind, keys, form, monkeypatch):
    for name, value in FORMS[form].items():
        monkeypatch.setattr(search_module, name, value)
    recipe = transcoder_of(kind, **keys)
    x, y = pairs(dtype=torch.float64).split([NEURONS, OUTPUTS], dim=1)
    weights = random_weights(recipe)
    found = found_for(recipe, weights, x, y)
    leaves = {name: tensor.clone().requires_grad_() for name, tensor in weights.items()}
    loss = loss_of(x, y, leaves, recipe)
    wanted = dict(zip(leaves, torch.autograd.grad(loss, list(leaves.values())), strict=True))
    assert set(found.by_weight) == set(wanted)
    for name, gradient in wanted.items():
        error = (found.by_weight[name] - gradient).norm() / gradient.norm()
        assert error < 1e-5, f"{name}: {error}"
    assert sum(found.terms.values()) == pytest.approx(loss.item(), rel=1e-5)


@pytest.mark.parametrize("skip", [False, True])
def test_the_gradients_of_the_auxiliary_loss_equal_those_of_autograd(skip):
    recipe = transcoder_of("batchtopk", skip=skip)
    x, y = pairs(200, torch.float64).split([NEURONS, OUTPUTS], dim=1)
    weights, dead = random_weights(recipe), torch.tensor([1, 5, 7, 20, 33])
    found = found_for(recipe, weights, x, y)
    before = {name: tensor.clone() for name, tensor in found.by_weight.items()}
    paid = auxiliary_gradients(found, x.float(), single(weights, recipe), dead, k=2, weight=0.25)

    leaves = {name: tensor.clone().requires_grad_() for name, tensor in weights.items()}
    pre = (x @ leaves["W_enc"].T + leaves["b_enc"])[:, dead]
    least = pre.sort(dim=-1, descending=True).values[:, 1:2]
    predicted = torch.where(pre >= least, pre, 0.0).relu() @ leaves["W_dec"][dead]
    loss = 0.25 * (-found.residual.double() - predicted).square().sum(-1).mean()
    gradients = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)
    assert paid == pytest.approx(loss.item(), rel=1e-5)
    for (name, leaf), gradient in zip(leaves.items(), gradients, strict=True):
        wanted = torch.zeros_like(leaf) if gradient is None else gradient
        torch.testing.assert_close(found.by_weight[name] - before[name], wanted.float(), rtol=1e-3, atol=1e-5)


def two_stores(folder: Path, rows=None, **second) -> dict[str, str]:
    """Stores of two sites, and where they are, as the rule names them; `second` changes what the target's says."""
    rows = pairs().numpy() if rows is None else rows
    count = second.pop("count", len(rows))
    places = {"sequence": np.arange(len(rows)) // 8, "position": np.arange(len(rows)) % 8}
    common = {"model": "m", "tokens": "t", "limit": 10**6, "settings": {"context_length": 8}}
    for name, site, values, changes in (
        ("store", SITE, rows[:, :NEURONS], {}),
        ("target", TARGET, rows[:count, NEURONS:], second),
    ):
        shown = {**places, **{key: value for key, value in changes.items() if key in places}}
        params = {**common, "site": site} | {key: value for key, value in changes.items() if key in common}
        with written_store(folder / f"{name}.zarr", attributes={}, params=params, code="", device="cpu") as group:
            shape = values.shape
            create_array(group, "activations", shape, "float32", ("token", "neuron"), compressed=False)[:] = values
            for key, place in shown.items():
                array = create_array(group, key, (len(values),), "int32", ("token",), compressed=True)
                array[:] = place[: len(values)].astype(np.int32)
    return {name: str(folder / f"{name}.zarr") for name in ("store", "target")}


def trainer_of(where, recipe):
    rows = StoredRows(Path(where["store"]), recipe.batch_size, recipe.seed, Path(where["target"]))
    return Trainer(recipe, rows)


@pytest.mark.parametrize(("kind", "keys"), VARIANTS, ids=str)
def test_the_finished_transcoder_predicts_what_the_training_predicted(kind, keys, tmp_path):
    recipe = transcoder_of(kind, **keys)
    trainer = trainer_of(two_stores(tmp_path), recipe)
    for _ in range(30):
        trainer.advance()
    finished, transcoding, weights = trainer.finished(), trainer._transcoding, trainer.weights
    x, y = pairs().split([NEURONS, OUTPUTS], dim=1)
    z, wanted = transcoding.rows(pairs())
    torch.testing.assert_close(wanted, y * transcoding.target_scale)
    pre = z @ weights["W_enc"].T + weights["b_enc"]
    threshold = {"relu": 0.0, "jumprelu": weights.get("threshold", 0.0)}.get(
        kind, float(finished.activation.threshold[0] * transcoding.target_scale) if kind == "batchtopk" else 0.0
    )
    f = torch.where(pre > threshold, pre, 0.0).relu()
    predicted = f @ weights["W_dec"] + weights["b_dec_out"]
    if recipe.skip:
        assert weights["W_skip"].any()
        predicted = predicted + z @ weights["W_skip"].T
    ours = finished.reconstruct(x, finished.encode(x)) * transcoding.target_scale
    told_apart = ((pre - threshold).abs() > 1e-5).all(dim=1)  # a threshold that was calibrated is one of the entries
    assert told_apart.float().mean() > 0.99
    torch.testing.assert_close(ours[told_apart], predicted[told_apart], rtol=1e-4, atol=1e-3)
    norms = finished.decoder().norm(dim=1)
    if recipe.decoder_norm in ("free", "unit"):
        torch.testing.assert_close(norms, torch.ones_like(norms))
    assert finished.decoder().shape == (2 * NEURONS, OUTPUTS)
    assert (finished.inputs, finished.outputs, finished.target) == (NEURONS, OUTPUTS, TARGET)


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_training_explains_the_target_better_and_better_and_the_history_says_so(kind, skip, tmp_path):
    keys = {"relu": {"l1": 0.05}, "jumprelu": {"l0": 0.02}, "batchtopk": {"k": 8}}[kind]
    trainer = trainer_of(two_stores(tmp_path), transcoder_of(kind, skip=skip, tokens=400 * 128, **keys))
    explained = [trainer.advance()[0]["explained_variance"] for _ in range(trainer.steps)]
    x, y = pairs().split([NEURONS, OUTPUTS], dim=1)
    finished = trainer.finished()
    error = (finished.reconstruct(x, finished.encode(x)) - y).square().sum()
    explained_at_last = float(1 - error / (y - y.mean(0)).square().sum())
    assert explained_at_last > 0.75
    assert explained_at_last == pytest.approx(np.mean(explained[-20:]), abs=0.05)
    assert np.mean(explained[-20:]) > np.mean(explained[:5])


@pytest.mark.parametrize(
    "keys", [{}, {"skip": True}, {"dead_features": "auxk", "dead_every": 6, "dead_below": 0.05}], ids=str
)
@pytest.mark.parametrize("kind", KINDS)
def test_a_training_that_goes_on_from_a_checkpoint_ends_with_the_same_bits(kind, keys, tmp_path):
    where = two_stores(tmp_path)
    whole, first, second = (trainer_of(where, transcoder_of(kind, **keys)) for _ in range(3))
    for _ in range(20):
        whole.advance()
    for _ in range(11):
        first.advance()
    stream = io.BytesIO()
    torch.save(first.state(), stream)
    stream.seek(0)
    second.load_state(torch.load(stream, weights_only=True))
    for _ in range(9):
        second.advance()
    for name, tensor in whole.finished().tensors().items():
        assert torch.equal(second.finished().tensors()[name], tensor), name


def test_the_linear_map_is_that_of_least_squares():
    generator = torch.Generator().manual_seed(0)
    z, true = torch.randn(500, 6, generator=generator), torch.randn(6, 4, generator=generator)
    z[:, 5] = 1.0  # a neuron that never changes
    true[5] = 0.0
    torch.testing.assert_close(linear_map(z, z @ true + 7), true, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("second", "problem"),
    [
        ({"tokens": "u"}, "tokens is 't' in the receipt of the one and 'u' in that of the other"),
        ({"model": "n"}, "model is 'm' in the receipt of the one and 'n' in that of the other"),
        ({"count": 592}, r"has 600 tokens and .*target\.zarr 592"),
        (
            {"position": np.r_[np.arange(500) % 8, np.zeros(100)]},
            "position of row 500 is 4 in the one and 0 in the other",
        ),
        ({"sequence": np.zeros(600)}, "sequence of row 8 is 1 in the one and 0 in the other"),
    ],
    ids=["tokens", "model", "length", "position", "sequence"],
)
def test_stores_of_other_tokens_are_refused(tmp_path, second, problem):
    with pytest.raises(InputError, match=rf"{problem}.*; delete both stores and their receipts and run again"):
        trainer_of(two_stores(tmp_path, **second), transcoder_of("relu"))


def test_streamed_rows_are_the_stored_ones_of_both_sites_token_by_token(model, tokens, tmp_path):  # noqa: F811
    stored = {}
    for site in (SITE, TARGET):
        path = tmp_path / f"{site}.zarr"
        extract_activations(model, tokens, site, path, 10**6, "float32", "")
        rows = ActivationRows(path)
        stored[site] = rows.slice(0, rows.length)
    wanted = {row[:16].tobytes(): row[16:] for row in np.round(np.hstack(list(stored.values())), 4) + 0.0}
    keys = recipe(buffer_rows=240)
    keys.target = TARGET
    source = ModelRows(keys, model, tokens, SITE, "float32", "cpu")
    assert source.width == 16
    assert source.receipt["params"]["target"] == TARGET
    batch = np.round(source.batch(0).numpy(), 4) + 0.0
    assert batch.shape == (BATCH, 24)
    for row in batch:
        np.testing.assert_allclose(row[16:], wanted[row[:16].tobytes()], atol=2e-4)
    paired = StoredRows(tmp_path / f"{SITE}.zarr", BATCH, 0, tmp_path / f"{TARGET}.zarr")
    assert paired.batch(0).shape == (BATCH, 24)
    assert paired.receipt["params"]["target"] == TARGET


@pytest.mark.parametrize(
    ("kind", "keys", "architecture"),
    [
        ("relu", {}, "transcoder"),
        ("relu", {"skip": True}, "skip_transcoder"),
        ("jumprelu", {}, "jumprelu_transcoder"),
        ("batchtopk", {"skip": True}, "jumprelu_skip_transcoder"),
    ],
)
def test_the_folder_of_a_trained_transcoder_is_saelens_6_and_loads_to_the_same_predictions(
    kind, keys, architecture, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    recipe = transcoder_of(kind, **keys)
    train_sae(two_stores(tmp_path), tmp_path / "sae", kind, recipe.hyper_parameters(), "code")
    config = json.loads((tmp_path / "sae/cfg.json").read_text())
    assert config["architecture"] == architecture
    assert (config["d_in"], config["d_out"], config["d_sae"]) == (NEURONS, OUTPUTS, 2 * NEURONS)
    assert config["apply_b_dec_to_input"] is False
    assert (config["metadata"]["hook_name"], config["metadata"]["hook_name_out"]) == (SITE, TARGET)
    loaded = load_sae(tmp_path / "sae", NEURONS)
    assert isinstance(loaded, Transcoder)
    assert loaded.target == TARGET
    save_sae(loaded, tmp_path / "again", {}, None)
    again = load_sae(tmp_path / "again", NEURONS)
    x = pairs()[:, :NEURONS]
    assert torch.equal(again.reconstruct(x, again.encode(x)), loaded.reconstruct(x, loaded.encode(x)))
    y = pairs()[:, NEURONS:]
    assert float((loaded.reconstruct(x, loaded.encode(x)) - y).square().sum()) < float((y - y.mean(0)).square().sum())


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"d_out": 0}, "d_out is 0, expected the number of neurons of the site that it predicts"),
        ({"d_out": 9}, r"W_dec has shape \(32, 10\), expected \(32, 9\)"),
        ({"metadata": {}}, "hook_name_out is None, expected the site that it predicts"),
        ({"architecture": "skip_transcoder"}, r"W_skip has shape None, expected \(10, 16\)"),
    ],
    ids=str,
)
def test_a_transcoder_whose_config_and_weights_differ_is_refused(change, problem, tmp_path):
    trainer = trainer_of(two_stores(tmp_path), transcoder_of("relu"))
    save_sae(trainer.finished(), tmp_path / "sae", {}, None)
    path = tmp_path / "sae/cfg.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(InputError, match=problem):
        load_sae(tmp_path / "sae", NEURONS)
