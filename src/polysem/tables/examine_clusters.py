"""S3.F2, S3.U1: which clusters of other features a cluster is like, and which tokens matter for it.

One step for all sites of a model, because clusters are held against those of all its layers, and importance needs the
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

from polysem.activations.rows import ActivationRows
from polysem.io.tables import write_table
from polysem.layout.place import Place
from polysem.models.batches import TokenStore
from polysem.models.load import load_subject
from polysem.models.record import TOKENIZER
from polysem.models.subject import Subject
from polysem.models.tokenizer import load_tokenizer, token_id
from polysem.saes.dictionary import load_dictionary
from polysem.tables.parts.directions import Directions
from polysem.tables.parts.labels import COMPRESSED, attributes_of, index, labelled, variable
from polysem.tables.passes.embeddings.centres import Centres, read_centres, rows_at, space, unit_embeddings
from polysem.tables.passes.embeddings.entering import entering
from polysem.tables.passes.embeddings.importance import KeyTokens, token_importance
from polysem.tables.passes.embeddings.similar import NEIGHBOURS, nearest_clusters

IMPORTANT_CLUSTERS = 3
"""Clusters of a feature whose central examples have the importance of their tokens measured."""
COUNTED = 1024
"""Sequences in which the most frequent token is looked for."""


@dataclass(frozen=True)
class RelatedSite:
    """Where the files of one site are, and which of its dictionaries take part."""

    activations: Path
    """Store of eval activations."""
    dictionaries: Path
    """Folder with a folder for each SAE."""
    tables: Path
    """Folder with a folder of tables for each dictionary."""
    names: list[str]
    """Dictionaries that take part."""


def examine_clusters(
    place: Place,
    model: Path,
    tokens: Path,
    directions: Path,
    output: Path,
    places: dict[str, RelatedSite],
    context_before: int,
    device: str = "cpu",
) -> None:
    """Write the table `cluster_relations` of a model.

    Args:
        place: The model.
        model: The model's folder.
        tokens: Store of the eval tokens, or images.
        directions: Weights around its sites.
        output: The table.
        places: By site.
        context_before: Tokens in front of a key token whose importance is measured.
        device: Where model and SAEs run.

    Raises InputError if a place lacks a dictionary or table.
    """
    store, weights = TokenStore(tokens), Directions.read(directions)
    before = context_before if store.is_text else 0
    subject = load_subject(model, device) if store.is_text else None
    replacement = replacement_token(model, store) if store.is_text else -1
    parts = [
        _part(subject, site, files, name, store, weights, before, replacement, device)
        for site, files in places.items()
        for name in files.names
    ]
    table = relations([part for part in parts if part is not None], before)
    attributes = {"replacement": replacement, **attributes_of(place, "S3.F2 S3.U1")}
    write_table(output, table.assign_attrs(attributes))


@dataclass(frozen=True)
class Part:
    """The centres of one dictionary, with their unit embeddings and the importance of tokens."""

    centres: Centres
    space: str
    embedding: Float[np.ndarray, "centre input"]
    importance: Float[np.ndarray, "centre offset"]


def _part(
    subject: Subject | None,
    site: str,
    place: RelatedSite,
    name: str,
    store: TokenStore,
    weights: Directions,
    before: int,
    replacement: int,
    device: str,
) -> Part | None:
    """None for neurons without input weights."""
    centres = read_centres(place.tables, site, name)
    if centres is None:
        return None
    rows = ActivationRows(place.activations)
    dictionary = load_dictionary(place.dictionaries / name, rows.width, device)
    into = entering(place.activations, dictionary, weights, site)
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


def replacement_token(model: Path, store: TokenStore) -> int:
    """The token that stands in for one that is taken away: the BOS token, or, in sequences without one, the most
    frequent token."""
    bos = store.receipt["params"].get("bos_token")
    if bos is not None:
        return token_id(load_tokenizer(model / TOKENIZER), bos)
    ids = store.ids(0, min(COUNTED, store.sequences))
    return int(np.bincount(ids[ids >= 0]).argmax())
