import math
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from measured import made

from polysem.activations.left_out import NOTHING, LeftOut
from polysem.activations.rows import ActivationRows
from polysem.io.errors import InputError
from polysem.io.tables import read_table, write_table
from polysem.layout.place import Place
from polysem.models.batches import TokenStore
from polysem.models.load import load_subject
from polysem.models.subject import Batch
from polysem.params.analysis import Analysis
from polysem.saes.activation_functions.standard import Function
from polysem.saes.dictionary import Neurons, load_dictionary
from polysem.saes.sae import SAE, save_sae
from polysem.tables.of_site.fidelity import (
    ablations,
    dictionary_fidelity,
    mean_activation,
)
from polysem.tables.parts.evaluation import Score, leading_batches
from polysem.tables.parts.fidelity_numbers import INTERVALS
from polysem.tables.parts.kept import kept_tokens
from polysem.tables.parts.reconstruction import Reconstruction

SITE = "mlp"
NONE = torch.zeros(6, dtype=torch.bool)
SEQUENCES = [[1, 2, 3, 4, 5, 6], [2, 2, 1], [6, 5, 1, 2], [3, 6, 4, 4, 1, 5], [1, 6]]


class Constant:
    """Predicts the same activations everywhere."""

    def __init__(self, value):
        self.value, self.inputs, self.features, self.target = value, len(value), 1, None

    def encode(self, x):
        return torch.zeros(*x.shape[:-1], 1)

    def decode(self, f):
        return self.value.expand(*f.shape[:-1], -1)

    def reconstruct(self, x, f):
        return self.decode(f)

    def decoder(self):
        return self.value[None]


def fidelity(subject, batches, dictionary, site, mean, rare, rule=NOTHING):
    batches, rules = list(batches), {site: rule}
    kept = kept_tokens(subject, batches, rules, site)
    ablated = ablations(subject, batches, site, mean, kept.masks)
    return dictionary_fidelity(subject, batches, dictionary, site, rare, ablated, kept, rules)


def slow_fidelity(subject, dictionary, mean, sequences, rare):
    """One token at a time, in float64; only positions behind the first are replaced."""
    losses = {name: [] for name in ("clean", "spliced", "without_ultra_low", "zero", "mean")}
    hits = dict.fromkeys(losses, 0)
    pairs, active, total = [], 0, []
    for ids in sequences:
        for position, token in enumerate(ids):
            x = subject.embedding[token].relu()
            f = dictionary.encode(x)
            values = dict.fromkeys(losses, x)
            if position > 0:
                common = torch.tensor([0.0 if index in rare else value for index, value in enumerate(f.tolist())])
                spliced = {"spliced": dictionary.decode(f), "without_ultra_low": dictionary.decode(common)}
                values = {"clean": x, **spliced, "zero": 0 * x, "mean": mean}
                pairs.append((x.double(), values["spliced"].double()))
                active += sum(value > 0 for value in f.tolist())
                total += f.double().tolist()
            if position + 1 == len(ids):
                continue
            for name, value in values.items():
                logits = (value.double() @ subject.unembedding.double()).tolist()
                target = ids[position + 1]
                losses[name].append(math.log(math.fsum(map(math.exp, logits))) - logits[target])
                hits[name] += max(range(len(logits)), key=logits.__getitem__) == target
    loss = {name: math.fsum(values) / len(values) for name, values in losses.items()}
    center = sum(x for x, _ in pairs) / len(pairs)
    error = math.fsum(float((x - x_hat).square().sum()) for x, x_hat in pairs)
    spread = math.fsum(float((x - center).square().sum()) for x, _ in pairs)
    scored = len(losses["clean"])
    return {f"cross_entropy_{name}": value for name, value in loss.items()} | {
        "accuracy_clean": hits["clean"] / scored,
        "accuracy_spliced": hits["spliced"] / scored,
        "loss_recovered_zero": (loss["zero"] - loss["spliced"]) / (loss["zero"] - loss["clean"]),
        "loss_recovered_mean": (loss["mean"] - loss["spliced"]) / (loss["mean"] - loss["clean"]),
        "loss_recovered_without_ultra_low": (loss["zero"] - loss["without_ultra_low"]) / (loss["zero"] - loss["clean"]),
        "loss_recovered_by_mean": (loss["zero"] - loss["mean"]) / (loss["zero"] - loss["clean"]),
        "loss_increase_spliced": loss["spliced"] / loss["clean"] - 1,
        "loss_increase_zero": loss["zero"] / loss["clean"] - 1,
        "explained_variance": 1 - error / spread,
        "accuracy_loss": (hits["clean"] - hits["spliced"]) / scored,
        "mean_squared_error": error / len(pairs),
        "mse": error / len(pairs) / 6,
        "l1": math.fsum(total) / len(pairs),
        "L0": active / len(pairs),
    }


@pytest.fixture
def store(token_store):
    return TokenStore(token_store(SEQUENCES))


@pytest.mark.parametrize("size", [1, 2, 5])
def test_every_scalar_equals_a_sum_over_single_tokens(subject, store, relu_dictionary, size):
    mean = torch.linspace(0, 1, 6)
    sae = relu_dictionary(6, 11)
    rare = torch.zeros(11, dtype=torch.bool)
    rare[[2, 3, 7]] = True
    table = fidelity(subject, store.batches(size), sae, SITE, mean, rare)
    expected = slow_fidelity(subject, sae, mean, SEQUENCES, {2, 3, 7})
    assert expected["cross_entropy_without_ultra_low"] != expected["cross_entropy_spliced"]
    intervals = {f"{name}_{end}" for name in INTERVALS for end in ("low", "high")}
    assert set(table.data_vars) == set(expected) | intervals
    for name in INTERVALS:
        low, high = float(table[f"{name}_low"]), float(table[f"{name}_high"])
        assert low < expected[name] < high, name
    for name, value in expected.items():
        assert float(table[name]) == pytest.approx(value, rel=1e-5), name
    assert table.attrs["tokens"] == sum(len(ids) - 1 for ids in SEQUENCES)


def test_the_l1_of_an_sae_that_normalises_its_inputs_is_in_the_unit_of_the_activations(subject, store):
    """With inputs and biases without units, features of vectors of twice the size are twice as large."""
    generator = torch.Generator().manual_seed(2)
    W_enc, W_dec = (torch.randn(*shape, generator=generator) for shape in ((6, 9), (9, 6)))
    sae = SAE(W_enc, torch.zeros(9), W_dec, torch.zeros(6), Function(), "constant_norm_rescale")
    plain = SAE(W_enc, torch.zeros(9), W_dec, torch.zeros(6), Function())
    one, other = (
        fidelity(subject, store.batches(2), of, SITE, torch.zeros(6), torch.zeros(9) > 0) for of in (sae, plain)
    )
    assert float(one["l1"]) == pytest.approx(float(other["l1"]), rel=1e-5)


def test_a_case_worked_by_hand(subject):
    """One neuron, 0 on token 0 and 1 on token 1: logits (0, 0) and (0, log 3), so odds of 1:1 and 1:3."""
    subject.embedding = torch.tensor([[0.0], [1.0]])
    subject.unembedding = torch.tensor([[0.0, math.log(3)]])
    ids, targets = torch.tensor([[0, 1, 1, 0]]), torch.tensor([[1, 1, 0, 0]])
    batch = Batch(ids, targets, scored=ids >= 0, counted=torch.tensor([[False, True, True, False]]))
    half = Constant(torch.tensor([0.5]))
    table = fidelity(subject, [batch], half, SITE, torch.tensor([1.0]), NONE[:1])
    clean = (math.log(2) + math.log(4 / 3) + math.log(4) + math.log(2)) / 4
    root = math.sqrt(3)
    spliced = (math.log(2) + math.log((1 + root) / root) + math.log(1 + root) + math.log(2)) / 4
    assert float(table["cross_entropy_clean"]) == pytest.approx(clean, rel=1e-6)
    assert float(table["cross_entropy_spliced"]) == pytest.approx(spliced, rel=1e-6)
    assert float(table["cross_entropy_zero"]) == pytest.approx(math.log(2), rel=1e-6)
    assert float(table["cross_entropy_mean"]) == pytest.approx(clean, rel=1e-6)
    assert float(table["loss_recovered_by_mean"]) == pytest.approx(1, rel=1e-6)
    assert float(table["mean_squared_error"]) == 0.25
    assert float(table["loss_increase_zero"]) == pytest.approx(math.log(2) / clean - 1, rel=1e-5)
    assert math.isnan(float(table["explained_variance"]))
    assert math.isnan(float(table["loss_recovered_mean"]))


def test_the_neurons_recover_all_loss_and_explain_all_variance(subject, store):
    table = fidelity(subject, store.batches(2), Neurons(6), SITE, torch.zeros(6), NONE)
    assert float(table["loss_recovered_zero"]) == 1
    assert float(table["explained_variance"]) == 1
    assert float(table["mean_squared_error"]) == 0
    assert float(table["loss_increase_spliced"]) == 0
    assert float(table["accuracy_spliced"]) == float(table["accuracy_clean"])


def test_predicting_the_mean_explains_exactly_no_variance(subject, store):
    subject.embedding = torch.randint(0, 16, (7, 6), generator=torch.Generator().manual_seed(0)).float()
    rows = torch.cat([subject.embedding[ids[1:]] for ids in SEQUENCES])
    assert len(rows) == 16, "a power of two, for which the mean of whole numbers is exact"
    mean = Constant(rows.mean(dim=0))
    whole, split = (fidelity(subject, store.batches(size), mean, SITE, torch.zeros(6), NONE[:1]) for size in (5, 1))
    assert float(whole["explained_variance"]) == 0
    assert float(split["explained_variance"]) == pytest.approx(0, abs=1e-15)


def test_variance_explained_is_right_for_activations_that_are_far_from_0():
    generator = torch.Generator().manual_seed(0)
    x = 1000 + torch.randn(5000, 3, generator=generator)
    x_hat = x + 0.5 * torch.randn(5000, 3, generator=generator)
    reconstruction = Reconstruction()
    for part, part_hat in zip(x.split(7), x_hat.split(7), strict=True):
        reconstruction.add(part, torch.ones(len(part), 2), part_hat)
    exact, exact_hat = x.double().numpy(), x_hat.double().numpy()
    expected = 1 - ((exact - exact_hat) ** 2).sum() / ((exact - exact.mean(axis=0)) ** 2).sum()
    assert reconstruction.explained_variance == pytest.approx(expected, abs=1e-12)


def test_mean_ablation_may_be_worse_than_zero_ablation(subject, store):
    harmful, harmless = (
        fidelity(subject, store.batches(2), Neurons(6), SITE, mean, NONE)
        for mean in (torch.full((6,), 50.0), torch.zeros(6))
    )
    assert float(harmful["cross_entropy_mean"]) > float(harmful["cross_entropy_zero"])
    assert float(harmless["cross_entropy_mean"]) == float(harmless["cross_entropy_zero"])
    assert float(harmful["loss_recovered_mean"]) == float(harmless["loss_recovered_mean"]) == 1


def test_where_ablation_changes_nothing_loss_recovered_is_nan_and_the_table_says_why(subject, store, tmp_path):
    subject.unembedding.zero_()
    table = fidelity(subject, store.batches(2), Constant(torch.ones(6)), SITE, torch.ones(6), NONE[:1])
    write_table(tmp_path / "fidelity.nc", table)
    table = read_table(tmp_path / "fidelity.nc")
    for ablation in ("zero", "mean"):
        assert math.isnan(float(table[f"loss_recovered_{ablation}"]))
        assert "denominator is 0" in table[f"loss_recovered_{ablation}"].attrs["undefined"]


@pytest.mark.parametrize(("tokens", "sequences"), [(1, 1), (5, 1), (6, 2), (7, 2), (8, 3), (15, 4), (16, 5), (99, 5)])
def test_whole_sequences_are_run_until_enough_tokens_are_counted(store, monkeypatch, tokens, sequences):
    for positions in (1, 12, 1024):
        monkeypatch.setattr("polysem.tables.parts.evaluation.POSITIONS", positions)
        batches = list(leading_batches(store, tokens))
        assert sum(len(batch.inputs) for batch in batches) == sequences
        assert {len(batch.inputs) == len(batch.counted) == len(batch.scored) for batch in batches} == {True}


def test_the_mean_activation_is_that_of_the_whole_store(activation_store):
    x = np.random.default_rng(0).standard_normal((5000, 3)).astype(np.float16)
    mean = mean_activation(ActivationRows(activation_store(x)))
    np.testing.assert_allclose(mean, x.astype(np.float64).mean(axis=0), rtol=1e-6)


def test_tokens_without_a_counted_position_are_an_error(subject, token_store):
    store = TokenStore(token_store([[1], [2]]))
    with pytest.raises(InputError, match="no position that is counted"):
        fidelity(subject, store.batches(2), Neurons(6), SITE, torch.zeros(6), NONE)


def test_the_step_measures_a_model_folder_on_the_first_images(classifier, image_store, activation_store, tmp_path):
    generator = np.random.default_rng(0)
    site = "layers.0.hook_post"
    classes = generator.integers(0, 3, 40).astype(np.int32)
    place = Place("m", site, root=str(tmp_path))
    pixels = generator.random((40, 4), np.float32)
    tokens = image_store(pixels, classes, 3, "m/eval")
    activations = activation_store(generator.random((40, 8)).astype(np.float32), f"m/{site}/eval")
    weights = torch.randn(8, 12, generator=torch.Generator().manual_seed(0))
    sae = Path(place.of("l1").sae.path)
    save_sae(SAE(weights, torch.zeros(12), weights.T / 8, torch.zeros(8), Function()), sae, {}, None)
    params, names = Analysis(fidelity_tokens=30), ["neurons", "l1"]
    for name, features in zip(names, (8, 12), strict=True):
        frequency = xr.Variable(
            "feature", np.where(np.arange(features) < 4, 0, 0.5), {"long_name": "frequency", "units": "1"}
        )
        write_table(Path(place.of(name).table("frequency")), xr.Dataset({"frequency": frequency}))
    dictionaries = [place.of(name).names for name in names]
    table = made("site", "fidelity", place, "classifier", params, dictionaries=dictionaries, targets=[])
    assert table["dictionary"].values.tolist() == names
    assert table.attrs["tokens"] == 30
    assert (table.attrs["site"], table.attrs["model"], table.attrs["dictionary"]) == (site, "m", "all dictionaries")
    assert "S0.T1" in table.attrs["catalogue"].split()
    neurons, ours = table.sel(dictionary="neurons"), table.sel(dictionary="l1")
    assert float(neurons["explained_variance"]) == float(neurons["loss_recovered_zero"]) == 1
    assert float(neurons["loss_recovered_without_ultra_low"]) < 1
    subject, rows = load_subject(classifier, "cpu"), ActivationRows(activations)
    batches = list(leading_batches(TokenStore(tokens), 30))
    rare = torch.arange(12) < 4
    alone = fidelity(subject, batches, load_dictionary(sae, 8), site, mean_activation(rows), rare)
    assert {name: float(ours[name]) for name in ours.data_vars} == {
        name: float(alone[name]) for name in alone.data_vars
    }


def test_activations_of_another_width_are_refused(classifier, image_store, activation_store, tmp_path):
    site = "layers.0.hook_post"
    image_store(np.zeros((4, 4), np.float32), np.zeros(4, np.int32), 3, "m/eval")
    activation_store(np.zeros((4, 5), np.float32), f"m/{site}/eval")
    with pytest.raises(InputError, match=r"has 5 neurons, site layers\.0\.hook_post of the model has \d+; delete"):
        made("site", "fidelity", Place("m", site, root=str(tmp_path)), "classifier", dictionaries=[], targets=[])


def test_a_score_of_nothing_has_no_sums_and_no_mean():
    score = Score()
    assert score.sums().shape == (0, 2)
    assert np.isnan(score.cross_entropy) and np.isnan(score.accuracy)


@pytest.fixture
def loud(subject):
    """Tokens 1 and 6 are massive, and no other."""
    subject.embedding[[1, 6]] = 40 + 100 * subject.embedding[[1, 6]].abs()
    return subject


def slow_shares(subject, dictionary, sequences, is_apart):
    """Share of tokens and of variance of those that are apart, and explained variances with and without them."""
    rows = [(token, subject.embedding[token].relu()) for ids in sequences for token in ids[1:]]
    x = torch.stack([row for _, row in rows]).double().numpy()
    error = ((x - dictionary.decode(dictionary.encode(torch.from_numpy(x).float())).double().numpy()) ** 2).sum(axis=1)
    apart = np.array([is_apart(token) for token, _ in rows])
    spread = ((x - x.mean(axis=0)) ** 2).sum(axis=1)
    others = x[~apart]
    return {
        "share": apart.mean(),
        "variance_share": spread[apart].sum() / spread.sum(),
        "with": 1 - error.sum() / spread.sum(),
        "without": 1 - error[~apart].sum() / ((others - others.mean(axis=0)) ** 2).sum(),
    }


@pytest.mark.parametrize("size", [1, 2, 5])
def test_massive_tokens_keep_their_activations_and_are_counted_apart(loud, store, relu_dictionary, size):
    sae, mean, rule = relu_dictionary(6, 11), torch.linspace(0, 1, 6), LeftOut("massive", 3.0, 9)
    kept = {token for token in range(7) if float(loud.embedding[token].relu().norm()) <= 30}
    assert kept == {0, 2, 3, 4, 5}
    table = fidelity(loud, store.batches(size), sae, SITE, mean, torch.zeros(11, dtype=torch.bool), rule)
    found = slow_shares(loud, sae, SEQUENCES, lambda token: token not in kept)
    assert float(table["left_out_share"]) == pytest.approx(found["share"])
    assert float(table["left_out_variance_share"]) == pytest.approx(found["variance_share"])
    assert float(table["explained_variance_with_left_out"]) == pytest.approx(found["with"], rel=1e-5)
    assert float(table["explained_variance"]) == pytest.approx(found["without"], rel=1e-5)
    assert "massive_share" not in table
    assert table.attrs["tokens"] == sum(token in kept for ids in SEQUENCES for token in ids[1:])
    losses = {name: [] for name in ("clean", "spliced", "zero", "mean")}
    for ids in SEQUENCES:
        for position, token in enumerate(ids[:-1]):
            x = loud.embedding[token].relu()
            changed = {"spliced": sae.decode(sae.encode(x)), "zero": 0 * x, "mean": mean}
            own = changed if position and token in kept else dict.fromkeys(changed, x)
            for name, value in ({"clean": x} | own).items():
                losses[name].append(-float((value @ loud.unembedding).double().log_softmax(-1)[ids[position + 1]]))
    for name, values in losses.items():
        assert float(table[f"cross_entropy_{name}"]) == pytest.approx(np.mean(values), rel=1e-4), name


def test_massive_tokens_that_count_are_told_apart(loud, store, relu_dictionary):
    sae, none = relu_dictionary(6, 11), torch.zeros(11, dtype=torch.bool)
    table = fidelity(loud, store.batches(2), sae, SITE, torch.zeros(6), none, LeftOut("none", 3.0, 9))
    found = slow_shares(loud, sae, SEQUENCES, lambda token: token in (1, 6))
    assert float(table["massive_share"]) == pytest.approx(found["share"])
    assert float(table["massive_variance_share"]) == pytest.approx(found["variance_share"])
    assert float(table["explained_variance"]) == pytest.approx(found["with"], rel=1e-5)
    assert float(table["explained_variance_without_massive"]) == pytest.approx(found["without"], rel=1e-5)
    assert "left_out_share" not in table


def test_of_a_case_worked_by_hand_a_left_out_token_holds_the_variance(subject):
    """One neuron, 1, 2, 3 and 102: mean 27, squared distances 676 + 625 + 576 + 5625, of which the last is 0.7498."""
    subject.embedding = torch.tensor([[0.0], [1.0], [2.0], [3.0], [102.0]])
    subject.unembedding = torch.zeros(1, 5)
    ids = torch.tensor([[0, 1, 2, 3, 4]])
    batch = Batch(ids, ids, scored=ids >= 0, counted=ids > 0)
    two = Constant(torch.tensor([2.0]))
    arguments = subject, [batch], two, SITE, torch.zeros(1), NONE[:1]
    table = fidelity(*arguments, LeftOut("massive", 2.0, 4))
    assert float(table["left_out_share"]) == 0.25
    assert float(table["left_out_variance_share"]) == pytest.approx(5625 / 7502)
    assert float(table["explained_variance"]) == 0
    assert float(table["explained_variance_with_left_out"]) == pytest.approx(1 - (1 + 0 + 1 + 10000) / 7502)
    counted = fidelity(*arguments, LeftOut("none", 2.0, 4))
    assert float(counted["massive_variance_share"]) == pytest.approx(5625 / 7502)
    assert float(counted["explained_variance_without_massive"]) == 0


def test_the_first_tokens_are_left_out_where_they_count(loud, relu_dictionary, token_store):
    batches = [
        Batch(one.inputs, one.targets, one.scored, one.scored) for one in TokenStore(token_store(SEQUENCES)).batches(5)
    ]
    sae, none = relu_dictionary(6, 11), torch.zeros(11, dtype=torch.bool)
    table = fidelity(loud, batches, sae, SITE, torch.zeros(6), none, LeftOut("first", 3.0, 9))
    counted = sum(len(ids) - 1 for ids in SEQUENCES)
    assert float(table["left_out_share"]) == pytest.approx(len(SEQUENCES) / counted)
    assert table.attrs["tokens"] == counted - len(SEQUENCES)
    massive = sum(token in (1, 6) for ids in SEQUENCES for token in ids[1:-1])
    assert float(table["massive_share"]) == pytest.approx(massive / (counted - len(SEQUENCES)))
