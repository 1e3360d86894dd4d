"""S3.M1: the vectors that enter the features of a dictionary, and the weights they are multiplied by."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray

from polysem.activations.rows import ActivationRows
from polysem.io.errors import InputError
from polysem.saes.dictionary import Dictionary
from polysem.saes.sae import SAE, normalized
from polysem.tables.parts.directions import Directions

ENCODER_ROWS = "encoder rows"


@dataclass(frozen=True)
class Entering:
    """What enters the features at each token of a store, and their weights."""

    rows: ActivationRows
    weights: Float[np.ndarray, "feature input"]
    kind: str
    """Which weights these are: "input weights", "gate weights" or "encoder rows"."""
    centre: Float[np.ndarray, " input"] | None = None
    """What is subtracted from each row: b_dec of an SAE; None where nothing is."""
    normalization: str = "none"
    """What an SAE does to each row before that."""

    @property
    def inputs(self) -> int:
        """Length of the vectors."""
        return self.rows.width

    def of(self, token: Int[np.ndarray, " token"]) -> NDArray[np.float32]:
        """The vectors [token, input] at some tokens of the store."""
        x = self.rows.gather(token)
        if self.normalization != "none":
            x = normalized(torch.from_numpy(x), self.normalization)[0].numpy()
        if self.centre is not None:
            x -= self.centre
        return x


def entering(
    store: Path, dictionary: Dictionary, directions: Directions, site: str, *, centred: bool = True
) -> Entering:
    """What enters the features of a dictionary at a site whose eval activations are in `store`.

    For neurons the array `inputs` of the store and their input weights (the gate's, in a gated MLP); for the features
    of an SAE the activations and their encoder rows. An SAE encodes x − b_dec, so this is what enters; the document's
    Table 3 takes it, too, while its pages of single features take x itself, which `centred=False` does.
    Raises InputError, with the sites that do, if the neurons of the site have no input weights.
    """
    if isinstance(dictionary, SAE):
        weights = dictionary.W_enc.T.cpu().contiguous().numpy()
        centre = dictionary.centre.cpu().numpy() if centred and dictionary.centre is not None else None
        return Entering(ActivationRows(store, mapped=False), weights, ENCODER_ROWS, centre, dictionary.normalization)
    into = directions.input_weights(site)
    if into is None:
        raise InputError(no_input_weights(directions, site))
    return Entering(
        ActivationRows(store, "inputs", mapped=False), into.cpu().numpy(), directions.input_weights_kind(site)
    )


def no_input_weights(directions: Directions, site: str) -> str:
    """Why neurons of a site have no embeddings, and which sites of the model have them."""
    sites = directions.sites_with_input_weights()
    others = f"of the sites studied here {', '.join(sites)} have them" if sites else "no site studied here has them"
    return (
        f"the neurons of {site} have no input weights, which neuron embeddings need; {others} "
        "(blocks.*.mlp.hook_pre and mlp.hook_post of a language model, every layer of a classifier)"
    )
