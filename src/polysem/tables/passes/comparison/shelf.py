"""What a comparison reads of the dictionaries of several sites, each thing once while it is needed."""

from collections.abc import Callable, Mapping
from functools import cached_property, lru_cache

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float, Int
from numpy.typing import NDArray

from polysem.activations.rows import ActivationRows
from polysem.io.stores import open_store, read_array, read_receipt
from polysem.io.tables import read_table
from polysem.saes.dictionary import Dictionary, load_dictionary
from polysem.saes.sae import SAE
from polysem.tables.inputs import Inputs
from polysem.tables.parts.directions import Directions, weights_around
from polysem.tables.passes.comparison.codes import Codes, encode, sampled_rows

KEPT = 6
"""Dictionaries, and activations of dictionaries, that are held in memory; most are held against the first of a site."""


class Site:
    """The dictionaries, activations and tables of one site of a model.

    `dictionaries` are the inputs of those that take part, by name; `inputs`, of the site or of any of them, know its
    activations, tokens and directions.
    """

    def __init__(self, dictionaries: Mapping[str, Inputs], inputs: Inputs) -> None:
        self.model, self.site, self._inputs = inputs.place.model, inputs.site, inputs
        self._dictionaries = dictionaries
        self.rows = ActivationRows(inputs.path("store"))
        self.dictionary: Callable[[str], Dictionary] = lru_cache(KEPT)(self._dictionary)
        self.codes: Callable[[str, int, int], Codes] = lru_cache(KEPT)(self._codes)

    @property
    def width(self) -> int:
        """Number of neurons."""
        return self.rows.width

    @cached_property
    def tokens_digest(self) -> str:
        """Which tokens the activations are of: the digest of the token store's content."""
        return str(read_receipt(self._inputs.path("tokens"))["sha256"])

    @cached_property
    def directions(self) -> Directions:
        """Directions of the model."""
        return weights_around(self._inputs)

    def decoder(self, name: str) -> Float[NDArray, "feature neuron"]:
        """Directions of the features of a dictionary."""
        return np.asarray(self.dictionary(name).decoder().cpu().numpy(), np.float32)

    def encoder(self, name: str) -> Float[NDArray, "feature neuron"] | None:
        """Encoder rows of an SAE; None for the neurons."""
        found = self.dictionary(name)
        return np.asarray(found.W_enc.T.cpu().numpy(), np.float32) if isinstance(found, SAE) else None

    def basis(self, name: str) -> str:
        """The site at which the decoder rows of a dictionary stand."""
        return self.dictionary(name).target or self.site

    def stream(self, rows: Float[NDArray, "feature neuron"], basis: str) -> Float[NDArray, "feature stream"] | None:
        """What some directions at a site write in front of the last matrix before the logits; None without a direct
        path."""
        path = self.directions.logit_path(basis)
        if path is None:
            return None
        written = torch.from_numpy(rows)
        for matrix in path[:-1]:
            written = written @ matrix
        return written.numpy()

    def unembedding(self, basis: str) -> Float[NDArray, "stream token"]:
        """That last matrix."""
        path = self.directions.logit_path(basis)
        assert path is not None
        return np.asarray(path[-1].numpy(), np.float32)

    def table(self, dictionary: str, name: str) -> xr.Dataset:
        """A table of a dictionary."""
        return read_table(self._dictionaries[dictionary].table_file(name))

    def read_with(
        self, dictionary: Dictionary, tokens: int, length: int, order: NDArray[np.int64] | None = None
    ) -> Codes:
        """This site's activations through any dictionary of its width, on a sample of its first `length` tokens."""
        return encode(self.rows, sampled_rows(length, tokens), dictionary, self._inputs.device, order)

    def token_ids(self, tokens: int, length: int) -> Int[NDArray, " token"]:
        """Token, or class of the image, at each row of that sample."""
        chosen = sampled_rows(length, tokens)
        store, group = open_store(self._inputs.path("store")), open_store(self._inputs.path("tokens"))
        sequence, position = (
            np.asarray(read_array(store, name)[:length], np.int64)[chosen] for name in ("sequence", "position")
        )
        if "ids" not in group:
            return np.asarray(read_array(group, "labels")[:], np.int64)[sequence]
        ids = np.asarray(read_array(group, "ids")[: int(sequence.max()) + 1], np.int64)
        return ids[sequence, position]

    def _dictionary(self, name: str) -> Dictionary:
        return load_dictionary(self._dictionaries[name].path("weights"), self.width, self._inputs.device)

    def _codes(self, name: str, tokens: int, length: int) -> Codes:
        return self.read_with(self.dictionary(name), tokens, length)
