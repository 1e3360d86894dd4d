"""Mistakes that are found before any job starts: one clear sentence each, no traceback, nothing touched."""

import fcntl
import os
import sys

import pytest
from campaigns import bad_input

pytestmark = pytest.mark.workflow

STORIES = "source: generated\n    train_documents: 1500\n    eval_documents: 300"
TEXT = "source: files\n    paths: text/{}.txt"
IMPORTED = """
  local:
    source: transformers
    repository: someone/model
    local_copy: folder
    corpus: stories
    sites: [blocks.0.mlp.hook_post]

saes:"""


FIRST_LAYER, EIGHTH_LAYER = "blocks.0.mlp.hook_post", "blocks.7.mlp.hook_post"
MISTAKES = {
    "unknown key": ("k: 8", "k: 8\n    expandion: 4", ["saes.topk-x4.expandion", "did you mean 'expansion'"]),
    "unknown architecture": (
        "architecture: topk",
        "architecture: topc",
        ["architecture is 'topc'", "did you mean 'topk'"],
    ),
    "text for a number": ("k: 8", "k: many", ["saes.topk-x4.k", "'many'"]),
    "list for entries": ("saes:", "saes:\n  - l1", ["params.yaml"]),
    "site that the model lacks": (
        FIRST_LAYER,
        EIGHTH_LAYER,
        ["models.stories-1l", "no site", EIGHTH_LAYER, FIRST_LAYER],
    ),
    "name with a slash": ("  stories-1l:", "  stories/1l:", ["'stories/1l'", "letters"]),
    "name that climbs": ("  l1-x4:", "  ../l1:", ["'../l1'", "letters"]),
    "unknown corpus": ("corpus: digits", "corpus: digit", ["models.digits.corpus", "did you mean 'digits'"]),
    "equal points": ("k: 8", "k: [8, 8]", ["saes.topk-x4", "same point of the grid"]),
    "equal points, spelled apart": ("l1: 0.5", "l1: [3e-4, 0.0003]", ["saes.l1-x4", "same point of the grid"]),
    "too few tokens": ("batch_size: 256\n\n", "batch_size: 9000\n\n", ["batch_size = 9000", "8192"]),
    "no disk space": ("train_tokens: 8192", "train_tokens: 900000000000", ["GB", "free"]),
    "missing file": (STORIES, TEXT.format("none"), ["corpora.stories.paths", "text/none.txt"]),
    "empty file": (STORIES, TEXT.format("empty"), ["corpora.stories.paths", "text/empty.txt is empty"]),
    "no UTF-8": (STORIES, TEXT.format("latin"), ["corpora.stories.paths", "text/latin.txt", "UTF-8"]),
    "no document": (STORIES, TEXT.format("blank"), ["corpora.stories.paths", "text/blank.txt", "no document"]),
    "weights of another name": ("\nsaes:", IMPORTED, ["models.local.local_copy", "no weights", "model.safetensors"]),
}
"""What is replaced, by what, and the words of the message."""


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_the_params_file_is_explained(blank, mistake):
    old, new, words = MISTAKES[mistake]
    (blank / "text").mkdir()
    (blank / "text/empty.txt").touch()
    (blank / "text/latin.txt").write_bytes("caf\u00e9".encode("latin-1"))
    (blank / "text/blank.txt").write_text(" \n\n")
    (blank / "folder").mkdir()
    (blank / "folder/consolidated.pth").write_bytes(b"pickle")
    (blank / "folder/config.json").write_text('{"num_hidden_layers": 1}')
    text = (blank / "params.yaml").read_text()
    assert old in text
    (blank / "params.yaml").write_text(text.replace(old, new, 1))
    refuse(blank, words)


@pytest.mark.parametrize("name", bad_input.CALLS)
def test_a_call_that_gives_params_in_another_way_is_refused(blank, name):
    bad_input.prepare_calls(blank)
    bad_input.call_is_refused(blank, *bad_input.CALLS[name])


def test_a_target_before_the_params_file_is_made(blank):
    called = ("results/corpora/digits/documents.parquet", "--configfile", "presets/quick.yaml")
    assert "make corpus" in blank.snakemake("--dry-run", *called).replace("_", " ")


def test_a_second_run_names_the_process_of_the_first(blank):
    assert "Nothing" not in blank.snakemake("results/corpora/digits/documents.parquet")
    lock = blank / ".snakemake/polysem.lock"
    with lock.open("a+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        held.truncate(0)
        held.write(f"{os.getpid()}\n")
        held.flush()
        (blank / "results/corpora/digits/documents.parquet").unlink()
        said = blank.snakemake("results/corpora/digits/documents.parquet", fails=True)
        assert f"error: another run is active in this folder, process {os.getpid()}; wait until it ends" in said
        assert "Traceback" not in said
        assert not (blank / "results/corpora/digits/documents.parquet").exists()
        assert "make_corpus" in blank.snakemake("--summary")
        assert "dry-run" in blank.snakemake("--dry-run")
    blank.snakemake("results/corpora/digits/documents.parquet")
    assert lock.read_text().strip() != str(os.getpid())


def test_a_dry_run_stands_in_nobodys_way(blank):
    blank.snakemake("--dry-run")
    assert not (blank / ".snakemake/polysem.lock").exists()


def refuse(blank, words, *arguments):
    message = blank.snakemake("--dry-run", *arguments, fails=True)
    flat = " ".join(message.split())
    assert all(word in flat for word in words), message
    assert "Traceback" not in message
    assert not (blank / "results").exists()


def test_a_mistake_loses_nothing_that_was_made(repository):
    before, records = repository.digests(), repository.digests(".snakemake/metadata")
    repository.edit("params.yaml", "k: 8", "q: 8")
    with repository.executed() as ran:
        assert "saes.topk-x4.q" in repository.snakemake(fails=True)
    assert not ran
    assert repository.digests() == before
    assert repository.digests(".snakemake/metadata") == records


def test_a_preset_is_taken_instead_of_the_params_file(blank):
    (blank / "params.yaml").write_text("nothing: here\n")
    assert "Traceback" not in blank.snakemake("--dry-run", "--configfile", "presets/quick.yaml")


def test_a_home_that_takes_no_cache_stops_no_run(blank, tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home/.cache").write_text("a file")
    done = blank.run(sys.executable, "-m", "snakemake", "-n", HOME=str(tmp_path / "home"), XDG_CACHE_HOME="")
    assert "Traceback" not in done.stdout + done.stderr
