"""Bounds and exact activations of features on a few tokens, against what the SAE itself encodes."""

import numpy as np
import pytest
import torch

from polysem.saes.activation_functions import gated, jumprelu, standard, topk
from polysem.saes.encoders import NeuronEncoder, SaeEncoder, inner_products
from polysem.saes.sae import SAE

NEURONS, FEATURES, TOKENS = 48, 700, 60


def drawn(kind: str, normalization: str = "none", seed: int = 0) -> SAE:
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    functions = {
        "standard": lambda: standard.Function(),
        "topk": lambda: topk.Function(9),
        "jumprelu": lambda: jumprelu.Function(normal(FEATURES).abs() * 5),
        "gated": lambda: gated.Function(normal(FEATURES), normal(FEATURES), normal(FEATURES) * 0.1),
    }
    return SAE(
        normal(NEURONS, FEATURES), normal(FEATURES) - 4, normal(FEATURES, NEURONS), normal(NEURONS), functions[kind](),
        normalization,
    )  # fmt: skip


def activations(seed: int = 1) -> torch.Tensor:
    return torch.randn(TOKENS, NEURONS, generator=torch.Generator().manual_seed(seed))


KINDS = ("standard", "topk", "jumprelu", "gated")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("normalization", ["none", "layer_norm", "constant_norm_rescale"])
def test_activations_are_those_that_the_sae_encodes(kind, normalization):
    sae, x = drawn(kind, normalization), activations()
    encoded = sae.encode(x)
    rows, features = torch.arange(5, 40), torch.arange(0, FEATURES, 3)
    found = SaeEncoder.of(sae).read(x).activations(rows, features)
    assert (encoded > 0).float().mean() > 0.01
    torch.testing.assert_close(found, encoded[rows][:, features], rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_the_largest_activation_on_chosen_tokens_lies_between_its_bounds(kind):
    sae, x = drawn(kind), activations()
    texts = [torch.arange(0, 7), torch.arange(7, 30), torch.tensor([31, 45]), torch.tensor([59])]
    reading = SaeEncoder.of(sae).read(x)
    least, most = reading.largest(texts)
    for text, rows in enumerate(texts):
        exact = reading.activations(rows, torch.arange(FEATURES)).amax(0)
        assert (least[text] <= exact).all() and (exact <= most[text]).all()
        assert (most[text] - least[text]).max() < 0.1 * exact.max(), "the bounds say something"


@pytest.mark.parametrize("kind", KINDS)
def test_blocks_of_any_size_give_the_same_bounds(kind, monkeypatch):
    sae, x = drawn(kind), activations()
    texts = [torch.arange(0, 7), torch.arange(7, 30), torch.tensor([31, 45])]
    whole = SaeEncoder.of(sae).read(x)
    expected = whole.largest(texts), whole.activations(torch.arange(TOKENS), torch.arange(FEATURES))
    for rows in (1, 3, 8):
        monkeypatch.setattr("polysem.saes.encoders.BLOCK", rows * FEATURES)
        parts = SaeEncoder.of(sae).read(x)
        for found, bound in zip(parts.largest(texts), expected[0], strict=True):
            torch.testing.assert_close(found, bound, rtol=1e-4, atol=1e-3)
        assert torch.equal(parts.activations(torch.arange(TOKENS), torch.arange(FEATURES)), expected[1])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("normalization", ["none", "layer_norm"])
def test_a_token_and_a_feature_have_the_same_bits_in_any_company(kind, normalization):
    sae, x = drawn(kind, normalization), activations()
    encoder = SaeEncoder.of(sae)
    together = encoder.read(x).activations(torch.arange(TOKENS), torch.arange(FEATURES))
    draw = np.random.default_rng(0)
    for _ in range(20):
        tokens = torch.from_numpy(draw.choice(TOKENS, draw.integers(1, 20), replace=False))
        features = torch.from_numpy(draw.choice(FEATURES, draw.integers(1, 50), replace=False))
        found = encoder.read(x[tokens]).activations(torch.arange(len(tokens)), features)
        assert torch.equal(found, together[tokens][:, features])


def test_small_activations_are_among_the_largest_of_a_token_that_has_no_larger_ones():
    sae, x = drawn("topk"), activations()
    sae.W_enc.mul_(0.02)
    sae.b_enc.mul_(0.02)
    encoded = sae.encode(x)
    assert ((encoded > 0) & (encoded < 1)).sum() > TOKENS
    found = SaeEncoder.of(sae).read(x).activations(torch.arange(TOKENS), torch.arange(FEATURES))
    torch.testing.assert_close(found, encoded, rtol=1e-5, atol=1e-5)


def test_what_rounding_may_do_grows_with_the_bias():
    sae, x = drawn("standard"), activations()
    before = SaeEncoder.of(sae).slack(x)
    sae.b_enc.mul_(1e6)
    assert (SaeEncoder.of(sae).slack(x) > before).all()


def test_of_equal_pre_activations_at_the_edge_of_the_largest_the_first_is_active():
    sae = drawn("topk")
    sae.W_enc[:, 1::2] = sae.W_enc[:, ::2]
    sae.b_enc[1::2] = sae.b_enc[::2]
    x = activations()
    found = SaeEncoder.of(sae).read(x).activations(torch.arange(TOKENS), torch.arange(FEATURES))
    twins = found.view(TOKENS, -1, 2)
    assert ((found > 0).sum(1) == 9).all(), "nine are active, so one of a pair is not"
    assert (twins[..., 0] >= twins[..., 1]).all() and (twins[..., 0] > twins[..., 1]).any()


def test_neurons_are_what_they_are():
    x = activations()
    reading = NeuronEncoder(NEURONS).read(x)
    rows = torch.tensor([3, 9, 4])
    least, most = reading.largest([rows])
    assert torch.equal(least[0], x[rows].amax(0)) and torch.equal(most, least)
    assert torch.equal(reading.activations(rows, torch.tensor([7, 0])), x[rows][:, [7, 0]])


def test_inner_products_are_inner_products():
    x, rows = activations(), activations(2)[:11]
    torch.testing.assert_close(inner_products(x, rows), x @ rows.T, rtol=1e-5, atol=1e-5)


def test_weights_are_not_copied():
    sae = drawn("standard")
    assert SaeEncoder.of(sae).W_enc.data_ptr() == sae.W_enc.data_ptr()


@pytest.mark.parametrize("kind", KINDS)
def test_pre_activations_of_any_leading_dimensions_are_read(kind):
    function = drawn(kind).activation
    pre = torch.randn(4, 3, 2, FEATURES, generator=torch.Generator().manual_seed(2))
    one_by_one = torch.stack([function(row) for row in pre.flatten(0, 2)])
    assert torch.equal(function(pre).flatten(0, 2), one_by_one)
    assert (one_by_one > 0).any()
