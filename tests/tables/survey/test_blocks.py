from dataclasses import dataclass

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pretended_card import pretended_card

from polysem.activations.rows import ActivationRows
from polysem.saes import search as search_module
from polysem.saes.activation_functions import gated, jumprelu, standard, topk
from polysem.saes.dictionary import Neurons
from polysem.saes.products import PRODUCTS
from polysem.saes.sae import NORMALIZATIONS, SAE
from polysem.tables.passes.survey import blocks as blocks_module
from polysem.tables.passes.survey.blocks import block_rows, blocks, search

NEURONS, FEATURES = 24, 640
generator = torch.Generator().manual_seed(0)
PER_FEATURE = torch.rand(FEATURES, generator=generator)
FUNCTIONS = {
    "standard": standard.Function(),
    "topk": topk.Function(7),
    "jumprelu": jumprelu.Function(PER_FEATURE - 0.2),
    "gated": gated.Function(-2 - PER_FEATURE, 0.5 - 3 * PER_FEATURE, PER_FEATURE - 0.5),
}


def sae_of(function, normalization="none", bias=-2.0):
    generator = torch.Generator().manual_seed(1)
    W_dec = F.normalize(torch.randn(FEATURES, NEURONS, generator=generator), dim=1)
    b_enc = function.b_gate if isinstance(function, gated.Function) else torch.full((FEATURES,), bias)
    return SAE(W_dec.T.contiguous() * 1.1, b_enc, W_dec, torch.linspace(-1, 1, NEURONS), function, normalization)


@dataclass
class Doubled:
    features: int

    def encode(self, x):
        return 2 * x


def assert_same_features(found, f):
    """Equal but for entries that are 0 to float32 rounding."""
    dense = torch.zeros(found.tokens, found.features)
    dense[found.row, found.feature] = found.value
    assert (found.value > 0).all()
    assert len(set(zip(found.row.tolist(), found.feature.tolist(), strict=True))) == found.count()
    torch.testing.assert_close(dense, f, rtol=1e-5, atol=1e-5)
    assert ((dense > 0) == (f > 0))[f > 1e-4].all()


@pytest.mark.parametrize("architecture", FUNCTIONS)
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("product", PRODUCTS.values(), ids=lambda product: product.name)
def test_the_features_found_are_those_that_the_encoder_makes(architecture, normalization, product, monkeypatch):
    monkeypatch.setattr(search_module, "SCORED_AGAIN_BELOW", 1.1)
    monkeypatch.setattr(search_module, "fastest", lambda: product)
    sae = sae_of(FUNCTIONS[architecture], normalization)
    x = torch.randn(700, NEURONS, generator=torch.Generator().manual_seed(2)) * 2 + 0.3
    f = sae.encode(x)
    assert 0 < float((f > 0).float().mean()) < 0.5
    assert_same_features(search(sae)(x), f)


def test_a_dictionary_that_cannot_be_searched_is_encoded_piece_by_piece(relu_dictionary, monkeypatch):
    monkeypatch.setitem(blocks_module.DENSE_NUMBERS, "cpu", 64 * FEATURES)
    dictionary = relu_dictionary(NEURONS, FEATURES)
    x = torch.randn(200, NEURONS, generator=torch.Generator().manual_seed(2))
    found = search(dictionary)(x)
    assert_same_features(found, dictionary.encode(x))
    assert (found.row.diff() >= 0).all()


def test_tokens_go_to_a_card_and_features_come_from_it_a_block_at_a_time(monkeypatch):
    monkeypatch.setitem(blocks_module.DENSE_NUMBERS, "cuda", 64 * NEURONS)
    x = torch.randn(200, NEURONS, generator=torch.Generator().manual_seed(2))
    with pretended_card() as card:
        found = search(Doubled(NEURONS), "cuda")(x)
        assert card.copies == {"to card": 1, "to CPU": 3}
        neurons = search(Neurons(NEURONS), "cuda")(x)
        assert sum(card.copies.values()) == 4
    assert_same_features(found, 2 * x.clamp(min=0))
    assert_same_features(neurons, x.clamp(min=0))


def test_an_sae_that_is_active_nearly_everywhere_is_listed_all_the_same():
    sae = sae_of(FUNCTIONS["standard"], bias=3.0)
    x = torch.randn(300, NEURONS, generator=torch.Generator().manual_seed(2))
    f = sae.encode(x)
    assert float((f > 0).float().mean()) > 0.9
    assert_same_features(search(sae)(x), f)


def test_blocks_are_the_whole_store_in_its_order_with_places(activation_store, monkeypatch):
    monkeypatch.setattr(blocks_module, "ROWS", 256)
    x = np.random.default_rng(0).standard_normal((1100, NEURONS)).astype(np.float16)
    found = list(blocks(ActivationRows(activation_store(x)), sae_of(FUNCTIONS["topk"])))
    assert [block.first for block in found] == [0, 256, 512, 768, 1024]
    assert [block.tokens for block in found] == [256, 256, 256, 256, 76]
    assert torch.equal(torch.cat([block.x for block in found]), torch.from_numpy(x.astype(np.float32)))
    assert np.concatenate([block.sequence for block in found]).tolist() == list(range(1100))
    assert np.concatenate([block.position for block in found]).dtype == np.int64


def test_entries_of_neurons_are_their_values_above_0(activation_store):
    x = np.array([[0.5, -1.0, 0.0], [2.0, 0.0, 3.0]], np.float32)
    (block,) = blocks(ActivationRows(activation_store(x)), Neurons(3))
    assert block.entries.row.tolist() == [0, 1, 1]
    assert block.entries.feature.tolist() == [0, 0, 2]
    assert block.entries.value.tolist() == [0.5, 2.0, 3.0]


def test_blocks_of_many_neurons_are_shorter():
    assert block_rows(512, 4096) == 8192
    assert block_rows(4096, 16384) == 4096
    assert block_rows(512, None) == 4096
    assert block_rows(1 << 20, None) == 256
