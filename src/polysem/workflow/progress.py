"""What a run says of its jobs while it goes on: how many are done, and about how long the others take."""

import logging
import time
from abc import abstractmethod
from typing import TextIO

from snakemake_interface_logger_plugins.common import LogEvent

from polysem.workflow.expected import TimeLeft

MINUTE = 60.0


class Progress(logging.Handler):
    """Follows the jobs of a run. A job is called as its log; one without a log, which only waits for others, is not
    told. Who knows what is expected of the jobs sets `time_left`; it is told from the second minute on."""

    def __init__(self) -> None:
        super().__init__()
        self.time_left: TimeLeft | None = None
        self._begun = time.time()
        self._running: dict[int, tuple[str, float]] = {}
        self._finished: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler`."""
        said = vars(record)
        match said.get("event"):
            case LogEvent.JOB_INFO if said["log"]:
                self._running[said["jobid"]] = str(said["log"][0]), record.created
            case LogEvent.JOB_FINISHED if said["job_id"] in self._running:
                log, begun = self._running.pop(said["job_id"])
                took = record.created - begun
                self._finished.append(f"{job_name(log)} {duration(took)}")
                if self.time_left:
                    self.time_left.done(log, took)
            case LogEvent.PROGRESS:
                self.tell(said["done"], said["total"], self._finished, self._left(record.created))
                self._finished = []

    @abstractmethod
    def tell(self, done: int, total: int, finished: list[str], left: str) -> None:
        """Say how many jobs are done, which of them just now, and how long the others take: '' if that is not known."""

    def _left(self, now: float) -> str:
        if self.time_left is None or now - self._begun < MINUTE:
            return ""
        seconds = self.time_left.left({log: now - begun for log, begun in self._running.values()})
        return f"about {roughly(seconds)} left"


class EachJob(Progress):
    """Writes a line for each finished job, `12/118 train_sae stories-1l/blocks.0.mlp.hook_post/topk-x8 41 s, about
    6 min left`, to a stream: without a terminal a run would say nothing until its end."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream

    def tell(self, done: int, total: int, finished: list[str], left: str) -> None:
        """See `Progress`."""
        for line in finished:
            print(f"{done}/{total} {line}{', ' if left else ''}{left}", file=self._stream, flush=True)


class EachMinute(Progress):
    """Logs once a minute how many jobs are done and how long the others take, above the bars of a terminal."""

    def __init__(self, logger: logging.Logger) -> None:
        super().__init__()
        self._logger, self._told = logger, 0.0

    def tell(self, done: int, total: int, finished: list[str], left: str) -> None:
        """See `Progress`."""
        if left and done < total and time.time() - self._told >= MINUTE:
            self._told = time.time()
            self._logger.info(f"{done} of {total} jobs are done, {left}")


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


def roughly(seconds: float) -> str:
    """The same without digits that nobody knows: `40 s`, `6 min`, `2 h 5 min`."""
    if seconds < 1.5 * MINUTE:
        return f"{max(10, 10 * round(seconds / 10))} s"
    minutes = round(seconds / MINUTE)
    return f"{minutes} min" if minutes < 60 else duration(MINUTE * minutes)
