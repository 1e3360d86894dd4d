"""A rubric sheet of a model whose tables are written by hand: two sites, of each the neurons and an SAE."""

import json
from pathlib import Path

import numpy as np
import xarray as xr
from measured import made
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from polysem.io.atomic import write_json
from polysem.io.content import file_digest
from polysem.io.stores import create_array, written_store
from polysem.io.tables import write_table
from polysem.layout.place import Place
from polysem.layout.rubric import CRITERIA
from polysem.params.analysis import Analysis
from polysem.tables.parts.labels import labelled, variable

MODEL, SITES = "toy", ("blocks.0.mlp.hook_post", "blocks.1.mlp.hook_post")
NAMES = ("sae_seed=0", "neurons")
FEATURES, EXAMPLES, BEFORE, AFTER, RANKS = 30, 12, 3, 2, 4
TOKENS = 20_000
NEVER, ULTRA_LOW = 4, 9
"""Features that no sheet shows."""
HOSTILE = ("</p></script><script>window.ran = 1</script>", '"><img src=x onerror="window.ran = 1">', "a\u202eb", "\0")
WORDS = ("red", " ball", " neuron", " שלום", *HOSTILE)
"""All tokens of the model; one of them says what no item is to tell."""


class RubricCase:
    """Its tables in a folder; what is not said here is drawn."""

    def __init__(self, root: Path) -> None:
        self.root, self.place = root, Place(MODEL, root=str(root))
        self.relatives = [(MODEL, site, name) for site in SITES for name in NAMES]
        self.analysis = Analysis(rubric_features=5)
        self._write_tokens()
        for number, names in enumerate(self.relatives):
            self.write_dictionary(Place(*names, root=str(root)), number)

    def write_dictionary(self, place: Place, seed: int, weights: str = "0", has_path: bool = True) -> None:
        """Its three tables and their receipt, which tells the weights by a digit."""
        draw = np.random.default_rng(seed)
        active = draw.integers(50, 3000, FEATURES)
        active[NEVER], active[ULTRA_LOW] = 0, 1
        largest = draw.uniform(0.5, 9, FEATURES).astype(np.float32)
        activation = largest[:, None] * draw.random((FEATURES, EXAMPLES), np.float32)
        activation[:, 0] = largest
        shape = (FEATURES, EXAMPLES, BEFORE + 1 + AFTER)
        window = largest[:, None, None] * draw.random(shape, np.float32)
        window[:, :, BEFORE] = activation
        token = draw.integers(0, len(WORDS), shape).astype(np.int32)
        token[:, 0, 0] = -1
        tables = {
            "frequency": (
                {
                    "frequency": variable("feature", active / TOKENS, "share", "1"),
                    "active_tokens": variable("feature", active, "tokens", "token"),
                    "max_activation": variable("feature", largest, "largest", "activation"),
                },
                {"tokens": TOKENS},
            ),
            "examples": (
                {
                    "activation": variable(("feature", "example"), activation, "activation", "activation"),
                    "sequence": variable(
                        ("feature", "example"), draw.integers(0, 6, (FEATURES, EXAMPLES)), "sequence", "1"
                    ),
                    "position": variable(
                        ("feature", "example"), np.tile(np.arange(EXAMPLES), (FEATURES, 1)), "position", "1"
                    ),
                    "token": variable(("feature", "example", "offset"), token, "token", "1"),
                    "window_activation": variable(("feature", "example", "offset"), window, "window", "activation"),
                    "offset": variable("offset", np.arange(-BEFORE, AFTER + 1), "offset", "1"),
                },
                {},
            ),
            "logits": (
                {
                    "boosted_token": variable(
                        ("feature", "rank"), draw.integers(0, len(WORDS), (FEATURES, RANKS)), "tokens", "token"
                    )
                }
                if has_path
                else {},
                {} if has_path else {"not_applicable": "no path"},
            ),
        }
        artifacts = {}
        for name, (variables, attributes) in tables.items():
            file = Path(place.table(name))
            file.parent.mkdir(parents=True, exist_ok=True)
            write_table(file, labelled(variables, {}, attributes))
            artifacts[name] = {"file": file.name, "sha256": file_digest(file)}
        name = "model.safetensors" if place.dictionary == "neurons" else "sae_weights.safetensors"
        write_json(Path(place.tables_receipt), {"artifacts": artifacts, "made_from": {name: weights * 64}})

    def table(self, scores: list[dict] | tuple[()] = (), **changes) -> xr.Dataset:
        """The table, with these scores."""
        values = {"relatives": self.relatives, "scores": list(scores)} | changes
        return made("model", "rubric", self.place, "language", self.analysis, **values)

    def write(self, scores: list[dict] | tuple[()] = ()) -> xr.Dataset:
        """The table, where the report reads it."""
        table = self.table(scores)
        write_table(Path(self.place.table("rubric")), table)
        return table

    def _write_tokens(self) -> None:
        with written_store(
            Path(self.place.tokens("eval").store),
            attributes={"kind": "text", "vocabulary": len(WORDS)},
            params={},
            code="",
            device="cpu",
        ) as group:
            arrays = {"ids": np.zeros((6, 12), np.int32), "length": np.full(6, 12, np.int32)}
            arrays["counted"] = np.ones((6, 12), bool)
            for key, values in arrays.items():
                dimensions = ("sequence", "position")[: values.ndim]
                create_array(group, key, values.shape, str(values.dtype), dimensions, compressed=True)[:] = values
        vocabulary = {word: number for number, word in enumerate(WORDS)}
        path = Path(self.place.tokenizer)
        path.parent.mkdir(parents=True)
        Tokenizer(WordLevel(vocabulary, unk_token=WORDS[0])).save(str(path))


def given(item: str, *points: int, explanation: str = "something") -> dict:
    """Points for an item, in the order of the criteria."""
    return {"item": item, "explanation": explanation, **dict(zip(CRITERIA, points, strict=True))}


def scores_of(author: str, sheet: str, *scores: dict) -> dict:
    """A file of scores, as it is read."""
    return {"model": MODEL, "author": author, "sheet": sheet, "scores": list(scores)}


def put(root: Path, name: str, values: object) -> Path:
    """A file among the scores of the model."""
    path = root / Place(MODEL).rubric / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(values if isinstance(values, str) else json.dumps(values), encoding="utf-8")
    return path
