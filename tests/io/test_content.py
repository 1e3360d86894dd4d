"""Digests that are remembered, and what becomes of the memory."""

import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import polysem
from polysem.io import content
from polysem.io.caches import read_cache, require_folder, write_cache
from polysem.io.content import Digests, file_digest, file_digests, folder_dates, folder_digest
from polysem.io.errors import InputError

SETTLED = content.SETTLED / 1e9 * 2


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def remembered(path):
    digests = Digests()
    digest = digests.of(path)
    digests.keep()
    return digest


def test_what_was_hashed_before_is_looked_up(monkeypatch):
    file, folder = Path("a"), Path("folder")
    file.write_text("text")
    folder.mkdir()
    (folder / "b").write_text("other")
    time.sleep(SETTLED)
    before = remembered(file), remembered(folder)
    assert before == (file_digest(file), folder_digest(folder))
    monkeypatch.setattr(content, "file_digest", None)
    monkeypatch.setattr(content, "folder_digest", None)
    assert (remembered(file), remembered(folder)) == before


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_change_that_leaves_size_and_date_is_noticed(kind):
    path = Path("a") if kind == "file" else Path("folder/b")
    path.parent.mkdir(exist_ok=True)
    path.write_text("text")
    os.utime(path, (0, 0))
    time.sleep(SETTLED)
    whole = path if kind == "file" else path.parent
    before = remembered(whole)
    path.write_text("texT")
    os.utime(path, (0, 0))
    assert remembered(whole) != before


def test_what_changed_a_moment_ago_is_not_remembered():
    Path("a").write_text("text")
    remembered(Path("a"))
    assert read_cache(content.MEMORY) is None


@pytest.mark.parametrize("damage", ["torn", "empty", "other", "number", "folder"])
def test_a_damaged_memory_is_rebuilt(damage):
    Path("a").write_text("text")
    time.sleep(SETTLED)
    before = remembered(Path("a"))
    text = content.MEMORY.read_text()
    if damage == "folder":
        content.MEMORY.unlink()
        content.MEMORY.mkdir()
        with pytest.raises(InputError, match="cannot be written"):
            remembered(Path("a"))
        return
    wrong = json.dumps(json.loads(text) | {"content": {str(Path("a").absolute()): ["", "wrong"]}})
    content.MEMORY.write_text({"torn": text[:-9], "empty": "", "other": wrong, "number": "3"}[damage])
    assert remembered(Path("a")) == before
    assert read_cache(content.MEMORY)


def test_dates_of_a_folder_are_those_of_its_files():
    folder = Path("folder")
    (folder / "deep").mkdir(parents=True)
    (folder / "deep/a").write_text("text")
    before = folder_dates(folder)
    (folder / ".snakemake_timestamp").touch()
    os.utime(folder)
    assert folder_dates(folder) == before
    os.utime(folder / "deep/a", (0, 0))
    assert folder_dates(folder) != before


def test_a_cache_that_cannot_be_written_is_a_sentence():
    Path(".cache").write_text("a file")
    with pytest.raises(InputError, match=r"\.cache cannot be written .* make that folder writable"):
        require_folder()
    with pytest.raises(InputError, match=r"\.cache/x\.json cannot be written"):
        write_cache(Path(".cache/x.json"), {})


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user, for whom the folder is read-only")
def test_a_read_only_cache_is_a_sentence(tmp_path):
    Path(".cache").mkdir()
    tmp_path.chmod(0o755)
    script = "from polysem.io.caches import require_folder; require_folder()"
    environment = {**os.environ, "PYTHONPATH": str(Path(polysem.__file__).parents[1]), "PYTHONDONTWRITEBYTECODE": "1"}
    command = f"import os; os.chdir({str(tmp_path)!r}); os.setuid(65534); {script}"
    done = subprocess.run([sys.executable, "-c", f"import polysem.io.caches; {command}"], env=environment,
                          capture_output=True, text=True)  # fmt: skip
    assert "InputError: .cache cannot be written (Permission denied)" in done.stderr


def test_files_that_change_places_have_another_digest(tmp_path):
    """A model folder whose old weights move up while the new ones move down."""
    for place, text in {"config": "c", "weights": "new", "last/weights": "old"}.items():
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).write_text(text)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    before = content.content_digest(files)
    (tmp_path / "old").mkdir()
    (tmp_path / "weights").rename(tmp_path / "old/weights")
    (tmp_path / "last/weights").rename(tmp_path / "weights")
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert content.content_digest(files) != before


def test_a_folder_that_moves_as_a_whole_keeps_its_digest(tmp_path):
    (tmp_path / "here/below").mkdir(parents=True)
    for place in ("a", "below/b"):
        (tmp_path / "here" / place).write_text(place)

    def found(folder):
        return content.content_digest(path for path in (tmp_path / folder).rglob("*") if path.is_file())

    before = found("here")
    (tmp_path / "here").rename(tmp_path / "there")
    assert found("there") == before


def test_the_digest_of_a_folder_is_the_root_of_those_of_its_files_whoever_reads_them(monkeypatch):
    for name in ("b/c", "a", "b/.hidden"):
        Path("f", name).parent.mkdir(parents=True, exist_ok=True)
        Path("f", name).write_text(name)
    leaves = {"a": file_digest(Path("f/a")), "b/c": file_digest(Path("f/b/c"))}
    root = hashlib.sha256("".join(f"{name}\0{digest}\0" for name, digest in leaves.items()).encode()).hexdigest()
    assert file_digests(Path("f")) == leaves and folder_digest(Path("f")) == root
    readers = set()
    really = content.file_digest

    def noted(path):
        readers.add(threading.current_thread().name)
        return really(path)

    monkeypatch.setattr(content, "file_digest", noted)
    monkeypatch.setattr(content, "MUCH", 0)
    assert folder_digest(Path("f")) == root
    assert readers and threading.main_thread().name not in readers
    readers.clear()
    assert file_digests(Path("f"), leaves | {"gone": "0"}) == leaves and not readers, "what is known is not read"
