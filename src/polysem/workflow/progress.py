"""What a run says where no terminal shows its bars: a line for each job that is done, and where the report is."""

import logging
from typing import TextIO

from snakemake_interface_logger_plugins.common import LogEvent


class FinishedJobs(logging.Handler):
    """Writes a line for each finished job, `12/118 train_sae stories-1l/blocks.0.mlp.hook_post/topk-x8 41 s`, to a
    stream. A job is called as its log; one without a log, which only waits for others, is not told."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        self._running: dict[int, tuple[str, float]] = {}
        self._finished: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler`."""
        said = vars(record)
        match said.get("event"):
            case LogEvent.JOB_INFO if said["log"]:
                self._running[said["jobid"]] = job_name(said["log"][0]), record.created
            case LogEvent.JOB_FINISHED if said["job_id"] in self._running:
                name, begun = self._running.pop(said["job_id"])
                self._finished.append(f"{name} {duration(record.created - begun)}")
            case LogEvent.PROGRESS:
                for line in self._finished:
                    print(f"{said['done']}/{said['total']} {line}", file=self._stream, flush=True)
                self._finished.clear()


def job_name(log: str) -> str:
    """`train_sae stories-1l/…/topk-x8` of a job with the log `logs/train_sae/stories-1l/…/topk-x8.log`."""
    rule, _, place = log.removeprefix("logs/").removesuffix(".log").partition("/")
    return f"{rule} {place}".strip()


def duration(seconds: float) -> str:
    """`41 s`, `3 min 20 s`, `2 h 5 min`."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60:,} h {minutes % 60} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
