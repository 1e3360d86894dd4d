"""What a dry run says beside Snakemake's table: which jobs would run, why, and how long they take."""

import ast
import json
import logging
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snakemake_interface_logger_plugins.common import LogEvent

from polysem.params.study import Study
from polysem.workflow.expected import TimeLeft, expected_seconds
from polysem.workflow.progress import duration, job_name
from polysem.workflow.provenance.records import DIGEST, STATE, marked_artifacts, record_name
from polysem.workflow.running.specs import SPECS, kept_spec

FOLLOWS = "Input files updated by another job"
MISSING = "not made yet"
UNFINISHED = "begun, and not finished"
CHANGED = "what it made, or read, was changed or deleted since"
FORCED = "Forced execution"
"""What Snakemake says of jobs that somebody asks for, and of those whose outputs are marked."""
WHY = {
    "Missing output files": MISSING,
    "Code has changed since last execution": "its command is another one",
    "Set of input files has changed since last execution": "it reads other files",
    "Updated input files": "what it reads has changed",
    "Incomplete outputs": UNFINISHED,
}
"""What Snakemake calls a reason, and what we do. Of several the first that holds is told."""
PARAMS = "Params have changed since last execution"
PAIR = re.compile(r"before: (.*?) now: (.*?)\s*(?:across|;|$)", re.DOTALL)
FLAG = re.compile(r" \(\w+\)$")
"""Behind a path, where Snakemake tells that it is a folder or is updated."""
MOST_KEYS, MOST_ROOTS = 3, 12
"""Changed keys that are told of a job, and groups of jobs that are told."""
UP_TO_DATE = "jobs are done and up to date."
"""How the words end where nothing would run."""
ABSENT = object()
"""In place of a value that there is not."""
ADVICE = ("Some jobs were triggered by provenance information", "Rules with provenance triggered jobs")
"""How Snakemake's advice begins to look at dates alone or to wipe records, after which results would be stale."""


@dataclass(frozen=True)
class PlannedJob:
    """A job that would run."""

    name: str
    """As its log: `train_sae stories-1l/blocks.0.mlp.hook_post/topk-x8`."""
    log: str
    why: str
    """In words; '' where it follows from other jobs alone."""
    outputs: tuple[str, ...] = ()

    @property
    def rule(self) -> str:
        """The name of its rule."""
        return self.name.split()[0]


class PlannedJobs(logging.Handler):
    """Gathers the jobs of a dry run; those without a log, which only wait for others, are left out."""

    def __init__(self) -> None:
        super().__init__()
        self.jobs: list[PlannedJob] = []
        self._marked: tuple[set[str], set[str]] | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler`."""
        said = vars(record)
        if said.get("event") == LogEvent.JOB_INFO and said["log"]:
            log = str(said["log"][0])
            outputs = tuple(FLAG.sub("", str(output)) for output in said["output"])
            reason = str(said["reason"])
            words = self._forced(outputs) if FORCED in reason else why(reason)
            self.jobs.append(PlannedJob(job_name(log), log, words, outputs))

    def _forced(self, outputs: tuple[str, ...]) -> str:
        """Why a job is forced: by marks that killed jobs or `provenance.freshness` left, or by options of the call."""
        if self._marked is None:
            self._marked = marked_artifacts()
        names = {record_name(output) for output in outputs}
        unfinished, changed_since = (not names.isdisjoint(marks) for marks in self._marked)
        return UNFINISHED if unfinished else CHANGED if changed_since else "asked for"


def without_advice(record: logging.LogRecord) -> bool:
    """A filter of Snakemake's log: what it advises after changes of params or code makes results stale here."""
    return not record.getMessage().startswith(ADVICE)


def plan_in_words(planned: list[PlannedJob], every: int, cores: int, study: Study) -> list[str]:
    """What would run of `every` job of a study, why, and about how long it takes on some cores."""
    if not planned:
        return [f"All {every:,} {UP_TO_DATE}"]
    planned = sorted(planned, key=lambda job: job.name)  # Snakemake's order differs from run to run
    missing = Counter(job.rule for job in planned if job.why == MISSING)
    groups: dict[tuple[str, str], list[str]] = {}
    for job in planned:
        if job.why not in ("", MISSING):
            groups.setdefault((job.rule, job.why), []).append(job.name)
    counts = {"missing": missing.total(), "stale": len(planned) - missing.total()}
    kinds = " and ".join(f"{count:,} for what is {kind}" for kind, count in counts.items() if count)
    lines = [f"{len(planned):,} of {every:,} jobs would run, {kinds}.", _about(planned, cores, study)]
    if missing:
        lines.append(f"  {MISSING}: {', '.join(f'{rule} {count}' for rule, count in missing.items())}")
    for (_, reason), names in sorted(groups.items(), key=lambda group: -len(group[1]))[:MOST_ROOTS]:
        others = f" and {len(names) - 1:,} more" if len(names) > 1 else ""
        lines.append(f"  {names[0]}{others}: {reason}")
    if (left := len(groups) - MOST_ROOTS) > 0:
        lines.append(f"  and {left:,} more reasons; `snakemake --dry-run --quiet none` tells each")
    if follow := sum(not job.why for job in planned):
        lines.append(f"  {follow:,} {'job reads' if follow == 1 else 'jobs read'} what these make.")
    return lines


def why(reason: str) -> str:
    """A reason of Snakemake's in our words; '' if the job does no more than follow others."""
    if PARAMS in reason:
        return changed(reason)
    return next((words for name, words in WHY.items() if name in reason), "" if FOLLOWS in reason else reason)


def changed(reason: str) -> str:
    """Which params of a job are others now: `k 8 → 9`, `the code of its step`."""
    found = PAIR.search(reason)
    if found is None:
        return "its params are others"
    before, now = (dict(_flat(_values(text))) for text in found.groups())
    keys = [key for key in dict.fromkeys([*before, *now]) if before.get(key, ABSENT) != now.get(key, ABSENT)]
    code = [key for key in keys if DIGEST.fullmatch(key) or key.rpartition(".")[2] == "code"]
    told = [_pair(key, before, now) for key in keys if key not in code]
    words = [*told[:MOST_KEYS], *([f"{len(told) - MOST_KEYS} more"] if len(told) > MOST_KEYS else [])]
    return ", ".join([*words, *(["the code of its step, or a file from outside"] if code else [])]) or "its params"


def _pair(key: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """A key with what it was and what it is; of lists what came and what went."""
    name, old, new = key.rpartition(".")[2], before.get(key, ABSENT), now.get(key, ABSENT)
    if isinstance(old, list) and isinstance(new, list):
        moved = [f"+{_short(one)}" for one in new if one not in old]
        moved += [f"−{_short(one)}" for one in old if one not in new]
        if moved:
            return " ".join([name, *moved[:MOST_KEYS], *(["…"] if len(moved) > MOST_KEYS else [])])
    return f"{name} {_short(old)} → {_short(new)}"


def _short(value: Any) -> str:
    text = "nothing" if value is ABSENT else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else f"{text[:39]}…"


def _values(text: str) -> list[Any]:
    """The values of params as Snakemake prints them: what Python writes of each, joined by commas."""
    try:
        return list(ast.literal_eval(f"[{text}]"))
    except (ValueError, SyntaxError):
        return []


def _flat(values: Iterable[Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Keys, with those above them, and values; a text that holds no keys stands for itself."""
    for value in values:
        held = _held(value)
        if isinstance(held, dict):
            for key, inner in held.items():
                if isinstance(inner, dict):
                    yield from _flat([inner], f"{above}{key}.")
                else:
                    yield f"{above}{key}", inner
        else:
            yield str(value), value


def _held(value: Any) -> Any:
    """What a param holds: itself, the JSON that it is, or that of the file that it names."""
    if not isinstance(value, str):
        return value
    try:
        if Path(value).parent == SPECS and (kept := kept_spec(value, STATE / "metadata")):
            return json.loads(kept.read_text(encoding="utf-8"))
        return json.loads(value) if value.startswith("{") else value
    except (OSError, ValueError):
        return value


def _about(planned: list[PlannedJob], cores: int, study: Study) -> str:
    """How long jobs take on some cores, as far as that is known."""
    seconds, never = expected_seconds({job.log: job.outputs for job in planned}, study)
    about = duration(TimeLeft(seconds, cores).left({}))
    by = "by what they took when they ran last"
    if never:
        by = (
            f"{by}; of {never:,} that never ran by estimate"
            if never < len(planned)
            else "by estimate, as none ran here"
        )
    return f"About {about} on {cores} {'core' if cores == 1 else 'cores'}, {by}."
