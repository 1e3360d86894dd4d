"""What steps were told in files: kept beside the records, where `polysem explain` finds it in a clone."""

import json

import pytest

from polysem.io.content import text_digest
from polysem.workflow.provenance.records import read_record, record_file, record_names
from polysem.workflow.running.specs import SPECS, keep_specs

TOLD = json.dumps({"seed": 7, "tables": {"frequency": {"rare": 0.01}}})
SPEC = SPECS / f"{text_digest(TOLD)}.json"


@pytest.fixture
def recorded(tmp_path, monkeypatch):
    """A record of an artifact whose step was told by a file."""
    monkeypatch.chdir(tmp_path)
    SPEC.parent.mkdir(parents=True)
    SPEC.write_text(TOLD)
    path = record_file("results/a.nc")
    path.parent.mkdir(parents=True)
    said = {"rule": "measure", "shellcmd": "", "params": [repr(SPEC.as_posix())], "input": [], "log": []}
    path.write_text(json.dumps({"record_format_version": 6, **said}))


def test_what_a_step_was_told_outlives_the_cache(recorded):
    keep_specs(["measure", "--config", SPEC.as_posix(), "--code", "0123456789abcdef"])
    SPEC.unlink()
    assert read_record("results/a.nc").params == json.loads(TOLD)
    assert len(record_names(record_file("results/a.nc").parent)) == 1, "a spec is no record"


def test_of_an_older_run_the_file_of_the_workflow_tells(recorded):
    assert read_record("results/a.nc").params == json.loads(TOLD)
    SPEC.unlink()
    assert read_record("results/a.nc").params == {"values": f"{SPEC} (gone)"}
