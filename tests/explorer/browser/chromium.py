"""The system's Chromium, driven by playwright, and the explorer as a process beside it."""

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from repository import ROOT, Repository, environment

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
PATIENCE = 120
"""Seconds that a busy machine may take for anything."""


def chromium() -> str | None:
    """Where it is; None if there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def explored(repository: Repository, author: str) -> Iterator[str]:
    """The address of an explorer that is open on the results of a repository, and can be asked."""
    command = [sys.executable, "-m", "polysem", "explore", "results", "--port", "0", "--author", author]
    variables = environment(repository.folder) | {"PYTHONPATH": str(ROOT / "src")}
    with (repository / f"{author}.log").open("w+") as log:
        server = subprocess.Popen(command, cwd=repository.folder, env=variables, stdout=log, stderr=subprocess.STDOUT)
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
                    if b'"ready"' in answer.read().split(b'"inference"')[-1]:
                        return found[0].rstrip("/")
            except URLError:
                pass
        time.sleep(0.1)
    raise AssertionError(f"the explorer is not ready:\n{log.read_text()}")
