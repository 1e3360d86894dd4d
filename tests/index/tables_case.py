"""Tables of small dictionaries made by hand, in the places of a results folder, with their receipts."""

from pathlib import Path

import numpy as np
import xarray as xr
from tokenizers import Tokenizer, models, pre_tokenizers

from polysem.io.atomic import write_json
from polysem.io.content import file_digest
from polysem.io.tables import write_table
from polysem.layout.place import Place

FEATURES = 12
SITE = "blocks.0.mlp.hook_post"
WORDS = [" red", " blue", "(", ".append(", "\n", " Red", "été", "<|endoftext|>"]
"""The tokens of the vocabulary."""


def variable(dimensions, values):
    return (dimensions, values, {"long_name": "a", "units": "1"})


def tables(seed: int = 0, features: int = FEATURES) -> dict[str, xr.Dataset]:
    """`examples` and `frequency` as they are measured, though smaller, `clusters` with texts, truth values and features
    along the second dimension, and `laws`, which says nothing of single features. Feature 3 is never active."""
    random = np.random.default_rng(seed)
    each = ("feature", "example")
    active = np.ones((features, 4), bool)
    active[3 % features] = False
    tokens = random.integers(0, len(WORDS), (features, 4, 3), np.int32)
    share = np.round(random.random(features), 3)
    number = {"feature": variable("feature", np.arange(features))}
    return {
        "examples": xr.Dataset(
            {
                "activation": variable(each, np.where(active, 1.0, np.nan)),
                "sequence": variable(each, np.where(active, random.integers(0, 5, (features, 4)), -1)),
                "token": variable((*each, "offset"), np.where(active[..., None], tokens, -1).astype(np.int32)),
            },
            number
            | {
                "kind": variable("example", np.array(["top", "top", "top", "sample"])),
                "offset": variable("offset", np.array([-1, 0, 1])),
            },
        ),
        "frequency": xr.Dataset(
            {"frequency": variable("feature", share), "max_activation": variable("feature", 10 * share[::-1].copy())},
            number,
            {"tokens": 100, "model": "été"},
        ),
        "clusters": xr.Dataset(
            {
                "state": variable("feature", np.array(["clustered", "", "one example"] * features)[:features]),
                "rare": variable("feature", random.random(features) < 0.5),
                "distance": variable(("embedding", "feature"), random.random((2, features), np.float32)),
                "median": variable("embedding", np.array([np.nan, 0.5])),
                "total": variable((), np.int64(7)),
            },
            number | {"embedding": variable("embedding", np.array(["neuron", "input"]))},
        ),
        "laws": xr.Dataset({"law": variable("law", np.array(["power", "none"]))}, attrs={"not_applicable": "so"}),
    }  # fmt: skip


def write_tables(place: Place, made: dict[str, xr.Dataset]) -> None:
    """Write the tables of a dictionary and their receipt."""
    artifacts = {}
    for name, table in made.items():
        file = Path(place.table(name))
        write_table(file, table)
        artifacts[name] = {"made_of": "", "file": file.name, "sha256": file_digest(file)}
    write_json(Path(place.tables_receipt), {"artifacts": artifacts})


def write_tokenizer(path: Path) -> Path:
    """A vocabulary of `WORDS`, the last of which is no piece of text."""
    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token=WORDS[-1]))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.add_special_tokens(WORDS[-1:])
    path.parent.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(path))
    return path
