"""The command line of steps."""

import ast
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

import polysem
from polysem.workflow.running.steps import STEPS

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(polysem.__file__).parents[1])}
STEP = '''
import sys
from pathlib import Path
from typing import Literal
from polysem.workflow.running.command import run
from polysem.io.errors import InputError

def step(output: Path, count: int, mode: Literal["a", "b"] = "a", values: list[int] = []) -> None:
    """Do something."""
    if count < 0:
        raise InputError("count is negative; give a positive one")
    print(repr((str(output), count, mode, values)))

if __name__ == "__main__":
    run(step)
'''


@pytest.fixture
def step(tmp_path):
    file = tmp_path / "step.py"
    file.write_text(STEP)

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(file), *arguments]
        return subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, cwd=tmp_path)

    return call


def test_options_come_from_the_signature_and_are_converted(step):
    found = step("--output", "a/b", "--count", "3", "--values", "[1, 2]")
    assert found.stdout == "('a/b', 3, 'a', [1, 2])\n", found.stderr


def test_a_json_object_gives_several_options_and_the_command_line_wins(step):
    found = step("--config", '{"output": "x", "count": 1, "mode": "b"}', "--count", "2")
    assert found.stdout == "('x', 2, 'b', [])\n", found.stderr


def test_options_can_come_from_a_json_file(step, tmp_path):
    (tmp_path / "spec.json").write_text(json.dumps({"output": "x", "count": 1}))
    assert step("--config", "spec.json").stdout == "('x', 1, 'a', [])\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--output", "x", "--count", "-1"], "error: count is negative; give a positive one\n"),
        (["--output", "x", "--count", "many"], "error: count: Input should be a valid integer"),
        (["--output", "x"], "error: count: Missing required argument"),
        (["--output", "x", "--count", "1", "--mode", "c"], "error: mode: Input should be 'a' or 'b'"),
        (["--output", "x", "--count", "1", "--config", '{"counts": 1}'], "error: counts: Unexpected keyword argument"),
    ],
)
def test_bad_input_is_one_line_and_exit_status_one(step, arguments, said):
    found = step(*arguments)
    assert found.returncode == 1
    assert found.stderr.startswith(said)
    assert found.stderr.count("\n") == 1


def test_an_unknown_option_is_refused_and_not_guessed(step):
    found = step("--output", "x", "--count", "1", "--cou", "2")
    assert found.returncode == 2
    assert "unrecognized arguments: --cou 2" in found.stderr


def test_the_help_is_the_docstring(step):
    assert "Do something." in step("--help").stdout


CHILD = """
import time
from pathlib import Path
from polysem.workflow.running.command import run, supervise

def step(started: Path, alive: Path) -> None:
    started.touch()
    time.sleep(5)
    alive.touch()

supervise()
BEFORE
run(step)
"""
PARENT = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, *sys.argv[1:]], env={**os.environ, "POLYSEM_SUPERVISED": VALUE})
print(child.pid, flush=True)
time.sleep(60)
"""


def gone_within(pid: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        status = Path(f"/proc/{pid}/status")
        if not status.exists() or "State:\tZ" in status.read_text():
            return True
        time.sleep(0.05)
    return False


def appears(file: Path) -> bool:
    deadline = time.monotonic() + 30
    while not file.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    return file.exists()


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks for processes in /proc")
@pytest.mark.parametrize(
    ("value", "before"),
    [
        pytest.param("'1'", "", id="while it runs"),
        pytest.param("str(os.getpid())", "", id="while it runs, told whom to watch"),
        pytest.param(
            "str(os.getpid())",
            "import sys; Path(sys.argv[2]).touch(); time.sleep(0.7)",
            id="while it is still importing",
        ),
    ],
)
def test_a_supervised_step_dies_with_the_process_that_started_it(tmp_path, value, before):
    (tmp_path / "child.py").write_text(textwrap.dedent(CHILD).replace("BEFORE", before))
    (tmp_path / "parent.py").write_text(PARENT.replace("VALUE", value))
    started, alive = tmp_path / "started", tmp_path / "alive"
    arguments = [tmp_path / "child.py", "--started", started, "--alive", alive]
    command = [sys.executable, tmp_path / "parent.py", *arguments]
    with subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert appears(started)
        parent.send_signal(signal.SIGKILL)
    assert gone_within(child, 3.5)
    assert not alive.exists()


def test_a_supervised_step_collects_no_garbage_until_it_runs(tmp_path):
    script = tmp_path / "step.py"
    script.write_text(
        "import gc, os\n"
        "os.environ['POLYSEM_SUPERVISED'] = '1'\n"
        "from polysem.workflow.running.command import run, supervise\n"
        "supervise()\n"
        "imported = gc.isenabled(), gc.get_freeze_count()\n"
        "def step() -> None:\n"
        "    print(imported, gc.isenabled(), gc.get_freeze_count() > 10_000)\n"
        "run(step)\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True, env=ENVIRONMENT)
    assert done.stdout == "(False, 0) True True\n"


def test_importing_the_package_changes_nothing_whatever_the_environment_says():
    code = (
        "import gc, sys; finders = [*sys.meta_path]; import polysem, polysem.workflow.running.command; "
        "print(gc.isenabled(), gc.get_freeze_count(), sys.meta_path == finders)"
    )
    supervised = ENVIRONMENT | {"POLYSEM_SUPERVISED": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=supervised)
    assert done.stdout == "True 0 True\n"


def test_a_step_that_does_not_exist_is_refused_with_the_nearest_name():
    command = [sys.executable, "-m", "polysem", "step", "train_sea"]
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT)
    assert done.returncode == 1
    assert done.stderr.startswith("error: there is no step 'train_sea' (did you mean 'train_sae'?)")


def test_every_step_is_a_function_of_its_name():
    for name, module in STEPS.items():
        tree = ast.parse((Path(polysem.__file__).parents[1] / f"{module.replace('.', '/')}.py").read_text())
        assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
