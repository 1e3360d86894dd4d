"""All tables of a dictionary that need its activations, in one pass over them."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import xarray as xr

from polysem.activations.rows import ActivationRows
from polysem.saes.dictionary import Dictionary, Neurons
from polysem.tables.passes.survey.blocks import Block, blocks
from polysem.tables.passes.survey.correlation import Correlation
from polysem.tables.passes.survey.examples import Examples
from polysem.tables.passes.survey.frequency import Frequency
from polysem.tables.passes.survey.recording import Recording, SecondLook
from polysem.tables.passes.survey.windows import Tokens, Window


class Gatherer(Protocol):
    """What adds something up over the blocks of the pass; memory is bounded by features."""

    def add(self, block: Block) -> None:
        """Take the tokens of a block."""


@dataclass(frozen=True)
class ExampleChoice:
    """Which examples of each feature are shown, and how much around them."""

    top: int
    sampled: int
    window: Window
    seed: int


@dataclass(frozen=True)
class Survey:
    """The tables of a pass, and a second look at its active features."""

    frequency: xr.Dataset
    examples: xr.Dataset
    correlations: xr.Dataset
    """The part of the table `associations` that depends on activations."""
    again: SecondLook


def survey(
    rows: ActivationRows,
    dictionary: Dictionary,
    tokens: Tokens,
    choice: ExampleChoice,
    also: Sequence[Gatherer] = (),
    device: str = "cpu",
    scratch: Path | None = None,
) -> Survey:
    """Stream the activations of a store once, for the tables here and for the gatherers in `also`.

    `device` is where the dictionary is; a file of 8 bytes per active feature and token lives in `scratch` (the system's
    folder for such files by default) as long as the result does. Neurons need none: they are read again.
    """
    neurons = isinstance(dictionary, Neurons)
    frequency = Frequency(dictionary.features, neurons)
    examples = Examples(dictionary.features, choice.top, choice.sampled, choice.window, choice.seed)
    correlation = Correlation(dictionary.features, rows.width)
    gatherers: list[Gatherer] = [frequency, examples, correlation, *also]
    again: SecondLook = partial(blocks, rows, dictionary, device)
    if not neurons:
        recording = Recording(scratch or Path(tempfile.gettempdir()), dictionary.features)
        gatherers.append(recording)
        again = recording.blocks
    for block in blocks(rows, dictionary, device):
        for gatherer in gatherers:
            gatherer.add(block)
    counted = frequency.table()
    return Survey(
        frequency=counted,
        examples=examples.table(counted, rows, again, tokens),
        correlations=correlation.table(counted, again, neurons),
        again=again,
    )
