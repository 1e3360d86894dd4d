"""Steps that share the cards of one machine."""

import subprocess
import sys
from pathlib import Path

import pytest

from polysem.workflow.running import cards

STEP = """
import os, sys
from pathlib import Path
from polysem.workflow.running.cards import take_card
held = take_card(Path(sys.argv[1]))
print(os.environ.get("CUDA_VISIBLE_DEVICES"), flush=True)
sys.stdin.read()
"""


def start(folder: Path, **variables: str) -> tuple[subprocess.Popen[str], str]:
    environment = {"PYTHONPATH": str(Path(cards.__file__).parents[3]), **variables}
    command = [sys.executable, "-c", STEP, str(folder)]
    process = subprocess.Popen(command, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"POLYSEM_CARDS": "3"}, ["0", "1", "2"]),
        ({"POLYSEM_CARDS": "2", "CUDA_VISIBLE_DEVICES": "5, GPU-8a"}, ["5", "GPU-8a"]),
    ],
)
def test_each_step_has_a_card_of_its_own_and_leaves_it_when_it_ends(tmp_path, variables, expected):
    running = [start(tmp_path, **variables) for _ in expected]
    assert [card for _, card in running] == expected
    running[0][0].communicate()
    process, card = start(tmp_path, **variables)
    assert card == expected[0]
    for each in (process, *(one for one, _ in running[1:])):
        each.communicate()


@pytest.mark.parametrize("variables", [{}, {"POLYSEM_CARDS": "1", "CUDA_VISIBLE_DEVICES": "3"}])
def test_nothing_is_chosen_where_one_card_is_all(tmp_path, variables):
    process, card = start(tmp_path, **variables)
    process.communicate()
    assert card == variables.get("CUDA_VISIBLE_DEVICES", "None")
