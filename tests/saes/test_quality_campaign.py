"""How the benchmark of quality compares libraries, on numbers that are known."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).resolve().parents[2] / "benchmarks/quality.py"


@pytest.fixture(scope="module")
def quality():
    spec = importlib.util.spec_from_file_location("quality", BENCHMARK)
    module = importlib.util.module_from_spec(spec)
    sys.modules["quality"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["quality"]


def campaign(folder, library, values):
    """The files of a library's chosen SAEs: {(value, seed): (L0, explained variance)}."""
    names = []
    for (value, seed), (l0, explained) in values.items():
        name = f"{library}_relu_300_0.005_{value:g}_{seed}"
        (folder / name).mkdir(parents=True)
        judged = {"L0": l0, "explained_variance": explained, "loss_recovered_zero": explained + 0.1}
        (folder / name / "judged.json").write_text(json.dumps(judged))
        names.append(name)
    choice = folder / f"{library}_relu_300.json"
    choice.write_text(json.dumps({"library": library, "version": "1", "rate": 0.005, "saes": names}))
    return choice


def cells(line):
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_each_sae_is_compared_with_ours_of_its_seed_at_its_own_l0(quality, tmp_path):
    campaign(tmp_path, "ours", {(10, 0): (10, 0.6), (40, 0): (40, 0.8), (10, 1): (10, 0.62), (40, 1): (40, 0.82)})
    theirs = campaign(tmp_path, "sae_lens", {(2, 0): (20, 0.69), (2, 1): (20, 0.70)})
    explained, recovered = (cells(line) for line in quality.lines(theirs, "site"))
    # halfway between 10 and 40 in log L0: 0.70 and 0.72, so 0.01 and 0.02 more than theirs
    assert explained[4:8] == ["20.0", "explained variance", "0.7100 (0.005)", "0.6950 (0.005)"]
    assert explained[8:] == ["+0.0150 ± 0.0050, 2 seeds", "yes"]
    assert recovered[5] == "loss recovered"


@pytest.mark.parametrize(
    ("gaps", "verdict"),
    [((-0.01, 0.008, 0.0), "yes"), ((-0.01, -0.012, -0.011), "no"), ((-0.001,), "no"), ((0.0,), "yes")],
)
def test_at_least_means_no_lower_than_by_one_standard_error_over_paired_seeds(quality, tmp_path, gaps, verdict):
    campaign(tmp_path, "ours", {(20, seed): (20, 0.7 + gap) for seed, gap in enumerate(gaps)})
    theirs = campaign(tmp_path, "sae_lens", {(2, seed): (20, 0.7) for seed in range(len(gaps))})
    assert {cells(line)[-1] for line in quality.lines(theirs, "site")} == {verdict}


def test_an_l0_that_ours_do_not_reach_is_named_and_not_extrapolated(quality, tmp_path, capsys):
    campaign(tmp_path, "ours", {(10, 0): (10, 0.6), (40, 0): (40, 0.8)})
    theirs = campaign(tmp_path, "sae_lens", {(2, 0): (90, 0.69)})
    assert list(quality.lines(theirs, "site")) == []
    assert "no SAE of ours has this L0" in capsys.readouterr().out


def test_learning_rates_are_compared_at_equal_l0(quality, tmp_path):
    def tried(name, points):
        places = []
        for number, (l0, explained) in enumerate(points):
            place = tmp_path / f"{name}-{number}"
            place.mkdir()
            place.joinpath("chosen_by.json").write_text(json.dumps({"L0": l0, "explained_variance": explained}))
            places.append(place)
        return places

    # the second explains more at every weight of the penalty, but less at every L0
    better = quality.score(tried("one", [(16, 0.70), (32, 0.80)]))
    worse = quality.score(tried("other", [(32, 0.72), (64, 0.82)]))
    assert better > worse
