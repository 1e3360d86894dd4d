"""SAEs and tables for what is computed from weights alone."""

import numpy as np
import torch
import xarray as xr

from polysem.saes.activation_functions.standard import Function
from polysem.saes.sae import SAE
from polysem.tables.of_dictionary.alignment import BLOCK, neuron_alignment


def sae_of(encoder, decoder, bias=None) -> SAE:
    """An SAE with these encoder and decoder rows [feature, neuron]."""
    encoder, decoder = (torch.as_tensor(np.asarray(rows), dtype=torch.float32) for rows in (encoder, decoder))
    features, neurons = decoder.shape
    b_enc = torch.zeros(features) if bias is None else torch.as_tensor(bias, dtype=torch.float32)
    return SAE(encoder.T.contiguous(), b_enc, decoder, torch.zeros(neurons), Function())


def random_sae(features: int, neurons: int, seed: int = 0) -> SAE:
    random = np.random.default_rng(seed)
    decoder = random.standard_normal((features, neurons))
    return sae_of(decoder + random.standard_normal((features, neurons)), decoder, random.standard_normal(features))


def clustered_sae(features: int, neurons: int, cluster: int, seed: int = 0, spread: float = 0.2) -> SAE:
    """As `random_sae`; the encoder rows of the first features point almost the same way, their decoder rows do not."""
    random = np.random.default_rng(seed)
    decoder = random.standard_normal((features, neurons))
    encoder = decoder + random.standard_normal((features, neurons))
    common = random.standard_normal(neurons)
    near = common + spread * random.standard_normal((cluster, neurons))
    encoder[:cluster] = near * random.uniform(0.3, 1.5, (cluster, 1))
    return sae_of(encoder, decoder / np.linalg.norm(decoder, axis=1, keepdims=True))


def frequencies(values, tokens: int = 100_000) -> xr.Dataset:
    return xr.Dataset({"frequency": ("feature", np.asarray(values, np.float64))}, attrs={"tokens": tokens})


def alignment_of(sae: SAE) -> xr.Dataset:
    return neuron_alignment(iter(row.numpy() for row in sae.W_dec.split(BLOCK)), sae.outputs)
