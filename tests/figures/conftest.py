"""Tables as the table steps make them, small enough to draw in a second, and their degenerate relatives."""

import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from polysem.figures.draw_figures import draw
from polysem.figures.parts import theme
from polysem.figures.registry import find_figure
from polysem.io.atomic import write_json
from polysem.io.content import file_digest
from polysem.io.folders import receipt_of
from polysem.io.tables import write_table
from polysem.params.analysis import Analysis
from polysem.tables.of_dictionary.alignment import neuron_alignment
from polysem.tables.of_dictionary.rank_frequency import rank_frequency
from polysem.tables.parts.labels import index, labelled, variable

TOKENS = 700_000
SAE = "l1-x8_l1=3e-4_seed=0"


@dataclass(frozen=True)
class Tables:
    frequency: xr.Dataset
    alignment: xr.Dataset
    rank_frequency: xr.Dataset


def frequency_table(frequency: np.ndarray, tokens: int = TOKENS, dictionary: str = SAE) -> xr.Dataset:
    active = np.round(frequency * tokens).astype(np.int64)
    variables = {
        "frequency": variable("feature", active / tokens, "share of eval tokens", "1"),
        "active_tokens": variable("feature", active, "eval tokens", "token"),
    }
    table = labelled(variables, {"feature": index("feature", 0, active.size, "feature")}, {"tokens": tokens})
    return table.assign_attrs(origin(dictionary))


def alignment_table(decoder: np.ndarray, dictionary: str = SAE) -> xr.Dataset:
    blocks = (decoder[start : start + 256].astype(np.float32) for start in range(0, len(decoder), 256))
    return neuron_alignment(blocks, decoder.shape[1]).assign_attrs(origin(dictionary))


def rank_frequency_table(frequency: xr.Dataset, head_ranks: int = 1000) -> xr.Dataset:
    """As if half A had counted every other activation."""
    active, tokens = frequency["active_tokens"].to_numpy(), frequency.attrs["tokens"]
    of_half = np.stack([active // 2, active - active // 2], axis=1)
    table = rank_frequency(of_half, np.array([tokens // 2, tokens - tokens // 2]), head_ranks)
    return table.assign_attrs({**frequency.attrs})


def legible_texts(figure: Figure, path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """All texts of a figure, once it is saved; none covers another or leaves the page."""
    drawn: dict[Text, Bbox] = {}
    draw_text = Text.draw

    def recorded(text, renderer):
        if text.get_visible() and text.get_text().strip():
            drawn[text] = Text.get_window_extent(text, renderer)
        draw_text(text, renderer)

    monkeypatch.setattr(Text, "draw", recorded)
    theme.save(figure, path)
    assert ElementTree.parse(path).getroot().tag.endswith("svg")
    page = Bbox.from_bounds(0, 0, *(72 * figure.get_size_inches()))
    texts, boxes = list(drawn), np.array([box.padded(-1).extents for box in drawn.values()])
    low, high = boxes[:, :2], boxes[:, 2:]
    covering = np.triu(((low[:, None] < high) & (low < high[:, None])).all(axis=2), 1)
    assert not covering.any(), [
        (texts[one].get_text(), texts[other].get_text()) for one, other in np.argwhere(covering)
    ]
    for text, box in drawn.items():
        assert Bbox.union([page, box]).bounds == pytest.approx(page.bounds, abs=1), text.get_text()
    return [text.get_text() for text in drawn]


def draw_from(name: str, tables: Mapping[str, xr.Dataset], analysis: Analysis) -> Figure:
    """A figure of tables by the names that stand in its READS, with no more params than it declares, and no labels."""
    return draw(find_figure(name), tables.__getitem__, analysis.values(), {})


def spelled(dictionaries: Iterable[str]) -> dict[str, str]:
    """The recipes of dictionaries that are called as a params file would spell them, `l1-x8` of `l1-x8_seed=0`."""
    return {name: name.partition("_")[0] for name in map(str, dictionaries)}


def without_codes(*names: str) -> dict[str, str]:
    """What a step takes for figures, if the digests of their code do not matter."""
    return dict.fromkeys(names, "")


def place(tables: Path, **named: xr.Dataset) -> None:
    """Write the tables of a dictionary with their receipt."""
    for name, table in named.items():
        write_table(tables / f"{name}.nc", table)
    artifacts = {file.stem: {"file": file.name, "sha256": file_digest(file)} for file in tables.glob("*.nc")}
    write_json(receipt_of(tables), {"artifacts": artifacts})


def origin(dictionary: str) -> dict[str, str]:
    return {"model": "toy", "site": "blocks.0.mlp.hook_post", "dictionary": dictionary, "catalogue": "S0.F1"}


def mixture(features: int, neurons: int, tokens: int = TOKENS, seed: int = 0) -> Tables:
    """Dense heavy-tailed and neuron-aligned rows; two modes of frequency, some features never active."""
    random = np.random.default_rng(seed)
    decoder = random.standard_t(5, (features, neurons))
    aligned = random.random(features) < 0.12
    favoured = (neurons * random.random(features) ** 3).astype(int)
    strength = np.sqrt(neurons) * random.uniform(0.3, 3.0, features)
    decoder[np.arange(features)[aligned], favoured[aligned]] += strength[aligned]
    some = random.random(features) < 0.10
    for feature in np.flatnonzero(some):
        decoder[feature, random.integers(neurons, size=6)] += np.sqrt(neurons) * random.uniform(0.2, 0.8)
    low = random.random(features) < 0.35
    exponent = np.where(low, random.normal(-4.8, 0.25, features), random.normal(-2.7, 0.6, features))
    frequency = np.clip(10**exponent, 0, 1)
    frequency[random.random(features) < 0.06] = 0
    table = frequency_table(frequency, tokens)
    return Tables(table, alignment_table(decoder), rank_frequency_table(table))


def identity(neurons: int) -> Tables:
    """The identity dictionary: every neuron is a feature, and most are active often."""
    frequency = 0.02 + 0.4 * np.random.default_rng(2).random(neurons)
    table = frequency_table(frequency, dictionary="neurons")
    return Tables(table, alignment_table(np.eye(neurons), "neurons"), rank_frequency_table(table))


def with_frequencies(tables: Tables, frequency: np.ndarray) -> Tables:
    table = frequency_table(frequency)
    return Tables(table, tables.alignment, rank_frequency_table(table))


def _silent(features: int = 64) -> Tables:
    return with_frequencies(mixture(features, 32), np.zeros(features))


def _single() -> Tables:
    return with_frequencies(mixture(64, 32), np.r_[0.25, np.zeros(63)])


def _no_ultra_low() -> Tables:
    return with_frequencies(mixture(256, 64), np.geomspace(1e-3, 0.5, 256))


def _always() -> Tables:
    return with_frequencies(mixture(64, 32), np.ones(64))


CASES: dict[str, Callable[[], Tables]] = {
    "a mixture": lambda: mixture(2048, 128),
    "a small dictionary": lambda: mixture(64, 32),
    "fewer than ten neurons": lambda: mixture(64, 6),
    "the identity dictionary": lambda: identity(128),
    "all features never active": _silent,
    "one feature active": _single,
    "no ultra-low features": _no_ultra_low,
    "all features always active": _always,
}


@pytest.fixture(params=CASES)
def tables(request: pytest.FixtureRequest) -> Tables:
    return CASES[request.param]()


@pytest.fixture
def analysis() -> Analysis:
    return Analysis()
