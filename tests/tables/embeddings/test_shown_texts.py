"""What figures write beside examples: tokens in words, and images."""

import numpy as np

from polysem.models.batches import TokenStore
from polysem.tables.passes.embeddings.shown_images import example_images
from polysem.tables.passes.embeddings.shown_texts import token_texts


def test_tokens_are_named_and_places_outside_of_the_sequence_are_empty():
    token = np.array([[[-1, 3], [7, 3]]], np.int32)
    found = token_texts(token, lambda number: f"<{number}>")
    assert found.dims == ("shown", "example", "offset")
    assert found.values.tolist() == [[["", "<3>"], ["<7>", "<3>"]]]


def test_images_are_those_of_the_store_whatever_the_chunk(image_store):
    pixels = np.random.default_rng(0).random((2100, 6)).astype(np.float32)
    store = TokenStore(image_store(pixels, np.zeros(2100, np.int32), 2))
    sequence = np.array([[2099, 0, -1], [1024, 1500, 2000]], np.int32)  # of the first chunk the first image alone
    found = example_images(sequence, store).values
    np.testing.assert_array_equal(found[sequence >= 0], pixels[sequence[sequence >= 0]])
    assert np.isnan(found[0, 2]).all() and found.shape == (2, 3, 6)
