"""The survey of a dictionary with the gatherers of three tables, and what these show, for benchmarks and tests."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import xarray as xr

from polysem.activations.rows import ActivationRows
from polysem.saes.dictionary import Dictionary, Neurons
from polysem.tables.passes.survey import survey as the_pass
from polysem.tables.passes.survey.correlation import Correlation
from polysem.tables.passes.survey.examples import Examples
from polysem.tables.passes.survey.frequency import Frequency
from polysem.tables.passes.survey.recording import SecondLook
from polysem.tables.passes.survey.windows import Tokens, Window


@dataclass(frozen=True)
class ExampleChoice:
    """Which examples of each feature are kept, and how much around them."""

    top: int
    sampled: int
    window: Window
    seed: int


@dataclass(frozen=True)
class Surveyed:
    frequency: xr.Dataset
    examples: xr.Dataset
    correlations: xr.Dataset
    again: SecondLook


def survey(
    rows: ActivationRows,
    dictionary: Dictionary,
    tokens: Tokens,
    choice: ExampleChoice,
    also: Sequence[the_pass.Gatherer] = (),
    scratch: Path | None = None,
) -> Surveyed:
    neurons = isinstance(dictionary, Neurons)
    frequency = Frequency(dictionary.features, neurons)
    examples = Examples(dictionary.features, choice.top, choice.sampled, choice.window, choice.seed)
    correlation = Correlation(dictionary.features, rows.width)
    again = the_pass.survey(rows, dictionary, [frequency, examples, correlation, *also], scratch=scratch)
    counted = frequency.table()
    return Surveyed(
        counted,
        examples.table(counted, rows, again, tokens),
        correlation.table(counted, again, neurons),
        again,
    )
