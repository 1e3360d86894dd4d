"""The tokens of features' top examples, from the tables that hold them."""

import numpy as np
import pytest
import xarray as xr

from polysem.io.errors import InputError
from polysem.io.tables import write_table
from polysem.models.batches import TokenStore
from polysem.saes.ranking import QUANTILES
from polysem.tables.of_dictionary.quantiles import VARIABLES as OF_QUANTILES
from polysem.tables.parts.distributions import read_distributions
from polysem.tables.parts.labels import variable
from polysem.tables.passes.matches.own_tokens import read_own_tokens


def table(path, attributes=None, **variables):
    of = {name: variable(dimensions, values, "a number", "1") for name, (dimensions, values) in variables.items()}
    write_table(path, xr.Dataset(of, attrs=attributes or {}))
    return path


@pytest.fixture
def own(tmp_path, word_store):
    """Two features: one with two top examples in sequences 1 and 0, one with none; samples are none of either's."""
    both = ("feature", "example")
    kind = np.array(["top", "top", "sample"], object)
    sequence, position = np.array([[1, 0, 1], [-1, -1, 0]]), np.array([[2, 1, 1], [-1, -1, 2]])
    examples = table(
        tmp_path / "examples.nc", kind=("example", kind), sequence=(both, sequence), position=(both, position)
    )
    return read_own_tokens(examples, TokenStore(word_store([[0, 5, 6], [0, 7, 8]])))


def test_top_examples_alone_are_read_with_their_tokens(own):
    assert own.sequence.tolist() == [[1, 0], [-1, -1]]
    assert own.token.tolist() == [[8, 5], [-1, -1]]


def test_the_first_one_outside_of_a_text_is_that_of_another_sequence(own):
    features = np.array([[0, 1, -1]] * 3)
    assert own.anywhere(features).tolist() == [[8, -1, -1]] * 3
    assert own.outside(features, np.array([1, 0, -1])).tolist() == [[5, -1, -1], [8, -1, -1], [8, -1, -1]]
    alone = type(own)(own.sequence[:1, :1], own.token[:1, :1])
    assert alone.outside(np.array([[0]]), np.array([1])).tolist() == [[-1]]


def test_distributions_are_those_of_both_tables_and_other_shares_are_refused(tmp_path):
    assert OF_QUANTILES["activation"][0] == "feature quantile"
    frequency = table(
        tmp_path / "frequency.nc",
        {"tokens": 500},
        max_activation=("feature", np.array([3.0, 0.0])),
        frequency=("feature", np.array([0.5, 0.0])),
        activation_histogram=(("feature", "bin"), np.zeros((2, 3), int)),
    )
    knots = np.full((2, len(QUANTILES)), np.nan, np.float32)
    knots[0] = 3 * QUANTILES
    good = table(tmp_path / "good.nc", quantile=("quantile", QUANTILES), activation=(("feature", "quantile"), knots))
    found = read_distributions(frequency, good)
    assert (found.maximum.tolist(), found.frequency.tolist(), found.tokens) == ([3, 0], [0.5, 0], 500)
    np.testing.assert_array_equal(found.knots, knots)
    other = table(
        tmp_path / "other.nc", quantile=("quantile", QUANTILES / 2), activation=(("feature", "quantile"), knots)
    )
    with pytest.raises(InputError, match=r"other\.nc has quantiles at other shares than this version takes; run again"):
        read_distributions(frequency, other)
