"""What the step `measure_dictionary` holds goes with features, not with tokens."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).parents[2]
FEW, MANY = 20_000, 200_000
GROWTH = 64
"""MiB. 24 are the store, whose pages stay in memory where they were read, up to 64; a token takes 22 bytes, which is 4
in all. Active entries, 32 a token, would take 73 if they were kept, and more to be worked on."""


def benchmark():
    spec = importlib.util.spec_from_file_location("survey_memory", ROOT / "benchmarks/survey_memory.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_ten_times_the_tokens_take_no_more_memory_than_their_places(tmp_path):
    shape = {"neurons": 64, "features": 256, "active": 32}
    few_examples = {"top_examples": 5, "sampled_examples": 5, "strong_examples": 10}
    peaks = [benchmark().peak(tmp_path / str(rows), rows, **shape, **few_examples) for rows in (FEW, MANY)]
    assert peaks[1] - peaks[0] < GROWTH
