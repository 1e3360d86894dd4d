"""The inference process as its parent sees it: begun, spoken to, and ended."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from polysem.explorer.inference.frames import HEADER, LONGEST, READY, REFUSED, UNKNOWN, frame
from polysem.explorer.inference.jobs import Start
from polysem.io.errors import InputError

MODULE = "polysem.explorer.inference.process"


class ChildEndedError(Exception):
    """The process is gone, or answers with what is no frame."""


class Child:
    """A running inference process. `added` is what it was begun with, as it was read."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.added: list[dict[str, Any]] = []

    @classmethod
    async def begun(cls, start: Start) -> "Child":
        """A process that has opened the study. InputError if it cannot, ChildEndedError if it ends before."""
        threads = str(start.threads)
        environment = os.environ | {
            "OMP_NUM_THREADS": threads,
            "OPENBLAS_NUM_THREADS": threads,
            "MKL_NUM_THREADS": threads,
            "TOKENIZERS_PARALLELISM": "false",
            "HF_HUB_OFFLINE": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
        }
        child = cls(
            await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                MODULE,
                start.model_dump_json(),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env=environment,
                start_new_session=True,  # Ctrl-C of the terminal is for the server, which ends this
            )
        )
        try:
            _, kind, content = await child.answer()
        except BaseException:
            await child.end()
            raise
        if kind in (REFUSED, UNKNOWN):
            await child.end()
            raise InputError(content.decode())
        assert kind == READY, kind
        child.added = json.loads(content)
        return child

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    def ask(self, jobs: Sequence[dict[str, Any]]) -> None:
        """Send some jobs, each with a `number`; answers come in any order."""
        assert self._process.stdin is not None
        with suppress(ConnectionError, RuntimeError):  # it is gone; whoever waits for answers is told
            self._process.stdin.write(frame(0, 0, json.dumps(jobs).encode()))

    async def answer(self) -> tuple[int, int, bytes]:
        """The next frame. ChildEndedError if there will be none."""
        assert self._process.stdout is not None
        try:
            length, number, kind = HEADER.unpack(await self._process.stdout.readexactly(HEADER.size))
            if length > LONGEST:
                raise ChildEndedError(f"a frame of {length:,} bytes")
            return number, kind, await self._process.stdout.readexactly(length)
        except (asyncio.IncompleteReadError, ConnectionError):
            raise ChildEndedError(f"the process {self.pid} has ended") from None

    def kill(self) -> None:
        """End it at once; `answer` says so to whoever waits. `Process.kill` would take the exit status from asyncio."""
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    async def end(self) -> None:
        """End it and wait until it is gone."""
        self.kill()
        await self._process.wait()
