import numpy as np
import torch

from polysem.saes.entries import SparseEntries
from polysem.tables.passes.embeddings.strong_examples import collect_examples, strong_thresholds
from polysem.tables.passes.survey.recording import Recorded


def looks(f, block):
    """Activations [token, feature] in blocks; `.read` counts the blocks that are asked for."""

    def again():
        for start in range(0, len(f), block):
            again.read += 1
            part = torch.from_numpy(f[start : start + block])
            row, feature = torch.nonzero(part > 0, as_tuple=True)
            yield Recorded(start, SparseEntries(row, feature, part[row, feature], tuple(part.shape)))

    again.read = 0
    return again


def test_the_first_tokens_from_the_threshold_on_are_taken_in_their_order():
    f = np.array([[1, 0], [4, -1], [3, 0], [2.9, 0], [4, 0], [3.5, 0]], np.float32)
    found = collect_examples(looks(f, 2), strong_thresholds(np.array([4.0, 0]), 0.75), 3)
    assert found.token.tolist() == [[1, 2, 4], [-1, -1, -1]]
    assert found.activation[0].tolist() == [4, 3, 4]
    assert np.isnan(found.activation[1]).all()
    assert found.size.tolist() == [3, 0]


def test_examples_are_those_of_the_whole_matrix_whatever_the_blocks():
    generator = np.random.default_rng(0)
    f = np.maximum(generator.standard_normal((700, 40)) - generator.uniform(0, 2.5, 40), 0).astype(np.float32)
    for share in (0, 0.3, 0.75, 1):
        threshold = strong_thresholds(f.max(axis=0), share)
        for block in (1000, 64, 7):
            found = collect_examples(looks(f, block), threshold, 20)
            for feature in range(40):
                strong = (f[:, feature] >= threshold[feature]) & (f[:, feature] > 0)
                expected = np.flatnonzero(strong)[:20]
                assert found.token[feature, : len(expected)].tolist() == expected.tolist()
                assert found.activation[feature, : len(expected)].tolist() == f[expected, feature].tolist()
                assert (found.token[feature, len(expected) :] == -1).all()


def test_a_share_of_one_takes_the_largest_activation_itself():
    f = np.float32([[0.1], [0.7], [0.3]])
    assert collect_examples(looks(f, 3), strong_thresholds(f.max(axis=0), 1), 5).token[0, :2].tolist() == [1, -1]


def test_nothing_is_read_once_all_features_have_their_examples():
    again = looks(np.ones((1000, 3), np.float32), 10)
    collect_examples(again, np.zeros(3, np.float32), 15)
    assert again.read == 2
