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


@pytest.mark.parametrize(
    "option",
    [
        ["--drop-metadata"],
        ["--cleanup-metadata", "results/metrics.json"],
        ["--ignore-incomplete"],
        ["--ii"],
        ["--rerun-triggers", "mtime"],
        ["--rerun-triggers", "input", "code"],
        ["--allowed-rules", "write_report"],
    ],
    ids=" ".join,
)
def test_an_option_with_which_the_old_passes_for_fresh_is_refused(blank, option):
    said = blank.snakemake("--dry-run", *option, fails=True)
    assert "error: --" in said and "Leave it out" in said
    assert "Traceback" not in said


def test_all_triggers_may_be_named(blank):
    blank.snakemake("--dry-run", "--rerun-triggers", "mtime", "params", "input", "software-env", "code")


@pytest.mark.parametrize("way", ["option", "variable"])
@pytest.mark.parametrize(
    ("key", "said"), [("touch: true", "--touch would write"), ("rerun-triggers: [mtime]", "--rerun-t")]
)
def test_a_profile_that_touches_or_looks_at_dates_alone_is_refused(blank, tmp_path, way, key, said):
    (tmp_path / "touching").mkdir()
    (tmp_path / "touching/profile.yaml").write_text(f"{key}\n")
    folder = str(tmp_path / "touching")
    if way == "option":
        found = blank.snakemake("--profile", folder, "--cores", "1", fails=True)
    else:
        found = blank.snakemake("--cores", "1", fails=True, SNAKEMAKE_PROFILE=folder)
    assert f"error: {said}" in found


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
