"""Options of all recipes, and what the history says of them."""

import numpy as np
import pytest
import torch
import xarray as xr
from directions import random_directions, sparse_sums
from recipes import recipe_of, trainer_of

from polysem.io.errors import InputError
from polysem.io.tables import read_table, write_table
from polysem.saes.architecture import recipe_class
from polysem.saes.constraints import Constraints
from polysem.saes.history import History
from polysem.saes.losses import Term
from polysem.saes.sae import load_sae
from polysem.saes.train_sae import train_sae

RECIPE = {"architecture": "relu", "l1": 0.2, "expansion": 2, "tokens": 20_000, "batch_size": 100}


@pytest.fixture
def path(store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return store(sparse_sums(1500, random_directions(24, 16), 3))


def steps(trainer, count):
    return [trainer.advance() for _ in range(count)]


def test_encoder_rows_start_along_the_decoders_with_the_norm_of_the_recipe(path):
    for keys, norm in (({}, 0.1), ({"encoder_start": 0.5}, 0.5)):
        weights = trainer_of(path, recipe_of("topk", **keys)).weights
        torch.testing.assert_close(weights["W_enc"], norm * weights["W_dec"])


def test_free_decoder_norms_are_folded_into_the_encoder_of_the_finished_sae(path):
    trainer = trainer_of(path, recipe_of("gated", decoder_norm="free", decoder_start=0.3))
    steps(trainer, 10)
    weights, sae = trainer.weights, trainer.finished()
    norms = weights["W_dec"].norm(dim=1)
    assert (norms - 1).abs().max() > 0.1
    torch.testing.assert_close(sae.W_dec.norm(dim=1), torch.ones(sae.features))
    torch.testing.assert_close(sae.W_enc, (weights["W_enc"] * norms[:, None]).T)


def test_rows_that_keep_norm_1_start_with_it_whatever_the_default_of_free_ones(path):
    weights = trainer_of(path, recipe_of("relu", decoder_norm="unit")).weights
    torch.testing.assert_close(weights["W_dec"].norm(dim=1), torch.ones(len(weights["W_dec"])))


def test_the_recipe_of_a_document_has_its_keys_where_none_are_given(path):
    named = recipe_of("relu", recipe="towards-monosemanticity")
    assert (named.decoder_norm, named.beta1, named.beta2, named.clip_norm) == ("unit", 0.9, 0.999, None)
    assert recipe_of("relu", recipe="towards-monosemanticity", beta2=0.99).beta2 == 0.99
    spelled = recipe_of("relu", decoder_norm="unit", beta1=0.9, clip_norm=None)
    one, other = trainer_of(path, named), trainer_of(path, spelled)
    steps(one, 10)
    steps(other, 10)
    assert torch.equal(one.weights["W_enc"], other.weights["W_enc"])


@pytest.mark.parametrize(("architecture", "key"), [("relu", "l1"), ("gated", "l1"), ("jumprelu", "l0")])
def test_a_penalty_has_a_weight_or_a_target_and_not_both(architecture, key):
    recipe = recipe_class(architecture)
    for keys, found in (({}, "neither"), ({key: 0.5, "target_l0": 8}, "both")):
        with pytest.raises(ValueError, match=f"give one of {key}, .* and target_l0, .*; found {found}"):
            recipe.model_validate({"architecture": architecture, **keys})


def test_free_decoder_rows_start_with_the_norm_of_the_recipe_and_encoder_rows_with_theirs(path):
    weights = trainer_of(path, recipe_of("relu", decoder_norm="free", decoder_start=0.25)).weights
    torch.testing.assert_close(weights["W_dec"].norm(dim=1), torch.full((len(weights["W_dec"]),), 0.25))
    torch.testing.assert_close(weights["W_enc"], 0.1 / 0.25 * weights["W_dec"])


def test_an_independent_start_has_other_encoder_rows_and_no_decoder_bias(path):
    weights = trainer_of(path, recipe_of("relu", start="independent", encoder_start=0.5)).weights
    aligned = trainer_of(path, recipe_of("relu")).weights
    assert torch.equal(weights["W_dec"], aligned["W_dec"])
    torch.testing.assert_close(weights["W_enc"].norm(dim=1), torch.full((32,), 0.5))
    cosine = torch.nn.functional.cosine_similarity(weights["W_enc"], weights["W_dec"])
    assert cosine.abs().max() < 0.9
    assert not weights["b_dec"].any()
    assert aligned["b_dec"].any()


def test_decay_is_added_to_the_gradient_as_adam_sees_it(path):
    plain, decaying = trainer_of(path, recipe_of("relu")), trainer_of(path, recipe_of("relu", weight_decay=0.5))
    W_enc = decaying.weights["W_enc"].clone()
    _, found = plain.advance()
    decaying.advance()
    mean = decaying._optimiser.state[decaying.weights["W_enc"]]["exp_avg"]
    torch.testing.assert_close(mean, 0.5 * (found.by_weight["W_enc"] + 0.5 * W_enc), rtol=1e-4, atol=1e-7)


def test_tied_weights_stay_equal_and_the_finished_encoder_is_the_decoders_transpose(path):
    trainer = trainer_of(path, recipe_of("relu", tied=True))
    steps(trainer, 10)
    sae = trainer.finished()
    assert torch.equal(sae.W_enc, sae.W_dec.T)


def test_without_renormalising_rows_grow_but_their_gradient_has_no_part_along_them(path):
    trainer = trainer_of(path, recipe_of("relu", decoder_norm="project_only"))
    steps(trainer, 30)
    norms = trainer.weights["W_dec"].norm(dim=1)
    assert (norms - 1).abs().max() > 1e-4
    _, found = trainer.advance()
    assert trainer.weights["W_dec"].grad is found.by_weight["W_dec"]


@pytest.mark.parametrize("norm", ["free", "unpenalised"])
def test_free_decoder_norms_move(path, norm):
    trainer = trainer_of(path, recipe_of("relu", decoder_norm=norm))
    steps(trainer, 30)
    assert (trainer.weights["W_dec"].norm(dim=1) - 1).abs().max() > 0.01


@pytest.mark.parametrize("key", ["encoder_l1", "encoder_l2"])
def test_a_penalty_of_the_encoder_shrinks_its_rows(path, key):
    plain, small = trainer_of(path, recipe_of("relu")), trainer_of(path, recipe_of("relu", **{key: 50.0}))
    steps(plain, 30)
    steps(small, 30)
    assert small.weights["W_enc"].norm() < 0.8 * plain.weights["W_enc"].norm()


@pytest.mark.parametrize(("key", "paid", "slope"), [("encoder_l1", 5, [1, -1]), ("encoder_l2", 13, [4, -6])])
def test_a_penalty_of_the_encoder_is_the_mean_over_features(key, paid, slope):
    """One row of four is (2, −3, 0), with the norms 5 and 13; the others are 0."""
    W_enc = torch.zeros(4, 3)
    W_enc[1] = torch.tensor([2.0, -3.0, 0.0])
    constraints = Constraints(recipe_of("relu", **{key: 8.0}), None)
    gradients = {"W_enc": torch.ones(4, 3)}
    assert constraints.add_encoder_penalty({"W_enc": W_enc}, gradients) == pytest.approx(8 * paid / 4)
    expected = torch.ones(4, 3)
    expected[1, :2] += 8 * torch.tensor(slope) / 4
    torch.testing.assert_close(gradients["W_enc"], expected)


def test_gradients_are_clipped_to_their_norm(path):
    trainer = trainer_of(path, recipe_of("relu", clip_norm=0.01))
    _, found = steps(trainer, 3)[-1]
    total = sum(gradient.square().sum() for gradient in found.by_weight.values()).sqrt()
    assert total.item() == pytest.approx(0.01, rel=1e-4)


def test_the_encoder_stays_orthogonal_to_a_forbidden_direction(path):
    direction = torch.nn.functional.normalize(torch.arange(16.0), dim=0)
    trainer = trainer_of(path, recipe_of("relu"), forbidden=direction)
    steps(trainer, 20)
    assert (trainer.finished().W_enc.T @ direction).abs().max() < 1e-6


@pytest.mark.parametrize("method", ["reinitialise", "loss_weighted"])
def test_dead_features_get_new_weights_and_forget_their_optimiser(path, method):
    keys = {"dead_every": 10, "dead_below": 0.01, "learning_rate": 1e-3}
    trainer = trainer_of(path, recipe_of("relu", dead_features=method, **keys))
    names = ("W_enc", "W_dec", "b_enc")

    def averages():
        state = trainer._optimiser.state
        return {name: state[trainer.weights[name]]["exp_avg"][:5].abs().amax().item() for name in names}

    steps(trainer, 4)  # so that there is something to forget
    trainer.weights["b_enc"][:5] = -100.0
    before = trainer.weights["W_dec"][:5].clone()
    steps(trainer, 5)
    assert min(averages().values()) > 0
    assert torch.nn.functional.cosine_similarity(trainer.weights["W_dec"][:5], before).min() > 0.9
    trainer.advance()
    assert trainer.replaced >= 5
    assert averages() == dict.fromkeys(names, 0)
    assert trainer.weights["b_enc"][:5].tolist() == [0.0] * 5
    assert not torch.allclose(trainer.weights["W_dec"][:5], before, atol=0.1)
    fired = sum(found.active.firings()[:5] for _, found in steps(trainer, 5))
    assert (fired > 0).all()


def test_loss_weighted_directions_are_inputs_that_are_reconstructed_badly(store):
    # 50 rows point where no feature can reach; their loss is far above that of the others
    rows = np.tile(np.eye(16)[0], (1000, 1)) + 0.01 * random_directions(1000, 16)
    rows[:50] = 30 * np.eye(16)[3]
    trainer = trainer_of(
        store(rows), recipe_of("relu", dead_features="loss_weighted", dead_every=4, normalize_activations=False)
    )
    trainer.weights["b_dec"].copy_(torch.from_numpy(np.eye(16)[0]))
    trainer.weights["b_enc"][:] = -100.0
    trainer.weights["b_enc"][7:] = -1.0
    trainer.weights["W_enc"][:7] *= 5  # which has no part in the mean of the living ones
    trainer._replace(torch.arange(7))
    wanted = torch.nn.functional.normalize(torch.from_numpy(30 * np.eye(16)[3] - np.eye(16)[0]).float(), dim=0)
    assert (trainer.weights["W_dec"][:7] @ wanted).min() > 0.99
    norms = trainer.weights["W_enc"].norm(dim=1)
    assert norms[:7].tolist() == pytest.approx([0.2 * float(norms[7:].mean())] * 7, rel=1e-5)


def test_the_auxiliary_loss_is_paid_for_dead_features_only(path):
    trainer = trainer_of(
        path, recipe_of("topk", dead_features="auxk", dead_every=4, dead_below=0.02, encoder_start=1.0)
    )
    trainer.weights["b_enc"][:6] = -2.0
    before = trainer.weights["b_enc"][:6].clone()
    terms = [terms for terms, _ in steps(trainer, 12)]
    assert all(term["auxiliary"] == 0 for term in terms[:4])
    assert any(term["auxiliary"] > 0 for term in terms[4:])
    assert not torch.equal(trainer.weights["b_enc"][:6], before)


def test_keys_that_would_be_ignored_are_refused():
    for keys, message in (
        ({"dead_below": 0.1}, "dead_below is read with dead_features: reinitialise, loss_weighted, auxk"),
        ({"dead_features": "reinitialise", "auxk": 3}, "auxk is read with dead_features: auxk"),
        ({"hoyer": 0.1}, "hoyer is read with penalty: hoyer_l1, hoyer_sqrt"),
        ({"buffer_gib": 3.0}, "buffer_gib is read with activations: streamed"),
        (
            {"decoder_norm": "unit", "decoder_start": 0.5},
            "decoder_start is read with decoder_norm: free, unpenalised; here it is unit",
        ),
        ({"target_l0": 8, "l1_warmup": 0.2}, "l1_warmup is read with l1; here target_l0 steers its weight"),
        ({"tied": True, "start": "independent"}, "start: independent is read with tied: false"),
        ({"tied": True, "encoder_start": 0.5}, "encoder_start is read with tied: false"),
    ):
        with pytest.raises(ValueError, match=message):
            recipe_of("relu", **keys)


def test_the_history_counts_frequencies_over_a_window_and_follows_features(path, tmp_path):
    recipe = RECIPE | {"followed_features": [3, 0]}
    train_sae({"store": str(path)}, tmp_path / "sae", "relu", recipe, "code")
    history = read_table(tmp_path / "sae/training.nc")
    assert history.sizes["step"] == 200
    assert history["checkpoint_step"].values.tolist() == list(range(10, 201, 10))
    assert history["tokens_counted"].values[[0, 10, 199]].tolist() == [100, 1100, 2000]
    total = history["frequency_histogram"].sum("bin") + history["never_fired"]
    assert (total == 32).all()
    assert history["feature"].values.tolist() == [3, 0]
    sae = load_sae(tmp_path / "sae", 16)
    norm = sae.W_enc.norm(dim=0)[[3, 0]].numpy()
    np.testing.assert_allclose(history["followed_encoder_norm"].values[-1], norm, rtol=1e-5)
    shares = history[["share_dead", "share_below_1e-5", "share_below_1e-4"]].to_array().values
    assert (np.diff(shares, axis=0) >= 0).all()
    assert {"learning_rate", "loss", "penalty", "squared_error", "L0", "explained_variance"} <= set(history)


def test_explained_variance_is_that_of_the_distance_from_the_mean_of_the_batch(store):
    x = 5 + sparse_sums(1000, random_directions(24, 16), 3)
    trainer = trainer_of(store(x), recipe_of("topk", normalize_activations=False))
    terms, found = trainer.advance()
    batch = trainer._source.batch(0).double().numpy()
    spread = ((batch - batch.mean(axis=0)) ** 2).sum()
    missed = (found.residual.double().numpy() ** 2).sum()
    assert 0 < missed / spread < 10
    assert terms["explained_variance"] == pytest.approx(1 - missed / spread, abs=1e-4)


def test_the_frequencies_of_a_training_are_those_of_its_second_half(path):
    trainer = trainer_of(path, recipe_of("relu", tokens=11 * 128))
    fired = [found.active.firings() for _, found in steps(trainer, 11)]
    late = sum(fired[5:]).double() / (6 * 128)
    assert torch.equal(trainer.frequency(), late)
    assert not torch.equal(late, sum(fired).double() / (11 * 128))


def test_a_followed_feature_that_does_not_exist_is_refused(path, tmp_path):
    with pytest.raises(InputError, match="followed_features holds 32; features are 0 … 31"):
        train_sae({"store": str(path)}, tmp_path / "sae", "relu", RECIPE | {"followed_features": [32]}, "code")


def test_frequencies_of_a_window_are_those_of_its_tokens():
    class Fixed:
        def firings(self):
            return torch.tensor([5, 0, 1])

    history = History(400, 10, features=3, terms={"loss": Term("loss per token", "squared activation")})
    for step in range(1, 401):
        if history.add(step, {"loss": 1.0}, Fixed()):
            history.log(step, torch.ones(3, 2), torch.zeros(3), 0)
    table = history.table()
    assert table.sizes["step"] == 200
    assert table["tokens_counted"].values[-1] == 20 * 2 * 10
    assert table["share_dead"].values.tolist() == pytest.approx([1 / 3] * 200)
    edges = table["bin"].values[table["frequency_histogram"].values[-1] > 0]
    assert edges.tolist() == pytest.approx([-1.0, -0.4])
    np.testing.assert_allclose(table["bin"], np.arange(-80, 0) / 10, atol=1e-12)


def test_a_feature_that_stopped_firing_before_the_window_is_dead_in_it():
    class Once:
        def __init__(self, step):
            self._step = step

        def firings(self):
            return torch.tensor([1, int(self._step <= 180), int(self._step == 181)])

    terms = {"loss": Term("loss per token", "squared activation"), "L0": Term("active features per token", "1")}
    history = History(steps=200, batch_size=10, features=3, terms=terms)
    for step in range(1, 201):
        assert history.add(step, {"loss": step, "L0": 2.0}, Once(step))
        history.log(step, torch.ones(3, 2), torch.zeros(3), 7)
    table = history.table()
    assert table["share_dead"].values[[0, 179, 180, 198, 199]].tolist() == pytest.approx([1 / 3, 1 / 3, 0, 0, 1 / 3])
    assert table["never_fired"].values[[0, -1]].tolist() == [1, 1]
    assert table["loss"].values.tolist() == list(range(1, 201))
    assert (table["replaced"] == 7).all()


def test_all_features_dead_stops_the_training_with_the_value_to_suspect(path, tmp_path):
    with pytest.raises(
        FloatingPointError, match=r"no feature is active on any token.*lower the recipe's l1 \(now 1000"
    ):
        train_sae(
            {"store": str(path)}, tmp_path / "sae", "relu", RECIPE | {"l1": 1000.0, "learning_rate": 0.05}, "code"
        )


def test_an_sae_is_kept_orthogonal_to_the_ultra_low_direction_of_another(path, tmp_path):
    train_sae({"store": str(path)}, tmp_path / "first", "relu", RECIPE, "code")
    sae = load_sae(tmp_path / "first", 16)
    rows = torch.from_numpy(sparse_sums(500, random_directions(24, 16), 3)).float()
    frequency = (sae.encode(rows) > 0).double().mean(0)
    units = {"long_name": "frequency", "units": "1"}
    write_table(tmp_path / "frequency.nc", xr.Dataset({"frequency": ("feature", frequency.numpy(), units)}))
    below = float(frequency.quantile(0.3))
    avoided = {"folder": str(tmp_path / "first"), "table": str(tmp_path / "frequency.nc")}
    train_sae({"store": str(path)}, tmp_path / "second", "relu", RECIPE, "code", avoided, below)
    mean = torch.nn.functional.normalize(sae.W_enc[:, (frequency > 0) & (frequency < below)].mean(1), dim=0)
    assert (load_sae(tmp_path / "second", 16).W_enc.T @ mean).abs().max() < 1e-5
    with pytest.raises(InputError, match="has no feature with a frequency below 1e-09"):
        train_sae({"store": str(path)}, tmp_path / "third", "relu", RECIPE, "code", avoided, 1e-9)


def test_a_history_that_is_resumed_between_two_entries_goes_on_with_what_fired_since_the_last():
    class Fixed:
        def firings(self):
            return torch.tensor([5, 0, 1])

    def advance(history, steps):
        for step in steps:
            if history.add(step, {"loss": float(step)}, Fixed()):
                history.log(step, torch.ones(3, 2), torch.zeros(3), 0)

    whole, first, second = (History(400, 10, 3, {"loss": Term("loss per token", "1")}) for _ in range(3))
    advance(whole, range(1, 401))
    advance(first, range(1, 398))  # of the two steps of an entry one
    second.load_state(first.state())
    advance(second, range(398, 401))
    xr.testing.assert_identical(second.table(), whole.table())
