"""A small store with masked tokens, and dictionaries on it."""

from types import SimpleNamespace

import numpy as np
import pytest
from dense import NEURONS, sae, store_of

from polysem.activations.rows import ActivationRows
from polysem.models.batches import TokenStore
from polysem.saes.dictionary import Neurons

LENGTHS = (40, 3, 25, 1, 60, 31, 40, 7, 90)


@pytest.fixture
def text(tmp_path, token_store):
    """Sequences of several lengths whose first and every eleventh token are masked; x is correlated from token to token
    and between neurons, neuron 3 is constant and neuron 4 far from 0."""
    generator = np.random.default_rng(0)
    ids = [generator.integers(1, 50, length).tolist() for length in LENGTHS]
    tokens = TokenStore(token_store(ids, vocabulary=50))
    places = [(s, p) for s, row in enumerate(ids) for p in range(len(row)) if p % 11]
    sequence, position = np.array(places).T
    x = generator.standard_normal((len(places), NEURONS)) @ generator.standard_normal((NEURONS, NEURONS))
    x[1:] += 0.5 * x[:-1]
    x[:, 3] = 0.1
    x[:, 4] += 300
    x = x.astype(np.float32)
    rows = ActivationRows(store_of(x, sequence, position, tmp_path / "activations/text.zarr"))
    return SimpleNamespace(rows=rows, tokens=tokens, ids=ids, x=x, sequence=sequence, position=position)


@pytest.fixture(params=["sae", "neurons"])
def dictionary(request):
    return Neurons(NEURONS) if request.param == "neurons" else sae()
