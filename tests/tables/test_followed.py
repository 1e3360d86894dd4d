from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

from polysem.io.tables import write_table
from polysem.layout.place import Place
from polysem.tables.contract import Contract
from polysem.tables.inputs import Inputs, Job
from polysem.tables.of_dictionary import followed


def inputs(root, trained: bool, history: xr.Dataset | None = None) -> Inputs:
    place = Place("m", "s", "l1", str(root))
    if history is not None:
        write_table(root / "saes/m/s/l1/training.nc", history)
    contract = Contract.of("followed", vars(followed))
    return Inputs(contract, place, SimpleNamespace(), Job(place, "language", trained=trained))


def test_a_rare_feature_that_gets_rarer_and_one_that_does_not_worked_by_hand():
    """Of the middle of four checkpoints, the later one: features 0 and 3 become rarer, 1 stays, 2 is not rare."""
    frequency = np.array([[0.1, 0.1, 0.1, 0.1], [0.1] * 4, [9e-4, 5e-4, 1e-3, 1e-5], [1e-4, 5e-4, 1e-4, 0]])
    found = followed.courses(frequency)
    assert found["course"].values.tolist() == ["rare half-way", "rarer at the end"]
    assert found["followed_features"].values.tolist() == [3, 2]


def test_the_courses_are_those_of_the_history(tmp_path):
    labels = {"long_name": "frequency of followed features", "units": "1"}
    values = np.array([[1.0], [1e-4], [1e-5]])
    history = xr.Dataset({"followed_frequency": (("checkpoint_step", "feature"), values, labels)})
    of = inputs(tmp_path, True, history)
    found = followed.measure(of)
    of.contract.require(found)
    assert found["followed_features"].values.tolist() == [1, 1]


@pytest.mark.parametrize(
    ("trained", "reason"), [(False, "was not trained here"), (True, "the recipe follows no features")]
)
def test_without_followed_features_the_table_says_why_there_are_none(trained, reason, tmp_path):
    of = inputs(tmp_path, trained, xr.Dataset() if trained else None)
    found = followed.measure(of)
    of.contract.require(found)
    assert not found.variables
    assert reason in found.attrs["not_applicable"]
