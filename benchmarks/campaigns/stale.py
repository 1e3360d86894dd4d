"""Ways in which an old result could pass for a fresh one; each is undone or noticed by the next run.

A sequence takes a repository with a finished study, whose results are committed to git, and leaves it as it likes. The
tests run all of them on the quick preset (`tests/workflow/test_freshness.py`).
"""

import os
import re
import shutil
import subprocess
import sys
import time

from repository import environment

from campaigns import small_study
from campaigns.case import tried

TITLE = "Stale results"
KIND = "sequences that end with fresh results"
NOTHING = "Nothing to be done"
LONG_AGO = 1_600_000_000
THRESHOLD = ("analysis:", "analysis:\n  rare_frequency: 0.05")
"""A param that figures, metrics and the report read."""


def cases(scratch, smoke):
    """All sequences; for a smoke test two."""
    whole = small_study.finished(scratch / "whole")
    for name, sequence in [*SEQUENCES.items()][: 2 if smoke else None]:
        copy = whole.copy(scratch / name)
        yield tried(KIND, name.replace("_", " "), sequence, copy)
        shutil.rmtree(copy.folder)


def git_brings_old_results_back(repository):
    """`git stash` or `git checkout` after a run of other params."""
    repository.edit("params.yaml", *THRESHOLD)
    repository.git("commit", "--quiet", "--message", "Other params", "params.yaml")
    repository.snakemake()
    fresh = repository.digests()
    repository.git("checkout", "--quiet", "--", "results")
    assert repository.digests() != fresh
    assert pending(repository) >= {"collect_metrics", "check_claims", "write_report"}
    repository.snakemake()
    assert repository.digests() == fresh
    assert NOTHING in repository.snakemake("--dry-run")


def a_ledger_of_an_old_date(repository):
    """As `cp -p` or `rsync -t` leave it."""
    age(repository / "workflow/claims.yaml", "published: 32768", "published: 0.123456", 1)
    assert pending(repository) == {"check_claims", "write_report"}


def a_caption_of_an_old_date(repository):
    figure = repository / "src/polysem/figures/of_dictionary/rank_frequency.py"
    age(figure, "Features ranked by one half", "Features, ranked by one half", 1)
    assert pending(repository) == {"write_report"}


def a_drawing_that_failed_when_its_tables_were_new(repository):
    """Snakemake brings the old figures back then, and writes a record of them as if they were new."""
    folder = next((repository / "results/figures/digits").glob("*/topk*.json")).with_suffix("")
    repository.edit("params.yaml", "analysis:", "analysis:\n  head_ranks: 20")
    obstacle = folder.with_suffix(".partial")
    obstacle.write_text("no folder")
    receipt = folder.with_suffix(".json").relative_to(repository.folder).as_posix()
    assert "Restored previous version" in repository.snakemake("--cores", "2", receipt, fails=True)
    obstacle.unlink()
    assert (repository / receipt).exists()
    assert NOTHING not in repository.snakemake("--dry-run", receipt)
    repository.snakemake("--cores", "2", receipt)
    assert NOTHING in repository.snakemake("--dry-run", receipt)


def a_template_of_an_old_date(repository):
    style = repository / "src/polysem/report/page.css"
    style.write_text(style.read_text() + "\n/* other */\n")
    os.utime(style, (LONG_AGO, LONG_AGO))
    assert pending(repository) == {"write_report"}


def older_results_copied_back(repository):
    """With their dates, as `cp -a` and `rsync -a` do."""
    older = repository.folder.parent / f"{repository.folder.name}.older"
    shutil.copytree(repository / "results", older)
    repository.edit("params.yaml", *THRESHOLD)
    repository.snakemake()
    fresh = repository.digests()
    shutil.rmtree(repository / "results")
    older.rename(repository / "results")
    assert repository.digests() != fresh
    repository.snakemake()
    assert repository.digests() == fresh
    assert NOTHING in repository.snakemake("--dry-run")


def an_older_artifact_put_in_place(repository):
    """One file of an earlier run, with its date: what it was made by runs again, and all that was made from it."""
    table = min((repository / "results/tables").glob("*/*/neurons/frequency.nc"))
    content = bytearray(table.read_bytes())
    content[-1] ^= 1
    table.write_bytes(content)
    os.utime(table, (LONG_AGO, LONG_AGO))
    before = repository.digests()
    assert pending(repository) >= {"measure_dictionary", "draw_figures", "collect_metrics", "write_report"}
    assert repository.digests() == before, "a dry run changed something"
    table.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert NOTHING in repository.snakemake("--dry-run")


def an_input_older_than_what_follows_from_it(repository):
    """A clock that was wrong: the figures have a date of the future when the metrics are made again."""
    repository.edit("params.yaml", *THRESHOLD)
    tomorrow = time.time() + 86_400
    for file in (repository / "results/claims.json", repository / "results/report/index.html"):
        os.utime(file, (tomorrow, tomorrow))
    repository.snakemake("results/metrics.json")
    assert pending(repository) >= {"check_claims", "write_report"}


def texts_behind_a_linked_folder(repository):
    """A glob that goes through a link, in whose place texts change."""
    texts = repository.folder.parent / f"{repository.folder.name}.texts"
    texts.mkdir()
    (texts / "x.txt").write_text("<|endoftext|>".join(f"A text of {number} words." for number in range(60)))
    (repository / "data").mkdir()
    (repository / "data/linked").symlink_to(texts)
    repository.edit("params.yaml", "corpora:\n", "corpora:\n  notes: {source: files, paths: data/**/*.txt}\n")
    target = "results/corpora/notes/documents.parquet"
    repository.snakemake(target)
    assert NOTHING in repository.snakemake("--dry-run", target)
    (texts / "x.txt").write_text("<|endoftext|>".join(f"Another of {number} words." for number in range(60)))
    os.utime(texts / "x.txt", (LONG_AGO, LONG_AGO))
    assert NOTHING not in repository.snakemake("--dry-run", target)
    shutil.rmtree(texts)


def code_that_changes_under_a_run(repository):
    """A step's source is edited while a run is under way and put back before it ends."""
    fresh = repository.digests()
    for name in ("metrics.json", "claims.json"):
        (repository / "results" / name).unlink()
    source = repository / "src/polysem/report/check_claims.py"
    text = source.read_text()
    log = repository / "logs/collect_metrics.log"
    log.unlink()
    command = [sys.executable, "-m", "snakemake"]
    variables = environment(repository.folder)
    with subprocess.Popen(command, cwd=repository.folder, env=variables, stderr=subprocess.PIPE, text=True) as run:
        wait_for(log.exists)
        source.write_text(text.replace('"verdict"', '"verdikt"'))
        said = run.stderr.read()
    source.write_text(text)
    assert run.returncode, "the step ran with other code than its record says"
    assert "changed since the run began" in said, said
    repository.snakemake()
    assert repository.digests() == fresh


def a_job_run_again_with_other_code_and_the_same_bytes(repository):
    """Snakemake compares content, so what follows stays; the report would go on showing the digest of the old code."""
    source = repository / "src/polysem/tables/measure_dictionary.py"
    source.write_text(source.read_text() + "\nUNUSED = 1\n")
    before = repository.digests("results/tables")
    repository.snakemake("--until", "measure_dictionary")
    assert repository.digests("results/tables") == before
    assert pending(repository) >= {"collect_provenance", "write_report"}
    told = (repository / "results/report/provenance.json").read_text()
    repository.snakemake()
    assert (repository / "results/report/provenance.json").read_text() != told
    assert NOTHING in repository.snakemake("--dry-run")


def compiled_code_of_another_source(repository):
    """An edit that leaves size and date as they were: Python would run what it compiled before."""
    source = repository / "src/polysem/report/check_claims.py"
    status = source.stat()
    text = source.read_text()
    source.write_text(text.replace('"not run"', '"NOT RUN"'))
    os.utime(source, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert source.stat().st_size == status.st_size
    repository.snakemake("results/claims.json")
    assert "NOT RUN" in (repository / "results/claims.json").read_text()


def git_tracked_results_without_records(repository):
    """As a clone has them: they are made again, and nothing stops."""
    fresh = repository.digests()
    for name in ("metrics.json", "claims.json"):
        record_of(repository, f"results/{name}").unlink()
    assert pending(repository) >= {"collect_metrics", "check_claims"}
    repository.snakemake()
    assert repository.digests() == fresh


def a_torn_record(repository):
    """Snakemake would keep the artifact without a word."""
    artifact = min((repository / "results/saes").glob("*/*/*/cfg.json")).relative_to(repository.folder).as_posix()
    record = record_of(repository, artifact)
    text = record.read_text()
    for torn in ("", text[: len(text) // 2]):
        record.write_text(torn)
        said = repository.snakemake(fails=True)
        assert f"the record of {artifact}" in said and "is damaged" in said and "Traceback" not in said, said
    record.unlink()
    (repository / artifact).unlink()
    fresh = repository.digests()
    repository.snakemake()
    assert fresh.items() <= repository.digests().items()


def a_seal_without_its_record(repository):
    """A run of another recipe is killed after it sealed an SAE and before Snakemake wrote records, its marks of what is
    incomplete are deleted, and the recipe is set back."""
    fresh = repository.digests()
    weights = min((repository / "results/saes").glob("*/*/topk-*/sae_weights.safetensors"))
    made = [file.relative_to(repository.folder).as_posix() for file in weights.parent.iterdir()]
    records = {file: file.read_bytes() for file in (record_of(repository, path) for path in made) if file.exists()}
    assert records
    repository.edit("params.yaml", "k: 8", "k: 7")
    repository.snakemake(weights.relative_to(repository.folder).as_posix())
    for file, content in records.items():
        file.write_bytes(content)
    repository.edit("params.yaml", "k: 7", "k: 8")
    assert "train_sae" in pending(repository)
    repository.snakemake()
    assert repository.digests() == fresh


def an_edit_with_size_and_date_kept(repository):
    """A digit of the metrics, which are in git, changes, and nothing that `ls` shows."""
    fresh = repository.digests()
    metrics = repository / "results/metrics.json"
    status, text = metrics.stat(), metrics.read_text()
    place = re.search(r"\d", text).start()
    metrics.write_text(f"{text[:place]}{(int(text[place]) + 1) % 10}{text[place + 1 :]}")
    os.utime(metrics, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert metrics.stat().st_size == status.st_size
    assert "collect_metrics" in pending(repository)
    repository.snakemake()
    assert repository.digests() == fresh


def a_torn_cache(repository):
    """Digests that were remembered are computed again."""
    for name in ("digests.json", "syntax.json"):
        file = repository / ".cache" / name
        text = file.read_text()
        file.write_text(text[: len(text) // 2])
        assert NOTHING in repository.snakemake("--dry-run")


SEQUENCES = {
    sequence.__name__: sequence
    for sequence in (
        git_brings_old_results_back,
        a_ledger_of_an_old_date,
        a_caption_of_an_old_date,
        a_drawing_that_failed_when_its_tables_were_new,
        a_template_of_an_old_date,
        older_results_copied_back,
        an_older_artifact_put_in_place,
        an_input_older_than_what_follows_from_it,
        texts_behind_a_linked_folder,
        code_that_changes_under_a_run,
        a_job_run_again_with_other_code_and_the_same_bytes,
        compiled_code_of_another_source,
        git_tracked_results_without_records,
        a_torn_record,
        a_seal_without_its_record,
        an_edit_with_size_and_date_kept,
        a_torn_cache,
    )
}


def pending(repository):
    """The rules of which jobs would run. (`snakemake --summary` leaves out what counts as incomplete.)"""
    said = repository.snakemake("--dry-run", "--quiet", "progress")
    found = re.findall(r"^ (\w[\w ]*?) +\d+ *$", said, re.MULTILINE)
    return {name.replace(" ", "_") for name in found} - {"all", "total"}


def age(file, old, new, times=-1):
    """Edit a file and give it the date of long ago."""
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, times))
    os.utime(file, (LONG_AGO, LONG_AGO))


def record_of(repository, artifact):
    from polysem.workflow.provenance.records import STATE, record_file

    return repository / record_file(artifact, STATE).as_posix()


def wait_for(condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
