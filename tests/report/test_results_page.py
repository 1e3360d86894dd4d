"""The page of results: what stands on it is what was recorded of a run."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from polysem.io.errors import InputError
from polysem.io.tables import write_table
from polysem.numerics.resampling import interval_of_values
from polysem.params.study import load_study
from polysem.report.results.page import DEFAULT, NOT_REMADE, filled, main, marks, read_records
from polysem.report.results.record import recorded, this_machine

DOCS = Path(__file__).parents[2] / "docs"
SITE = "blocks.0.mlp.hook_post"
NUMBERS = {
    "features": 4096,
    "L0": 31.95,
    "explained_variance": 0.785,
    "explained_variance_low": 0.78,
    "explained_variance_high": 0.79,
    "loss_recovered_zero": -0.0512,
    "loss_recovered_mean": None,
    "dense_share": 0.854,
    "ten_sparse_share": 0.146,
    "one_sparse_share": 0.0,
    "most_polysemantic_neuron": 99,
    "most_polysemantic_neuron_features": 26,
    "tags_found": 12,
    "tags": 63,
    "tag_mean_best_f1": 0.29,
    "tag_mean_f1_always_active": 0.1,
    "tag_mean_best_auroc": 0.93,
    "median_monosemanticity_above_base": 0.12,
    "never_active_share": 0.015,
    "ultra_low_share": 0.5,
    "ultra_low_threshold_firings": 6.0,
    "ultra_low_cosine_median": 0.893,
    "ultra_low_cosine_median_random": 0.031,
    "seed_found_again_share": 0.35,
    "top_matches": 12.34,
    "top_matches_low": 11.9,
    "top_matches_high": 12.8,
    "top_matches_stem": 13.0,
    **{f"top_of_all_layers_{scale}": 25.0 for scale in ("raw", "share", "quantile", "surprise")},
}


def scalarless(**values) -> xr.Dataset:
    described = {"long_name": "a number", "units": "1"}
    return xr.Dataset({name: (along, column, described) for name, (along, column) in values.items()})


PARAMS = """
corpora: {digits: {source: images}}
models: {m: {source: classifier, corpus: digits}}
saes:
  l1-x8: {architecture: relu, l1: 1, seed: [0, 1]}
  topk-known: {architecture: topk, k: 4}
"""


@pytest.fixture
def params(tmp_path) -> Path:
    """The params file of the run."""
    path = tmp_path / "params.yaml"
    path.write_text(PARAMS)
    return path


@pytest.fixture
def run(tmp_path) -> Path:
    """A run's metrics and the tables that intervals are from: two seeds, neurons, and a toy."""
    results = tmp_path / "results"
    random = np.random.default_rng(0)
    saes = {f"l1-x8_seed={seed}": NUMBERS | {"L0": 31.95 + 2 * seed, "tags_found": 12 + seed} for seed in (0, 1)}
    numbers = {"neurons": {"features": 512, "tags_found": 4, "tags": 63, "tag_mean_best_f1": 0.21}} | saes
    first_found = {"neurons": 30, "l1-x8_seed=0": 0, "l1-x8_seed=1": 5}
    for name, first in first_found.items():
        folder = results / "tables/m" / SITE / name
        tags = {name: ("tag", random.random(63)) for name in ("f1", "auroc")}
        tags["found"] = ("tag", np.isin(np.arange(63), np.arange(first, first + numbers[name]["tags_found"])))
        scores = {"monosemanticity_above_base": ("feature", np.r_[random.random(40), np.nan])}
        write_table(folder / "tags.nc", scalarless(**tags, **scores))
        write_table(folder / "clusters.nc", xr.Dataset(attrs={"not_applicable": "no input weights"}))
    metrics = {
        "m": {"model": {"cross_entropy": 1.124, "cross_entropy_low": 1.1, "cross_entropy_high": 1.15}, SITE: numbers},
        "toy": {"known": {"topk-known": {"recall": 0.91}}},
    }
    (results / "metrics.json").write_text(json.dumps(metrics))
    return results


@pytest.fixture
def remake(tmp_path, run, params):
    first, last = marks(DEFAULT)
    (tmp_path / "page.md").write_text(f"# Results\n\nBefore.\n\n{first}\nold\n{last}\n\nAfter.\n")

    def command(*arguments: str) -> str:
        paths = ["--page", str(tmp_path / "page.md"), "--record", str(tmp_path / "record.json")]
        assert main([*arguments, *paths, "--configfile", str(params)]) == 0
        return (tmp_path / "page.md").read_text()

    return command


def rows(page: str, *cells: str) -> list[list[str]]:
    """Rows of tables that hold all of some cells."""
    found = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line.startswith("|")
    ]
    return [row for row in found if set(cells) <= set(row)]


def test_every_table_of_the_page_is_what_the_generator_gives_from_its_record():
    page, records = (DOCS / "results.md").read_text(encoding="utf-8"), read_records(DOCS / "results.json")
    assert filled(page, records) == page
    sections = re.findall(r"<!-- tables: (\S+),", page)
    assert DEFAULT in sections and set(records) <= set(sections)
    for name in set(sections) - set(records):
        assert page.split(marks(name)[0])[1].lstrip().startswith(NOT_REMADE), name


def test_numbers_intervals_seeds_and_the_machine_of_a_run_come_onto_the_page(remake, run):
    page = remake("--results", str(run))
    assert page.startswith("# Results\n\nBefore.\n") and page.endswith("\nAfter.\n") and "\nold\n" not in page
    assert f"Made on: {this_machine()}." in page
    fidelity, tags = rows(page, "m, 0", "l1-x8_seed=0")[:2]
    assert fidelity[2:] == [
        "4,096", "31.9", "0.785 [0.780, 0.790]", "−0.051", "–", "85.4 / 14.6 / 0.0", "99 / 26"
    ]  # fmt: skip
    table = xr.load_dataset(run / "tables/m" / SITE / "l1-x8_seed=0/tags.nc", engine="h5netcdf")
    low, high = interval_of_values(table["f1"].values, np.mean)
    assert tags[2:4] == ["12 / 63", f"0.290 [{low:.3f}, {high:.3f}]"]
    assert tags[4] == "0.100" and tags[5].startswith("0.930 [") and tags[6].startswith("0.120 [")
    assert rows(page, "m, 0", "neurons")[0][2] == "4 / 63"
    assert "Tags that some SAE of a site finds: m, 0: 18 of 63.\n" in page  # 0 … 11 and 5 … 17, without the neurons
    (seeds,) = rows(page, "l1-x8", "2")
    assert seeds[3:] == [
        "33.0 ± 1.4", "0.785 ± 0.000", "−0.051 ± 0.000", "12.5 ± 0.7", "0.290 ± 0.000", "0.120 ± 0.000", "50.0 ± 0.0",
        "35 ± 0", "99, 99",
    ]  # fmt: skip
    assert rows(page, "m, 0", "l1-x8_seed=0", "0.893 / 0.031")[0][2:5] == ["6", "50.0", "1.5"]
    assert rows(page, "m, 0", "l1-x8_seed=0", "12.3 [11.9, 12.8]")[0][3:] == ["13.0", "25.0 / 25.0 / 25.0 / 25.0"]
    assert rows(page, "toy", "topk-known", "0.91")
    assert rows(page, "m", "1.124 [1.100, 1.150]")


def test_the_page_is_remade_from_its_record_alone_to_the_same_text(remake, run):
    page = remake("--results", str(run), "--machine", "a Granite Rapids core")
    assert "Made on: a Granite Rapids core." in page
    assert remake("--results", str(run), "--machine", "a Granite Rapids core") == page
    assert remake() == page


def test_another_run_has_a_section_of_its_own_and_leaves_the_others(remake, run, tmp_path):
    first = remake("--results", str(run), "--machine", "one")
    start, end = marks("quick")
    (tmp_path / "page.md").write_text(f"{first}\n{start}\n{end}\n")
    both = remake("--results", str(run), "--section", "quick", "--machine", "two")
    assert both.startswith(first) and both.count("Made on: two.") == 1


def test_a_page_without_the_marks_and_a_run_that_is_not_finished_are_refused(tmp_path, run, params, capsys):
    paths = ["--page", str(tmp_path / "page.md"), "--record", str(tmp_path / "record.json")]
    paths += ["--configfile", str(params)]
    (tmp_path / "page.md").write_text("# Results\n")
    assert main(["--results", str(run), *paths]) == 1
    assert "the page has no place for the tables of default" in capsys.readouterr().err
    assert not (tmp_path / "record.json").exists()
    assert main(["--results", str(tmp_path), *paths]) == 1
    assert "the page needs a finished run" in capsys.readouterr().err
    assert main([*paths]) == 1
    assert "has no record of default" in capsys.readouterr().err
    (run / "metrics.json").write_text("{}")
    with pytest.raises(InputError, match="holds no dictionaries"):
        recorded(run, load_study(params))


def test_a_run_of_another_params_file_is_refused(run, params):
    params.write_text(PARAMS.replace("l1-x8:", "l1-x4:"))
    with pytest.raises(InputError, match="has numbers of l1-x8_seed=0, which the params file has not"):
        recorded(run, load_study(params))
