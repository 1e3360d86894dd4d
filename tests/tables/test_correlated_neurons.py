import numpy as np
import torch

from polysem.tables.parts import correlated_neurons as module
from polysem.tables.parts.correlated_neurons import of_all_features, weight_ranks

NAN = np.nan


def test_correlations_of_all_features_worked_by_hand():
    correlation = np.array([[0.95, 0.2], [0.5, NAN], [0.91, 0.4], [0.9, NAN], [NAN, NAN]], np.float32)
    found = of_all_features(correlation)
    assert found["correlated_features"].values.tolist() == [4, 2]
    np.testing.assert_allclose(found["neuron_correlation_median"], [(0.91 + 0.9) / 2, 0.3], rtol=1e-6)
    assert found["neuron_correlation_above_09"].values.tolist() == [2, 0]


def test_no_feature_with_a_neuron_has_no_median():
    found = of_all_features(np.full((3, 1), NAN, np.float32))
    assert found["correlated_features"].values.tolist() == found["neuron_correlation_above_09"].values.tolist() == [0]
    assert np.isnan(found["neuron_correlation_median"].values).all()


def test_the_place_of_a_weight_goes_by_size_and_equal_ones_share_the_best():
    decoder = torch.tensor([[1.0, -3, 2, 0], [1, -3, 2, 0], [2, -2, 1, 2], [0, 0, 0, 1]])
    assert weight_ranks(decoder, np.array([1, 0, 3, -1], np.int32)).values.tolist() == [1, 3, 1, 0]


def test_places_of_weights_are_those_of_a_sort(monkeypatch):
    monkeypatch.setattr(module, "WEIGHTS", 50)
    random = np.random.default_rng(0)
    decoder, neuron = random.standard_normal((100, 12)), random.integers(12, size=100)
    order = [sorted(range(12), key=lambda place, row=row: -abs(row[place])) for row in decoder]
    expected = [places.index(chosen) + 1 for places, chosen in zip(order, neuron, strict=True)]
    assert weight_ranks(torch.from_numpy(decoder), neuron).values.tolist() == expected
