"""`polysem new`: what is asked, what is refused, and what is in the folder."""

import io
import os
import shlex
import subprocess
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from repository import environment
from ruamel.yaml import YAML

from polysem.cli import main
from polysem.io.errors import InputError
from polysem.params.study import load_study
from polysem.workflow.checks.shapes import Outline, native_outline
from polysem.workflow.fresh import answers, params_file, pins
from polysem.workflow.fresh.answers import Answers, Corpus, Model
from polysem.workflow.fresh.texts import reading_lines
from polysem.workflow.provenance import installed

SITE = "blocks.0.mlp.hook_post"
GIVEN = ["--model", "trained", "--sites", SITE, "--corpus", "generated"]
TEXT = "Once there was a house with a red door.\n\n" * 6000


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """An empty folder, with git as tests have it."""
    for name, value in environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.stdin", io.StringIO())
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


def refused(capsys, *arguments: str) -> str:
    """The one line with which `polysem new` ends; nothing is left of the folder."""
    before = set(Path().rglob("*"))
    assert main(["new", *arguments]) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: ") and said.count("\n") == 1
    assert set(Path().rglob("*")) == before
    return said


def asked(monkeypatch, *lines: str) -> list[str]:
    """Answers of somebody on a terminal; the questions, once they were asked."""
    questions, left = [], list(lines)

    def answer(question: str) -> str:
        questions.append(question)
        if not left:
            raise EOFError
        return left.pop(0)

    monkeypatch.setattr("builtins.input", answer)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    return questions


def git(folder: str, *arguments: str) -> str:
    return subprocess.run(["git", "-C", folder, *arguments], check=True, capture_output=True, text=True).stdout


def test_a_study_is_committed_whole_and_is_that_of_the_options(capsys):
    assert main(["new", "mine", *GIVEN]) == 0
    assert "cd mine && make run    # " in capsys.readouterr().out
    assert git("mine", "status", "--porcelain") == ""
    assert git("mine", "log", "--format=%s") == "Begin the study mine\n"
    kept = set(git("mine", "ls-files").split())
    assert {"Snakefile", "Makefile", "params.yaml", "dvc.yaml", "polysem.lock", ".dvc/config", "README.md"} <= kept
    assert {"profiles/default/profile.yaml", "labels/README.md", "requirements.lock"} <= kept
    assert not any(name.startswith((".cache", "local.mk")) for name in kept)
    study = load_study(Path("mine/params.yaml"))
    assert list(study.dictionaries()) == [("stories-1l", SITE, name) for name in ("neurons", "topk", "l1")]
    stage = YAML(typ="safe").load(Path("mine/dvc.yaml"))["stages"]["workflow"]
    assert stage["deps"] == ["Snakefile", "labels", "polysem.lock"]
    assert "results/saes" in {name for out in stage["outs"] for name in out}
    assert len(Path("mine/README.md").read_text().splitlines()) <= 15
    assert [path.name for path in Path().iterdir()] == ["mine"]


def test_what_no_option_says_is_asked_and_enter_takes_what_is_usual(monkeypatch, capsys):
    Path("short.txt").write_text("text")
    questions = asked(monkeypatch, "trainde", "", "blocks.1.hook_mlp_out", "blocks.0.hook_mlp_out", "short.txt", "")
    assert main(["new", "mine"]) == 0
    usual = ["trained", "trained", SITE, SITE, "generated", "generated"]
    assert [question.rpartition("[")[2] for question in questions] == [f"{answer}]: " for answer in usual]
    said = capsys.readouterr().err
    assert "short.txt has 4 bytes" in said, "the answers before it are not lost"
    assert "'trainde' is not there" in said and "the model has no site 'blocks.1.hook_mlp_out'" in said
    assert load_study(Path("mine/params.yaml")).models["stories-1l"].sites == ["blocks.0.hook_mlp_out"]


def test_a_question_without_an_answer_makes_nothing(monkeypatch, capsys):
    asked(monkeypatch, "trained")
    assert "no answer to the question for --sites; nothing was made" in refused(capsys, "mine")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["mine", "--model", "trained"], "--sites, --corpus are missing, and there is no terminal to ask on"),
        (["mine", *GIVEN[:4]], "--corpus is missing, and there is no terminal"),
        (
            ["mine", "--model", "models/absent/x", *GIVEN[2:]],
            "--model: 'models/absent/x' is not there; allowed: trained",
        ),
        (["mine", "--model", "gpt2", *GIVEN[2:]], "or owner/name on the Hugging Face hub"),
        (["mine", "--model", "absent.gguf", *GIVEN[2:]], "--model: there is no file absent.gguf"),
        (["mine", "--model", "text.txt", *GIVEN[2:]], "text.txt is a file and no .gguf file"),
        (["mine", *GIVEN[:2], "--sites", "mlp", *GIVEN[4:]], "--sites: unknown hook 'mlp'"),
        (["mine", *GIVEN[:2], "--sites", SITE, SITE, *GIVEN[4:]], "--sites: sites must name at least one"),
        (["mine", *GIVEN[:4], "--corpus", "texts/*.txt"], "--corpus: 'texts/*.txt' is not there; allowed: generated"),
        (["mine", *GIVEN[:4], "--corpus", "."], "--corpus: . is a folder; write a pattern of its files"),
        (["mine", *GIVEN[:4], "--corpus", "text.txt"], "has 4 bytes, and a model is trained on at least 200,000"),
        (["mine", "--preset", "quikc"], "there is no preset 'quikc' (did you mean 'quick'?)"),
        (["mine", "--preset", "quick", "--model", "trained"], "so --model says nothing beside it"),
        (["full", *GIVEN], "full is not empty (text.txt, …)"),
        (["text.txt", *GIVEN], "text.txt is a file; name a folder"),
        (["absent/mine", *GIVEN], "absent is no folder; make it first"),
    ],
)
def test_what_cannot_be_is_one_error_and_makes_nothing(capsys, arguments, said):
    Path("full").mkdir()
    for place in ("text.txt", "full/text.txt"):
        Path(place).write_text("text")
    assert said in refused(capsys, *arguments)


def test_where_git_refuses_nothing_is_left(monkeypatch, capsys):
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "commit.gpgsign")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "maybe")
    assert "`git commit` refuses: " in refused(capsys, "mine", *GIVEN)
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "user.useConfigOnly")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "true")
    for name in ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL", "EMAIL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    questions = asked(monkeypatch)
    assert "git, which does not know who you are" in refused(capsys, "mine") and not questions
    monkeypatch.setenv("PATH", "")
    assert "git is not installed" in refused(capsys, "mine", *GIVEN)


def test_the_working_directory_may_become_the_study_where_it_is_empty(tmp_path, capsys):
    assert main(["new", ".", "--preset", "quick"]) == 0
    first, *rest = Path("params.yaml").read_text().splitlines()
    assert first.endswith("$schema=params.schema.json") and "The default study in miniature" in rest[0]
    assert git(".", "status", "--porcelain") == "" and git(".", "log", "--format=%s") == "Begin the study here\n"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".here")] == []


def test_text_of_ones_own_is_read_from_where_it_is_with_the_separator_that_it_has(capsys):
    Path("my house.txt").write_text(TEXT)
    assert main(["new", "mine", *GIVEN[:4], "--corpus", "my house.txt"]) == 1
    assert "distinct document" in capsys.readouterr().err, "the checks of a run look at it: all documents are the same"
    Path("my house.txt").write_text("\n\n".join(f"{number} {TEXT[:40]}" for number in range(6000)))
    assert main(["new", "mine", *GIVEN[:4], "--corpus", "my house.txt"]) == 0
    study = load_study(Path("mine/params.yaml"))
    corpus = study.corpora["my-house"]
    assert (corpus.paths, corpus.separator) == (str(Path("my house.txt").absolute()), "\n\n")
    assert list(study.models) == ["my-house-1l"]


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("windows.txt", b"a\r\nb\r\n\r\nc", r'separator: "\r\n\r\n"'),
        ("a.JSONL", b'{"id": 1, "title": "t", "body": "longer"}\n', 'field: "body"'),
        ("a.ndjson", b'{"body": "longer", "text": "t"}\n', 'field: "text"'),
        ("a.json", b'[{"body": null}, {"body": "b"}]', 'field: "body"'),
        ("cut.jsonl", b'{"body": ', 'field: "text"'),
        ("a.parquet", None, 'field: "body"'),
    ],
)
def test_what_separates_documents_or_holds_them_is_seen_in_the_text(name, content, line):
    if content is None:
        pq.write_table(pa.table({"id": [1], "body": ["b"]}), name)
    else:
        Path(name).write_bytes(content)
    assert reading_lines(name)[0].startswith(f"    {line} #")


def test_what_to_type_next_can_be_typed(capsys):
    assert main(["new", "it's mine", *GIVEN]) == 0
    (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("cd "))
    assert shlex.split(line, comments=True) == ["cd", "it's mine", "&&", "make", "run"]


def test_models_of_others_are_named_as_they_were_given(tmp_path):
    assert answers.parsed_model("openai-community/gpt2", tmp_path) == Model(repository="openai-community/gpt2")
    (tmp_path / "a model_2").mkdir()
    local = answers.parsed_model("a model_2", tmp_path)
    assert (local.path, local.name) == (str(tmp_path / "a model_2"), "a-model-2")
    text = params_file.params_text(Answers(local, [SITE], Corpus(dataset="roneneldan/TinyStories"), positions=64))
    (tmp_path / "params.yaml").write_text(text)
    study = load_study(tmp_path / "params.yaml")
    model = study.models["a-model-2"]
    assert (model.repository, model.local_copy, model.context_length) == ("local/a-model-2", local.path, 64)
    assert study.corpora["TinyStories"].dataset == "roneneldan/TinyStories"


def test_a_path_below_the_home_folder_is_the_same_for_everybody(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert answers.placed("texts/../a.txt", tmp_path / "here") == "~/here/a.txt"
    assert answers.placed("~/a.txt", tmp_path) == "~/a.txt"
    assert answers.placed("/elsewhere/a.txt", tmp_path) == "/elsewhere/a.txt"


def test_sites_are_those_of_the_model_where_they_are_known():
    twelve = native_outline(12, 8, 32, 8)
    assert answers.usual_site(twelve) == "blocks.6.mlp.hook_post"
    assert answers.usual_site(Outline({"blocks.0.hook_resid_post": 8})) == "blocks.0.hook_resid_post"
    local = Model(path="/a")
    assert answers.parsed_sites(f"{SITE}, blocks.11.hook_mlp_out", local, twelve) == [SITE, "blocks.11.hook_mlp_out"]
    assert answers.parsed_sites("blocks.40.hook_mlp_out", Model(repository="a/b"), None) == ["blocks.40.hook_mlp_out"]
    with pytest.raises(InputError, match=r"the model has no site 'blocks[.]12[.]hook_mlp_out'"):
        answers.parsed_sites("blocks.12.hook_mlp_out", local, twelve)


def test_the_versions_are_those_of_what_is_needed_and_of_nothing_else(monkeypatch):
    lock = "# made\nnumpy==2.4.0\npytest==9.2.0\nfsspec==1 ; sys_platform == 'win32'\nPyYAML==6\n"
    needs = {
        "polysem": ["numpy>=2", "pytest; extra == 'dev'", "dvc[http]"],
        "dvc": ["fsspec", "pyyaml; extra == 'http'"],
    }

    def requires(name: str) -> list[str]:
        if name not in needs:
            raise PackageNotFoundError
        return needs[name]

    monkeypatch.setattr(pins, "requires", requires)
    assert pins.pinned(lock) == "numpy==2.4.0\nfsspec==1 ; sys_platform == 'win32'\nPyYAML==6\n"
    del needs["polysem"]
    assert pins.pinned(lock) == lock


def test_a_lock_that_was_cut_or_emptied_says_how_to_get_it_back(capsys):
    for text, said in (("", "is empty"), ("version: 3", "expected the keys version and digest"), (None, "is missing")):
        if text is None:
            Path(installed.FILE).unlink()
        else:
            Path(installed.FILE).write_text(text)
        with pytest.raises(InputError, match=f"{said}.*get it back with `git checkout polysem.lock`"):
            installed.check(lambda: True)
    assert main(["lock"]) == 1
    assert "there is no Snakefile here" in capsys.readouterr().err
