import numpy as np
import pytest

from polysem.activations.rows import ActivationRows
from polysem.saes.dictionary import Neurons
from polysem.tables.parts.dead import dead_features


def test_a_feature_is_dead_whose_largest_training_activation_rounds_to_less_than_a_hundredth(activation_store):
    x = np.full((3000, 5), -1, np.float32)
    x[2999] = [0.0049, 0.005, 0.006, 1, -2]  # of the neurons the last one is never above 0
    x[0, 3] = 2
    found = dead_features(ActivationRows(activation_store(x)), Neurons(5))
    np.testing.assert_allclose(found["largest_training_activation"], [0.0049, 0.005, 0.006, 2, -1], rtol=1e-6)
    assert int(found["dead_features"]) == 2
    assert float(found["dead_share"]) == pytest.approx(2 / 5)
    assert int(found["training_images"]) == 3000
