"""The server's side of the inference process: what waits for it, what it was asked before, and its next life.

Everything here runs in the event loop of the server, and nothing of it takes long.
"""

import asyncio
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from polysem.explorer.inference.child import Child, ChildEndedError
from polysem.explorer.inference.frames import BROKEN, DONE, UNKNOWN
from polysem.explorer.inference.jobs import (
    QUESTIONS,
    ActivationsJob,
    ImportanceJob,
    SearchJob,
    SimilarJob,
    Start,
)
from polysem.io.errors import InputError
from polysem.study.names import UnknownNameError

LONGEST_QUEUE = 1000
"""Questions that may wait."""
WAIT_SECONDS = 120.0
"""How long a question waits for its answer."""
STUCK_SECONDS = 120.0
"""How long the process may take for a batch before it counts as dead."""
BATCH = 16
"""Searches that are made together."""
AHEAD = 2
"""Batches that are sent before the first of them is answered: the process need not wait for the next one."""
LIVES = 4
"""How often the process may die of a question, all but the first time of it alone, before that counts as broken."""
LONGEST_PAUSE = 30.0
"""Seconds before a process that cannot begin is begun again."""
KEPT_BYTES = 4 * 2**20
"""Answers that are kept."""
Job = SearchJob | ActivationsJob | ImportanceJob | SimilarJob


class BusyError(Exception):
    """There is no answer now; the message says why, and `retry_after` when to ask again."""

    def __init__(self, reason: str, retry_after: int = 1) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class BrokenError(Exception):
    """Something is wrong with the explorer itself; the message is what the process said."""


@dataclass(eq=False)
class Waiting:
    """A question that somebody waits for; several may wait for one."""

    number: int
    job: Job
    answer: "asyncio.Future[bytes]"
    askers: int = 0
    deaths: int = 0
    """How often the process died while it worked on this."""

    @property
    def message(self) -> dict[str, Any]:
        """What the process is sent."""
        kind = next(word for word, kind in QUESTIONS.items() if isinstance(self.job, kind))
        return {"number": self.number, "kind": kind, "job": self.job.model_dump(mode="json")}


@dataclass
class Answers:
    """Answers that were given, up to some bytes; what was not asked for the longest goes first."""

    limit: int = KEPT_BYTES
    held: int = 0
    by_job: "OrderedDict[Job, bytes]" = field(default_factory=OrderedDict)

    def get(self, job: Job) -> bytes | None:
        """The answer, if it is kept."""
        if job in self.by_job:
            self.by_job.move_to_end(job)
        return self.by_job.get(job)

    def keep(self, job: Job, answer: bytes) -> None:
        """Keep an answer, and let go of others for it."""
        self.by_job[job] = answer
        self.held += len(answer)
        while self.held > self.limit:
            _, gone = self.by_job.popitem(last=False)
            self.held -= len(gone)

    def clear(self) -> None:
        """Let go of all."""
        self.by_job.clear()
        self.held = 0


class Inference:
    """Asks the inference process. Answers are the bytes of the JSON that `/api/search` and `/api/activations` give, but
    for the labels.

    `stamp` says what the answers depend on beside the questions: when it changes, kept answers are forgotten, and the
    process begins anew.
    """

    def __init__(self, start: Start, stamp: Callable[[], object] = lambda: None) -> None:
        self._start, self._stamp = start, stamp
        self._numbers = 0
        self._all: dict[Job, Waiting] = {}
        """Every question that waits or is being worked on."""
        self._queue: OrderedDict[int, Waiting] = OrderedDict()
        self._batches: list[dict[int, Waiting]] = []
        """What was sent, the oldest first."""
        self._answers = Answers()
        self._child: Child | None = None
        self._life: asyncio.Task[None] | None = None
        self._begun = asyncio.Event()
        self._alarm: asyncio.TimerHandle | None = None
        self._stamped: object = None
        self.added: list[dict[str, Any]] = []
        """SAEs that were added, as they were read; known when the process has begun."""
        self.begins = 0
        """How often the process began."""

    @property
    def adds(self) -> bool:
        """Whether SAEs are to be added to those of the study."""
        return bool(self._start.added)

    async def start(self) -> None:
        """Begin the process, unless it was begun; it is not waited for."""
        if self._life is None:
            self._stamped = self._stamp()
            self._life = asyncio.create_task(self._live())

    async def begun(self) -> None:
        """Wait until the process has opened the study. InputError if it cannot."""
        assert self._life is not None
        begun = asyncio.ensure_future(self._begun.wait())
        await asyncio.wait({begun, self._life}, return_when=asyncio.FIRST_COMPLETED)
        begun.cancel()
        if self._life.done():
            self._life.result()

    async def stop(self) -> None:
        """End the process; whoever waits is told."""
        if self._life is not None:
            self._life.cancel()
            await asyncio.wait({self._life})

    async def search(self, job: SearchJob) -> bytes:
        """`{"model", "text", "ids": […], "tokens": […], "counted": […], "results": [{"model", …}], "notes": […]}`.

        Raises InputError for what cannot be asked, BusyError if there is no answer now, BrokenError if there cannot be
        one.
        """
        return await self._ask(job)

    async def activations(self, job: ActivationsJob) -> bytes:
        """`{"texts": [{"ids": […], "tokens": […], "counted": […], "activations": [[…]]}]}`, for each text a list per
        feature. Raises what `search` does."""
        return await self._ask(job)

    async def importance(self, job: ImportanceJob) -> bytes:
        """`{"importance": [[…]]}`: for each key token a share for offsets −`before` … 0, null where it was not
        measured. Raises what `search` does."""
        return await self._ask(job)

    async def similar(self, job: SimilarJob) -> bytes:
        """`{"similar": [[{"site", "dictionary", "feature", "cluster", "similarity"}]]}`: a list per cluster of the
        feature. Raises what `search` does."""
        return await self._ask(job)

    def health(self) -> dict[str, Any]:
        """What the process does now; never waits."""
        return {
            "inference": "starting" if self._child is None else "busy" if self._batches else "ready",
            "waiting": len(self._all),
            "begins": self.begins,
            "process": None if self._child is None else self._child.pid,
        }

    async def _ask(self, job: Job) -> bytes:
        self._renew()
        if (kept := self._answers.get(job)) is not None:
            return kept
        waiting = self._all.get(job) or self._new(job)
        waiting.askers += 1
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                return await asyncio.shield(waiting.answer)
        except TimeoutError:
            raise BusyError(f"there was no answer within {WAIT_SECONDS:g} seconds; ask again later", 10) from None
        finally:
            waiting.askers -= 1
            if not waiting.askers and waiting.number in self._queue:
                del self._queue[waiting.number], self._all[job]

    def _new(self, job: Job) -> Waiting:
        if self._life is None or self._life.done():
            raise BrokenError("the inference process was not started, or was ended")
        if len(self._all) >= LONGEST_QUEUE:
            raise BusyError(f"{LONGEST_QUEUE:,} questions are waiting; ask again in a second")
        self._numbers += 1
        waiting = Waiting(self._numbers, job, asyncio.get_running_loop().create_future())
        self._all[job] = self._queue[waiting.number] = waiting
        self._send()
        return waiting

    def _renew(self) -> None:
        """Forget what was known of other results than there are now."""
        if self._stamped != (stamp := self._stamp()):
            self._stamped = stamp
            self._answers.clear()
            if self._child is not None:
                self._child.kill()
                self._child = None
                self._back(count=False)

    def _send(self) -> None:
        while self._child is not None and self._queue and len(self._batches) < AHEAD:
            batch = self._next_batch()
            for number in batch:
                del self._queue[number]
            self._batches.append(batch)
            self._child.ask([waiting.message for waiting in batch.values()])
        self._watch()

    def _watch(self) -> None:
        """Kill the process unless it answers something before long, where it has something to answer."""
        if self._alarm is not None:
            self._alarm.cancel()
        child = self._child
        armed = child is not None and bool(self._batches)
        self._alarm = asyncio.get_running_loop().call_later(STUCK_SECONDS, child.kill) if child and armed else None

    def _next_batch(self) -> dict[int, Waiting]:
        """The question that waits longest, with others that can be answered together with it. One that the process died
        of is asked alone, so that no other dies with it again."""
        first = next(iter(self._queue.values()))
        if not isinstance(first.job, SearchJob) or first.deaths:
            return {first.number: first}
        together = [
            waiting
            for waiting in self._queue.values()
            if isinstance(waiting.job, SearchJob) and waiting.job.model == first.job.model and not waiting.deaths
        ]
        return {waiting.number: waiting for waiting in together[:BATCH]}

    async def _live(self) -> None:
        """One process after the other. InputError if the study cannot be opened, or something cannot be added."""
        failures = 0
        try:
            while True:
                child = None
                try:
                    child = await Child.begun(self._start)
                    self.begins, failures = self.begins + 1, 0
                    self.added, self._child = child.added, child
                    self._begun.set()
                    self._send()
                    await self._receive(child)
                except ChildEndedError:
                    failures += 1
                    self._back(count=True)
                finally:
                    self._child = None
                    if child is not None:
                        await child.end()
                await asyncio.sleep(min(0.1 * 2**failures, LONGEST_PAUSE))
        finally:
            self._child = None
            self._batches.clear()
            self._queue.clear()
            self._fail(list(self._all.values()), lambda: BusyError("the explorer was ended"))

    async def _receive(self, child: Child) -> None:
        """Pass answers on until the process ends: ChildEndedError then."""
        while True:
            self._settle(*await child.answer())
            self._send()

    def _settle(self, number: int, kind: int, content: bytes) -> None:
        for batch in self._batches:
            if (waiting := batch.pop(number, None)) is not None:
                break
        else:
            return
        self._batches = [batch for batch in self._batches if batch]
        if kind == BROKEN:
            print(content.decode(), file=sys.stderr, flush=True)
            content = b"the explorer failed at this question; the output of `polysem explore` says where"
        if kind != DONE:
            errors = {UNKNOWN: UnknownNameError, BROKEN: BrokenError}
            self._fail([waiting], lambda: errors.get(kind, InputError)(content.decode()))
            return
        self._answers.keep(waiting.job, content)
        del self._all[waiting.job]
        if not waiting.answer.done():
            waiting.answer.set_result(content)

    def _back(self, count: bool) -> None:
        """Put what was sent back into the queue, but for what the process keeps dying of, and what nobody waits for any
        more. Where deaths `count`, it died of one of the first batch, as that was worked on; these go to the end, so
        that if it is killed again and again, others are next."""
        batches, self._batches = self._batches, []
        for batch in reversed(batches):
            died = count and batch is batches[0]
            for number, waiting in reversed(batch.items()):
                waiting.deaths += died
                if waiting.deaths >= LIVES:
                    self._fail([waiting], lambda: BrokenError("the inference process dies of this question"))
                elif not waiting.askers:
                    self._fail([waiting], lambda: BusyError("nobody waits"))
                else:
                    self._queue[number] = waiting
                    self._queue.move_to_end(number, last=died)

    def _fail(self, several: Iterable[Waiting], error: Callable[[], Exception]) -> None:
        for waiting in several:
            self._all.pop(waiting.job, None)
            if waiting.askers and not waiting.answer.done():
                waiting.answer.set_exception(error())
            else:
                waiting.answer.cancel()
