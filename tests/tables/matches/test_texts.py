"""Which texts are taken, and how much of each."""

import numpy as np
import pytest

from polysem.io.errors import InputError
from polysem.models.batches import TokenStore
from polysem.tables.passes.matches import texts as module
from polysem.tables.passes.matches.texts import chosen_texts


def words_of(texts, number):
    return texts.ids[number][texts.counted[number]].tolist()


def test_beginnings_of_evenly_spread_sequences_are_taken(word_store, tokenizer, monkeypatch):
    monkeypatch.setattr(module, "ROWS_PER_CHUNK", 4)
    sequences = [[0, 1 + number % 8, 2, 3] for number in range(11)]
    texts = chosen_texts(TokenStore(word_store(sequences)), "eval", 3, 2, [], tokenizer)
    assert texts.sequence.tolist() == texts.eval_sequence.tolist() == [0, 5, 10]
    assert [words_of(texts, number) for number in range(3)] == [[1, 2], [6, 2], [3, 2]]
    assert texts.ids.shape == (3, 3) and texts.ids[:, 0].tolist() == [0, 0, 0]
    assert texts.left_out.tolist() == [1, 1, 1]
    assert texts.origin == ["eval"] * 3


def test_all_are_taken_where_there_are_fewer_and_those_without_tokens_that_count_are_not(word_store, tokenizer):
    texts = chosen_texts(TokenStore(word_store([[0, 5], [0], [0, 0, 6]])), "train", 200, 64, [], tokenizer)
    assert texts.sequence.tolist() == [0, 2]
    assert texts.eval_sequence.tolist() == [-1, -1], "train documents have none of the features' examples"
    assert [words_of(texts, number) for number in range(2)] == [[5], [6]]


def test_texts_of_ones_own_get_bos_and_are_cut_at_the_context(word_store, tokenizer, ids):
    own = [" red", "Red| blue| cat| cats| reds| red| red"]
    texts = chosen_texts(TokenStore(word_store([[0, 1]], context=4)), "eval", 200, 64, own, tokenizer)
    assert texts.origin == ["eval", "own", "own"] and texts.sequence.tolist() == [0, -1, -1]
    assert texts.ids[1].tolist() == [0, *ids(" red"), 0, 0]
    assert words_of(texts, 2) == ids("Red| blue| cat")
    assert texts.left_out.tolist() == [0, 0, 4]
    with pytest.raises(InputError, match="of text 1 no token counts within the model's context of 6; masked are"):
        chosen_texts(TokenStore(word_store([[0, 1]])), "eval", 200, 64, ["Red", "[B]"], tokenizer)


def test_the_model_reads_all_texts_in_parts_of_bounded_size(texts, monkeypatch):
    monkeypatch.setattr(module, "POSITIONS", 8)
    made = texts([[0, 1], [0, 1, 2, 3], [0, 4]])
    parts = list(made.parts())
    assert [(part.start, len(batch.inputs)) for part, batch in parts] == [(0, 2), (2, 1)]
    assert parts[1][1].inputs.tolist() == [[0, 4]]
    np.testing.assert_array_equal(parts[0][1].counted.numpy(), made.counted[:2])
