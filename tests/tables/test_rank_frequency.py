import math

import numpy as np
import pytest
import scipy.stats

from polysem.io.tables import read_table, write_table
from polysem.tables.rank_frequency import rank_frequency

TOKENS = 10_000_000


def sampled(law, ranks, events=3_000_000, seed=0):
    """Counts of `events` draws of the ranks, shuffled over the features."""
    generator = np.random.default_rng(seed)
    probability = law(np.arange(1, ranks + 1))
    return generator.permutation(generator.multinomial(events, probability / probability.sum()))


def slow_log_likelihood(counts, first, statistic, rate):
    terms = [math.exp(-rate * statistic(rank)) for rank in range(first, first + len(counts))]
    total = math.fsum(terms)
    return math.fsum(count * math.log(term / total) for count, term in zip(counts, terms, strict=True))


@pytest.mark.parametrize("alpha", [0.6, 1.0, 1.7])
def test_the_exponent_of_sampled_power_laws_is_recovered_in_head_and_tail(alpha):
    table = rank_frequency(sampled(lambda r: r**-alpha, 300), TOKENS, head_ranks=101)
    assert table["winner"].values.tolist() == ["power_law", "power_law"]
    fitted = table["exponent"].sel(law="power_law")
    assert float(fitted.sel(range="head")) == pytest.approx(alpha, abs=0.01)
    assert float(fitted.sel(range="tail")) == pytest.approx(alpha, abs=0.05)


@pytest.mark.parametrize("length", [20.0, 75.0])
def test_the_length_of_sampled_exponentials_is_recovered_in_head_and_tail(length):
    table = rank_frequency(sampled(lambda r: np.exp(-r / length), 200), TOKENS, head_ranks=61)
    assert table["winner"].values.tolist() == ["exponential", "exponential"]
    fitted = table["decay_length"].sel(law="exponential")
    assert float(fitted.sel(range="head")) == pytest.approx(length, rel=0.01)
    assert float(fitted.sel(range="tail")) == pytest.approx(length, rel=0.03)


def test_head_and_tail_may_follow_different_laws():
    def law(r):
        return np.where(r < 100, r**-0.8, 100**-0.8 * np.exp(-(r - 100) / 60))

    table = rank_frequency(sampled(law, 400), TOKENS, head_ranks=100)
    assert table["winner"].values.tolist() == ["power_law", "exponential"]


def test_likelihoods_of_the_head_are_those_of_scipys_zipfian_and_boltzmann():
    counts = np.sort(sampled(lambda r: r**-1.2, 50, events=10_000))[::-1]
    head = rank_frequency(counts, TOKENS, head_ranks=1000).sel(range="head")
    ranks = np.arange(1, len(counts) + 1)
    alpha = float(head["exponent"].sel(law="power_law"))
    length = float(head["decay_length"].sel(law="exponential"))
    zipfian = counts @ scipy.stats.zipfian(alpha, len(counts)).logpmf(ranks)
    boltzmann = counts @ scipy.stats.boltzmann(1 / length, len(counts)).logpmf(ranks - 1)
    assert float(head["log_likelihood"].sel(law="power_law")) == pytest.approx(zipfian, rel=1e-9)
    assert float(head["log_likelihood"].sel(law="exponential")) == pytest.approx(boltzmann, rel=1e-9)
    likelihoods = head["log_likelihood"].values.tolist()
    assert head["aic"].values.tolist() == [2 * k - 2 * value for k, value in zip((1, 1, 2), likelihoods, strict=True)]


@pytest.mark.parametrize("part", ["head", "tail"])
@pytest.mark.parametrize("law", ["power_law", "exponential"])
def test_no_other_parameter_is_likelier_by_a_slow_sum(part, law):
    counts = np.sort(np.random.default_rng(5).integers(1, 500, 60))[::-1]
    fit = rank_frequency(counts, TOKENS, head_ranks=25).sel(range=part, law=law)
    first, last = int(fit["first_rank"]), int(fit["last_rank"])
    assert (first, last) == ((1, 24) if part == "head" else (25, 60))
    statistic = math.log if law == "power_law" else float
    rate = float(fit["exponent"]) if law == "power_law" else 1 / float(fit["decay_length"])
    best = slow_log_likelihood(counts[first - 1 : last], first, statistic, rate)
    assert float(fit["log_likelihood"]) == pytest.approx(best, rel=1e-12)
    for factor in (0.5, 0.999, 1.001, 2):
        assert slow_log_likelihood(counts[first - 1 : last], first, statistic, rate * factor) < best


def test_the_fitted_curve_has_as_many_activations_as_the_range():
    table = rank_frequency(sampled(lambda r: r**-1.1, 300), TOKENS, head_ranks=50)
    for part in ("head", "tail"):
        chosen = table.sel(range=part)
        ranks = np.arange(int(chosen["first_rank"]), int(chosen["last_rank"]) + 1)
        total = float(table["frequency_sorted"].sel(rank=ranks).sum())
        for law in table["law"].values:
            fit = chosen.sel(law=law)
            curve = (
                float(fit["amplitude"]) * ranks ** -float(fit["exponent"]) * np.exp(-ranks / float(fit["decay_length"]))
            )
            assert curve.sum() == pytest.approx(total)


def slow_truncated(counts, first, exponent, rate):
    terms = [rank**-exponent * math.exp(-rate * rank) for rank in range(first, first + len(counts))]
    total = math.fsum(terms)
    return math.fsum(count * math.log(term / total) for count, term in zip(counts, terms, strict=True))


@pytest.mark.parametrize(("alpha", "length"), [(0.5, 60.0), (1.1, 200.0)])
def test_a_sampled_truncated_power_law_is_recovered_and_beats_both_pure_laws(alpha, length):
    counts = sampled(lambda r: r**-alpha * np.exp(-r / length), 300)
    head = rank_frequency(counts, TOKENS, head_ranks=1000).sel(range="head")
    assert str(head["winner"].item()) == "truncated_power_law"
    fit = head.sel(law="truncated_power_law")
    assert float(fit["exponent"]) == pytest.approx(alpha, abs=0.01)
    assert float(fit["decay_length"]) == pytest.approx(length, rel=0.03)
    ordered = np.sort(counts)[::-1]
    ordered = ordered[ordered > 0]
    found = float(fit["exponent"]), 1 / float(fit["decay_length"])
    best = slow_truncated(ordered, 1, *found)
    assert float(fit["log_likelihood"]) == pytest.approx(best, rel=1e-12)
    for step in ((0.001, 0), (-0.001, 0), (0, 1e-5), (0, -1e-5), (0.001, -1e-5), (-0.001, 1e-5)):
        assert slow_truncated(ordered, 1, found[0] + step[0], found[1] + step[1]) < best


def test_a_truncated_power_law_never_grows_with_rank():
    """Counts that fall faster than exponentially want a negative exponent: the best law on the border is taken."""
    ranks = np.arange(1, 101)
    head = rank_frequency((1e6 * np.exp(-((ranks / 40) ** 2))).astype(int), TOKENS, head_ranks=1000).sel(range="head")
    fit, exponential = (head.sel(law=law) for law in ("truncated_power_law", "exponential"))
    assert float(fit["exponent"]) == 0
    assert float(fit["decay_length"]) == float(exponential["decay_length"])
    assert str(head["winner"].item()) == "exponential"


def test_ranks_are_those_of_the_features_ever_active_by_descending_frequency():
    table = rank_frequency(np.array([0, 2, 8, 0, 4]), 16, head_ranks=10)
    assert table["frequency_sorted"].values.tolist() == [0.5, 0.25, 0.125]
    assert table["rank"].values.tolist() == [1, 2, 3]
    assert (int(table["first_rank"][0]), int(table["last_rank"][0])) == (1, 3)
    assert (int(table["first_rank"][1]), int(table["last_rank"][1])) == (10, 9)


@pytest.mark.parametrize(("features", "fitted"), [(4, False), (5, True)])
def test_a_range_of_fewer_than_5_ranks_is_not_fitted(features, fitted):
    head = rank_frequency(np.arange(1, features + 1), 100, head_ranks=10).sel(range="head")
    assert bool(str(head["winner"].item())) == fitted
    for name in ("exponent", "log_likelihood", "aic", "amplitude"):
        assert np.isfinite(head[name].values).all() == fitted


def test_equal_counts_are_a_constant_that_no_law_wins():
    head = rank_frequency(np.full(20, 7), 100, head_ranks=1000).sel(range="head")
    assert str(head["winner"].item()) == ""
    assert head["exponent"].values.tolist() == [0, 0, 0]
    assert head["decay_length"].values.tolist() == [math.inf] * 3
    np.testing.assert_allclose(head["amplitude"], 0.07)
    np.testing.assert_allclose(head["log_likelihood"], -140 * math.log(20))


def test_counts_that_differ_by_one_activation_are_fitted():
    counts = np.full(100_000, 1_000_000)
    counts[:3] += 1
    head = rank_frequency(counts, TOKENS, head_ranks=1_000_000).sel(range="head")
    assert 0 <= float(head["exponent"].sel(law="power_law")) < 1e-6
    assert np.isfinite(head["log_likelihood"].values).all()


def test_one_overwhelming_feature_is_fitted():
    head = rank_frequency(np.array([10**12, 1, 1, 1, 1, 1]), 10**12, head_ranks=1000).sel(range="head")
    assert np.isfinite(head["log_likelihood"].values).all()
    assert float(head["decay_length"].sel(law="exponential")) < 0.05


@pytest.mark.parametrize("active", [1, 0])
def test_tables_of_one_active_feature_and_of_none_are_written_and_read(tmp_path, active):
    counts = np.zeros(8, np.int64)
    counts[:active] = 3
    write_table(tmp_path / "rank_frequency.nc", rank_frequency(counts, 10, head_ranks=1000))
    table = read_table(tmp_path / "rank_frequency.nc")
    assert table.sizes["rank"] == active
    assert table["winner"].values.tolist() == ["", ""]
    assert table["frequency_sorted"].values.tolist() == [0.3] * active


def test_the_same_counts_give_the_same_bytes(tmp_path):
    table = rank_frequency(np.arange(40), 100, head_ranks=20)
    for name in ("one.nc", "two.nc"):
        write_table(tmp_path / name, table)
    assert (tmp_path / "one.nc").read_bytes() == (tmp_path / "two.nc").read_bytes()
