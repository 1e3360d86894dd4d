# What all rules share: the study, paths, digests, the environment of the steps.

import atexit
import gc
import json
import logging
import os
import re
import shlex
import shutil
import sys
from collections import Counter
from dataclasses import asdict
from functools import cache
from pathlib import Path

from snakemake.logging import logger as snakemake_logger

# A large study is millions of objects that live to the end, among which there is no use in looking for cycles.
gc.set_threshold(1_000_000)

# Where a full disk takes no more of Snakemake's log, that is no traceback amid what it says.
logging.raiseExceptions = False

# What these rules lie in: a repository, of which every copy (dvc exp run --temp, a clone) runs its own sources, whatever is
# installed, or the installed package that a study of one's own takes its workflow from (polysem.workflow.home).
HOME = Path(workflow.current_basedir).parents[1]
IN_REPOSITORY = (HOME / "src/polysem").is_dir()
SOURCES = HOME / "src" if IN_REPOSITORY else HOME.parents[1]
if IN_REPOSITORY:
    sys.path.insert(0, str(SOURCES))

from polysem.io.errors import InputError
from polysem.workflow.checks import additions

# First of all, as what follows finds modules by name.
try:
    additions.check()
except InputError as error:
    sys.exit(f"error: {error}")

from polysem.io.caches import require_folder
from polysem.workflow.running.code import named_digest
from polysem.params.addons import modules_of
from polysem.workflow.running.stated import OutsideFiles, own_file
from polysem.params import comparisons
from polysem.params.base import ALL_DICTIONARIES, NEURONS
from polysem.params.explain import nearest
from polysem.params.study import load_study
from polysem.layout import studied
from polysem.layout.annotations import read_annotations
from polysem.layout.place import DICTIONARY, MODEL, RESULTS, SAE, SITE, Place, corpus, known, known_table
from polysem.workflow import artifacts, call
from polysem.workflow.checks import feature_numbers
from polysem.workflow.provenance import freshness
from polysem.workflow.provenance import guard
from polysem.workflow.provenance import installed
from polysem.workflow.provenance import lock
from polysem.workflow.provenance import orphans
from polysem.workflow.checks import preflight
from polysem.workflow.checks import rubric_scores
from polysem.workflow.checks import special_tokens
from polysem.workflow.checks.requests import Requests
from polysem.workflow.expected import TimeLeft, expected_seconds
from polysem.workflow.planned import PlannedJobs, plan_in_words, without_advice
from polysem.workflow.progress import EachJob, EachMinute
from polysem.workflow.running import extractions
from polysem.workflow.running import warm
from polysem.workflow.tables import Tables

if Path(sys.modules["polysem"].__file__).resolve().parents[1] != SOURCES.resolve():
    sys.exit(f"error: polysem was loaded from another folder than {SOURCES}; unset PYTHONPATH")

LEDGER = HOME / "workflow/claims.yaml"
INTRODUCTION = HOME / "workflow/report/workflow.rst"


def checked_study():
    """The study of the params file in force, checked as far as it can be before anything runs."""
    if workflow.config_settings.config:
        raise InputError(call.NO_VALUES)
    files = workflow.configfiles
    if len(files) > 1:
        raise InputError("pass one --configfile; a params file is complete, files are never merged")
    loaded = load_study(Path(files[0]) if files else Path("params.yaml"))
    if workflow.is_main_process:
        require_folder()
        if Path(workflow.basedir).resolve() != HOME.resolve():
            installed.check(lambda: workflow.output_settings.dryrun or lock.shows_only(sys.argv[1:]))
        if workflow_lock and orphans.may_be_left() and not lock.shows_only(sys.argv[1:]):
            orphans.end_orphans(Path())
        guard.require_own_records(guard.untrustworthy_option(sys.argv[1:]))
        guard.require_records(artifacts.recorded(loaded))
        with lock.without_a_run(workflow_lock) as alone:
            if alone and not guard.adopting():
                freshness.tell(
                    freshness.make_again(artifacts.recorded(loaded), artifacts.in_git(loaded), artifacts.PROVENANCE)
                )
        preflight.check_ledger(LEDGER)
        preflight.check(loaded)
        feature_numbers.check(loaded)
        rubric_scores.check(loaded)
        for unread in [*feature_numbers.unread_labels(loaded), *rubric_scores.unread_scores(loaded)]:
            print(f"note: {unread}", file=sys.stderr)
        special_tokens.check(loaded)
    return loaded


try:
    workflow_lock = lock.hold_workflow_lock(workflow.output_settings.dryrun) if workflow.is_main_process else None
    study = checked_study()
    if workflow_lock:
        extractions.forget()
except InputError as error:
    sys.exit(f"error: {error}")

tables = Tables(study)


onstart:
    # While jobs wait, Snakemake looks for room again a second after each look, in case its limit of 100 jobs a second held
    # them back. Every look leads to another one, so that they add up: a tenth of a core by the hundredth job
    # (docs/performance.md). Nothing here starts 100 jobs a second; another limit that somebody asked for stays.
    limit = workflow.scheduler.job_rate_limiter
    if limit and (limit.max_jobs, limit.timespan) == (100, 1):
        workflow.scheduler.job_rate_limiter = None
    if workflow.is_main_process:
        extracting = [
            job.wildcards for job in workflow.dag.needrun_jobs() if job.rule.name == "extract_activations"
        ]
        extractions.announce((of.model, of.site, of.split) for of in extracting)
    if workflow.local_exec and workflow.is_main_process:
        for name in TURNS:
            workflow.scheduler.global_resources[name] = workflow.scheduler.resources[name] = 1
        made = {job.log[0]: list(job.output) for job in workflow.dag.needrun_jobs() if job.log}
        progress.time_left = TimeLeft(expected_seconds(made, study)[0], workflow.resource_settings.cores)
        called = (re.search(r"polysem step (\w+)", job.rule.shellcmd or "") for job in workflow.dag.needrun_jobs())
        warm.start([step[1] for step in called if step], ENVIRONMENT, gpu=GPU)


if workflow.is_main_process and not workflow.output_settings.dryrun:
    progress = EachMinute(snakemake_logger) if sys.stderr.isatty() else EachJob(sys.stderr)
    snakemake_logger.addHandler(progress)


def tell_plan(planned):
    """What a dry run found, behind all that Snakemake says; nothing where it found no plan."""
    if workflow.dag is not None:
        every = sum(bool(job.log) for job in workflow.dag.jobs)
        print("\n".join(plan_in_words(planned.jobs, every, workflow.resource_settings.cores, study)))


if workflow.is_main_process and workflow.output_settings.dryrun:
    snakemake_logger.addFilter(without_advice)
    snakemake_logger.addHandler(planned_jobs := PlannedJobs())
    atexit.register(tell_plan, planned_jobs)


onsuccess:
    if any(job.rule.name == "write_report" for job in workflow.dag.jobs):
        print(f"open {Path(artifacts.REPORT_INDEX).resolve().as_uri()}", file=sys.stderr)


onerror:
    # A step on a full disk cannot even write to its log why it failed.
    if shutil.disk_usage(Path()).free < preflight.LEAST_FREE:
        print(f"error: {guard.disk_is_full()}", file=sys.stderr)


if "POLYSEM_DEVICE" in os.environ:
    sys.exit("error: POLYSEM_DEVICE is not read any more; unset it, and say `device: cuda` or `cpu` in the params file")
# A step resolves the device where it runs, so the command of a job, which its record names, is the same on every machine.
# What it asks a cluster for must be said here: under `auto` a card if this machine has one.
DEVICE = f"--device {study.device}"
GPU = study.device == "cuda" or (study.device == "auto" and shutil.which("nvidia-smi") is not None)
os.environ.setdefault("POLYSEM_CARDS", str((workflow.global_resources.get("gpu").value or 1) if GPU else 1))
requests = Requests(study, on_gpu=GPU, dry_run=workflow.output_settings.dryrun)

# The environment of the steps. An installed package they find where this process found it.
ENVIRONMENT = {
    **({"PYTHONPATH": str(SOURCES)} if IN_REPOSITORY else {}),
    "PYTHONHASHSEED": "0",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "MPLBACKEND": "agg",
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
}

shell.executable("bash")
shell.prefix(
    "set -euo pipefail; "
    f"export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH "
    "POLYSEM_SUPERVISED=$PPID POLYSEM_COMMAND=$BASH_EXECUTION_STRING "
    f"{' '.join(f'{name}={shlex.quote(value)}' for name, value in ENVIRONMENT.items())}; exec"
)


def names(values):
    """A wildcard constraint: exactly these names; with none of them, nothing at all."""
    return "|".join(re.escape(value) for value in values) or "(?!)"


def models_of(*sources):
    """Names of the models of some sources."""
    return [name for name, model in study.every_model.items() if model.source in sources]


def spec(**values):
    """All values that a step reads, as one JSON text. Snakemake compares params as a set of values without their names,
    so that two values that swap places would go unnoticed if each were a param of its own."""
    return json.dumps(values, sort_keys=True)


def recipe(sae):
    """The recipe of an SAE, or where an imported one comes from, by its id."""
    if sae not in study.saes:
        raise InputError(f"saes: there is no SAE {sae!r}{nearest(sae, list(study.saes))}")
    return study.saes[sae].recipe


def sae_ids(saes):
    """A wildcard constraint for the ids of SAEs, which begin with the name of their entry and, in a grid, go on with
    an underscore and `key=value`, so that no table beside their folders is taken for one (`embedding_loss.nc` of an
    entry `embedding`). Snakemake parses it for every file of every job: all ids would slow down a large dry run.
    """
    return rf"(?:{names({sae.recipe_name for sae in saes})})(?:_[^/=]+=[^/]+)?"


SAE_IDS = sae_ids(study.saes.values())


wildcard_constraints:
    corpus=names(study.corpora),
    model=names(study.every_model),
    site=names({site for _, site in study.sites()}),
    toy=names(study.toys),
    split="train|eval",
    sae=SAE_IDS,
    dictionary=f"{NEURONS}|{SAE_IDS}",


def code_digest(*modules):
    """Digest of a step's code and of what runs it, and of which modules it is: the step compares it with what it
    loaded."""
    return named_digest(*modules, "polysem.workflow.running.command")


def outside(paths):
    """Paths and patterns of files that the workflow does not make, with the digest of their contents: they may change
    at any time, with any date, so it is a param, and the step compares it with what it read."""
    return json.dumps(asdict(OutsideFiles.of(paths)))


def outside_content(section):
    """The files that a corpus, a model or an SAE is read from."""
    return outside(preflight.outside_paths(section))


def tokenization(wildcards):
    """The keys of a language model that decide its sequences."""
    return study.every_model[wildcards.model].tokenization()


def settings(wildcards):
    """The settings that a model is studied under, which go into `model.json` and so into every receipt."""
    return study.every_model[wildcards.model].settings()


def place(wildcards):
    """Whose job it is: a model's, a site's or a dictionary's."""
    known = dict(wildcards.items())
    return Place(known["model"], known.get("site", ""), known.get("dictionary", known.get("sae", "")))


THRESHOLDS = ("rare_frequency", "ultra_low_frequency", "one_sparse", "next_nine")


@cache
def analysis(*keys):
    """The keys of `analysis:` that a step reads; the others cannot make it run again."""
    return {key: study.analysis.values()[key] for key in keys}


@cache
def annotations(dictionary):
    """What people said of the features of a dictionary, as it was when the run began: steps get it as a value, so that
    a star which is given meanwhile fails no job, and is there in the next run."""
    return read_annotations(dictionary)


def spec_file(**values):
    """Like `spec`, for what is too long for a command line: a file that is named by its content and written once."""
    return text_file(spec(**values))


def outside_file(paths):
    """Like `outside`, in such a file."""
    return text_file(outside(paths))


def text_file(text, pattern=".cache/specs/{}.json"):
    """The path of a file that holds a text, and is called after it."""
    from polysem.io.caches import place_text
    from polysem.io.content import text_digest

    path = Path(pattern.format(text_digest(text)))
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        place_text(path, text)
    return str(path)
