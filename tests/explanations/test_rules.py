"""S1.F10: rules that explanations are made of, worked by hand, and what explainers make of known causes."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from polysem.explanations.explain_features import EXECUTABLE
from polysem.explanations.shown import Shown
from polysem.io.errors import InputError
from polysem.tables.passes.explanations.rules import Ahead, Endings, Matching, Tagged, rule_of
from polysem.tables.passes.explanations.texts import Texts, read_texts

from .case import AFTER, ALWAYS, ANIMAL, BEFORE, CAT, DEAD, NAME, NAMES, NOISE, RARE, WORD, WORDS

PIECES = ("a", " b", " Ab", "c1")


def by_hand() -> Texts:
    """Two texts: `a b Ab` with the tag t on ` b`, and `c1 b`."""
    ids = np.array([0, 1, 2, 3, 1])
    return Texts(
        np.array([4, 4, 4, 9, 9]),
        np.array([0, 1, 2, 0, 1]),
        ids,
        np.array([[False], [True], [False], [False], [False]]),
        ("t",),
        {4: "a b Ab", 9: "c1 b"},
        np.array([[0, 1], [1, 3], [3, 6], [0, 2], [2, 4]]),
    )


EVERY = np.arange(5)


def test_texts_worked_by_hand():
    texts = by_hand()
    assert [texts.piece(token) for token in EVERY] == ["a", " b", " Ab", "c1", " b"]
    assert texts.previous(1).tolist() == [-1, 0, 1, -1, 3] and texts.previous(2).tolist() == [-1, -1, 0, -1, -1]
    assert texts.following.tolist() == [1, 2, -1, 1, -1]
    assert texts.numbers(np.array([4, 4, 9, 9, 5, -1]), np.array([2, 3, 1, -1, 0, 0])).tolist() == [
        2,
        -1,
        4,
        -1,
        -1,
        -1,
    ]
    assert texts.matches(r"^\s*[A-Z]", "token").tolist() == [False, False, True, False, False]
    assert texts.matches(r"a b\Z", "text").tolist() == [False, True, False, False, False]


def test_rules_worked_by_hand():
    texts = by_hand()
    endings = Endings({(1,): 2.0, (2,): 1.0, (0, 1): 5.0, (0, 1, 2): 7.0, (3, 2): 9.0})
    assert endings.predict(texts, EVERY).tolist() == [0, 5, 7, 0, 2]
    assert Endings({}).predict(texts, EVERY).tolist() == [0] * 5
    assert Tagged("t", 3.0).predict(texts, EVERY).tolist() == [0, 3, 0, 0, 0]
    assert Tagged("unknown", 3.0).predict(texts, EVERY).tolist() == [0] * 5
    assert Matching("[0-9]", "token", 2.0).predict(texts, EVERY).tolist() == [0, 0, 0, 2, 0]
    assert Matching(r"1 b\Z", "text", 2.0).predict(texts, EVERY).tolist() == [0, 0, 0, 0, 2]
    assert Ahead((2, 7), 4.0).predict(texts, EVERY).tolist() == [0, 4, 0, 0, 0]
    assert Ahead((-1,), 4.0).predict(texts, np.array([2])).tolist() == [4], "a rule never has such a token"


@pytest.mark.parametrize(
    "rule", [Endings({(1,): 2.0, (5, 1): 0.5}), Tagged("t", 3.0), Matching("[0-9]", "text", 2.0), Ahead((2, 7), 4.0)]
)
def test_a_rule_is_read_as_it_was_written(rule):
    assert rule_of(json.loads(json.dumps(rule.values()))) == rule


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"kind": "magic"},
        {"kind": "tag", "tag": "t"},
        {"kind": "pattern", "pattern": "a", "read": "page", "level": 1},
        {"kind": "endings", "level": [["a", 1]]},
        {"kind": "ahead", "tokens": 3, "level": 1},
    ],
)
def test_what_is_no_rule_is_refused_in_a_sentence(values):
    with pytest.raises(InputError, match=r"is no rule of an explanation.*run again"):
        rule_of(values)


def shown(activation: list[float], boosted: list[int] | None = None) -> Shown:
    texts = by_hand()
    return Shown(
        texts, EVERY, np.array(activation), lambda token: PIECES[token], None if boosted is None else np.array(boosted)
    )


def test_levels_count_a_token_once_more_without_activation():
    """` b` has 3 and 0, so 1 is to be expected; behind `a` it is (3 + 1) / 2, were it seen twice there."""
    found = EXECUTABLE["token"](shown([0, 3.0, 0, 0, 0]))
    assert found.rule == Endings({(1,): 1.0}) and found.text == 'the tokens " b"'
    assert EXECUTABLE["n-gram"](shown([0, 3.0, 0, 0, 0])).rule == found.rule, "one occurrence is no rule"
    assert EXECUTABLE["unigram"](shown([0, 3.0, 0, 0, 0])).rule == Endings({(1,): 1.5})


def test_explainers_of_a_feature_worked_by_hand():
    said = {name: explain(shown([0, 3.0, 0, 0, 0], [3, 2])) for name, explain in EXECUTABLE.items()}
    assert said["tag"].rule == Tagged("t", 3.0) and said["tag"].text == "tokens tagged t"
    assert said["logit weights"].rule == Ahead((3, 2), 3.0)
    assert said["logit weights"].text == 'what comes before "c1", " Ab"'


def test_what_cannot_apply_says_nothing_and_what_finds_nothing_predicts_nothing():
    assert EXECUTABLE["logit weights"](shown([0, 3.0, 0, 0, 0])) is None
    texts = by_hand()
    untagged = Texts(texts.sequence, texts.position, texts.ids, np.zeros((5, 0), bool), (), texts.text, texts.ends)
    no_tags = Shown(untagged, EVERY, np.array([0, 1.0, 0, 0, 0]), str)
    assert EXECUTABLE["tag"](no_tags) is None
    for name, explain in EXECUTABLE.items():
        found = explain(shown([0.0] * 5, [3, 2]))
        assert found.text == "" and found.rule == Endings({}), name


def test_correlations_are_pearsons_and_properties_of_all_or_none_have_minus_one():
    draw = np.random.default_rng(0)
    columns = np.concatenate([draw.random((5, 4)) < 0.5, np.ones((5, 1), bool), np.zeros((5, 1), bool)], axis=1)
    columns[0, :4], columns[1, :4] = True, False
    activation = draw.random(5)
    expected = [np.corrcoef(activation, columns[:, one])[0, 1] for one in range(4)]
    assert shown(activation.tolist()).correlations(columns).tolist() == pytest.approx([*expected, -1, -1])


def rule(explained: SimpleNamespace, feature: int, name: str):
    return rule_of(explained.by[feature][name]["rule"])


def test_explainers_find_what_features_are_active_on(explained):
    assert rule(explained, CAT, "unigram") == Endings({(WORD[" cat"],): 2.0})
    assert explained.by[CAT]["unigram"]["text"] == 'the token " cat"'
    assert rule(explained, ANIMAL, "tag") == Tagged("animal", 1.0)
    assert rule(explained, BEFORE, "logit weights") == Ahead((WORD[" x"],), 1.5)
    pattern = rule(explained, NAME, "pattern")
    assert isinstance(pattern, Matching) and pattern.pattern == r"^\s*[A-Z][a-z]*$" and pattern.level == 1.0
    tokens = rule(explained, NAME, "token")
    assert {ending[0] for ending in tokens.level} == set(NAMES)
    ngrams = rule(explained, AFTER, "n-gram")
    behind, alone = ngrams.level[WORD[" a"], WORD[" b"]], ngrams.level[(WORD[" b"],)]
    assert behind > 2.5 and alone < 1.5


def test_features_without_examples_enough_are_not_explained(explained):
    assert {CAT, NOISE, ALWAYS} <= set(explained.by) and not {DEAD, RARE} & set(explained.by)
    assert explained.said["explainers"] == list(EXECUTABLE)


def test_texts_of_a_store_are_those_of_their_tokens(explained):
    texts = read_texts(
        explained.root / "tokens/m/eval.zarr", explained.root / "models/m/tokenizer.json", np.array([3, 8, 3])
    )
    assert np.unique(texts.sequence).tolist() == [3, 8] and texts.names == ("animal", "digit")
    for token in range(len(texts.ids)):
        word = WORDS[texts.ids[token]]
        assert texts.piece(token) == ("\n" if word == "[B]" else word)
        assert texts.tags[token].tolist() == [word in (" cat", " dog", " cow"), word in ("7", "8")]
