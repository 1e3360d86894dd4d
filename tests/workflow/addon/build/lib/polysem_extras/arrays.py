"""NumPy archives: `W_enc`, `b_enc`, `W_dec`, `b_dec` of an SAE with a ReLU."""

import numpy as np
import torch

from polysem.saes.activation_functions import standard
from polysem.saes.published import Published, Settings, Weights
from polysem.saes.sae import SAE

WEIGHTS = "sae.npz"


def companions(weights):
    """None: the archive says it all."""
    return [], []


def read(weights):
    """The SAE of an archive; nothing in it is unpickled."""
    with np.load(weights, allow_pickle=False) as archive:
        tensors = [torch.from_numpy(archive[name]) for name in ("W_enc", "b_enc", "W_dec", "b_dec")]
    inputs, features = tensors[0].shape
    return Published(inputs, features, Settings(), lambda: Weights(SAE(*tensors, standard.Function())))
