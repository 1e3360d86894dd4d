"""S3.F2, S3.U1: which clusters of other features a cluster is like, and which tokens matter for it.

One table for all sites of a model, because clusters are held against those of all its layers, and importance needs the
model. The table `cluster_relations`: over `centre`, the clusters of all dictionaries that take part, `site`,
`dictionary`, `feature`, `cluster` and `space` (embeddings of one space are compared); over (centre, rank) `neighbour`,
a place along `centre`, −1 where there is none, and `similarity`, the cosine of the neuron embeddings of the two central
examples; over (centre, offset) `importance` of the tokens of the central example, NaN where it was not measured: for
features that no figure shows, beyond the first clusters, for images.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from jaxtyping import Float
from numpy.typing import NDArray

from polysem.models.batches import TokenStore
from polysem.models.load import load_subject
from polysem.models.subject import Subject
from polysem.models.tokenizer import load_tokenizer, token_id
from polysem.saes.dictionary import load_dictionary
from polysem.tables.inputs import Inputs
from polysem.tables.parts.directions import Directions, weights_around
from polysem.tables.parts.labels import COMPRESSED, index, labelled, variable
from polysem.tables.parts.reading import activation_rows
from polysem.tables.passes.embeddings.centres import Centres, read_centres, rows_at, space, unit_embeddings
from polysem.tables.passes.embeddings.entering import entering
from polysem.tables.passes.embeddings.importance import KeyTokens, token_importance
from polysem.tables.passes.embeddings.similar import NEIGHBOURS, nearest_clusters

CATALOGUE = "S3.F2 S3.U1"
READS = (
    "model",
    "tokens",
    "tokenizer",
    "directions",
    "relatives:weights",
    "relatives:store",
    "relatives:table:clusters",
)
PARAMS = ("context_before",)
VARIABLES = {
    "site": ("centre", "1", "site of the cluster"),
    "dictionary": ("centre", "1", "dictionary of the cluster"),
    "space": ("centre", "1", "space of the cluster"),
    "feature": ("centre", "1", "feature of the dictionary"),
    "cluster": ("centre", "1", "cluster of the dictionary"),
    "neighbour": ("centre rank", "1", "nearest clusters of other features, -1: none"),
    "similarity": ("centre rank", "1", "cosine of the central examples' neuron embeddings"),
    "importance": ("centre offset", "1", "share of the activation that is lost without the token"),
    "offset": ("offset", "1", "tokens behind the key token"),
}
IMPORTANT_CLUSTERS = 3
"""Clusters of a feature whose central examples have the importance of their tokens measured."""
COUNTED = 1024
"""Sequences in which the most frequent token is looked for."""


def measure(inputs: Inputs) -> xr.Dataset:
    """The clusters of all dictionaries that take part; of the tokens in front of a key token `context_before` count."""
    store, weights = TokenStore(inputs.path("tokens")), weights_around(inputs)
    before = inputs.params.context_before if store.is_text else 0
    subject = load_subject(inputs.path("model"), inputs.device) if store.is_text else None
    replacement = replacement_token(inputs.path("tokenizer"), store) if store.is_text else -1
    parts = [_part(subject, its, store, weights, before, replacement) for its in inputs.each("relatives")]
    table = relations([part for part in parts if part is not None], before)
    return table.assign_attrs(replacement=replacement)


@dataclass(frozen=True)
class Part:
    """The centres of one dictionary, with their unit embeddings and the importance of tokens."""

    centres: Centres
    space: str
    embedding: Float[np.ndarray, "centre input"]
    importance: Float[np.ndarray, "centre offset"]


def _part(
    subject: Subject | None, inputs: Inputs, store: TokenStore, weights: Directions, before: int, replacement: int
) -> Part | None:
    """None for neurons without input weights."""
    site = inputs.site
    centres = read_centres(inputs.table_file("clusters"), site, inputs.place.dictionary)
    if centres is None:
        return None
    rows = activation_rows(inputs)
    dictionary = load_dictionary(inputs.path("weights"), rows.width, inputs.device)
    into = entering(inputs.path("store"), dictionary, weights, site)
    token = rows_at(rows, centres.sequence, centres.position)
    importance = np.full((len(centres), before + 1), np.nan, np.float32)
    asked = np.flatnonzero(centres.shown & (centres.cluster < IMPORTANT_CLUSTERS))
    if subject is not None and len(asked):
        keys = KeyTokens(centres.feature[asked], centres.sequence[asked], centres.position[asked])
        importance[asked] = token_importance(subject, site, dictionary, store, keys, before, replacement)
    return Part(centres, space(dictionary, weights, site), unit_embeddings(centres.feature, token, into), importance)


def relations(parts: list[Part], before: int) -> xr.Dataset:
    """The table of these dictionaries."""
    counts = [len(part.centres) for part in parts]
    start = np.cumsum([0, *counts])
    neighbour = np.full((start[-1], NEIGHBOURS), -1, np.int32)
    similarity = np.full((start[-1], NEIGHBOURS), np.nan, np.float32)
    for one in dict.fromkeys(part.space for part in parts):
        members = [number for number, part in enumerate(parts) if part.space == one]
        place = np.concatenate([np.arange(start[number], start[number + 1]) for number in members])
        feature = np.concatenate([(number << 32) + parts[number].centres.feature for number in members])
        found, cosine = nearest_clusters(np.concatenate([parts[number].embedding for number in members]), feature)
        neighbour[place] = np.where(found >= 0, place[np.maximum(found, 0)], -1) if len(place) else found
        similarity[place] = cosine
    pieces = [part.centres for part in parts]
    names = {"site": [one.site for one in pieces], "dictionary": [one.dictionary for one in pieces]}
    variables = {
        name: variable("centre", np.repeat(np.array(of, object), counts), f"{name} of the cluster", "1")
        for name, of in (names | {"space": [part.space for part in parts]}).items()
    }
    for name in ("feature", "cluster"):
        values = [getattr(one, name).astype(np.int32) for one in pieces]
        variables[name] = variable("centre", _joined(values, np.int32), f"{name} of the dictionary", "1")
    ranked = ("centre", "rank")
    variables["neighbour"] = variable(ranked, neighbour, "nearest clusters of other features, -1: none", "1")
    variables["similarity"] = variable(ranked, similarity, "cosine of the central examples' neuron embeddings", "1")
    importance = np.concatenate([np.zeros((0, before + 1), np.float32), *(part.importance for part in parts)])
    variables["importance"] = variable(
        ("centre", "offset"), importance, "share of the activation that is lost without the token", "1"
    )
    variables["importance"].encoding = dict(COMPRESSED)
    return labelled(variables, {"offset": index("offset", -before, 1, "tokens behind the key token")}, {})


def _joined(values: list[NDArray[np.int32]], dtype: type) -> NDArray[np.int32]:
    return np.concatenate([np.zeros(0, dtype), *values])


def replacement_token(tokenizer: Path, store: TokenStore) -> int:
    """The token that stands in for one that is taken away: the BOS token, or, in sequences without one, the most
    frequent token."""
    bos = store.receipt["params"].get("bos_token")
    if bos is not None:
        return token_id(load_tokenizer(tokenizer), bos)
    ids = store.ids(0, min(COUNTED, store.sequences))
    return int(np.bincount(ids[ids >= 0]).argmax())
