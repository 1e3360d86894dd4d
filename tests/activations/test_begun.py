"""Stores that a job did not finish: the next one goes on behind the shards that are whole."""

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from test_activations import SITE, kernels, model, tokens
from test_handed_over import OUT, SITES, Jobs, alone, contents, few_at_once, jobs, passes
from test_left_out import RESIDUAL, loud

from polysem.activations import one_pass
from polysem.activations.handed_over import discard_all_but, place_of
from polysem.io.begun import NOTES
from polysem.io.errors import InputError
from polysem.io.stores import partial_of

__all__ = ["few_at_once", "jobs", "kernels", "loud", "model", "passes", "tokens"]

SHARDED = {"limit": 10**6, "shard_bytes": 1024 * 8 * 4}
"""Shards of a chunk; those of `SITE`, which is wider, too. About 2,700 tokens make two whole shards and a third."""
BATCHES, LATE = 43, 40
"""Batches of four sequences; one behind the second shard."""


@pytest.fixture
def at_batch(monkeypatch) -> Callable[[int, Callable[[], None]], None]:
    """Do something once, when a pass has come to a batch of this number."""

    def arrange(number: int, act: Callable[[], None]) -> None:
        really, seen = one_pass._add, set[int]()

        def add(writing, refused, batch, first, *rest) -> None:
            if len(seen | {first}) == number and first not in seen:
                seen.add(first)
                act()
            seen.add(first)
            really(writing, refused, batch, first, *rest)

        monkeypatch.setattr(one_pass, "_add", add)

    return arrange


def killed(run: Jobs, site: str, at_batch: Any) -> None:
    """Leave what a job leaves that is killed late in its pass: what is on the disk by then."""
    folder = run.list.parents[1]
    at_batch(LATE, lambda: shutil.copytree(folder, folder.with_name("killed")))
    run.run(site)
    shutil.rmtree(folder)
    folder.with_name("killed").rename(folder)


def begun(run: Jobs, site: str) -> Path:
    """Where a killed job of `SITE` leaves what it began."""
    return partial_of(run.stores[site] if site == SITE else place_of(run.stores[site]))


def files(folder: Path) -> dict[str, tuple[int, int]]:
    """Inodes and dates of the files of the first two shards."""
    found = [file for number in (0, 1) for name in (f"c/{number}/0", f"c/{number}") for file in folder.rglob(name)]
    there = [file for file in found if file.is_file()]
    return {str(file.relative_to(folder)): (file.stat().st_ino, file.stat().st_mtime_ns) for file in there}


def assert_as_uninterrupted(run: Jobs, site: str, folder: Path) -> None:
    assert contents(run.stores[site]) == alone(run, site, folder / "alone")


@pytest.mark.parametrize(
    ("next_site", "leave_out"), [(SITE, "massive"), (RESIDUAL, "massive"), (OUT, "first"), (SITE, "none")]
)
def test_the_next_job_goes_on_behind_whole_shards_of_all_sites_and_leaves_the_same_bytes(
    jobs, passes, at_batch, tmp_path, capsys, next_site, leave_out
):
    run = jobs(**SHARDED, leave_out=leave_out)
    killed(run, SITE, at_batch)
    whole = {site: files(begun(run, site)) for site in SITES}
    assert {len(found) for found in whole.values()} == {6, 8}, "two shards of each array"
    capsys.readouterr()
    before = len(passes)
    run.run(next_site)
    assert capsys.readouterr().err.count("the first 2,048 tokens are there in whole shards") == 3
    assert BATCHES + 5 < len(passes) - before < BATCHES + 20, "all batches for the median, and the last ones"
    for site in SITES:
        if site != next_site:
            run.run(site)
        assert files(run.stores[site]) == whole[site]
        assert_as_uninterrupted(run, site, tmp_path)
    assert not list((tmp_path / "run").rglob("*.partial")) and not list((tmp_path / "run").rglob("handed-over"))


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[5] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize("damage", [cut, flip])
def test_a_torn_shard_is_named_and_made_again_alone_of_those_before(jobs, at_batch, tmp_path, capsys, damage):
    run = jobs(**SHARDED)
    killed(run, SITE, at_batch)
    folder = begun(run, SITE)
    whole = files(folder)
    damage(folder / "sequence/c/1")
    capsys.readouterr()
    run.run(SITE)
    said = capsys.readouterr().err
    assert f"{SITE}: sequence/c/1 is torn; it is made again" in said
    assert said.count("the first 1,024 tokens are there") == 1 and said.count("the first 2,048 tokens are there") == 2
    first = {name: status for name, status in whole.items() if "c/0" in name}
    assert len(first) == 4 and first.items() <= files(run.stores[SITE]).items()
    assert_as_uninterrupted(run, SITE, tmp_path)


def touch(folder: Path) -> None:
    for file in folder.rglob("c/*/0"):
        os.utime(file)


def cut_notes(folder: Path) -> None:
    notes = folder / NOTES
    notes.write_text(notes.read_text()[:-20])


def of_other_shards(folder: Path) -> None:
    notes = folder / NOTES
    first, *rest = notes.read_text().splitlines(keepends=True)
    notes.write_text("".join([json.dumps(json.loads(first) | {"shard_bytes": 1 << 17}) + "\n", *rest]))


@pytest.mark.parametrize(
    ("change", "kept"),
    [
        (touch, "2,048"),
        (cut_notes, "1,024"),
        (of_other_shards, ""),
        (lambda folder: (folder / NOTES).unlink(), ""),
    ],
)
def test_content_and_notes_decide_what_is_kept(jobs, at_batch, tmp_path, capsys, change, kept):
    run = jobs(**SHARDED, sites=(SITE,))
    killed(run, SITE, at_batch)
    change(begun(run, SITE))
    capsys.readouterr()
    run.run(SITE)
    said = capsys.readouterr().err
    assert f"the first {kept} tokens are there in whole shards" in said if kept else "are there" not in said
    assert_as_uninterrupted(run, SITE, tmp_path)


@pytest.mark.parametrize(
    ("error", "raised", "stays"),
    [
        (KeyboardInterrupt(), KeyboardInterrupt, True),
        (OSError(errno.ENOSPC, "No space left on device"), InputError, True),
        (RuntimeError("a bug"), RuntimeError, False),
        (FloatingPointError("NaN"), FloatingPointError, False),
    ],
)
def test_whole_shards_stay_where_a_signal_or_the_disk_ends_the_job_and_no_other_error(
    jobs, at_batch, tmp_path, capsys, error, raised, stays
):
    run = jobs(**SHARDED)

    def fail() -> None:
        raise error

    at_batch(LATE, fail)
    with pytest.raises(raised):
        run.run(SITE)
    assert {site for site in SITES if begun(run, site).exists()} == (set(SITES) if stays else set())
    run.run(SITE)
    assert capsys.readouterr().err.count("the first 2,048 tokens are there") == (3 if stays else 0)
    assert_as_uninterrupted(run, SITE, tmp_path)


def test_what_was_begun_for_a_store_that_no_run_makes_any_more_is_removed(jobs, at_batch, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = jobs(**SHARDED)
    killed(run, SITE, at_batch)
    run.run(SITE)  # hands the others over
    shutil.copytree(place_of(run.stores[OUT]), begun(run, OUT))
    discard_all_but([run.stores[RESIDUAL].relative_to(tmp_path)], ["run/*/eval.zarr"])
    assert place_of(run.stores[RESIDUAL]).is_dir()
    assert not place_of(run.stores[OUT]).exists() and not begun(run, OUT).exists()
