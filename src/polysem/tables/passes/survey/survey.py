"""The pass over the activations of a dictionary, once for all tables of a job that need them."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

from polysem.activations.rows import ActivationRows
from polysem.numerics.devices import Resolved
from polysem.saes.dictionary import Dictionary, Neurons
from polysem.tables.inputs import Inputs
from polysem.tables.parts.reading import activation_rows, dictionary_of
from polysem.tables.passes.survey.blocks import Block, blocks
from polysem.tables.passes.survey.recording import Recording, SecondLook


class Gatherer(Protocol):
    """What adds something up over the blocks of the pass; memory is bounded by features."""

    def add(self, block: Block) -> None:
        """Take the tokens of a block."""


OneGatherer = TypeVar("OneGatherer", bound=Gatherer)


@dataclass(frozen=True)
class Survey:
    """What the pass of a job left."""

    again: SecondLook
    gatherers: dict[str, Gatherer]
    """By the tables of the job that have one."""


def survey(
    rows: ActivationRows,
    dictionary: Dictionary,
    gatherers: Sequence[Gatherer],
    device: Resolved = "cpu",
    scratch: Path | None = None,
) -> SecondLook:
    """Stream the activations of a store once through gatherers, and give a second look at the active features.

    `device` is where the dictionary is; a file of 8 bytes per active feature and token lives in `scratch` (the system's
    folder for such files by default) as long as the result does. Neurons need none: they are read again.
    """
    again: SecondLook = partial(blocks, rows, dictionary, device)
    if not isinstance(dictionary, Neurons):
        recording = Recording(scratch or Path(tempfile.gettempdir()), dictionary.features)
        gatherers = [*gatherers, recording]
        again = recording.blocks
    for block in blocks(rows, dictionary, device) if gatherers else ():
        for gatherer in gatherers:
            gatherer.add(block)
    return again


def surveyed(inputs: Inputs) -> Survey:
    """The pass of the job, run when the first table asks for it; reads `survey`, `store` and `weights`.

    It takes the gatherers of all tables that the job makes: of each module that has one, `gatherer(inputs)`; one that
    several of them share gets each block once.
    """
    inputs.require("survey")

    def run() -> Survey:
        making = inputs.job.making.items()
        gatherers = {name: module.gatherer(its) for name, (module, its) in making if hasattr(module, "gatherer")}
        each = [*{id(gatherer): gatherer for gatherer in gatherers.values()}.values()]
        rows, dictionary = activation_rows(inputs), dictionary_of(inputs)
        again = survey(rows, dictionary, each, inputs.device, inputs.job.folder)
        return Survey(again, gatherers)

    return inputs.once("survey", run)


def gathered(inputs: Inputs, kind: type[OneGatherer]) -> OneGatherer:
    """The gatherer of a table after the pass. TypeError if its module makes another one."""
    found = surveyed(inputs).gatherers[inputs.contract.name]
    if not isinstance(found, kind):
        raise TypeError(f"the gatherer of {inputs.contract.name} is no {kind.__name__}")
    return found
