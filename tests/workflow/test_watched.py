"""What the log of a step says that something else ended, and that it ends with its Snakemake."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from polysem.workflow.running import watched

STEP = """
import os, signal, sys, time
from polysem.workflow.running import watched
watched.watch()
held = bytearray(50_000_000)
print(os.getpid(), os.environ["POLYSEM_SUPERVISED"] == str(os.getppid()), flush=True)
END
"""
ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(watched.__file__).parents[3])}


def run(end: str, *arguments: str, supervisor: str = "1", **variables: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", STEP.replace("END", end), *arguments]
    environment = ENVIRONMENT | {"POLYSEM_SUPERVISED": supervisor} | variables
    return subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.mark.parametrize("status", [0, 1, 3])
def test_a_step_that_ends_by_itself_has_its_own_status_and_nothing_is_said(status):
    process = run(f"sys.exit({status})")
    out, error = process.communicate(timeout=30)
    assert (process.returncode, error) == (status, "")
    assert out.split()[1] == "True"


@pytest.mark.parametrize(("device", "card"), [("cuda", "7"), ("auto", "7"), ("cpu", "7,8"), (None, "7,8")])
def test_a_step_that_may_use_a_card_gets_one_of_several(device, card, tmp_path):
    variables = {"POLYSEM_CARDS": "2", "CUDA_VISIBLE_DEVICES": "7,8", "TMPDIR": str(tmp_path)}
    asked = [] if device is None else ["--device", device]
    out, _ = run("print(os.environ['CUDA_VISIBLE_DEVICES'])", *asked, **variables).communicate(timeout=30)
    assert out.split()[-1] == card


def test_a_step_that_is_killed_leaves_its_time_and_its_memory_in_the_log():
    process = run("time.sleep(1); os.kill(os.getpid(), signal.SIGKILL)")
    _, error = process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGKILL
    found = re.fullmatch(
        r"error: ended by SIGKILL after 1 s, with (\d+) MB of memory at most, as the kernel .*\n", error
    )
    assert found and 50 < int(found[1]) < 200


def test_a_step_whose_time_is_up_says_so_even_where_it_does_not_listen():
    process = run("signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(60)")
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    _, error = process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGTERM
    assert error.startswith("error: ended by SIGTERM after ")
    assert "when a job's time is up" in error


def test_a_watched_step_ends_when_the_process_that_watches_it_is_killed():
    process = run(
        "from polysem.workflow.running.command import supervise; supervise(); print(flush=True); time.sleep(60)"
    )
    assert process.stdout is not None
    step = int(process.stdout.readline().split()[0])
    process.stdout.readline()
    process.kill()
    process.wait()
    end = time.monotonic() + 5
    while Path(f"/proc/{step}").exists() and "State:\tZ" not in Path(f"/proc/{step}/status").read_text():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_watched_step_ends_with_snakemake():
    process = run("time.sleep(60)", supervisor="999999999")  # gone by now
    _, error = process.communicate(timeout=30)
    assert process.returncode == 130
    assert error == "error: ended with the Snakemake that it was run by\n"


def test_nothing_is_watched_outside_of_the_workflow():
    command = [sys.executable, "-c", "from polysem.workflow.running import watched; watched.watch(); print('here')"]
    environment = {name: value for name, value in ENVIRONMENT.items() if name != "POLYSEM_SUPERVISED"}
    assert subprocess.run(command, env=environment, capture_output=True, text=True).stdout == "here\n"


@pytest.mark.parametrize(
    ("own", "files", "limit"),
    [
        ("5:memory:/slurm/job_1/step_0\n", {"memory/slurm/job_1/memory.limit_in_bytes": 800}, 800),
        (
            "5:memory:/slurm/job_1/step_0\n",
            {
                "memory/slurm/job_1/memory.limit_in_bytes": 800,
                "memory/slurm/job_1/step_0/memory.limit_in_bytes": 1 << 62,
            },
            800,
        ),
        ("0::/pod/one\n", {"pod/one/memory.max": "max", "pod/memory.max": 700}, 700),
        ("0::/pod/one\n", {"pod/one/memory.max": "max"}, None),
        ("", {}, None),
    ],
)
def test_the_limit_of_memory_is_the_smallest_of_all_groups_above(tmp_path, own, files, limit):
    (tmp_path / "own").write_text(own)
    for name, value in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"{value}\n")
    assert watched.memory_limit(tmp_path, tmp_path / "own") == limit
