import math

import numpy as np
import scipy.stats
import torch

from polysem.activations.rows import ActivationRows
from polysem.saes.dictionary import Neurons
from polysem.tables.passes.survey import blocks as blocks_module
from polysem.tables.passes.survey.blocks import blocks
from polysem.tables.passes.survey.co_firing import at_least, co_firing, highest_projections, independent


def test_co_firing_worked_by_hand(activation_store):
    x = np.array([[1, 0, 0, 5], [2, 1, 0, 5], [0, 0, 0, 5], [1, 3, -1, 5]], np.float32)
    rows = ActivationRows(activation_store(x))
    cluster = np.array([True, True, True, False])
    table = co_firing(cluster, rows, lambda: blocks(rows, Neurons(4)))
    assert table["ultra_low_active"].values.tolist() == [1, 1, 2]
    assert table["ultra_low_active_at_least"].values.tolist() == [4, 3, 2]
    law = [4 * math.exp(-5 / 4) * (5 / 4) ** number / math.factorial(number) for number in range(3)]
    expected = [sum(law), sum(law[1:]), law[2]]
    np.testing.assert_allclose(table["ultra_low_active_at_least_independent"], expected)
    assert int(table["ultra_low_firing"]) == 2
    assert int(table["co_firing_largest"]) == 2
    assert float(table["co_firing_largest_share"]) == 1.0
    assert table["co_firing_active"].values[:4].tolist() == [2, 2, 1, 0]
    assert table["co_firing_sequence"].values[:4].tolist() == [1, 3, 0, -1]
    assert table["co_firing_position"].values[:4].tolist() == [1, 3, 0, -1]


def test_co_firing_is_that_of_the_whole_matrix(activation_store, monkeypatch):
    monkeypatch.setattr(blocks_module, "block_rows", lambda *shape: 100)
    x = np.random.default_rng(0).standard_normal((1000, 30)).astype(np.float32) - 1.5
    rows = ActivationRows(activation_store(x))
    cluster = np.arange(30) % 3 > 0
    active = (x[:, cluster] > 0).sum(axis=1)
    table = co_firing(cluster, rows, lambda: blocks(rows, Neurons(30)))
    assert table["ultra_low_active"].values.tolist() == np.bincount(active).tolist()
    assert table.attrs["tokens"] == 1000
    order = sorted(range(1000), key=lambda token: (-active[token], token))[:20]
    assert table["co_firing_sequence"].values.tolist() == order
    assert table["co_firing_active"].values.tolist() == active[order].tolist()


def test_a_cluster_that_never_fires_has_no_share(activation_store):
    rows = ActivationRows(activation_store(np.ones((3, 2), np.float32)))
    table = co_firing(np.zeros(2, bool), rows, lambda: blocks(rows, Neurons(2)))
    assert table["ultra_low_active"].values.tolist() == [3]
    assert table["ultra_low_active_at_least_independent"].values.tolist() == [3]
    assert int(table["co_firing_largest"]) == 0
    assert math.isnan(table["co_firing_largest_share"])
    assert (table["co_firing_sequence"] == -1).all()


def test_the_random_features_of_a_token_follow_poissons_law():
    tokens = np.array([199_970, 20, 0, 10])
    found = independent(tokens)
    np.testing.assert_allclose(found, 200_000 * scipy.stats.poisson.pmf(np.arange(4), 50 / 200_000))
    assert at_least(tokens).tolist() == [200_000, 30, 10, 10]


def test_no_tokens_have_no_features_on_them():
    assert independent(np.zeros(1, np.int64)).tolist() == [0]


def test_highest_projections_are_those_of_a_sort(activation_store):
    x = np.random.default_rng(0).standard_normal((9000, 6)).astype(np.float32)
    direction = np.array([1.0, -2.0, 0.5, 0.0, 3.0, 1.0])
    table = highest_projections(ActivationRows(activation_store(x)), direction, 7)
    projection = x @ direction
    order = np.argsort(-projection)[:7]
    assert table["projection_sequence"].values.tolist() == order.tolist()
    assert table["projection_position"].values.tolist() == order.tolist()
    np.testing.assert_allclose(table["projection"], projection[order], rtol=1e-5)


def test_a_small_store_has_fewer_projections(activation_store):
    rows = ActivationRows(activation_store(np.eye(2, dtype=np.float32)))
    assert highest_projections(rows, torch.tensor([0.0, 1.0]).numpy(), 5)["projection"].values.tolist() == [1.0, 0.0]
