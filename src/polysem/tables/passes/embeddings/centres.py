"""The central example of every cluster of a dictionary, as the point that stands for the cluster (S3.U1)."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from polysem.activations.rows import ActivationRows
from polysem.io.tables import read_arrays
from polysem.saes.dictionary import Dictionary
from polysem.saes.sae import SAE
from polysem.tables.parts.directions import Directions
from polysem.tables.passes.embeddings.entering import Entering
from polysem.tables.passes.survey.windows import PLACES

RESIDUAL = "residual stream"
PIXELS = "pixels"
NEEDED = {"central_example", "example_sequence", "example_position", "shown_feature"}


@dataclass(frozen=True)
class Centres:
    """The clusters of one dictionary that its table names, by feature and then by size."""

    site: str
    dictionary: str
    feature: Int[np.ndarray, " centre"]
    cluster: Int[np.ndarray, " centre"]
    sequence: Int[np.ndarray, " centre"]
    """Where the key token of the central example stands in the token store."""
    position: Int[np.ndarray, " centre"]
    shown: NDArray[np.bool_]
    """Whether figures show the feature."""

    def __len__(self) -> int:
        return len(self.feature)


def read_centres(path: Path, site: str, dictionary: str) -> Centres | None:
    """The centres that the file of a table `clusters` holds; None if it is of neurons without input weights."""
    table = read_arrays(path, lambda name: name in NEEDED)
    if not table:
        return None
    central = table["central_example"]
    feature, cluster = np.nonzero(central >= 0)
    example = central[feature, cluster]
    return Centres(
        site=site,
        dictionary=dictionary,
        feature=feature,
        cluster=cluster,
        sequence=table["example_sequence"][feature, example].astype(np.int64),
        position=table["example_position"][feature, example].astype(np.int64),
        shown=np.isin(feature, table.get("shown_feature", ())),
    )


def space(dictionary: Dictionary, directions: Directions, site: str) -> str:
    """What the inputs are whose products with weights the embeddings are: only embeddings of one space can be compared.

    The neurons of all layers of a language model read the residual stream (behind a norm), as do SAEs on it; SAEs on
    neurons read the neurons of their site, and so does the next layer of a classifier.
    """
    if isinstance(dictionary, SAE):
        return RESIDUAL if directions.writes_to_residual(site) else site
    if directions.pixel_responses(site) is None:
        return RESIDUAL
    layer = int(site.split(".")[1])
    return f"layers.{layer - 1}.hook_post" if layer else PIXELS


def rows_at(
    rows: ActivationRows, sequence: Int[np.ndarray, " place"], position: Int[np.ndarray, " place"]
) -> Int[np.ndarray, " place"]:
    """Numbers in an activation store of the tokens at some places of the token store; IndexError if one is not kept."""
    wanted = (sequence << 32) + position
    found = np.full(len(wanted), -1, np.int64)
    for start in range(0, rows.length, PLACES):
        first, second = rows.places(start, min(start + PLACES, rows.length))
        kept = (first << 32) + second
        place = np.minimum(np.searchsorted(kept, wanted), len(kept) - 1)
        hit = kept[place] == wanted
        found[hit] = place[hit] + start
    if len(found) and found.min() < 0:
        lost = int(found.argmin())
        raise IndexError(f"the store holds no token at sequence {sequence[lost]}, position {position[lost]}")
    return found


def unit_embeddings(
    feature: Int[np.ndarray, " centre"], token: Int[np.ndarray, " centre"], into: Entering
) -> Float[np.ndarray, "centre input"]:
    """Neuron embeddings of some features at some tokens of the store, of length 1; 0 where one is 0."""
    embedding = into.of(token) * into.weights[feature]
    norm = np.linalg.norm(embedding, axis=1, keepdims=True)
    return np.divide(embedding, norm, out=np.zeros_like(embedding), where=norm > 0)
