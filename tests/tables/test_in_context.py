import numpy as np

from polysem.tables.parts.in_context import in_context_tokens


def test_a_token_belongs_to_a_context_if_at_least_half_of_its_places_do():
    ids = np.array([0, 0, 1, 1, 1, 2, 4])
    carried = np.array([[1, 0], [0, 0], [1, 0], [0, 1], [0, 1], [0, 0], [1, 1]], bool)
    found = in_context_tokens(ids, carried, 6, np.array([1, 0, -1]))
    assert found.tolist() == [
        [False, True, False, False, True, False],
        [True, False, False, False, True, False],
        [False] * 6,
    ]
