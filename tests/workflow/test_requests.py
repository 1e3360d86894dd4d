"""What jobs ask of a cluster."""

import re
from types import SimpleNamespace

import pytest
from finished_run import QUICK
from repository import ROOT

from polysem.layout.place import DICTIONARY, MODEL, SAE, SITE
from polysem.params.study import Study, load_study
from polysem.workflow.checks import requests
from polysem.workflow.checks.needs import Job, jobs
from polysem.workflow.checks.requests import Requests

QUICK_SAE = {"model": "stories-1l", "site": "blocks.0.mlp.hook_post", "sae": "l1-x4"}


@pytest.fixture
def study(tmp_path) -> Study:
    (tmp_path / "params.yaml").write_text(QUICK)
    return load_study(tmp_path / "params.yaml")


def test_memory_and_time_grow_with_the_attempt_and_disk_does_not(study):
    asked = Requests(study, on_gpu=False).of(SAE.sae.file("cfg.json"), SITE.activations("train").store)
    estimate = next(job for job in jobs(study) if job.name == "stories-1l blocks.0.mlp.hook_post l1-x4")
    assert estimate.memory
    first = requests.LEAST_MB + round(estimate.memory / 1e6 + 0.5)
    assert [asked["mem_mb"](QUICK_SAE, attempt=attempt) for attempt in (1, 2, 3)] == [first, 2 * first, 3 * first]
    assert [asked["runtime"](QUICK_SAE, attempt=attempt) for attempt in (1, 2)] == [20, 40]
    assert asked["disk_mb"](QUICK_SAE) > requests.LEAST_DISK_MB


def test_no_card_is_asked_for_where_there_is_none(study):
    assert "gpu" not in Requests(study, on_gpu=False).of(MODEL.record, card=True)
    assert Requests(study, on_gpu=True).of(MODEL.record, card=True)["gpu"] == 1


def test_a_dry_run_asks_for_nothing(study):
    assert Requests(study, on_gpu=False, dry_run=True).of(MODEL.record) == {}


def test_a_training_of_hours_may_take_several_times_its_estimate(study, monkeypatch):
    hours = Job("saes", "long", ("long",), flops=(3600 * 30e9, 3600 * 15e12), memory=5e9)
    monkeypatch.setattr(requests, "jobs", lambda _: iter([hours]))
    on_cpu = Requests(study, on_gpu=False)
    assert (on_cpu.minutes("long"), on_cpu.memory("long")) == (241, requests.LEAST_MB + 5000)
    assert Requests(study, on_gpu=True).minutes("long") == 241


def test_a_job_that_may_have_to_do_the_work_of_others_asks_for_all_of_it(study, monkeypatch):
    shared = Job("activations", "shared", ("shared",), flops=(1.0, 1.0), at_most=(3600 * 30e9, 3600 * 15e12))
    monkeypatch.setattr(requests, "jobs", lambda _: iter([shared]))
    assert [Requests(study, on_gpu=on_gpu).minutes("shared") for on_gpu in (False, True)] == [241, 241]


def test_what_is_not_known_gets_a_lot(study, monkeypatch):
    unknown = Job("activations", "unknown", ("unknown",), None, None, None, memory=None)
    monkeypatch.setattr(requests, "jobs", lambda _: iter([unknown]))
    found = Requests(study, on_gpu=False)
    assert found.memory("unknown") == requests.LEAST_MB + requests.UNKNOWN_MB
    assert found.minutes("unknown") == requests.UNKNOWN_MINUTES
    assert found.disk("unknown") == requests.LEAST_DISK_MB


def test_the_files_by_which_rules_ask_are_those_of_the_estimates(study):
    known = {output for job in jobs(study) for output in job.outputs}
    here = SimpleNamespace(dictionary="l1-x4", split="eval", **QUICK_SAE)
    asked = [
        MODEL.record, MODEL.tokens("{split}").store, MODEL.table("model"), SITE.activations("{split}").store,
        SITE.table("fidelity"), SITE.figures.path, SAE.sae.file("cfg.json"), DICTIONARY.tables_receipt,
        DICTIONARY.figures.path,
    ]  # fmt: skip
    assert {path.format_map(vars(here)) for path in asked} <= known


def test_every_rule_asks_or_runs_where_snakemake_does():
    local = re.findall(r"^    (\w+),$", (ROOT / "Snakefile").read_text().partition("localrules:")[2], re.MULTILINE)
    rules = {}
    for file in (ROOT / "workflow/rules").glob("*.smk"):
        parts = re.split(r"^ *rule( \w+)?:$", file.read_text(), flags=re.MULTILINE)[1:]
        rules |= {
            (name or text.split("name:")[1].split()[0]).strip(): text
            for name, text in zip(parts[::2], parts[1::2], strict=True)
        }
    assert len(rules) > 25
    for name, text in rules.items():
        assert (name in local) or re.search(r"\*\*requests\.of\(", text), name
        assert ("card=" in text) == bool(re.search(r"{(params\.device|DEVICE)}", text)), name
