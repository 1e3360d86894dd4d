"""Probes on few features: by hand, against a slow computation with scikit-learn, and where there is nothing to tell."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import xarray as xr
from measured import made
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import precision_recall_fscore_support, roc_auc_score

from polysem.io.tables import write_table
from polysem.layout.place import Place
from polysem.saes.activation_functions import standard
from polysem.saes.sae import SAE, save_sae
from polysem.tables.parts.tagged_sample import Sample, Tokens
from polysem.tables.parts.token_tags import held_out
from polysem.tables.passes.probing.judged import Scored, area_under_curve, best_threshold, judged
from polysem.tables.passes.probing.probes import FEATURES, PENALTY, largest_differences
from polysem.tables.passes.probing.summaries import MORE, against_dense, against_neurons
from polysem.tables.passes.probing.tokens import ProbedTokens, chances, weights

IMAGES, NEURONS, LATENTS, CLASSES = 900, 12, 20, 4


@pytest.fixture
def site(activation_store, image_store, tmp_path):
    """Activations that lean on the class of their image, some below 0, and an SAE on them; class 3 is rare."""
    random = np.random.default_rng(0)
    labels = random.choice(CLASSES, IMAGES, p=[0.4, 0.3, 0.28, 0.02]).astype(np.int32)
    x = random.normal(size=(IMAGES, NEURONS)) + 1.5 * random.normal(size=(CLASSES, NEURONS))[labels]
    x = x.astype(np.float32)
    activation_store(x, "m/s/eval")
    image_store(np.zeros((IMAGES, 2), np.float32), labels, CLASSES, "m/eval")
    place = Place("m", "s", "neurons", root=str(tmp_path))
    generator = torch.Generator().manual_seed(0)
    W_enc, W_dec = (
        torch.randn(NEURONS, LATENTS, generator=generator),
        torch.randn(LATENTS, NEURONS, generator=generator),
    )
    bias = torch.full((LATENTS,), -3.0)
    bias[-1] = -1e6
    save_sae(SAE(W_enc, bias, W_dec, torch.zeros(NEURONS), standard.Function()), _folder(place.of("l1")), {}, bias)
    f = np.maximum(x @ W_enc.numpy() + bias.numpy(), 0)
    return SimpleNamespace(place=place, x=x, f=f, labels=labels)


def _folder(place):
    _file(place)
    folder = Path(place.sae.path)
    folder.mkdir(parents=True)
    return folder


def tables(site) -> dict[str, xr.Dataset]:
    """The tables of the neurons and of the SAE."""
    neurons = made("dictionary", "sparse_probing", site.place, "classifier", neurons=[], control=[])
    write_table(_file(site.place), neurons)
    of_sae = made(
        "dictionary", "sparse_probing", site.place.of("l1"), "classifier", neurons=[site.place.names], control=[]
    )
    return {"neurons": neurons, "sae": of_sae}


def _file(place):
    file = Path(place.table("sparse_probing"))
    file.parent.mkdir(parents=True, exist_ok=True)
    return file


def slow_probe(x: np.ndarray, y: np.ndarray, later: np.ndarray) -> dict[str, float]:
    """scikit-learn's regression on half A, every threshold tried there, scored on half B."""
    z = x.astype(np.float64)
    spread = z[~later].std(0)
    z = (z - z[~later].mean(0)) / np.where(spread > 0, spread, 1)
    model = LogisticRegression(C=1 / PENALTY / (~later).sum(), tol=1e-10, max_iter=10_000).fit(z[~later], y[~later])
    odds = model.decision_function(z)
    levels = np.unique(odds[~later])[::-1]
    hits = odds[~later] >= levels[:, None]
    f1 = 2 * (hits & y[~later]).sum(1) / (hits.sum(1) + y[~later].sum())
    best = int(np.argmax(f1))
    threshold = (levels[best] + levels[min(best + 1, len(levels) - 1)]) / 2
    told = odds[later] >= threshold
    precision, recall, f1, _ = precision_recall_fscore_support(y[later], told, average="binary")
    return {"f1": f1, "precision": precision, "recall": recall, "auroc": roc_auc_score(y[later], odds[later])}


@pytest.mark.parametrize("dictionary", ["neurons", "sae"])
def test_numbers_are_those_of_a_slow_computation(site, dictionary):
    table = tables(site)[dictionary]
    later = held_out(np.arange(IMAGES))
    columns = site.x if dictionary == "neurons" else site.f
    assert table["probed"].values.tolist() == [True, True, True, False]
    assert table.attrs["fitted_tokens"] == (~later).sum()
    for tag in range(CLASSES - 1):
        y = site.labels == tag
        differences = columns[~later & y].mean(0) - columns[~later & ~y].mean(0)
        order = np.argsort(-np.abs(differences))[:8]
        assert table["chosen"].values[tag].tolist() == order.tolist()
        np.testing.assert_allclose(table["difference"].values[tag], differences[order], rtol=1e-4)
        for place, count in enumerate(FEATURES):
            slow = slow_probe(columns[:, order[:count]], y, later)
            np.testing.assert_allclose(table["auroc"].values[tag, place], slow["auroc"], atol=2e-3)
            for name in ("f1", "precision", "recall"):
                np.testing.assert_allclose(table[name].values[tag, place], slow[name], atol=0.01)
    assert np.isnan(table["f1"].values[-1]).all() and int(table["fewest"][-1]) == MORE


def test_the_probe_on_all_activations_is_that_of_all_neurons(site):
    table = tables(site)["neurons"]
    later = held_out(np.arange(IMAGES))
    for tag in range(CLASSES - 1):
        slow = slow_probe(site.x, site.labels == tag, later)
        np.testing.assert_allclose(table["dense_auroc"].values[tag], slow["auroc"], atol=2e-3)
        for name in ("f1", "precision", "recall"):
            np.testing.assert_allclose(table[f"dense_{name}"].values[tag], slow[name], atol=0.01)
        odds = site.x @ table["dense_weight"].values[tag]
        assert roc_auc_score(site.labels[later] == tag, odds[later]) == pytest.approx(slow["auroc"], abs=2e-3)
    kept = table["dense_f1"].values[:3]
    np.testing.assert_allclose(table["dense_probe_f1"], kept.mean())
    assert table["dense_f1_low"].values[0] < kept[0] < table["dense_f1_high"].values[0]


def test_means_and_shares_are_those_of_the_tags_that_are_probed(site):
    found = tables(site)
    for table in found.values():
        np.testing.assert_allclose(table["mean_f1"], table["f1"].values[:3].mean(0))
        np.testing.assert_allclose(table["sparse_probe_f1_1"], table["mean_f1"][0])
        np.testing.assert_allclose(table["sparse_probe_f1_8"], table["mean_f1"][-1])
        assert int(table["probed_tags"]) == 3
        assert (table["mean_f1_low"] < table["mean_f1"]).all() and (table["mean_f1"] < table["mean_f1_high"]).all()
    dense = found["neurons"]["dense_f1"].values[:3]
    fewest = [
        next((count for count, f1 in zip(FEATURES, row, strict=True) if f1 >= one - 0.02), MORE)
        for row, one in zip(found["sae"]["f1"].values[:3], dense, strict=True)
    ]
    assert found["sae"]["fewest"].values[:3].tolist() == fewest
    assert float(found["sae"]["dense_probe_f1"]) == float(found["neurons"]["dense_probe_f1"])
    assert "dense_f1" not in found["sae"] and "fewer_than_neurons" not in found["neurons"]


def test_tags_that_all_activations_of_a_control_tell_as_well_are_left_out(site):
    own = tables(site)
    for interval, left in (((0.0, 0.0), 0), ((1.0, 1.0), 3), (None, 3)):
        control = {name: table.copy() for name, table in own.items()}
        if interval is not None:  # instead of the same numbers, whose intervals overlap with themselves
            for table, front in ((control["neurons"], "dense_"), (control["sae"], ""), (control["neurons"], "")):
                for name, end in (("f1_low", interval[0]), ("f1_high", interval[1])):
                    table[front + name] = table[front + name] * 0 + end
        place = Place("random", "s", "neurons", root=site.place.root)
        found = {}
        for name, dictionary in (("neurons", "neurons"), ("sae", "l1")):
            write_table(_file(place.of(dictionary)), control[name])
            beside = [] if dictionary == "neurons" else [site.place.names]
            where = site.place.of(dictionary)
            named = {"neurons": beside, "control": [place.of(dictionary).names]}
            found[name] = made("dictionary", "sparse_probing", where, "classifier", **named)
            write_table(_file(where), found[name])
        for name, table in found.items():
            kept = np.array([True, True, True, False]) & (left == 0)
            assert table["kept"].values.tolist() == kept.tolist()
            assert (int(table["probed_tags"]), int(table["left_out_tags"])) == (3, left)
            assert table.attrs["control"] == "random"
            np.testing.assert_array_equal(table["control_f1"], own[name]["f1"])
            np.testing.assert_array_equal(table["f1"], own[name]["f1"])
            assert np.isnan(table["sparse_probe_f1_1"]) == (left == 3)
            expected = np.array([True, True, True, False]) & (left == 0)
            np.testing.assert_array_equal(table["beyond_control"].values[:3], expected[:3])


def test_a_dictionary_that_is_never_active_tells_nothing(site):
    place = site.place.of("silent")
    quiet = torch.full((LATENTS,), -1e6)
    parts = (torch.zeros(NEURONS, LATENTS), quiet, torch.ones(LATENTS, NEURONS), torch.zeros(NEURONS))
    save_sae(SAE(*parts, standard.Function()), _folder(place), {}, quiet)
    tables(site)
    table = made("dictionary", "sparse_probing", place, "classifier", neurons=[site.place.names], control=[])
    assert (table["chosen"].values == -1).all() and np.isnan(table["difference"].values).all()
    assert (table["f1"].values[:3] == 0).all() and (table["auroc"].values[:3] == 0.5).all()


def test_features_are_compared_with_neurons_by_hand():
    f1 = np.array([[0.9, 0.9, 0.9, 0.9], [0.1, 0.2, 0.5, 0.79], [0.1, 0.1, 0.1, 0.1], [0.5, 0.6, 0.7, 0.8]])
    dense = np.array([0.91, 0.8, 0.9, 0.72])
    fewest = against_dense(f1, dense)
    assert fewest.tolist() == [1, 8, MORE, 4]
    of_neurons = np.array([[0.1, 0.2, 0.3, 0.4], [0.1, 0.1, 0.8, 0.8], [0.1, 0.1, 0.1, 0.2], [0.1, 0.7, 0.7, 0.7]])
    neurons = xr.Dataset({"f1": (("tag", "k"), of_neurons), "fewest": ("tag", against_dense(of_neurons, dense))})
    found = against_neurons(f1, fewest, neurons, np.array([True, True, True, False]), 0)
    # One feature against none of eight neurons; eight against four; neither; two neurons suffice where it is not kept.
    assert found["fewer_than_neurons"].tolist() == [1, -1, 0, 0]
    assert found["fewest_for_neurons"].tolist() == [1, 8, MORE, 4]
    assert found["fewer_than_neurons_share"] == pytest.approx(1 / 3)
    assert found["more_than_neurons_share"] == pytest.approx(1 / 3)
    assert found["fewer_than_most_neurons_share"] == pytest.approx(1 / 3)


def test_features_are_ranked_by_the_size_of_their_difference_and_none_is_named_that_does_not_differ():
    differences = np.array([[0.1, np.nan], [-0.5, np.nan], [0.0, np.nan], [0.1, np.nan]])
    assert largest_differences(differences, 3).tolist() == [[1, 0, 3], [-1, -1, -1]]
    assert largest_differences(differences, 6)[0].tolist() == [1, 0, 3, -1, -1, -1]


def test_thresholds_and_areas_by_hand():
    level = np.array([4.0, 3, 2, 2, 1])
    tagged, untagged = np.array([1.0, 0, 1, 0, 0]), np.array([0.0, 1, 0, 3, 5])
    # From 4 on: 1 of 1, of 2 tagged: F1 2/3. From 3 on 1/2, from 2 on 4/8, from 1 on 4/13: between 4 and 3.
    assert best_threshold(level, tagged, untagged) == 3.5
    # 4 is above all 9; 2 is above five and level with three: 9 + 5 + 1.5 of 18.
    assert area_under_curve(level, tagged, untagged) == pytest.approx(15.5 / 18)
    assert best_threshold(np.array([0.0]), np.array([2.0]), np.array([5.0])) == 0.0


def probed_tokens(carried: np.ndarray, sequence: np.ndarray) -> ProbedTokens:
    sample = Sample()
    tags = np.packbits(carried, axis=1, bitorder="little")
    sample.add(Tokens(np.arange(len(carried)), sequence, tags, np.zeros(len(carried), np.int32)))
    return ProbedTokens.of(sample, carried.shape[1])


def test_tokens_without_a_score_of_their_own_have_the_score_of_the_rest():
    random = np.random.default_rng(0)
    carried = random.random((400, 1)) < 0.3
    tokens = probed_tokens(carried, np.arange(400) // 4)
    for rest in (-1.0, 0.4, 2.0):
        scores = np.where(random.random(400) < 0.5, np.round(random.random(400) + 0.4 * carried[:, 0], 1), rest)
        own = np.flatnonzero(scores != rest)
        with_rest = judged(Scored(own, scores[own], rest), 0, tokens)
        every = judged(Scored(np.arange(400), scores, -np.inf), 0, tokens)
        assert with_rest.auroc == pytest.approx(every.auroc)
        assert with_rest.right.tolist() == every.right.tolist()
        assert with_rest.told.tolist() == every.told.tolist()
        later = held_out(np.arange(400) // 4)
        assert every.auroc == pytest.approx(roc_auc_score(carried[later, 0], scores[later]))


def test_units_are_the_sequences_of_half_b():
    carried = np.zeros((40, 1), bool)
    carried[::5] = True
    sequence = np.arange(40) // 4
    tokens = probed_tokens(carried, sequence)
    later = np.flatnonzero(held_out(np.arange(10)))
    assert tokens.units == len(later)
    assert tokens.by_unit().tolist() == [4] * len(later)
    expected = [int(carried[sequence == one, 0].sum()) for one in later]
    assert tokens.by_unit(tag=0).tolist() == expected


def test_rare_tags_are_all_drawn_and_weights_stand_for_all_tokens():
    random = np.random.default_rng(1)
    carried = random.random((40_000, 4)) < np.array([0.9, 0.1, 0.002, 0.0])
    chance = chances(carried, 4000)
    assert chance.sum() == pytest.approx(4000, rel=1e-6)
    assert (chance[carried[:, 2]] == 1).all()
    weight = weights(np.arange(40_000), carried, 4000)
    assert 3800 < (weight > 0).sum() < 4200
    assert weight.sum() == pytest.approx(40_000, rel=0.03)
    np.testing.assert_allclose(weight @ carried[:, :3], carried[:, :3].sum(0), rtol=0.05)
    np.testing.assert_array_equal(weight[20_000:], weights(np.arange(40_000), carried, 4000)[20_000:])
    assert (weights(np.arange(40_000), carried, 40_000) == 1).all()
