from collections import Counter
from functools import cache

import numpy as np
import pytest
from rank_laws import exponential, fired, halves_of, power_law, truncated

from polysem.io.tables import read_table, write_table
from polysem.numerics.law_likelihood import Likelihood, Ranked
from polysem.tables.of_dictionary import rank_frequency as module
from polysem.tables.of_dictionary.rank_frequency import decide, rank_frequency

SMALL, LARGE = 60_000, 700_000
"""Eval tokens of the default study, and of document S0."""
CASES = {
    "power_law": [power_law(0.6, 0.3), power_law(0.8), power_law(1.0)],
    "exponential": [exponential(500, 0.05), exponential(1000), exponential(3000, 0.01)],
    "truncated_power_law": [truncated(0.5, 1000), truncated(0.7, 500, 0.5), truncated(1.0, 2000, 0.5)],
}


def table_of(law, features, tokens, seed=0, head_ranks=1000, **noise):
    return rank_frequency(fired(law, features, tokens, seed, **noise), halves_of(tokens), head_ranks, seed)


@cache
def cases_of(law, tokens, draws=6):
    """Tables of each case of a law."""
    return [[table_of(case, 4096, tokens, seed) for seed in range(draws)] for case in CASES[law]]


def called(tables, part):
    return Counter(str(table["winner"].sel(range=part).item()) for table in tables)


def winners(law, features, tokens, draws, part, **noise):
    """How often each law is called."""
    return called((table_of(law, features, tokens, seed, **noise) for seed in range(draws)), part)


@pytest.mark.parametrize("features", [4096, 2048])
@pytest.mark.parametrize("alpha", [0.6, 1.0])
def test_no_tail_of_a_power_law_is_called_another_law_at_the_size_of_the_default_study(features, alpha):
    """50 draws in each of four cases: 200."""
    found = winners(power_law(alpha), features, SMALL, 50, "tail")
    assert set(found) <= {"power_law", "undecided"}, found


def test_a_power_law_whose_tail_hardly_fires_is_not_called_another_law():
    """At rank 4,096 a feature fires 0.7 times in a half; 1,500 of the features never do."""
    found = winners(power_law(1.3, 0.6), 4096, SMALL, 12, "tail")
    assert set(found) <= {"power_law", "undecided"}, found


@pytest.mark.parametrize("tokens", [SMALL, LARGE])
@pytest.mark.parametrize("law", CASES)
@pytest.mark.parametrize("part", ["head", "tail"])
def test_the_three_laws_are_told_right_or_called_undecided(law, tokens, part):
    found = called((table for tables in cases_of(law, tokens) for table in tables), part)
    assert found[law] + found["undecided"] >= 0.9 * found.total(), found


@pytest.mark.parametrize(
    ("law", "tokens", "part", "decided"),
    [
        ("power_law", SMALL, "head", (0, 1, 2)),
        ("power_law", SMALL, "tail", (0, 1)),
        ("power_law", LARGE, "tail", (0, 1, 2)),
        ("exponential", SMALL, "head", (0, 1, 2)),
        ("exponential", SMALL, "tail", (0, 1, 2)),
        ("exponential", LARGE, "tail", (0, 1, 2)),
        ("truncated_power_law", SMALL, "head", (0, 1)),
        ("truncated_power_law", LARGE, "head", (0, 1)),
        ("truncated_power_law", LARGE, "tail", (2,)),
    ],
)
def test_clear_cut_cases_are_decided(law, tokens, part, decided):
    """The others are less clear: the tail of r^−1 fires 4 to 15 times in half of 60,000 tokens; that of
    r^−0.5·exp(−r/1000) is an exponential but for a sixth of its fall, and the head of r^−1·exp(−r/2000) a power law."""
    for case in decided:
        found = called(cases_of(law, tokens)[case], part)
        assert found[law] >= 0.6 * found.total(), (case, found)


def test_firing_in_runs_is_noise_and_no_law():
    """Counts whose variance is four times that of independent firings."""
    table = table_of(power_law(0.8), 4096, SMALL, dispersion=4.0)
    assert float(table["firing_dispersion"]) == pytest.approx(4, abs=0.5)
    found = winners(power_law(0.8), 4096, SMALL, 8, "tail", dispersion=4.0)
    assert set(found) <= {"power_law", "undecided"}, found
    assert winners(exponential(1000), 4096, LARGE, 5, "tail", dispersion=4.0)["exponential"] >= 4


def test_parameters_are_those_of_the_law_that_was_drawn_from():
    table = table_of(truncated(0.5, 1000), 4096, LARGE)
    for part in ("head", "tail"):
        fit = table.sel(range=part, law="truncated_power_law")
        assert float(fit["exponent"]) == pytest.approx(0.5, abs=0.15)
        assert float(fit["decay_length"]) == pytest.approx(1000, rel=0.1)
        drawn = float(fit["amplitude"]) * 1500.0 ** -float(fit["exponent"]) * np.exp(-1500 / float(fit["decay_length"]))
        assert drawn == pytest.approx(truncated(0.5, 1000)(1500.0), rel=0.05) or part == "head"
    for alpha in (0.6, 1.0):
        exponent = table_of(power_law(alpha), 4096, LARGE)["exponent"].sel(law="power_law")
        np.testing.assert_allclose(exponent, alpha, atol=0.02)
    length = table_of(exponential(1000), 4096, LARGE)["decay_length"].sel(law="exponential")
    np.testing.assert_allclose(length, 1000, rtol=0.03)


def test_the_curve_of_the_law_is_that_of_the_measured_frequencies_misplaced_ranks_included():
    """At 60,000 tokens half A misplaces features of the tail by hundreds of ranks, so the curve flattens at its end."""
    table = table_of(power_law(1.0), 4096, SMALL)
    for part in ("head", "tail"):
        expected = table["bin_expected"].sel(range=part, law="power_law").values
        inside = np.isfinite(expected) & (table["bin_first"].values > 20)
        assert inside.sum() > 15
        unlike = expected[inside] / table["bin_frequency"].values[inside] - 1
        assert np.abs(unlike).mean() < 0.05
        assert np.abs(unlike.mean()) < 0.015
    last = table["bin_frequency"].values[-1]
    assert last > 1.15 * 0.5 / 4096


def test_no_law_that_decays_by_both_is_reported_where_a_pure_one_is_likelier():
    fits = table_of(lambda rank: 0.05 * np.exp(-((rank / 1500) ** 2)), 2048, LARGE).sel(range="head")
    truncated_fit, exponential_fit = (fits.sel(law=law) for law in ("truncated_power_law", "exponential"))
    assert float(truncated_fit["exponent"]) == 0
    assert float(truncated_fit["decay_length"]) == float(exponential_fit["decay_length"])
    assert float(truncated_fit["aic"]) == float(exponential_fit["aic"]) + 2


@pytest.mark.parametrize(
    ("share", "error", "law"),
    [
        (0.0, 0.05, "power_law"),
        (-0.2, 0.1, "power_law"),
        (-0.4, 0.1, "undecided"),
        (0.04, 0.001, "power_law"),
        (0.1, 0.001, "truncated_power_law"),
        (0.1, 0.05, "undecided"),
        (0.0, 0.13, "undecided"),
        (0.5, 0.1, "truncated_power_law"),
        (0.5, 0.2, "undecided"),
        (0.98, 0.05, "exponential"),
        (1.2, 0.1, "exponential"),
        (2.3, 0.5, "undecided"),
        (float("nan"), 0.1, "undecided"),
        (0.36, 0.1, "truncated_power_law"),  # 3.5 standard errors
        (0.34, 0.1, "undecided"),
        (0.66, 0.1, "undecided"),
        (0.051, 0.0001, "truncated_power_law"),
        (0.049, 0.0001, "power_law"),
        (0.951, 0.0001, "exponential"),
        (0.09, 0.07, "power_law"),  # 1.3 standard errors
        (0.093, 0.07, "undecided"),
        (0.91, 0.07, "exponential"),
        (0.04, 0.1, "power_law"),  # two more are still below a quarter
        (0.06, 0.1, "undecided"),
        (-0.24, 0.1, "power_law"),
        (-0.26, 0.1, "undecided"),
        (1.24, 0.1, "exponential"),
        (1.26, 0.1, "undecided"),
    ],
)
def test_the_share_of_the_fall_and_its_error_decide(share, error, law):
    assert decide(share, error) == law


def test_one_newton_step_per_resample_is_as_good_as_a_fit_per_resample():
    a, b = fired(power_law(0.8), 4096, SMALL).astype(float).T
    order = np.argsort(-a, kind="stable")
    likelihood = Likelihood(Ranked(a[order], b[order], tuple(halves_of(SMALL)), 4096, 1.0), 1000, 4096)
    law = likelihood.fits(np.array([*likelihood.start(), 0.0]), np.eye(3))[0].law
    features = int(likelihood.counts.sum())
    resamples = np.random.default_rng(0).multinomial(features, likelihood.counts / features, 60).astype(float)
    fitted = np.array([likelihood.fitted(counts, law, np.eye(3))[0] for counts in resamples])
    np.testing.assert_allclose(likelihood.resampled(resamples, law).std(0), fitted.std(0), rtol=0.1)


def test_the_error_of_the_share_is_half_of_the_middle_two_thirds_of_200_resamples():
    a, b = fired(truncated(0.7, 1500), 4096, SMALL).astype(float).T
    order = np.argsort(-a, kind="stable")
    likelihood = Likelihood(Ranked(a[order], b[order], tuple(halves_of(SMALL)), 4096, 1.0), 1, 999)
    solution = likelihood.fits(np.array([*likelihood.start(), 0.0]), np.eye(3))[0]
    found, error = module._share_of_fall(likelihood, solution, np.random.default_rng(3))

    def share(law):
        """The fall of the exponential alone, in all of it from behind the first tenth of the ranks to their end."""
        part, all_of_it = (
            np.subtract(*likelihood.log_mean(numbers, np.array([100.8, 999.0]))) for numbers in (law * [1, 0, 1], law)
        )
        return part / all_of_it

    assert likelihood.inner == pytest.approx((100.8, 999), abs=0.5)
    assert found == pytest.approx(share(solution.law), rel=1e-2)
    features = int(likelihood.counts.sum())
    resamples = np.random.default_rng(3).multinomial(features, likelihood.counts / features, 200).astype(float)
    shares = [share(law) for law in likelihood.resampled(resamples, solution.law)]
    low, high = np.quantile(shares, [0.1587, 0.8413])
    assert error == pytest.approx((high - low) / 2, rel=1e-2)
    fewer = np.quantile(shares[:100], [0.1587, 0.8413])
    assert error != pytest.approx(np.diff(fewer).item() / 2, rel=1e-2)


@pytest.mark.parametrize(("features", "fitted"), [(99, False), (100, True)])
@pytest.mark.parametrize("part", ["head", "tail"])
def test_a_range_of_fewer_than_100_ranks_is_not_fitted(features, fitted, part):
    active = np.repeat(np.arange(1000, 1000 - features - 9, -1)[:, None], 2, axis=1)
    table = rank_frequency(active, halves_of(SMALL), 10 if part == "tail" else features + 1)
    of = table.sel(range=part)
    assert int(of["last_rank"]) - int(of["first_rank"]) + 1 == features
    assert bool(str(of["winner"].item())) == fitted
    for name in ("exponent", "log_likelihood", "aic", "amplitude"):
        assert np.isfinite(of[name].values).all() == fitted
    assert np.isfinite(float(of["exponential_share"])) == fitted


def test_bins_of_ranks_are_evenly_spaced_by_their_logarithm():
    table = rank_frequency(np.repeat(np.arange(3000, 0, -1)[:, None], 2, axis=1), halves_of(SMALL), 1000)
    edges = sorted({round(3001 ** (step / 120)) for step in range(121)})
    assert table["bin_first"].values.tolist() == edges[:-1]
    assert (table["bin_last"].values + 1).tolist() == edges[1:]


def test_features_are_ranked_by_half_a_and_counted_in_half_b():
    table = rank_frequency(np.array([[0, 9], [4, 1], [0, 0], [8, 2]]), np.array([10, 20]), head_ranks=10)
    assert table["frequency_sorted"].values.tolist() == [10 / 30, 9 / 30, 5 / 30]
    assert table["bin_first"].values.tolist() == [1, 2]
    assert table["bin_frequency"].values.tolist() == [2 / 20, 1 / 20]
    assert (int(table["first_rank"][0]), int(table["last_rank"][0])) == (1, 2)
    assert (int(table["first_rank"][1]), int(table["last_rank"][1])) == (10, 9)
    assert (table.attrs["tokens"], table.attrs["tokens_ranking"], table.attrs["tokens_counting"]) == (30, 10, 20)


@pytest.mark.parametrize(
    ("active", "tokens"),
    [
        (np.zeros((200, 2), int), [500, 500]),
        (np.full((200, 2), 7), [500, 500]),
        (np.stack([np.full(200, 7), np.zeros(200, int)], 1), [500, 500]),
        (np.stack([np.zeros(200, int), np.full(200, 7)], 1), [500, 500]),
        (np.stack([np.full(200, 7), np.zeros(200, int)], 1), [1000, 0]),
        (np.stack([np.arange(200), np.arange(200)[::-1]], 1), [500, 500]),
        (np.r_[[[10**9, 10**9]], np.ones((199, 2), int)], [10**9, 10**9]),
        (np.full((200, 2), 500), [500, 500]),
        (np.r_[np.full((150, 2), 10**6), np.full((150, 2), 1)], [10**6, 10**6]),
    ],
    ids=["silent", "equal", "A alone", "B alone", "no half B", "against each other", "one", "always", "two classes"],
)
def test_counts_that_follow_no_law_are_written_and_read_and_called_none(tmp_path, active, tokens):
    write_table(tmp_path / "rank_frequency.nc", rank_frequency(active, np.array(tokens), head_ranks=1000))
    table = read_table(tmp_path / "rank_frequency.nc")
    assert table.sizes["rank"] == (active.sum(1) > 0).sum()
    assert table["winner"].values.tolist() in (["", ""], ["undecided", ""])


def test_the_same_counts_give_the_same_bytes_and_another_seed_the_same_law(tmp_path):
    active = fired(exponential(1000), 4096, SMALL)
    for name, seed in (("one", 1), ("two", 1), ("other", 2)):
        write_table(tmp_path / name, rank_frequency(active, halves_of(SMALL), 1000, seed))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    one, other = (read_table(tmp_path / name)["winner"].values.tolist() for name in ("one", "other"))
    assert one == other == ["exponential", "exponential"]


def test_what_is_decided_is_decided_among_the_laws_of_the_table():
    assert set(module.FREE) == set(module.LAWS)
