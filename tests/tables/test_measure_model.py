import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from measured import stated

from polysem.io.errors import InputError
from polysem.io.tables import read_table
from polysem.layout.place import Place
from polysem.models.batches import TokenStore
from polysem.numerics import pair_counts
from polysem.numerics.pair_counts import PairCounts
from polysem.tables.measure_tables import measure_tables
from polysem.tables.of_model import model
from polysem.tables.of_model.model import count_pairs, model_reference
from polysem.tables.parts.directions import Directions

TRAIN = [[1, 2, 1, 2, 3], [1, 2, 1, 4], [5, 1, 2, 3, 3], [6, 2]]
EVAL = [[1, 2, 3, 3], [2, 4, 5], [0, 6, 1, 2]]
VOCABULARY = 7


def pairs_of(sequences):
    return [pair for ids in sequences for pair in itertools.pairwise(ids)]


def slow_unigram(token):
    following = [b for _, b in pairs_of(TRAIN)]
    return (following.count(token) + 1) / (len(following) + VOCABULARY)


def slow_bigram(previous, token):
    pairs = pairs_of(TRAIN)
    counts = {pair: pairs.count(pair) for pair in pairs}
    once, twice = (list(counts.values()).count(times) for times in (1, 2))
    discount = once / (once + 2 * twice)
    after = {b: count for (a, b), count in counts.items() if a == previous}
    if not after:
        return slow_unigram(token)
    left = discount * len(after) * slow_unigram(token)
    return (max(after.get(token, 0) - discount, 0) + left) / sum(after.values())


def counted(pairs, vocabulary):
    counts = PairCounts(vocabulary)
    for previous, following in pairs:
        counts.add(np.array([previous]), np.array([following]))
    return counts


def test_a_case_worked_by_hand():
    """Pairs 01 three times, 02 once, 10 twice: n1 = 1, n2 = 1, D = 1/3; the unigram is (2 + 1, 3 + 1, 1 + 1)/9."""
    counts = counted([(0, 1), (0, 1), (0, 1), (0, 2), (1, 0), (1, 0)], 3)
    assert counts.discount == pytest.approx(1 / 3)
    np.testing.assert_allclose(counts.unigram(np.arange(3)), [3 / 9, 4 / 9, 2 / 9])
    after_0 = counts.bigram(np.zeros(3, np.int64), np.arange(3))
    spread = 1 / 3 * 2 / 4
    np.testing.assert_allclose(
        after_0, [spread * 3 / 9, (3 - 1 / 3) / 4 + spread * 4 / 9, (1 - 1 / 3) / 4 + spread * 2 / 9]
    )
    np.testing.assert_allclose(counts.bigram(np.full(3, 2), np.arange(3)), counts.unigram(np.arange(3)))


def test_the_probabilities_after_each_token_add_up_to_1():
    generator = np.random.default_rng(0)
    counts = PairCounts(30)
    counts.add(generator.integers(0, 20, 500), generator.geometric(0.2, 500).clip(max=29))
    for previous in range(30):
        assert counts.bigram(np.full(30, previous), np.arange(30)).sum() == pytest.approx(1)
    assert counts.unigram(np.arange(30)).sum() == pytest.approx(1)


@pytest.mark.parametrize("pairs", [[], [(0, 0)], [(0, 0), (0, 0)], [(0, 0)] * 3])
def test_no_token_is_impossible_however_few_pairs_were_seen(pairs):
    counts = counted(pairs, 2)
    assert (counts.bigram(np.array([0, 0, 1]), np.array([0, 1, 1])) > 0).all()
    assert 0.1 <= counts.discount <= 0.9


def test_counts_do_not_depend_on_how_often_they_are_merged(monkeypatch):
    generator = np.random.default_rng(0)
    previous, following = generator.integers(0, 50, (2, 4000))
    whole, parts = PairCounts(50), PairCounts(50)
    whole.add(previous, following)
    monkeypatch.setattr(pair_counts, "PENDING", 100)
    for start in range(0, 4000, 37):
        parts.add(previous[start : start + 37], following[start : start + 37])
    assert (whole.bigram(previous, following) == parts.bigram(previous, following)).all()


def test_a_large_vocabulary_takes_memory_for_its_pairs_only():
    counts = PairCounts(3_000_000)
    counts.add(np.array([2_999_999, 5]), np.array([2_999_998, 5]))
    assert counts.bigram(np.array([2_999_999]), np.array([2_999_998]))[0] == pytest.approx(0.1, rel=1e-3)


def test_losses_of_text_equal_those_of_plain_loops(subject, token_store):
    train, evaluated = TokenStore(token_store(TRAIN, name="train")), TokenStore(token_store(EVAL))
    table = model_reference(
        subject, evaluated.batches(2), count_pairs(train.batches(3), VOCABULARY, text=True), text=True
    )
    pairs = pairs_of(EVAL)
    assert table.attrs["tokens"] == len(pairs)
    unigram = -math.fsum(math.log(slow_unigram(b)) for _, b in pairs) / len(pairs)
    bigram = -math.fsum(math.log(slow_bigram(a, b)) for a, b in pairs) / len(pairs)
    assert float(table["unigram_cross_entropy"]) == pytest.approx(unigram, rel=1e-12)
    assert float(table["bigram_cross_entropy"]) == pytest.approx(bigram, rel=1e-12)
    loss = hits = 0.0
    for previous, following in pairs:
        logits = (subject.embedding[previous].relu() @ subject.unembedding).tolist()
        loss += math.log(math.fsum(map(math.exp, logits))) - logits[following]
        hits += max(range(VOCABULARY), key=logits.__getitem__) == following
    assert float(table["cross_entropy"]) == pytest.approx(loss / len(pairs), rel=1e-5)
    assert float(table["accuracy"]) == hits / len(pairs)


def test_the_eval_tokens_do_not_enter_the_counts(subject, token_store):
    train = TokenStore(token_store([[1, 1, 1]], name="train"))
    counts = count_pairs(train.batches(1), VOCABULARY, text=True)
    model_reference(subject, TokenStore(token_store(EVAL)).batches(2), counts, text=True)
    assert counts.following.tolist() == [0, 2, 0, 0, 0, 0, 0]


def test_a_token_that_never_came_before_another_says_nothing_of_what_follows():
    counts = PairCounts(4)
    counts.add(np.array([1, 1, 2]), np.array([2, 2, 1]))
    following = np.arange(4)
    with np.errstate(all="raise"):
        found = counts.bigram(np.full(4, 3), following)
    assert found.tolist() == counts.unigram(following).tolist()


def test_tokens_without_a_scored_position_are_an_error(subject, token_store):
    store = TokenStore(token_store([[1], [2]]))
    with pytest.raises(InputError, match="no position that is scored"):
        model_reference(subject, store.batches(2), PairCounts(VOCABULARY), text=True)


def test_a_classifier_is_compared_with_the_shares_of_the_classes(classifier, image_store, tmp_path, monkeypatch):
    generator = np.random.default_rng(0)
    pixels = generator.random((20, 4), np.float32)
    labels = generator.integers(0, 3, 20).astype(np.int32)
    image_store(np.zeros((5, 4), np.float32), np.array([0, 0, 0, 1, 1], np.int32), 3, "m/train")
    image_store(pixels, labels, 3, "m/eval")
    monkeypatch.setattr(model, "LIMIT", 10)
    place = Place("m", root=str(tmp_path))
    tables = {"model": stated("model", "model", sites=["layers.0.hook_post"])}
    measure_tables("m", "classifier", tables, root=str(tmp_path))
    table = read_table(Path(place.table("model")))
    assert Directions.read(Path(place.directions)).output_weights("layers.0.hook_post").shape == (8, 3)
    assert table.attrs["model"] == "m"
    assert table.attrs["tokens"] == 10
    shares = [4 / 8, 3 / 8, 1 / 8]
    expected = -math.fsum(math.log(shares[label]) for label in labels[:10]) / 10
    assert float(table["unigram_cross_entropy"]) == pytest.approx(expected)
    assert "bigram_cross_entropy" not in table
    assert float(table["accuracy"]) * 10 == pytest.approx(round(float(table["accuracy"]) * 10))
    assert float(table["cross_entropy"]) > 0
