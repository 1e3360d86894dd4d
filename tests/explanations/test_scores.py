"""S1.F10: scores of explanations, worked by hand, by a slow computation, and of features of known causes."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from measured import made
from scipy import stats

from polysem.explanations.explain_features import explain_features
from polysem.io.errors import InputError
from polysem.io.tables import write_table
from polysem.layout.place import Place
from polysem.tables.parts.explanation_metrics import explanation_metrics
from polysem.tables.passes.explanations.agreement import rank_agreement
from polysem.tables.passes.explanations.scored import Said, _partners
from polysem.tables.passes.explanations.scores import balanced_accuracy, best_threshold, correlation
from polysem.tables.passes.explanations.summaries import listed

from .case import AFTER, ALWAYS, ANIMAL, BEFORE, CAT, DEAD, NAME, NOISE, RARE, SITE, causes, texts

IDS = texts()
F = causes(IDS)


def test_balanced_accuracy_and_correlation_worked_by_hand():
    true = np.array([True, True, False, False, False, False])
    assert balanced_accuracy(np.array([True, False, False, False, False, True]), true) == (0.5 + 0.75) / 2
    assert balanced_accuracy(np.zeros(6, bool), true) == 0.5
    assert np.isnan(balanced_accuracy(np.ones(2, bool), np.ones(2, bool)))
    assert correlation(np.array([0.0, 1, 0]), np.array([0.0, 5, 0])) == pytest.approx(1)
    assert correlation(np.zeros(3), np.array([0.0, 5, 0])) == 0, "what says nothing explains nothing"
    assert np.isnan(correlation(np.array([0.0, 1, 0]), np.ones(3))) and np.isnan(correlation(np.ones(0), np.ones(0)))


def test_thresholds_are_the_best_of_all():
    draw = np.random.default_rng(0)
    for _ in range(200):
        values, true = draw.integers(0, 5, 12).astype(float), draw.random(12) < 0.4
        found = best_threshold(values, true)
        if not 0 < true.sum() < 12:
            assert found == np.inf
            continue
        scores = {at: round(balanced_accuracy(values >= at, true), 9) for at in [*np.unique(values), np.inf]}
        assert scores[found] == max(scores.values())
        assert all(score < scores[found] for at, score in scores.items() if at > found)


def test_agreement_is_spearmans_with_an_interval_around_it():
    draw = np.random.default_rng(0)
    a = draw.integers(0, 6, 60).astype(float)
    b = a + 2 * draw.standard_normal(60)
    a[3], b[5] = np.nan, np.nan
    found, low, high = rank_agreement(a, b, 0)
    known = np.isfinite(a) & np.isfinite(b)
    assert found == pytest.approx(stats.spearmanr(a[known], b[known]).statistic)
    assert low < found < high and 0.1 < high - low < 0.8
    assert np.isnan(rank_agreement(a[:8], b[:8], 0)).all() and np.isnan(rank_agreement(np.ones(20), b[:20], 0)).all()


def score(explained, feature: int, explainer: str, of: str, variable: str = "score_of") -> float:
    table = explained.table
    row = table["feature"].values.tolist().index(feature)
    return float(table[variable].isel(explained=row).sel(explainer=explainer, score=of))


@pytest.mark.parametrize(
    ("feature", "explainer"),
    [(CAT, "unigram"), (CAT, "token"), (ANIMAL, "tag"), (NAME, "pattern"), (BEFORE, "logit weights")],
)
def test_the_explanation_that_is_the_cause_has_full_scores(explained, feature, explainer):
    assert [score(explained, feature, explainer, of) for of in ("simulation", "detection", "fuzzing")] == [
        pytest.approx(1), 1, 1,
    ]  # fmt: skip


def test_hard_negatives_tell_a_rule_of_tokens_from_one_of_their_context(explained):
    """Every marked token is a ` b`, so tokens alone tell nothing; of the contexts half have one."""
    assert score(explained, AFTER, "token", "fuzzing") == 0.5 and score(explained, AFTER, "n-gram", "fuzzing") == 1
    assert score(explained, AFTER, "token", "detection") <= 0.75 < 0.9 < score(explained, AFTER, "n-gram", "detection")
    assert score(explained, AFTER, "n-gram", "simulation") > score(explained, AFTER, "token", "simulation") + 0.1


def test_noise_has_no_explanation(explained):
    for explainer in ("tag", "pattern", "token", "n-gram", "unigram"):
        assert abs(score(explained, NOISE, explainer, "simulation")) < 0.3
        assert abs(score(explained, NOISE, explainer, "fuzzing") - 0.5) < 0.15


def test_scores_are_those_of_a_slow_computation(explained):
    """Of the rule of tokens, from the file of explanations and the texts, token by token."""
    examples = explained.examples
    role, offsets = examples["role"].values, examples["offset"].values
    for feature in (ANIMAL, AFTER, NAME, NOISE):
        level = {ending[0]: value for ending, value in explained.by[feature]["token"]["rule"]["level"]}
        row = examples["feature"].values.tolist().index(feature)

        def tokens(half: int, context: int, row: int = row) -> list[tuple[int, int]]:
            sequence, position = (int(examples[name].values[row, half, context]) for name in ("sequence", "position"))
            every = [(sequence, position + int(offset)) for offset in offsets] if sequence >= 0 else []
            return [(one, two) for one, two in every if 1 <= two < IDS.shape[1]]

        def said(place: tuple[int, int], level: dict[int, float] = level) -> float:
            return level.get(int(IDS[place]), 0.0)

        def contexts(half: int, name: str, row: int = row) -> list[int]:
            there = examples["sequence"].values[row, half] >= 0
            return np.flatnonzero((role == name) & there).tolist()

        together = {place for name in ("top", "random") for one in contexts(1, name) for place in tokens(1, one)}
        expected = np.corrcoef([said(place) for place in together], [F[(*place, feature)] for place in together])[0, 1]
        assert score(explained, feature, "token", "simulation") == pytest.approx(expected, abs=1e-6)

        def answers(half: int, name: str, at: float) -> list[bool]:
            return [max(said(place) for place in tokens(half, one)) >= at for one in contexts(half, name)]

        def accuracy(half: int, at: float) -> float:
            return (np.mean(answers(half, "active", at)) + 1 - np.mean(answers(half, "inactive", at))) / 2

        best = max(sorted([*level.values(), 0.0, np.inf]), key=lambda at: (round(accuracy(0, at), 9), at))
        assert score(explained, feature, "token", "detection") == pytest.approx(accuracy(1, best))


def test_shuffled_explanations_are_each_of_another_feature_of_the_same_dictionary():
    examples = SimpleNamespace(values={"of_place": np.array([0, 0, 0, 0, 1, 2, 2])})
    found = _partners(examples, [0, 1, 3, 4, 5, 6], 0)
    assert set(found) == {0, 1, 3, 5, 6} and sorted(found.values()) == [0, 1, 3, 5, 6]
    assert all(one != other for one, other in found.items()) and found[5] == 6 and found[6] == 5


def test_counts_are_those_of_the_held_out_examples(explained):
    table, examples = explained.table, explained.examples
    assert table["feature"].values.tolist() == examples["feature"].values.tolist()
    rows = {feature: row for row, feature in enumerate(table["feature"].values.tolist())}
    assert table["examples"].values[rows[CAT], :, 1:].tolist() == [[40, 40]] * 6
    assert not table["examples"].values[rows[ALWAYS], :, 1:].any(), "it is active everywhere"
    assert np.isnan(score(explained, ALWAYS, "token", "detection"))
    for feature in (DEAD, RARE):
        assert not table["examples"].values[rows[feature]].any()
        assert (
            np.isnan(table["score_of"].values[rows[feature]]).all()
            and (table["text"].values[rows[feature]] == "").all()
        )
    assert table["scored_features"].values.tolist() == [7]


def test_numbers_of_the_dictionary_are_means_over_its_features(explained):
    table = explained.table
    own = table["score_of"].values
    mean = table["mean_score"].sel(estimate="estimate").values[0]
    np.testing.assert_allclose(mean, np.nanmean(own, axis=0))
    np.testing.assert_allclose(
        table["mean_shuffled_score"].values[0, ..., 0], np.nanmean(table["shuffled_score_of"].values, axis=0)
    )
    low, high = (table["mean_score"].sel(estimate=end).values[0] for end in ("low", "high"))
    assert (low <= mean).all() and (mean <= high).all()
    np.testing.assert_allclose(table["score_quartiles"].values[0, ..., 0], np.nanmedian(own, axis=0))
    assert table["found_share"].values[0].min() > 0.5 and table["found_share"].values[0].max() == 1
    assert (table["mean_score"].values[0, :, 0, 0] > table["mean_shuffled_score"].values[0, :, 0, 0]).all()


def test_the_truth_is_what_tables_say_of_tags_and_embeddings(explained):
    table = explained.table
    rows = {feature: row for row, feature in enumerate(table["feature"].values.tolist())}
    known = table["truth_of"].values
    assert known[rows[ANIMAL], 0] == pytest.approx(0.2) and np.isnan(known[rows[NAME], 0])
    assert known[rows[NAME], 1] == pytest.approx(1 - 0.8 * NAME / 8)


def test_metrics_are_the_means(explained):
    found = explanation_metrics(explained.table)
    assert list(found) == [(SITE, "neurons")]
    numbers = found[SITE, "neurons"]
    assert numbers["simulation_n_gram"] == float(
        explained.table["mean_score"].sel(explainer="n-gram", score="simulation", estimate="estimate")[0]
    )
    assert {"detection_logit_weights", "simulation_unigram", "intruder_share"} <= set(numbers)
    json.dumps(numbers)
    assert explanation_metrics(explained.table[[]].assign_attrs(not_applicable="an image has none")) == {}


def test_files_without_explanations_are_refused_in_a_sentence(explained, tmp_path):
    path = tmp_path / "m.json"
    for content in ("", "[]", '{"explainers": []}', '{"explainers": [], "notes": {}}\n{"site": "a"}', "{\n}"):
        path.write_text(content)
        with pytest.raises(InputError, match=r"holds no explanations.*run again"):
            Said.read(path)


def test_explainers_see_nothing_that_is_held_out(explained, tmp_path):
    """With other held-out activations they say the same; with other shown ones they do not."""
    for name in ("tokens", "models"):
        (tmp_path / name).symlink_to(explained.root / name)
    place = Place("m", root=str(tmp_path))
    Path(place.tables).mkdir(parents=True)
    (Path(place.tables) / SITE).symlink_to(explained.root / "tables/m" / SITE)
    said = Path(explained.place.explanations).read_bytes()
    for half, is_same in ((1, True), (0, False)):
        examples = explained.examples.copy(deep=True)
        window = examples["window_activation"].values
        window[:, half] = 1 - window[:, half]
        write_table(Path(place.table("explained_examples")), examples)
        explain_features("m", root=str(tmp_path))
        assert (Path(place.explanations).read_bytes() == said) is is_same


def test_the_same_scores_are_computed_again(explained):
    again = made(
        "model", "explanations", explained.place, "language", explained.analysis, relatives=explained.relatives
    )
    for name in explained.table.data_vars:
        np.testing.assert_array_equal(again[name].values, explained.table[name].values)


def test_of_each_place_the_highest_the_middle_and_the_lowest_feature_stand_for_all():
    values = np.array([[0.9, 0.7], [0.1, np.nan], [0.5, 0.5], [0.7, 0.7], [0.3, 0.3], [np.nan, np.nan], [0.2, 0.2]])
    place = np.array([0, 0, 0, 0, 0, 0, 1])
    assert listed(values, place, 3).tolist() == [1, 1, 1, 0, 0, 0, 1]
