"""What checks of the whole source say: its types are right, and the tests see wrong edits of it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize(
    "arguments", [["-m", "mypy"], ["benchmarks/mutants.py", "--smoke"]], ids=["types", "wrong edits are seen"]
)
def test_a_check_of_the_whole_source_has_nothing_to_say(arguments):
    ours = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run([sys.executable, *arguments], cwd=ROOT, env=ours, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
