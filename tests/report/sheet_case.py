"""A site with an SAE of nine features over twelve neurons: tables made by hand, and the sheets written from them."""

import json
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import xarray as xr
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from polysem.io.columns import Columns
from polysem.io.tables import write_table
from polysem.layout.annotations import read_annotations
from polysem.layout.place import Place
from polysem.params.analysis import Analysis
from polysem.params.sheets import Sheets
from polysem.report.write_sheets import write_sheets
from polysem.tables.of_dictionary.alignment import neuron_alignment
from polysem.tables.parts.labels import index, labelled, variable

MODEL, SITE, SAE = "toy", "blocks.0.mlp.hook_post", "l1-x8_l1=3e-4_seed=0"
NEURONS, TOKENS = 12, 10_000
BEFORE, AFTER, TOP, DRAWN = 20, 10, 12, 10
WORDS = "once upon a time there was a little girl called Lily who had a red ball and a dog "
DIFFERENT = [0, 3, 7]
"""Which of the top examples are shown as different."""
SHOWN = ("activation", "sequence", "position", "token", "window_activation")
CLUSTERED = 5
"""Examples in the clusters of a feature."""
DISTANCES = ("mean_distance", "max_distance", "intra_cluster_distance", "inter_cluster_distance")
VOID = {"meta", "link", "img", "input", "br", "wbr"}


def decoder() -> np.ndarray:
    """Features 0 … 5 are strongest in neuron 4, with different shares; 6 and 7 in neuron 0, 8 in neuron 11."""
    rows = np.random.default_rng(0).normal(0, 0.2, (9, NEURONS))
    rows[np.arange(9), [4, 4, 4, 4, 4, 4, 0, 0, 11]] = [1.5, -3.0, 1.0, 2.0, 2.5, 1.2, 1.0, -2.0, 3.0]
    return rows.astype(np.float32)


LARGEST = np.array([1.0, 4.0, 4.0, 9.0, 0.0, 2.0, 8.0, 7.0, 6.0], np.float32)
"""Feature 4 is never active; 1 and 2 are equally strong."""
ACTIVE = np.array([500, 40, 3, 900, 0, 700, 10, 60, 800])


def make_tokenizer(path: Path) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator([WORDS * 3], trainer)
    path.parent.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(path))
    return tokenizer


def columns(table: xr.Dataset) -> Columns:
    """A table as it is read from its file."""
    return Columns({str(name): table[name].to_numpy() for name in table.variables}, table.attrs)


def dataset(features: int, attributes: dict | None = None, /, **variables) -> xr.Dataset:
    """Each variable is (dimensions, values); `offset`, `kind` and `bin_edge` are coordinates."""
    made = {name: variable(dims, values, name, "1") for name, (dims, values) in variables.items()}
    coordinates = {name: made.pop(name) for name in ("offset", "kind", "bin_edge", "tag", "embedding") if name in made}
    return labelled(made, {"feature": index("feature", 0, features, "feature")} | coordinates, attributes or {})


class SheetCase:
    """Tables that a test may change before it writes the sheets."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.tokenizer = make_tokenizer(folder / "models" / MODEL / "tokenizer.json")
        self.labels = folder / Place(MODEL, SITE, SAE).labels
        self.decoder = decoder()
        features = len(self.decoder)
        random = np.random.default_rng(1)
        self.tables = {
            "frequency": frequency(LARGEST, ACTIVE),
            "alignment": neuron_alignment([self.decoder], NEURONS),
            "examples": self.examples(WORDS * 4, features),
            "associations": associations(features, random),
            "geometry": dataset(features, encoder_decoder_cosine=("feature", np.linspace(0, 0.8, features))),
            "logits": logits(features, random),
            "tags": dataset(features),
            "clusters": self.clusters(features),
        }
        self.neurons = {
            **self.tables,
            "frequency": frequency(np.ones(NEURONS, np.float32), np.full(NEURONS, 5000)),
            "alignment": neuron_alignment([np.eye(NEURONS, dtype=np.float32)], NEURONS),
            "examples": self.examples(WORDS * 4, NEURONS),
            "associations": associations(NEURONS, random, features=False),
            "geometry": dataset(NEURONS),
            "logits": logits(NEURONS, random),
            "tags": dataset(NEURONS),
            "clusters": self.clusters(NEURONS).assign_attrs(dictionary="neurons", weights="input weights"),
        }

    def examples(self, text: str, features: int) -> xr.Dataset:
        """Places of a text, in order; of feature f every token at a multiple of f + 2 from the key token is active."""
        ids = np.array(self.tokenizer.encode(text).ids, np.int32)
        places, offsets = TOP + DRAWN, np.arange(-BEFORE, AFTER + 1)
        position = (np.arange(places)[None] + 7 * np.arange(features)[:, None]) % len(ids)
        at = position[:, :, None] + offsets
        inside = (at >= 0) & (at < len(ids))
        largest = np.resize(LARGEST, features)
        activation = largest[:, None] * np.linspace(1, 0.1, places)
        window = np.where(offsets % (np.arange(features)[:, None, None] + 2) == 0, activation[:, :, None], 0)
        active = np.resize(ACTIVE, features)[:, None] > np.arange(places)[None]
        each = ("feature", "example")
        return dataset(
            features,
            offset=("offset", offsets),
            kind=("example", np.array(["top"] * TOP + ["sample"] * DRAWN)),
            activation=(each, np.where(active, activation, np.nan).astype(np.float32)),
            sequence=(each, np.where(active, np.arange(places)[None] + 100, -1)),
            position=(each, np.where(active, position, -1)),
            quantile=(
                each,
                np.where(np.arange(places) < TOP, np.nan, np.linspace(3, 0, places) % 1) * np.ones_like(at[..., 0]),
            ),
            token=((*each, "offset"), np.where(inside & active[:, :, None], ids[at % len(ids)], -1).astype(np.int32)),
            window_activation=((*each, "offset"), np.where(inside, window, np.nan).astype(np.float32)),
        )

    def clusters(self, features: int) -> xr.Dataset:
        """Each feature has five examples in clusters of three and two, but features 4 and 5, which cannot be clustered,
        and 6, whose examples are all the same."""
        ids = np.array(self.tokenizer.encode(WORDS * 4).ids, np.int32)
        offsets = np.arange(-BEFORE, 6)
        state = np.array(["clustered"] * features, dtype=object)
        state[4:7] = "never active", "one example", "identical examples"
        size = np.full(features, 5)
        size[4:6] = 0, 1
        cluster_size = np.zeros((features, 6), int)
        cluster_size[:, :2] = 3, 2
        cluster_size[4:7, :2] = [0, 0], [1, 0], [5, 0]
        example = np.full((features, 6, 3), -1)
        example[:, 0], example[:, 1, :2] = [2, 0, 4], [1, 3]
        example[4:7] = -1
        example[5, 0, 0], example[6, 0] = 0, [0, 1, 2]
        place = np.arange(features)[:, None, None] + 11 * np.maximum(example, 0) + 25
        token = np.where(example[..., None] >= 0, ids[(place[..., None] + offsets) % len(ids)], -1)
        window = np.where(example[..., None] >= 0, np.where(offsets == 0, 0.9, 0.2), np.nan)
        numbers = np.random.default_rng(4).random((3, features)) / 2
        numbers[:, 4:6] = np.nan
        numbers[:, 6] = 0
        by_embedding = ("embedding", "feature")
        measures = {name: (by_embedding, numbers + place) for place, name in enumerate(DISTANCES)}
        random = {f"random_{name}": ("feature", numbers[0] + 0.25) for name in (*DISTANCES, "clusters")}
        each = ("feature", "cluster", "member")
        return dataset(
            features,
            {
                "model": MODEL, "site": SITE, "dictionary": SAE, "strong_share": 0.75, "strong_examples": 100,
                "cluster_cut": 0.5, "weights": "encoder rows",
            },
            embedding=("embedding", np.array(["neuron", "input", "weighted"], dtype=object)),
            offset=("offset", offsets),
            state=("feature", state),
            size=("feature", size),
            clusters=(by_embedding, np.tile((cluster_size > 0).sum(1), (3, 1))),
            **measures,
            **random,
            example_sequence=(("feature", "example"), np.tile(np.arange(5) + 200, (features, 1))),
            example_position=(("feature", "example"), np.tile(np.arange(5) + 30, (features, 1))),
            example_activation=(("feature", "example"), np.tile(np.linspace(3, 4, 5), (features, 1))),
            cluster_size=(each[:2], cluster_size),
            cluster_example=(each, example),
            cluster_token=((*each, "offset"), token.astype(np.int32)),
            cluster_activation=((*each, "offset"), window),
        )  # fmt: skip

    def show(self, feature: int, *tokens: str, key: int = 0) -> None:
        """Make these tokens the context of the feature's first example, the one number `key` being the activating one;
        the tokenizer learns those that it lacks."""
        self.tokenizer.add_tokens(list(tokens))
        self.tokenizer.save(str(self.folder / "models" / MODEL / "tokenizer.json"))
        table = self.tables["examples"]
        table["token"][feature, 0] = -1
        first = BEFORE - key
        table["token"][feature, 0, first : first + len(tokens)] = [
            self.tokenizer.token_to_id(token) for token in tokens
        ]

    def write_tables(self, dictionary: str = SAE) -> Path:
        """The folder of the dictionary's tables; the neurons' sheets read a table of the SAE, too."""
        folder = self.folder / "tables" / MODEL / SITE
        tables = self.tables if dictionary == SAE else self.neurons
        for name, table in ({"diverse_examples": diverse(tables["examples"])} | tables).items():
            write_table(folder / dictionary / f"{name}.nc", table)
        if dictionary != SAE:
            write_table(folder / SAE / "alignment.nc", self.tables["alignment"])
        return folder / dictionary

    def choice(self, dictionary: str, **sheets):
        return Sheets(**sheets).choice(MODEL, SITE, dictionary, Analysis())

    def write(self, dictionary: str = SAE, labels: str | None = None, relations: Path | None = None, **sheets) -> Path:
        """The folder of sheets."""
        if labels is not None:
            self.labels.parent.mkdir(parents=True, exist_ok=True)
            self.labels.write_text(labels)
        output = self.folder / "sheets" / MODEL / SITE / dictionary
        write_sheets(
            place=Place(MODEL, SITE, dictionary),
            tables=self.write_tables(dictionary),
            annotations=read_annotations(Place(MODEL, SITE, dictionary), self.folder),
            output=output,
            params=self.choice(dictionary, **sheets),
            saes=[SAE] if dictionary == "neurons" else [],
            tokenizer=self.folder / "models" / MODEL / "tokenizer.json",
            relations=relations,
        )
        return output


def diverse(examples: xr.Dataset) -> xr.Dataset:
    """The top examples at the places `DIFFERENT`, as if they stood for others."""
    features, count = examples.sizes["feature"], len(DIFFERENT)
    known = examples["sequence"].values[:, DIFFERENT] >= 0
    each = ("feature", "example")
    shown = {name: (examples[name].dims, examples[name].values[:, DIFFERENT]) for name in SHOWN}
    counts = {"distinct_tokens": 3, "distinct_contexts": 11, "different_examples": 2}
    is_text = examples.sizes["offset"] > 1
    return dataset(
        features,
        {"top_examples": TOP, "repeat_context": 5, "different_distance": 0.3},
        offset=("offset", examples["offset"].values),
        **shown,
        repeats=(each, np.where(known & is_text, np.array([4, 0, 0])[:count], 0)),
        similar=(each, np.where(known, np.array([2, 0, 7])[:count], 0)),
        candidates=("feature", np.full(features, 90)),
        **{name: ("feature", np.full(features, of)) for name, of in counts.items() if is_text or "different" in name},
    )


def frequency(largest: np.ndarray, active: np.ndarray) -> xr.Dataset:
    features = len(active)
    counts = np.zeros((features, 128), int)
    counts[:, 70], counts[:, 80] = active // 2, active - active // 2
    return dataset(
        features,
        {"tokens": TOKENS},
        frequency=("feature", active / TOKENS),
        active_tokens=("feature", active),
        mean_active=("feature", np.where(active, largest / 2, np.nan)),
        standard_deviation=("feature", largest / 4),
        max_activation=("feature", largest),
        activation_histogram=(("feature", "bin"), counts),
        bin_edge=("edge", 2.0 ** (np.arange(-80, 49) / 4)),
    )


def associations(count: int, random: np.random.Generator, features: bool = True) -> xr.Dataset:
    ranked = ("feature", "rank")
    absent = np.full((count, 5), -1)
    others = random.integers(0, count, (count, 5)) if features else absent
    values = -np.sort(-random.random((count, 5)))
    return dataset(
        count,
        correlated_neuron=(ranked, random.integers(0, NEURONS, (count, 5))),
        neuron_correlation=(ranked, values),
        correlated_feature=(ranked, others),
        feature_correlation=(ranked, values / 2),
        nearest_feature=(ranked, others),
        nearest_cosine=(ranked, values / 3),
    )


def logits(count: int, random: np.random.Generator) -> xr.Dataset:
    ranked = ("feature", "rank")
    return dataset(
        count,
        boosted_token=(ranked, random.integers(0, 300, (count, 10))),
        boost=(ranked, -np.sort(-random.random((count, 10)))),
        suppressed_token=(ranked, random.integers(0, 300, (count, 10))),
        suppression=(ranked, np.sort(-random.random((count, 10)))),
    )


class Page(HTMLParser):
    """Elements with their attributes, tables by their heading as rows of text, and all text."""

    def __init__(self, path: Path):
        super().__init__()
        self.source = path.read_text(encoding="utf-8")
        self.elements, self.text, self.tables, self.contexts = [], "", {}, []
        self._open, self._heading, self._is_context = [], "", False
        self.feed(self.source)
        assert not self._open, f"not closed: {self._open}"

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self._open.append(tag)
        if tag == "h2":
            self._heading = ""
        if tag == "tr":
            self.tables.setdefault(self._heading, []).append([])
        if tag in ("td", "th"):
            self.tables[self._heading][-1].append("")
        self._is_context = (tag == "summary" and "dir" in dict(attributes)) or (self._is_context and tag != "summary")
        if tag == "summary" and self._is_context:
            self.contexts.append("")

    def handle_endtag(self, tag):
        assert self._open.pop() == tag
        self._is_context = self._is_context and tag != "summary"

    def handle_data(self, data):
        self.text += data
        if "h2" in self._open:
            self._heading += data
        if "td" in self._open or "th" in self._open:
            self.tables[self._heading][-1][-1] += data
        if self._is_context:
            self.contexts[-1] += data

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    def links(self):
        return [attributes[key] for _, attributes in self.elements for key in ("href", "src") if key in attributes]


def receipt(folder: Path) -> dict:
    return json.loads(folder.with_name(f"{folder.name}.json").read_text())
