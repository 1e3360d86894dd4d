"""SAEs on activations of any shape."""

import pytest
import torch

from polysem.saes.activation_functions.standard import Function
from polysem.saes.sae import SAE


@pytest.mark.parametrize("shape", [(), (3,), (3, 4), (2, 3, 4)])
def test_features_and_reconstructions_have_the_shape_of_the_activations(shape):
    generator = torch.Generator().manual_seed(0)
    W_enc, W_dec = (torch.randn(*size, generator=generator) for size in ((5, 7), (7, 5)))
    b_enc, b_dec = (torch.randn(size, generator=generator) for size in (7, 5))
    sae = SAE(W_enc, b_enc, W_dec, b_dec, Function())
    x = torch.randn(*shape, 5, generator=generator)
    f = sae.encode(x)
    assert f.shape == (*shape, 7)
    for row, features in zip(x.reshape(-1, 5), f.reshape(-1, 7), strict=True):
        torch.testing.assert_close(features, ((row - b_dec) @ W_enc + b_enc).relu())
    assert sae.reconstruct(x, f).shape == x.shape
    torch.testing.assert_close(sae.reconstruct(x, f), f @ W_dec + b_dec)
