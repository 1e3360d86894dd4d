"""Tables made through their contracts, as steps make them, from files in the places of the layout; for tests, too."""

from pathlib import Path
from typing import Any

import xarray as xr

from polysem.layout.place import Place
from polysem.params.analysis import Analysis
from polysem.params.base import NEURONS
from polysem.tables.contract import ROOMS, load_table
from polysem.tables.inputs import Job
from polysem.tables.made_of import Stated, measured, prepare
from polysem.workflow.declarations import modules_of

NO_CASES: dict[str, Any] = {"tags": [], "dictionaries": [], "features": {}, "other_seeds": {}}
"""The value "case_studies" of a study that names none."""


def stated(room: str, name: str, analysis: Analysis | None = None, **values: Any) -> Stated:
    """What a rule says of a table: its declarations, and values of the study."""
    contract = load_table(room, name)[1]
    known = (analysis or Analysis()).values()
    return Stated("c0de", contract.reads, {key: known[key] for key in contract.params}, values)


def all_stated(place: Place, analysis: Analysis | None = None, control: Place | None = None) -> dict[str, Stated]:
    """The same of all tables of a dictionary, which is held against the neurons of its site and the same one of a
    `control`."""
    neurons = [] if place.dictionary == NEURONS else [place.of(NEURONS).names]
    beside = {"neurons": neurons, "control": [] if control is None else [control.names]}
    return {name: stated("dictionary", name, analysis, **beside) for name in modules_of(ROOMS["dictionary"])}


def made(room: str, name: str, place: Place, kind: str, analysis: Analysis | None = None, **values: Any) -> xr.Dataset:
    """A table of a place, held against its contract."""
    said = {name: stated(room, name, analysis, **{"case_studies": NO_CASES} | values)}
    job = Job(place, kind, folder=Path(place.tables))
    return measured(name, prepare(room, said, job)[name], said[name], job)
