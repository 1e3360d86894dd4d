"""Nothing stale is shown as fresh: sequences that could end with an old result, on the quick preset.

They are those of `benchmarks/robustness.py`, which runs them, and kills, on a study of its own.
"""

import subprocess
import sys

import pytest
from campaigns import kills, stale
from repository import ROOT, environment

pytestmark = pytest.mark.workflow


@pytest.mark.parametrize("sequence", stale.SEQUENCES.values(), ids=stale.SEQUENCES.keys())
def test_an_old_result_is_not_taken_as_fresh(repository, sequence):
    sequence(repository)


def test_touching_is_refused_with_the_remedy(repository):
    repository.edit("params.yaml", *stale.THRESHOLD)
    said = repository.snakemake("--touch", fails=True)
    assert "--touch would write records that nobody can trust" in said and "`polysem adopt`" in said
    assert "collect_metrics" in stale.pending(repository)


def test_a_cache_that_cannot_be_written_is_a_sentence(blank):
    (blank / ".cache").write_text("a file")
    said = blank.snakemake("--dry-run", fails=True)
    assert "error: .cache cannot be written (File exists)" in said or "error: .cache cannot be written (Not a" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("option", ["--drop-metadata", "--ignore-incomplete", "--ii"])
def test_an_option_that_leaves_no_trustworthy_records_is_refused(blank, option):
    said = blank.snakemake("--dry-run", option, fails=True)
    assert "error: --" in said and "Leave it out" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("way", ["option", "variable"])
def test_a_profile_that_touches_is_refused(blank, tmp_path, way):
    (tmp_path / "touching").mkdir()
    (tmp_path / "touching/profile.yaml").write_text("touch: true\n")
    folder = str(tmp_path / "touching")
    if way == "option":
        said = blank.snakemake("--profile", folder, "--cores", "1", fails=True)
    else:
        said = blank.snakemake("--cores", "1", fails=True, SNAKEMAKE_PROFILE=folder)
    assert "error: --touch would write records that nobody can trust" in said


def test_the_doctor_names_what_the_next_run_makes_again(repository):
    (repository / "results/metrics.json").write_text("{}")
    said = " ".join(repository.polysem("doctor").split())
    assert "1 artifacts are not what was made" in said


def test_random_kills_leave_no_trace(finished, tmp_path):
    found = list(kills.disturbed(finished, tmp_path / "disturbed", kills.SMOKE, everything=False))
    assert len(found) == kills.SMOKE
    assert {case.problem for case in found} == {""}


def test_the_command_of_all_campaigns_names_an_unknown_one(tmp_path):
    command = [sys.executable, str(ROOT / "benchmarks/robustness.py"), "stales"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(tmp_path))
    assert done.returncode == 2
    assert "invalid choice: 'stales'" in done.stderr
