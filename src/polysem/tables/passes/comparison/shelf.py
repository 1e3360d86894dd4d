"""What a comparison reads of the dictionaries of several sites, each thing once while it is needed."""

from collections.abc import Callable, Mapping
from functools import cached_property, lru_cache

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float, Int
from numpy.typing import NDArray

from polysem.activations.paired import left_out_tokens, shared_rows
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


class Sample:
    """Some rows of a store, as what activations are remembered by."""

    def __init__(self, rows: Int[NDArray, " token"]) -> None:
        self.rows = rows
        self._bytes = rows.tobytes()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sample) and self._bytes == other._bytes

    def __hash__(self) -> int:
        return hash(self._bytes)


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
        self.codes: Callable[[str, Sample], Codes] = lru_cache(KEPT)(self._codes)

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

    def sample(self, tokens: int) -> Sample:
        """As many of its tokens, evenly spread, or all of them."""
        return Sample(sampled_rows(self.rows.length, tokens))

    def shared_samples(self, other: "Site", tokens: int) -> tuple[Sample, Sample]:
        """As many of the tokens that this site and another one hold, evenly spread, or all of them: their rows here,
        and there. Both read the same tokens; one store may have more of them, and each leaves out its own."""
        if not (left_out_tokens(self.rows) or left_out_tokens(other.rows)):
            same = Sample(sampled_rows(min(self.rows.length, other.rows.length), tokens))
            return same, same
        stores = [(site._inputs.path("store"), site.rows) for site in (self, other)]
        shared = shared_rows(stores)
        if shared is None:
            return self.sample(tokens), other.sample(tokens)
        chosen = sampled_rows(len(shared[0]), tokens)
        return Sample(shared[0][chosen]), Sample(shared[1][chosen])

    def read_with(self, dictionary: Dictionary, sample: Sample, order: NDArray[np.int64] | None = None) -> Codes:
        """This site's activations through any dictionary of its width, on some of its tokens."""
        return encode(self.rows, sample.rows, dictionary, self._inputs.device, order)

    def token_ids(self, sample: Sample) -> Int[NDArray, " token"]:
        """Token, or class of the image, at each row of a sample."""
        store, group = open_store(self._inputs.path("store")), open_store(self._inputs.path("tokens"))
        length = int(sample.rows.max(initial=-1)) + 1
        sequence, position = (
            np.asarray(read_array(store, name)[:length], np.int64)[sample.rows] for name in ("sequence", "position")
        )
        if "ids" not in group:
            return np.asarray(read_array(group, "labels")[:], np.int64)[sequence]
        ids = np.asarray(read_array(group, "ids")[: int(sequence.max()) + 1], np.int64)
        return ids[sequence, position]

    def _dictionary(self, name: str) -> Dictionary:
        return load_dictionary(self._dictionaries[name].path("weights"), self.width, self._inputs.device)

    def _codes(self, name: str, sample: Sample) -> Codes:
        return self.read_with(self.dictionary(name), sample)
