"""Clusters that are like others, and tokens that matter, against slow ways of finding the same."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from polysem.io.stores import create_array, written_store
from polysem.models.batches import TokenStore
from polysem.models.subject import Batch, Subject
from polysem.saes.dictionary import Neurons
from polysem.tables.of_model.cluster_relations import Part, relations, replacement_token
from polysem.tables.passes.embeddings import similar
from polysem.tables.passes.embeddings.centres import Centres, rows_at
from polysem.tables.passes.embeddings.importance import KeyTokens, token_importance
from polysem.tables.passes.embeddings.similar import nearest_clusters

SITE = "blocks.0.mlp.hook_post"
NEIGHBOURS = 5


def unit(vectors):
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def slow_neighbours(embedding, feature):
    for row, own in enumerate(feature):
        cosine = embedding @ embedding[row]
        yield sorted(np.flatnonzero(feature != own), key=lambda other, cosine=cosine: -cosine[other])[:NEIGHBOURS]


def test_neighbours_are_the_nearest_clusters_of_other_features():
    generator = np.random.default_rng(0)
    embedding, feature = unit(generator.standard_normal((60, 7))), np.repeat(np.arange(12), 5)
    neighbour, similarity = nearest_clusters(embedding, feature)
    assert neighbour.tolist() == [list(found) for found in slow_neighbours(embedding, feature)]
    cosine = np.take_along_axis(embedding @ embedding.T, neighbour, axis=1)
    np.testing.assert_allclose(similarity, cosine, atol=1e-6)


def test_where_there_are_fewer_clusters_the_places_stay_empty():
    embedding = np.eye(3, dtype=np.float32)
    neighbour, similarity = nearest_clusters(embedding, np.array([0, 0, 1]))
    assert neighbour[:2].tolist() == [[2, -1, -1, -1, -1]] * 2
    assert sorted(neighbour[2, :2].tolist()) == [0, 1] and (neighbour[2, 2:] == -1).all()
    assert np.isnan(similarity[0, 1:]).all() and similarity[0, 0] == 0
    assert nearest_clusters(np.zeros((0, 3), np.float32), np.zeros(0, int))[0].shape == (0, NEIGHBOURS)


def test_among_many_clusters_the_search_is_approximate_finds_nearly_all_and_the_same_again(monkeypatch):
    monkeypatch.setattr(similar, "EXACT_BELOW", 100)
    generator = np.random.default_rng(1)
    middle = generator.standard_normal((40, 16))
    embedding = unit(middle[generator.integers(40, size=3000)] + 0.4 * generator.standard_normal((3000, 16)))
    feature = np.arange(3000)
    found, _ = nearest_clusters(embedding, feature)
    wanted = list(slow_neighbours(embedding, feature))
    recall = np.mean([len({*a} & {*b.tolist()}) / NEIGHBOURS for a, b in zip(wanted, found, strict=True)])
    assert recall > 0.95
    assert np.array_equal(found, nearest_clusters(embedding, feature)[0])


class Rows:
    """The places of a store of tokens."""

    length = 5

    def places(self, start, stop):
        return np.array([0, 0, 2, 2, 3])[start:stop], np.array([1, 4, 0, 1, 7])[start:stop]


def test_tokens_are_found_by_their_places():
    found = rows_at(Rows(), np.array([2, 0, 3, 2]), np.array([1, 4, 7, 1]))
    assert found.tolist() == [3, 1, 4, 3]
    with pytest.raises(IndexError, match="sequence 2, position 5"):
        rows_at(Rows(), np.array([0, 2]), np.array([1, 5]))


def part(dictionary, space, embedding, feature):
    count = len(feature)
    nowhere = np.zeros(count, np.int64)
    centres = Centres(SITE, dictionary, np.array(feature), np.arange(count), nowhere, nowhere, np.zeros(count, bool))
    return Part(centres, space, unit(np.array(embedding, float)), np.full((count, 3), np.nan, np.float32))


def test_only_clusters_of_one_space_are_compared_and_equal_numbers_of_two_dictionaries_are_two_features():
    table = relations(
        [
            part("neurons", "residual stream", [[1, 0], [0, 1]], [4, 4]),
            part("sae", SITE, [[1, 0, 0], [0, 1, 0], [0.9, 0.1, 0]], [0, 0, 1]),
            part("other", "residual stream", [[1, 0.1]], [4]),
        ],
        before=2,
    )
    assert table["dictionary"].values.tolist() == ["neurons"] * 2 + ["sae"] * 3 + ["other"]
    assert table["neighbour"].values[:, 0].tolist() == [5, 5, 4, 4, 2, 0]
    assert table["neighbour"].values[5, :2].tolist() == [0, 1]
    assert table["similarity"].values[2, 0] == pytest.approx(0.9 / np.hypot(0.9, 0.1))
    assert table["offset"].values.tolist() == [-2, -1, 0]


def test_a_model_without_clusters_has_an_empty_table():
    assert relations([], before=2).sizes["centre"] == 0


class Sums(Subject):
    """Each neuron adds up a weight of its own for every token so far, rectified."""

    device = torch.device("cpu")
    weights = torch.tensor([[0.0, 0.0], [2.0, -1.0], [1.0, 0.0], [-1.0, 3.0], [4.0, 0.5]])
    sites: Sequence[str] = [SITE]

    def width(self, site):
        return 2

    def visit(self, batch: Batch, sites, take, *, inputs=False):
        take(SITE, self.weights[batch.inputs].cumsum(dim=1).relu(), None)

    def evaluate(self, batch, replacements=None):
        raise NotImplementedError

    def log_probabilities(self, batch, replacements=None, copies=1, at=None):
        raise NotImplementedError

    input_weights = output_weights = logit_directions = width


@pytest.fixture
def tokens(tmp_path):
    path = tmp_path / "eval.zarr"
    ids, lengths = (
        np.array([[1, 2, 3, 4, 1], [4, 3, 0, 0, 0], [2, 2, 2, 2, 1], [1, 4, 0, 0, 0]], np.int32),
        np.array([5, 2, 5, 2], np.int32),
    )
    with written_store(path, attributes={}, params={"bos_token": None}, code="", device="cpu") as group:
        for name, values in {"ids": ids, "length": lengths}.items():
            create_array(group, name, values.shape, "int32", ("a", "b")[: values.ndim], compressed=True)[:] = values
    return TokenStore(path)


def test_the_importance_of_a_token_is_the_share_of_the_activation_that_it_gives(tokens):
    """Neuron 0 at position 3 of sequence 0: 2 + 1 − 1 + 4 = 6; without them 4, 5, 7 (clipped) and 2."""
    keys = KeyTokens(np.array([0, 1, 0, 1]), np.array([0, 0, 1, 2]), np.array([3, 2, 1, 1]))
    found = token_importance(Sums(), SITE, Neurons(2), tokens, keys, before=4, replacement=0)
    np.testing.assert_allclose(found[0], [np.nan, 2 / 6, 1 / 6, 0, 4 / 6], rtol=1e-6)
    np.testing.assert_allclose(found[1], [np.nan, np.nan, 0, 0, 1], rtol=1e-6)  # −1 + 0 + 3 = 2; without 3: −1
    np.testing.assert_allclose(found[2], [np.nan, np.nan, np.nan, 1, 0], rtol=1e-6)  # 4 − 1 = 3; −1 and 4 without
    assert np.isnan(found[3]).all()  # 0: not active, nothing can be lost


def test_a_feature_that_is_active_only_without_a_token_has_lost_nothing_that_could_be_told(tokens):
    """Neuron 1 at position 1 of sequence 3: −1 + 0.5 is not active; without the first token it is."""
    keys = KeyTokens(np.array([1]), np.array([3]), np.array([1]))
    assert np.isnan(token_importance(Sums(), SITE, Neurons(2), tokens, keys, before=1, replacement=0)).all()


def test_a_token_that_is_the_replacement_already_has_no_importance(tokens):
    keys = KeyTokens(np.array([0]), np.array([0]), np.array([3]))
    found = token_importance(Sums(), SITE, Neurons(2), tokens, keys, before=2, replacement=2)
    np.testing.assert_allclose(found[0], [np.nan, 0, 3 / 6], rtol=1e-6)


def test_importance_does_not_depend_on_what_is_measured_together(tokens, monkeypatch):
    keys = KeyTokens(np.array([0, 1, 0, 0]), np.array([0, 0, 1, 2]), np.array([3, 2, 1, 4]))
    together = token_importance(Sums(), SITE, Neurons(2), tokens, keys, before=3, replacement=0)
    monkeypatch.setattr("polysem.tables.passes.embeddings.importance.BATCH_TOKENS", 1)
    alone = token_importance(Sums(), SITE, Neurons(2), tokens, keys, before=3, replacement=0)
    np.testing.assert_array_equal(together, alone)


def test_without_a_bos_token_the_most_frequent_token_stands_in(tokens, tmp_path):
    assert replacement_token(tmp_path, tokens) == 2
