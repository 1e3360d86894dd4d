"""What a table declares holds: it reads nothing else, and holds nothing else."""

import ast
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from measured import stated

from polysem.layout.place import Place
from polysem.params.analysis import Analysis
from polysem.tables.contract import ROOMS, Contract, in_order, load_table
from polysem.tables.inputs import Inputs, Job, UndeclaredReadError, given_analysis
from polysem.tables.made_of import prepare
from polysem.tables.parts.labels import labelled, variable
from polysem.tables.sources import PASSES, SCOPES, SOURCES, VALUES, scoped
from polysem.workflow.declarations import declared, modules_of

EVERY = [(room, name) for room, package in ROOMS.items() for name in modules_of(package)]
DECLARED = {
    "CATALOGUE": "S0.F1",
    "READS": ("store",),
    "PARAMS": ("head_ranks",),
    "VARIABLES": {"share": ("feature", "1", "share of *"), "dead": ("", "feature", "dead features")},
    "ONLY": {"of a classifier": ("dea*",)},
}


@pytest.fixture
def contract() -> Contract:
    return Contract.of("shares", DECLARED)


def table(name="share", dimension="feature", units="1", long_name="share of tokens", **more) -> xr.Dataset:
    return labelled({name: variable(dimension, np.zeros(2), long_name, units), **more}, {}, {})


@pytest.mark.parametrize(("room", "name"), EVERY)
def test_every_table_declares_what_can_be_read_without_importing_it(room, name):
    contract = Contract.of(name, declared(modules_of(ROOMS[room])[name]))
    assert contract == load_table(room, name)[1]
    for read in contract.reads:
        scope, what = scoped(read)
        assert what in SOURCES or what in PASSES or what in VALUES or what.startswith("table:"), read
        assert not scope or scope in SCOPES


@pytest.mark.parametrize(("room", "name"), EVERY)
def test_every_key_of_the_analysis_that_a_module_names_is_declared_and_none_is_declared_in_vain(room, name):
    """What modules that it calls read besides is found when it runs: an undeclared key raises."""
    source = Path(load_table(room, name)[0].__file__).read_text()
    named = {
        node.attr
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Attribute) and node.attr in Analysis.model_fields
    }
    assert named <= set(load_table(room, name)[1].params)


def test_a_table_as_declared_is_let_through(contract):
    contract.require(table())
    contract.require(table(dead=variable((), 3, "dead features", "feature")))


@pytest.mark.parametrize(
    ("found", "problem"),
    [
        (table(other=variable((), 1, "other", "1")), "other is not declared"),
        (xr.Dataset(), "share is missing"),
        (table(dimension="neuron"), r"share has the dimensions \('neuron',\), declared are \('feature',\)"),
        (table(units="token"), "share has the unit 'token', declared is '1'"),
        (table(long_name="part of tokens"), r"share is called 'part of tokens', declared is 'share of \*'"),
        (table(dead=variable("feature", np.zeros(2), "dead features", "feature")), "dead has the dimensions"),
    ],
)
def test_a_table_that_is_not_what_is_declared_is_refused(contract, found, problem):
    with pytest.raises(ValueError, match=f"the table shares is not what its module declares in VARIABLES: .*{problem}"):
        contract.require(found)


def test_a_table_that_does_not_apply_may_hold_nothing(contract):
    contract.require(xr.Dataset(attrs={"not_applicable": "there are no shares"}))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"READS": None}, "declares no READS as literals"),
        ({"PARAMS": ("head_rank",)}, "names head_rank, which is no key of analysis"),
        ({"ONLY": {"never": ("none",)}}, "names none in ONLY, and VARIABLES has no such"),
    ],
)
def test_a_module_that_declares_too_little_or_what_is_not_there_is_refused(change, problem):
    constants = {key: value for key, value in (DECLARED | change).items() if value is not None}
    with pytest.raises(ValueError, match=problem):
        Contract.of("shares", constants)


@pytest.fixture
def inputs(contract) -> Inputs:
    return Inputs(
        contract, Place("m", "s", "d"), given_analysis(contract, {"head_ranks": 20}), Job(Place("m"), "language")
    )


def test_a_table_reads_nothing_that_its_module_does_not_declare(inputs):
    assert inputs.path("store") == Path("results/activations/m/s/eval.zarr")
    assert inputs.params.head_ranks == 20
    for read in (lambda: inputs.path("tokens"), lambda: inputs.table("tags"), lambda: inputs.value("pairs")):
        with pytest.raises(UndeclaredReadError, match="which its module does not declare; add it to READS"):
            read()
    with pytest.raises(UndeclaredReadError):
        inputs.each("saes")
    with pytest.raises(KeyError, match=r"analysis\.baseline_seed"):
        inputs.params.baseline_seed  # noqa: B018


@pytest.mark.parametrize("params", [{}, {"head_ranks": 20, "baseline_seed": 0}])
def test_a_key_that_is_forgotten_or_one_too_many_is_refused(contract, params):
    with pytest.raises(ValueError, match="is missing, or one too many"):
        given_analysis(contract, params)


def test_a_rule_that_says_something_else_than_the_module_is_refused():
    said = replace(stated("dictionary", "frequency"), reads=("store",))
    with pytest.raises(ValueError, match=r"the table frequency reads .*, and its rule says"):
        prepare("dictionary", {"frequency": said}, Job(Place("m", "s", "d"), "language"))


def test_tables_stand_after_what_they_read_and_a_circle_is_refused():
    assert in_order({"a": ["c"], "b": [], "c": ["b"]}) == ["b", "c", "a"]
    with pytest.raises(ValueError, match="a, b read each other in a circle"):
        in_order({"a": ["b"], "b": ["a"], "c": []})
