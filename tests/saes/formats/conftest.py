"""Small SAEs in the tensors that the formats are made of, and each format's own formula, written out again."""

from pathlib import Path

import pytest
import torch

from polysem.saes.published import Published
from polysem.saes.sae import SAE

INPUTS, FEATURES = 12, 40


@pytest.fixture
def parts() -> dict[str, torch.Tensor]:
    """W_enc [n, m], b_enc, W_dec [m, n] with rows of norms from 0.5 to 3, b_dec."""
    generator = torch.Generator().manual_seed(0)
    W_dec = torch.nn.functional.normalize(torch.randn(FEATURES, INPUTS, generator=generator), dim=1)
    return {
        "W_enc": torch.randn(INPUTS, FEATURES, generator=generator) * 0.5,
        "b_enc": torch.randn(FEATURES, generator=generator) * 0.3,
        "W_dec": W_dec * torch.linspace(0.5, 3, FEATURES)[:, None],
        "b_dec": torch.randn(INPUTS, generator=generator) * 0.5,
    }


@pytest.fixture
def x() -> torch.Tensor:
    return torch.randn(200, INPUTS, generator=torch.Generator().manual_seed(1)) * 2 + 0.3


def loaded(published: Published) -> SAE:
    sae = published.load().sae
    assert (published.inputs, published.features) == (sae.inputs, sae.features) == (INPUTS, FEATURES)
    return sae


def output(sae: SAE, x: torch.Tensor) -> torch.Tensor:
    return sae.reconstruct(x, sae.encode(x))


def save(path: Path, state: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(state, path)
    return path
