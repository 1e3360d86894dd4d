"""`explainers:`: what may stand there, what it is counted to take, and what is looked at before a run."""

import argparse
from pathlib import Path

import pytest

from polysem.io.errors import InputError
from polysem.params.study import load_study
from polysem.workflow.checks import preflight
from polysem.workflow.commands.plan import command, questions

QUICK = (Path(__file__).parents[2] / "presets/quick.yaml").read_text()
SERVER = "{source: openai, address: 'http://localhost:1/v1', model: m, features: 4, scores: [simulation, detection]}"


def study(tmp_path: Path, entries: str):
    path = tmp_path / "params.yaml"
    path.write_text(QUICK + f"\nexplainers:\n  {entries}\n")
    return load_study(path)


def test_without_explainers_there_are_none(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(QUICK)
    assert load_study(path).explainers == {} and questions(load_study(path)) == []


def test_an_entry_is_read_and_its_calls_are_counted(tmp_path, capsys):
    found = study(tmp_path, f"judge: {SERVER}")
    judge = found.explainers["judge"]
    assert judge.calls() == 1 + 10 + 2 and judge.explains("stories-1l")
    assert found.values()["explainers"]["judge"]["model"] == "m"
    assert questions(found) == [  # neurons and two SAEs
        "explainers.judge: up to 156 calls by its features and scores, and of each of 1 models no more than 1,000 "
        "calls (most_calls) and 1,000,000 tokens (most_tokens)."
    ]
    options = argparse.Namespace(configfile=tmp_path / "params.yaml", cpu_gflops=30.0, gpu_tflops=15.0)
    assert command(options) == 0 and "up to 156 calls" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ("judge: {source: openia}", r"explainers\.judge\.source is 'openia' \(did you mean 'openai'\?\)"),
        ("judge: {source: openai, address: 'http://u:p@a/v1', model: m}", r"explainers\.judge\.address.*is no address"),
        ("judge: {source: openai, model: m}", r"explainers\.judge\.address: this key is missing"),
        (
            "judge: {source: openai, address: 'http://a/v1', model: m, key: sk-12345}",
            r"explainers\.judge\.key: it is to be the name of an environment variable in capitals.*; never a key$",
        ),
        (f"token: {SERVER}", r"explainers\.token: an explainer without a model is called so"),
        (
            "judge: {source: transformers, path: a, models: [digits]}",
            "models names 'digits'.*language models are stories-1l",
        ),
        ("judge: {source: transformers, path: a, scores: [intruder]}", r"explainers\.judge\.scores\.0"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_refused_in_a_sentence(tmp_path, entries, words):
    with pytest.raises(InputError, match=words):
        study(tmp_path, entries)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ([], "there is nothing at"),
        (["config.json"], "lacks tokenizer.json; name the folder"),
        (["config.json", "tokenizer.json"], r"lacks \*\.safetensors"),
    ],
)
def test_a_folder_that_is_no_model_is_refused_before_the_run(tmp_path, files, words):
    folder = tmp_path / "model"
    folder.mkdir()
    for name in files:
        (folder / name).write_text("{}")
    with pytest.raises(InputError, match=rf"explainers\.judge\.path: .*{words}"):
        preflight.check_explainer("explainers.judge.path", str(folder))
    (folder / "config.json").write_text("{}")
    (folder / "tokenizer.json").write_text("{}")
    (folder / "model.safetensors").write_text("")
    preflight.check_explainer("explainers.judge.path", str(folder))
