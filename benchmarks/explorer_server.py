"""`polysem explore` as a process of its own, and clients that keep a connection each, for tests and benchmarks."""

import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from http.client import HTTPConnection
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import urlencode

ADDRESS = re.compile(r"at http://(\S+):(\d+)/")
START_SECONDS = 300.0
ENVIRONMENT = {"PYTHONPATH": str(Path(__file__).resolve().parents[1] / "src")}


class Served:
    """A running explorer; ended at the end of the `with` block."""

    def __init__(self, results: Path | str, *options: str, folder: Path | None = None) -> None:
        self._results, self._options, self._folder = str(results), options, folder
        self.printed = ""

    def __enter__(self) -> "Served":
        self._errors = tempfile.TemporaryFile("w+")
        self.begun = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "polysem", "explore", self._results, "--port", "0", *self._options],
            cwd=self._folder,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=os.environ | ENVIRONMENT,
        )
        while not (found := ADDRESS.search(self.printed)):
            assert self.process.stdout is not None
            line = self.process.stdout.readline()
            if not line:
                self.process.wait()
                raise RuntimeError(f"the explorer ended with {self.process.returncode}: {self.errors}")
            self.printed += line
        self.host, self.port = found[1], int(found[2])
        return self

    def __exit__(self, *ended: object) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._errors.close()

    @property
    def errors(self) -> str:
        """What it printed to standard error."""
        self._errors.seek(0)
        return self._errors.read()

    def get(self, path: str, **parameters: Any) -> tuple[int, dict[str, str], bytes]:
        """One request on a connection of its own."""
        return self._once("GET", address(path, **parameters))

    def post(self, path: str, body: bytes | Any, **headers: str) -> tuple[int, dict[str, str], bytes]:
        """One request with a body, a value as JSON or bytes as they are."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {"Content-Type": "application/json"} | {key.replace("_", "-"): value for key, value in headers.items()}
        return self._once("POST", path, content, named)

    def health(self) -> dict[str, Any]:
        """What `/api/health` says."""
        return json.loads(self.get("/api/health")[2])

    def ready(self) -> dict[str, Any]:
        """The same, as soon as the inference process has begun."""
        until = time.monotonic() + START_SECONDS
        while (found := self.health())["inference"] == "starting":
            if time.monotonic() > until:
                raise RuntimeError(f"the inference process does not begin: {self.errors}")
            time.sleep(0.05)
        return found

    def memory(self) -> dict[str, int]:
        """Bytes of memory that are no mapped files, of the server and of its inference process."""
        pids = {"server": self.process.pid, "inference": self.ready()["process"]}
        return {name: anonymous(pid) for name, pid in pids.items()}

    def _once(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] = MappingProxyType({})
    ) -> tuple[int, dict[str, str], bytes]:
        client = HTTPConnection(self.host, self.port)
        try:
            client.request(method, path, body, headers)
            answer = client.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            client.close()


class Client:
    """A connection that is kept from one request to the next."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of the answer."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port)
        reader, writer = self._streams
        given = {"Host": f"{self._host}:{self._port}", "Content-Length": str(len(body))} | (headers or {})
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items() if value)]
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        await writer.drain()
        status, *answered = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").strip().split("\r\n")
        found = {name.lower(): value for name, _, value in (line.partition(": ") for line in answered)}
        content = await reader.readexactly(int(found.get("content-length", 0)))
        if found.get("connection") == "close":
            await self.close()
        return int(status.split()[1]), found, content

    async def close(self) -> None:
        """End the connection."""
        if self._streams is not None:
            self._streams[1].close()
            with suppress(ConnectionError):
                await self._streams[1].wait_closed()
            self._streams = None


def address(path: str, **parameters: Any) -> str:
    """A path with parameters behind it."""
    return f"{path}?{urlencode(parameters, doseq=True)}" if parameters else path


def anonymous(pid: int) -> int:
    """Bytes of memory of a process that are no mapped files."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(re.search(r"RssAnon:\s+(\d+) kB", status)[1]) * 1024  # type: ignore[index]
