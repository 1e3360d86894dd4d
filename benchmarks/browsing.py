"""The explorer as a process, and the system's Chromium, for pictures and for tests of pages."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

SOURCES = Path(__file__).resolve().parents[1] / "src"
NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
PATIENCE = 300
"""Seconds that a busy machine may take for anything."""


def chromium() -> str | None:
    """Where it is; None if there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def explored(results: Path, author: str, environment: Mapping[str, str] = os.environ) -> Iterator[str]:
    """The address of an explorer that is open on some results, written in by an author, and can be asked."""
    command = [sys.executable, "-m", "polysem", "explore", str(results), "--port", "0", "--author", author]
    variables = dict(environment) | {"PYTHONPATH": str(SOURCES)}
    with tempfile.NamedTemporaryFile("w+", suffix=".log") as log:
        server = subprocess.Popen(command, cwd=results.parent, env=variables, stdout=log, stderr=subprocess.STDOUT)
        try:
            yield _ready(server, Path(log.name))
        finally:
            server.terminate()
            server.wait(PATIENCE)


def _ready(server: subprocess.Popen, log: Path) -> str:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and server.poll() is None:
        if found := re.search(r"http://\S+?/", log.read_text()):
            try:
                with urlopen(f"{found[0]}api/health", timeout=PATIENCE) as answer:
                    if b'"starting"' not in answer.read():
                        return found[0].rstrip("/")
            except URLError:
                pass
        time.sleep(0.1)
    raise RuntimeError(f"the explorer is not ready:\n{log.read_text()}")
