"""What the strongest tokens of a feature have in common."""

import numpy as np
import pytest
from scipy import sparse

from polysem.tables.passes.comparison.codes import Codes
from polysem.tables.passes.comparison.coherence import coherence, random_coherence


def test_the_coherence_of_three_features_worked_by_hand():
    tokens = np.array([7, 7, 8, 9, 7, 8])
    dense = np.array(
        [  # the four strongest of the first are tokens 7, 8, 7, 8; of the second 7, 9, 7, 7; the third has three
            [4, 1, 0],
            [2, 5, 1],
            [3, 0, 2],
            [0.5, 4, 3],
            [1, 3, 0],
            [1.5, 0.5, 0],
        ]
    )
    found = coherence(Codes(sparse.csc_array(dense)), tokens, top=4)
    assert found.share.tolist() == pytest.approx([0.5, 0.75, np.nan], nan_ok=True)
    assert found.token.tolist() == [7, 7, -1]


def test_of_equal_activations_the_earlier_token_counts():
    found = coherence(Codes(sparse.csc_array(np.ones((5, 1)))), np.array([3, 3, 4, 4, 4]), top=2)
    assert (found.share.tolist(), found.token.tolist()) == ([1.0], [3])


def test_random_tokens_agree_as_often_as_their_frequencies_say():
    even = random_coherence(np.arange(1000), 50, 0, top=10)
    assert even.tolist() == [0.1] * 50
    same = random_coherence(np.zeros(1000, int), 5, 0, top=10)
    assert same.tolist() == [1.0] * 5
    assert np.isnan(random_coherence(np.zeros(3, int), 5, 0, top=10)).all()
