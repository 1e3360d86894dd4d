"""The direction of an ultra-low cluster, which another SAE can be kept away from (S2.F9)."""

from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from polysem.io.errors import InputError
from polysem.io.tables import read_table
from polysem.saes.sae import load_sae


def ultra_low_direction(folder: Path, table: Path, width: int, below: float) -> Float[Tensor, " neuron"]:
    """Mean encoder row, brought to norm 1, of the features of an SAE whose frequency is below a threshold and not 0.

    `folder` is that of the SAE, `table` its `frequency.nc`. InputError if no feature is that rare.
    """
    sae = load_sae(folder, width)
    frequency = torch.from_numpy(read_table(table)["frequency"].values)
    rare = (frequency > 0) & (frequency < below)
    if not rare.any():
        raise InputError(
            f"orthogonal_to: {folder.name} has no feature with a frequency below {below:g} and above 0 (the lowest is "
            f"{float(frequency.min()):.2g}), so there is no ultra-low direction; raise analysis.ultra_low_frequency or "
            "name an SAE that has such a cluster"
        )
    return F.normalize(sae.W_enc[:, rare].mean(1), dim=0)
