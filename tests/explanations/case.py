"""A model of which it is known why each neuron is active: files in the places of the layout, without a model."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from tokenizers import Tokenizer, models, pre_tokenizers

from polysem.io.stores import create_array, written_store
from polysem.io.tables import write_table
from polysem.layout.place import Place
from polysem.tables.parts.directions import Directions, write_directions
from polysem.tables.parts.labels import variable

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

SITE, CONTEXT, SEQUENCES = "blocks.0.mlp.hook_post", 24, 1000
WORDS = (
    "[B]", " cat", " dog", " cow", " a", " b", " x", " Ada", " Bob", " Eva", " Max", " Tom", " runs", " sees", " the",
    " and", " so", "7", "8",
)  # fmt: skip
WORD = {word: number for number, word in enumerate(WORDS)}
ANIMALS = [WORD[word] for word in (" cat", " dog", " cow")]
NAMES = [WORD[word] for word in WORDS if word[1:2].isupper() and word != "[B]"]
CAT, ANIMAL, AFTER, NAME, BEFORE, DEAD, RARE, NOISE, ALWAYS = range(9)
"""Neurons: active on a word; on a tag; on " b" behind " a"; on capitalised words; in front of " x"; on nothing; on
three tokens; on tokens at random; on all."""
TAGS = ("animal", "digit")


def texts(seed: int = 0) -> np.ndarray:
    """Random words behind a BOS token, [sequence, position]."""
    ids = np.random.default_rng(seed).integers(1, len(WORDS), (SEQUENCES, CONTEXT))
    ids[:, 0] = 0
    return ids


def causes(ids: np.ndarray) -> np.ndarray:
    """The activations of the neurons [sequence, position, neuron]."""
    before, after = np.roll(ids, 1, axis=1), np.roll(ids, -1, axis=1)
    draw = np.random.default_rng(1)
    found = np.zeros((*ids.shape, 9), np.float32)
    found[..., CAT] = 2.0 * (ids == WORD[" cat"])
    found[..., ANIMAL] = np.isin(ids, ANIMALS)
    found[..., AFTER] = 3.0 * ((ids == WORD[" b"]) & (before == WORD[" a"]))
    found[..., NAME] = np.isin(ids, NAMES)
    found[:, :-1, BEFORE] = 1.5 * (after[:, :-1] == WORD[" x"])
    found[5:8, 3, RARE] = 1.0
    found[..., NOISE] = draw.random(ids.shape) * (draw.random(ids.shape) < 0.02)
    found[..., ALWAYS] = 0.5 + draw.random(ids.shape)
    return found


def write(
    root: Path,
    relatives: list[tuple[str, str, str]],
    sequences: int = SEQUENCES,
    model: str = "m",
    cause: Callable[[np.ndarray], np.ndarray] = causes,
) -> None:
    """Of the first sequences token store, activations, tokenizer, directions and the tables that explanations read."""
    place = Place(model, SITE, root=str(root))
    ids = texts()[:sequences]
    tagged = np.isin(ids, ANIMALS).astype(np.uint64) | (np.isin(ids, [WORD["7"], WORD["8"]]).astype(np.uint64) << 1)
    length = np.full(sequences, CONTEXT, np.int32)
    attributes = {"kind": "text", "vocabulary": len(WORDS), "tags": list(TAGS)}
    counted = np.arange(CONTEXT) > 0
    arrays = {
        "ids": ids.astype(np.int32), "length": length, "counted": np.tile(counted, (sequences, 1)),
        "tags": tagged[..., None],
    }  # fmt: skip
    write_store(Path(place.tokens("eval").store), attributes, arrays)
    sequence, position = (of[:, 1:].reshape(-1) for of in np.indices(ids.shape))
    activations = cause(ids)[:, 1:].reshape(-1, 9)
    entering = np.eye(len(WORDS), dtype=np.float32)[ids[:, 1:].reshape(-1)]
    rows = {"sequence": sequence.astype(np.int32), "position": position.astype(np.int32)}
    write_store(
        Path(place.activations("eval").store),
        {},
        {"activations": activations, "inputs": entering},
        compressed=False,
        more=rows,
    )
    tokenizer = Tokenizer(models.WordLevel(WORD, unk_token="[B]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.add_special_tokens(["[B]"])
    Path(place.weights.path).mkdir(parents=True)
    tokenizer.save(place.tokenizer)
    weights = torch.zeros(9, len(WORDS))
    weights[CAT, WORD[" cat"]] = 1.0
    weights[ANIMAL, ANIMALS] = 1.0
    path = Path(place.directions)
    path.parent.mkdir(parents=True)
    write_directions(path, Directions({f"{SITE}/input_weights": weights}))
    for names in relatives:
        write_tables(Place.named(names, str(root)), activations)


def write_tables(place: Place, activations: np.ndarray) -> None:
    """What the tables of the dictionary say of frequencies, tags, promoted tokens and embeddings."""
    features = activations.shape[1]
    active = (activations > 0).sum(axis=0)
    mean = np.divide(activations.sum(axis=0), active, out=np.zeros(features), where=active > 0)
    main = np.full(features, -1)
    main[[CAT, ANIMAL]] = 0
    boosted = np.tile([WORD["8"], WORD["7"]], (features, 1))
    boosted[BEFORE] = [WORD[" x"], WORD["7"]]
    tables: dict[str, dict[str, tuple[Any, Any]]] = {
        "frequency": {"active_tokens": ("feature", active), "mean_active": ("feature", mean)},
        "tags": {
            "tag": ("tag", np.array(TAGS, object)),
            "best_feature": ("tag", np.array([ANIMAL, -1])),
            "f1": ("tag", np.array([1.0, np.nan])),
            "f1_always_active": ("tag", np.array([0.3, 0.2])),
            "found": ("tag", np.array([1, 0], np.int8)),
            "main_tag": ("feature", main),
            "main_tag_f1": ("feature", np.linspace(0.1, 0.9, features)),
        },
        "logits": {"boosted_token": (("feature", "rank"), boosted)},
        "clusters": {
            "embedding": ("embedding", np.array(["neuron", "input"], object)),
            "mean_distance": (("embedding", "feature"), np.stack([np.linspace(0, 0.8, features), np.ones(features)])),
        },
    }
    for name, variables in tables.items():
        made = {key: variable(dimensions, values, key, "1") for key, (dimensions, values) in variables.items()}
        write_table(Path(place.tables) / f"{name}.nc", xr.Dataset(made))


def read_said(place: Place) -> dict[str, Any]:
    """The file of explanations: its first line, with all others as `explanations`."""
    head, *said = map(json.loads, Path(place.explanations).read_text().splitlines())
    return head | {"explanations": said}


def write_store(
    path: Path,
    attributes: dict[str, Any],
    arrays: dict[str, np.ndarray],
    *,
    compressed: bool = True,
    more: dict[str, np.ndarray] | None = None,
) -> None:
    """A store of some arrays, of which `more` are compressed in any case."""
    with written_store(path, attributes=attributes, params={}, code="", device="cpu") as group:
        for is_compressed, several in ((compressed, arrays), (True, more or {})):
            for key, values in several.items():
                dimensions = ("row", "column", "word")[: values.ndim]
                create_array(group, key, values.shape, str(values.dtype), dimensions, compressed=is_compressed)[:] = (
                    values
                )
