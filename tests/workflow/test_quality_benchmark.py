"""The campaign that compares SAEs with those of other libraries, small."""

import sys

import pytest
from repository import ROOT

pytestmark = pytest.mark.workflow


def test_the_campaign_runs_as_one_command_and_makes_nothing_twice(finished, tmp_path):
    command = [
        sys.executable,
        str(ROOT / "benchmarks/quality.py"),
        "run",
        "--study",
        "results",
        "--output",
        str(tmp_path),
    ]
    command += ["--settings", "stories-1l-x8", "--lengths", "short", "--steps", "6", "--packages", "ours", "sae_lens"]
    command += ["--rates", "2e-3", "5e-3", "--seeds", "0", "--points", "1", "--scored", "512"]
    said = finished.run(*command).stdout
    assert "sae_lens is left out; give --peers" in said
    for architecture in ("relu", "topk", "batchtopk", "jumprelu", "gated", "matryoshka_batchtopk"):
        assert f"| stories-1l-x8 | 6 | {architecture} | 32 |" in said
    judged = list(tmp_path.glob("*/*/judged.json"))
    assert len(judged) == 6  # six architectures at the better rate
    again = finished.run(*command).stdout
    assert "explained_variance" not in again
    assert said.splitlines()[-5:] == again.splitlines()[-5:]
