"""What is said of pairs, and of sites that are read through another one's dictionary, worked by hand."""

import numpy as np
import pytest
from scipy import sparse

from polysem.params.pair import Pair
from polysem.tables.passes.comparison import wrong_site
from polysem.tables.passes.comparison.codes import Codes
from polysem.tables.passes.comparison.coherence import Coherence, coherence, random_coherence
from polysem.tables.passes.comparison.pair_table import median, pair_variables, share
from polysem.tables.passes.comparison.pairwise import Match, spread

NAN = np.nan


def pair(other, relation="seed"):
    return Pair("a", relation, "m", "s", other)


def test_a_feature_is_found_again_from_a_correlation_of_07_on():
    first = Match(
        pair("b"), 4, tokens=9, correlation=np.array([0.7, 0.69, 0.9, NAN]), correlated=np.array([3, 1, 0, -1])
    )
    second = Match(pair("c"), 2, reasons=["too far", "too wide"])
    found = pair_variables([first, second])
    assert found["features"].values.tolist() == [4, 2]
    assert found["pair_tokens"].values.tolist() == [9, 0]
    np.testing.assert_allclose(found["found_again_share"], [2 / 3, NAN])
    np.testing.assert_allclose(found["correlated_share"], [3 / 4, 0])
    np.testing.assert_allclose(found["median_correlation"], [0.7, NAN])
    np.testing.assert_allclose(found["correlation"], [0.7, 0.69, 0.9, NAN, NAN, NAN], rtol=1e-6)
    assert found["correlated_feature"].values.tolist() == [3, 1, 0, -1, -1, -1]
    assert found["nearest_feature"].values.tolist() == [-1] * 6
    assert found["pair_other"].values.tolist() == ["b", "c"]
    assert found["pair_reason"].values.tolist() == ["", "too far; too wide"]


def test_the_features_of_all_pairs_of_a_relation_have_one_median():
    seeds = [
        Match(pair("b"), 4, correlation=np.array([0.5, NAN, 0.9, 0.1])),
        Match(pair("c"), 1, correlation=np.ones(1)),
    ]
    found = pair_variables([seeds[0], Match(pair("neurons", "neurons"), 3), seeds[1]])
    assert found["relation"].values.tolist() == ["seed", "neurons"]
    assert found["relation_features"].values.tolist() == [5, 3]
    assert found["relation_correlated_features"].values.tolist() == [4, 0]
    np.testing.assert_allclose(found["relation_median_correlation"], [0.7, NAN])
    assert {found[name].size for name in found if name.startswith("relation")} == {2}
    assert not pair_variables([])["relation"].size


def test_baselines_have_room_for_512_draws_and_are_filled_from_the_front():
    match = Match(pair("b"), 3, cosine_random=np.array([0.1, 0.2, 0.3]))
    found = pair_variables([match])
    for name in ("correlation_shuffled", "logit_shuffled", "cosine_random"):
        assert found[name].sizes == {"pair": 1, "draw": 512}
    np.testing.assert_allclose(found["cosine_random"].values[0, :4], [0.1, 0.2, 0.3, NAN], rtol=1e-6)
    assert np.isnan(found["correlation_shuffled"].values).all()
    assert float(found["median_cosine_random"].values[0]) == pytest.approx(0.2)


def test_baselines_are_of_at_most_512_features_that_are_evenly_spread():
    assert spread(5).tolist() == [0, 1, 2, 3, 4]
    many = spread(5110)
    assert (len(many), many[0], many[-1]) == (512, 0, 5109)
    assert set(np.diff(many)) <= {9, 10, 11}


def test_medians_and_shares_of_what_is_known():
    assert median(np.array([1.0, NAN, 3.0, np.inf])) == 2
    assert np.isnan(median(np.array([NAN])))
    assert share(np.array([0.5, NAN, 0.4, 0.6]), 0.5) == 0.5
    assert np.isnan(share(np.zeros(0), 0.5))


def test_features_are_coherent_from_half_of_their_tokens_on():
    own = Coherence(np.array([0.5, 0.45, NAN, 0.9]), np.array([1, 1, -1, 2]))
    other = Coherence(np.array([0.6, 0.9, 0.9, 0.5]), np.array([1, 1, 1, 3]))
    assert wrong_site._coherent_share(own) == pytest.approx(2 / 3)
    assert wrong_site._same_token(own, other) == 0.5
    none = Coherence(np.full(4, NAN), np.full(4, -1))
    assert np.isnan(wrong_site._coherent_share(none)) and np.isnan(wrong_site._same_token(own, none))


def test_random_tokens_are_coherent_from_half_of_their_tokens_on():
    found = wrong_site._of_random_tokens(np.array([0.5, 0.45, 0.1, 0.9]))
    assert found["coherence_random"].values.tolist() == [0.5, 0.45, 0.1, 0.9]
    assert float(found["coherent_share_random"].values) == 0.5
    assert float(found["median_coherence_random"].values) == pytest.approx(0.475)
    none = wrong_site._of_random_tokens(np.full(3, NAN))
    assert np.isnan(none["coherent_share_random"].values) and np.isnan(none["median_coherence_random"].values)


def test_coherence_is_that_of_the_20_strongest_tokens():
    active = np.zeros((40, 3))
    active[:20, 0] = active[:19, 1] = 1
    active[:, 2] = np.arange(40, 0, -1)
    tokens = np.r_[np.full(12, 7), np.arange(100, 108), np.full(20, 7)]
    found = coherence(Codes(sparse.csc_array(active)), tokens)
    np.testing.assert_allclose(found.share, [12 / 20, NAN, 12 / 20])
    assert found.token.tolist() == [7, -1, 7]
    drawn = random_coherence(np.arange(20) // 10, 3, 0)
    assert drawn.tolist() == [0.5] * 3
    assert np.isnan(random_coherence(np.arange(19), 3, 0)).all()
