import numpy as np

from polysem.numerics.strongest import largest


def test_the_largest_entries_come_in_order_and_nothing_is_changed():
    values = np.random.default_rng(0).standard_normal((20, 50)).astype(np.float32)
    before = values.copy()
    place, value = largest(values, 7)
    assert (place == np.argsort(-before)[:, :7]).all()
    assert (value == np.take_along_axis(before, place, axis=1)).all()
    assert (values == before).all()


def test_of_equal_entries_the_first_comes_first():
    place, value = largest(np.array([[1.0, 3, 3, 0, 3]]), 5)
    assert place.tolist() == [[1, 2, 4, 0, 3]]
    assert value.tolist() == [[3, 3, 3, 1, 0]]
