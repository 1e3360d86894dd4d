"""What a dry run and `polysem status` say: which jobs would run, why, and about how long they take."""

import json
import logging

import pytest
from repository import Repository
from snakemake_interface_logger_plugins.common import LogEvent

from polysem.params.study import load_study
from polysem.workflow import expected
from polysem.workflow.planned import (
    CHANGED,
    UNFINISHED,
    PlannedJob,
    PlannedJobs,
    changed,
    plan_in_words,
    why,
    without_advice,
)
from polysem.workflow.progress import duration
from polysem.workflow.provenance.records import STATE, mark_again, record_name

PARAMS = """
corpora:
  c: {source: generated}
models:
  toy: {source: trained, corpus: c, sites: [blocks.0.mlp.hook_post]}
saes: {}
"""
ANOTHER = "Input files updated by another job: results/saes/a/cfg.json"


@pytest.fixture(autouse=True)
def forget():
    expected._took.cache_clear()


def params(before: str, now: str) -> str:
    return (
        "Params have changed since last execution: Union of exclusive params before and now across all output: "
        f"before: {before} now: {now} "
    )


def job(rule: str, place: str = "toy", reason: str = "", outputs: tuple[str, ...] = ()) -> PlannedJob:
    return PlannedJob(f"{rule} {place}", f"logs/{rule}/{place}.log", reason, outputs)


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A study in an empty folder, in which jobs may have left what they took."""
    (tmp_path / "params.yaml").write_text(PARAMS)
    monkeypatch.chdir(tmp_path)
    return load_study(tmp_path / "params.yaml")


def took(tmp_path, log: str, seconds: float):
    path = (tmp_path / log).with_suffix(".tsv")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"s\tcpu_time\tmax_rss\tcard\n{seconds}\t1.0\t100.0\t-\n")


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("Missing output files: a, b; Input files updated by another job: c", "not made yet"),
        (ANOTHER, ""),
        ("Updated input files: params.yaml", "what it reads has changed"),
        ("Code has changed since last execution", "its command is another one"),
        ("Set of input files has changed since last execution", "it reads other files"),
        ("something new in Snakemake", "something new in Snakemake"),
        (
            params("'0123456789abcdef:polysem.a,polysem.b'", "'fedcba9876543210:polysem.a,polysem.b'"),
            "the code of its step, or a file from outside",
        ),
        (f"{params(repr(json.dumps({'k': 8})), repr(json.dumps({'k': 9})))}; {ANOTHER}", "k 8 → 9"),
    ],
)  # fmt: skip
def test_reasons_are_told_in_words(reason, words):
    assert why(reason) == words


def test_of_params_only_what_differs_is_told_with_both_values():
    before = {"architecture": "topk", "params": {"k": 8, "tokens": 8192, "l1": None, "a": 1, "b": 2}}
    now = {"architecture": "topk", "params": {"k": 9, "tokens": 8192, "seed": 0, "a": 2, "b": 3}}
    said = changed(params(repr(json.dumps(before)), repr(json.dumps(now))))
    assert said == "k 8 → 9, l1 null → nothing, a 1 → 2, 2 more"
    places = [{"places": [{"model": model} for model in models]} for models in ("abc", "bcdefg")]
    said = changed(params(*(repr(json.dumps(one)) for one in places)))
    assert said == 'places +{"model": "d"} +{"model": "e"} +{"model": "f"} …'
    assert changed("Params have changed since last execution: ???") == "its params are others"
    tables = [{"tables": {"twins": {"code": digest, "params": {"n": 3}}}} for digest in ("0" * 16, "1" * 16)]
    said = changed(params(*(repr(json.dumps(one)) for one in tables)))
    assert said == "the code of its step, or a file from outside"


def test_a_spec_in_a_file_is_read(study, tmp_path):
    for name, threshold in (("one", 0.1), ("two", 0.25)):
        (tmp_path / ".cache/specs").mkdir(parents=True, exist_ok=True)
        (tmp_path / f".cache/specs/{name}.json").write_text(json.dumps({"analysis": {"threshold": threshold}}))
    assert changed(params("'.cache/specs/one.json'", "'.cache/specs/two.json'")) == "threshold 0.1 → 0.25"


def test_what_is_missing_is_counted_by_rule_and_what_is_stale_told_with_its_reason(study, tmp_path):
    planned = [
        job("train_sae", "toy/a", "k 8 → 9"),
        job("train_sae", "toy/b", "k 8 → 9"),
        job("make_corpus", "c", "not made yet"),
        job("write_report"),
    ]
    for one in planned:
        took(tmp_path, one.log, 30)
    assert plan_in_words(planned, 20, 2, study) == [
        "4 of 20 jobs would run, 1 for what is missing and 3 for what is stale.",
        "About 1 min 0 s on 2 cores, by what they took when they ran last.",
        "  not made yet: make_corpus 1",
        "  train_sae toy/a and 1 more: k 8 → 9",
        "  1 job reads what these make.",
    ]
    assert plan_in_words([], 20, 2, study) == ["All 20 jobs are done and up to date."]


def test_time_is_that_of_the_last_run_or_the_estimate_of_the_plan_and_never_less_than_the_longest_job(study, tmp_path):
    known, unknown = job("train_sae", "toy/a", "k 8 → 9"), job("make_corpus", "c", "not made yet", ("elsewhere",))
    took(tmp_path, known.log, 100)
    about = plan_in_words([known, unknown], 9, 4, study)[1]
    assert (
        about == "About 1 min 40 s on 4 cores, by what they took when they ran last; of 1 that never ran by estimate."
    )
    expected._took.cache_clear()
    (tmp_path / known.log).with_suffix(".tsv").write_text("torn")
    assert plan_in_words([known, unknown], 9, 1, study)[1] == "About 8 s on 1 core, by estimate, as none ran here."
    trained = job("train_model", "toy", "not made yet", ("results/models/toy/model.json",))
    assert plan_in_words([trained], 9, 1, study)[1] != plan_in_words([unknown], 9, 1, study)[1]


def test_jobs_are_gathered_from_the_log_and_snakemakes_advice_to_look_at_dates_is_not_told():
    gathered = PlannedJobs()
    record = logging.makeLogRecord(
        {
            "event": LogEvent.JOB_INFO, "log": ["logs/train_sae/toy/a.log"], "reason": ANOTHER,
            "output": ["results/saes/a/cfg.json", "results/tables/toy/a (update)"],
        }
    )  # fmt: skip
    gathered.emit(record)
    gathered.emit(logging.makeLogRecord({"event": LogEvent.JOB_INFO, "log": [], "reason": ANOTHER, "output": []}))
    gathered.emit(logging.makeLogRecord({"msg": "something else"}))
    (one,) = gathered.jobs
    assert (one.name, one.why, one.outputs) == (
        "train_sae toy/a", "", ("results/saes/a/cfg.json", "results/tables/toy/a")
    )  # fmt: skip
    assert not without_advice(logging.makeLogRecord({"msg": "Some jobs were triggered by provenance information, see"}))
    assert without_advice(record)


def test_of_forced_jobs_it_is_told_whether_files_or_a_killed_run_or_somebody_asks_for_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mark_again("results/tables/toy/a")
    mark_again("results/tables/toy/killed")
    (STATE / "incomplete" / record_name("results/tables/toy/killed")).write_text('{"external_jobid": null}')
    gathered = PlannedJobs()
    for name in ("a", "killed", "b"):
        said = {"event": LogEvent.JOB_INFO, "log": [f"logs/measure/{name}.log"], "reason": "Forced execution"}
        gathered.emit(logging.makeLogRecord(said | {"output": ["results/x", f"results/tables/toy/{name} (update)"]}))
    assert [job.why for job in gathered.jobs] == [CHANGED, UNFINISHED, "asked for"]


@pytest.mark.parametrize(("seconds", "words"), [(41.4, "41 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")])
def test_durations_are_in_words(seconds, words):
    assert duration(seconds) == words


@pytest.mark.workflow
def test_status_tells_what_a_run_would_do_and_that_there_is_nothing_to_do(finished, tmp_path):
    assert finished.polysem("status").splitlines()[-1].endswith("jobs are done and up to date.")
    study: Repository = finished.copy(tmp_path / "repository")
    study.edit("params.yaml", "k: 8", "k: 9")
    (study / "results/plots").rename(tmp_path / "plots")
    said = study.polysem("status", "--cores", "1")
    assert "for what is missing and" in said and "not made yet: collect_plots 1" in said
    assert "k 8 → 9" in said
    assert "on 1 core, by what they took when they ran last." in said
    dry = study.snakemake("--dry-run", "--cores", "1")
    assert said in dry
    assert "--rerun-triggers mtime" not in dry and "--cleanup-metadata" not in dry
    assert "error: --configfile nowhere.yaml is missing" in study.polysem(
        "status", "--configfile", "nowhere.yaml", fails=True
    )
    assert "--cores is 0, expected at least 1" in study.polysem("status", "--cores", "0", fails=True)
