"""The candidates of every feature against all its activations, sorted."""

import numpy as np
import pytest
import torch
from surveyed import ExampleChoice, survey

from polysem.saes.dictionary import Neurons
from polysem.tables.passes.survey import blocks as blocks_module
from polysem.tables.passes.survey.candidates import BestOfTokens, Candidates
from polysem.tables.passes.survey.windows import Window

CHOICE = ExampleChoice(top=6, sampled=0, window=Window(0, 0), seed=0)


def test_the_strongest_of_each_token_by_hand():
    best = BestOfTokens(2, 2)
    ids = np.array([5, 6, 5, 7, 6])
    value = np.array([1.0, 3.0, 2.0, 2.0, 9.0], np.float32)
    best.add(np.array([0, 0, 0, 0, 1]), np.arange(5), value, ids)
    assert best.token.tolist() == [[1, 2], [4, -1]]  # of 5 the later and larger one, which comes before 7
    best.add(np.array([0, 0]), np.array([8, 9]), np.array([3.0, 2.5], np.float32), np.array([6, 7]))
    assert best.token.tolist() == [[1, 9], [4, -1]]  # the earlier of equal ones of 6 stays, 7 has a larger one now
    assert best.value.tolist() == [[3.0, 2.5], [9.0, -1.0]]
    best.add(np.array([1, 1]), np.array([10, 11]), np.array([9.5, 1.0], np.float32), np.array([6, 0]))
    assert best.token.tolist() == [[1, 9], [10, 11]]


def by_sorting(f, ids, feature, strongest, tokens):
    """The candidates of a feature: numbers of tokens, in their order."""
    active = [token for token in range(len(f)) if f[token, feature] > 0]
    order = sorted(active, key=lambda token: (-f[token, feature], token))
    first_of = {}
    for token in order:
        first_of.setdefault(ids[token], token)
    chosen = {*order[:strongest], *list(first_of.values())[:tokens]}
    return [token for token in order if token in chosen]


@pytest.mark.parametrize("rows", [8192, 16])
def test_candidates_are_those_found_by_sorting_wherever_blocks_end(text, dictionary, monkeypatch, rows):
    monkeypatch.setattr(blocks_module, "block_rows", lambda *_: rows)
    f = dictionary.encode(torch.from_numpy(text.x)).numpy()
    ids = [text.ids[s][p] for s, p in zip(text.sequence, text.position, strict=True)]
    candidates = Candidates(dictionary.features, 6, 8, text.tokens)
    table = survey(text.rows, dictionary, text.tokens, CHOICE, [candidates]).examples
    token, activation = candidates.found()
    assert token.shape == (dictionary.features, 14)
    several = 0
    for feature in range(dictionary.features):
        wanted = by_sorting(f, ids, feature, 6, 8)
        several += len(wanted) > 6
        assert token[feature].tolist() == wanted + [-1] * (14 - len(wanted))
        np.testing.assert_allclose(activation[feature, : len(wanted)], f[wanted, feature], rtol=1e-5)
        assert np.isnan(activation[feature, len(wanted) :]).all()
        known = wanted[:6]
        assert table["sequence"].values[feature, : len(known)].tolist() == [text.sequence[place] for place in known]
    assert several  # some features have tokens that their strongest examples do not


def test_images_have_their_strongest_examples_alone(activation_store, image_store):
    from polysem.activations.rows import ActivationRows
    from polysem.models.batches import TokenStore

    x = np.array([[1.0, 0.0], [3.0, -1.0], [2.0, 0.0]], np.float32)
    images = TokenStore(image_store(np.zeros((3, 4), np.float32), np.zeros(3, np.int32), 2))
    candidates = Candidates(2, 2, 2, images)
    survey(ActivationRows(activation_store(x)), Neurons(2), images, CHOICE, [candidates])
    assert candidates.found()[0].tolist() == [[1, 2], [-1, -1]]
