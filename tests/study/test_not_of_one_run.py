"""What an unfinished run leaves: SAEs that are newer than their tables, figures, sheets and params."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import polysem
from polysem.io.content import file_digest
from polysem.io.tables import write_table

ASKED = ("feature", "table", "draw", "plot")


@pytest.fixture
def folder(tmp_path) -> Path:
    """Results of a run, in which there is an SAE with one table, and params that say l1 = 0.5."""
    results = tmp_path / "results"
    for made in ("models/m", "saes/m/a.b/s", "tables/m/a.b/s", "report/pages", "figures/m/a.b", "plots/m/a.b/s"):
        (results / made).mkdir(parents=True)
    (results / "metrics.json").write_text(json.dumps({"m": {"a.b": {"s": {"l0": 3}}}}))
    saes = {"s": {"architecture": "relu", "l1": 0.5, "models": "all", "sites": "all"}}
    params = {"models": {"m": {"sites": ["a.b"]}}, "saes": saes}
    (results / "report/pages/params.json").write_text(json.dumps(params))
    train(results, 0.5)
    table = xr.Dataset({"frequency": ("feature", np.zeros(4), {"long_name": "frequency", "units": "1"})})
    write_table(results / "tables/m/a.b/s/frequency.nc", table)
    (results / "plots/m/a.b/s/rank_frequency.csv").write_text("rank,frequency\n1,1\n")
    measure(results)
    return results


def train(results: Path, l1: float) -> None:
    config = {"d_in": 2, "d_sae": 4, "metadata": {"recipe": {"architecture": "relu", "l1": l1}}}
    (results / "saes/m/a.b/s/cfg.json").write_text(json.dumps(config))


def measure(results: Path, *, said: bool = True) -> None:
    """Write the receipt of the tables, as a version that says the SAE or as an older one."""
    receipt: dict = {"artifacts": {"frequency": {"made_of": "1", "file": "frequency.nc"}}}
    if said:
        receipt["made_from"] = {"cfg.json": file_digest(results / "saes/m/a.b/s/cfg.json")}
    (results / "tables/m/a.b/s.json").write_text(json.dumps(receipt))


def ask(study: polysem.Study, what: str) -> object:
    sae = study["m"]["a.b"]["s"]
    if what == "feature":
        return sae.feature(0)
    if what == "table":
        return sae.table("frequency")
    return sae.draw("frequency_histogram") if what == "draw" else study.plot("m", "a.b", "s", "rank_frequency")


def test_what_is_of_one_run_says_nothing_of_it(folder, recwarn):
    study = polysem.open(folder)
    assert ask(study, "feature") and len(ask(study, "plot")) == 1 and ask(study, "table").sizes == {"feature": 4}
    assert study["m"]["a.b"]["s"].recipe["l1"] == 0.5
    assert "one run" not in repr(study) and repr(study["m"]["a.b"]["s"]).endswith("4 features>")
    assert len(study.metrics) == 1 and not recwarn


@pytest.mark.parametrize("what", ASKED)
def test_tables_of_another_sae_than_there_is_now_are_refused(folder, what):
    study = polysem.open(folder)
    ask(study, "table")
    train(folder, 2.0)
    with pytest.raises(polysem.InputError, match=r"the tables of m/a\.b/s were made of another SAE than there is now"):
        ask(study, what)
    with pytest.raises(polysem.InputError, match="made of another SAE"):
        study["m"]["a.b"]["s"].sheet(0)


@pytest.mark.parametrize("what", ASKED)
def test_without_a_digest_in_the_receipt_the_recipe_tells(folder, what):
    measure(folder, said=False)
    train(folder, 2.0)
    with pytest.raises(polysem.InputError, match=r"trained with l1: 2\.0, and the params .* say 0\.5; run `snakemake"):
        ask(polysem.open(folder), what)


def test_a_recipe_that_the_sae_was_not_trained_with_is_refused_and_its_new_tables_are_not(folder):
    train(folder, 2.0)
    measure(folder)
    sae = polysem.open(folder)["m"]["a.b"]["s"]
    assert sae.table("frequency").sizes == {"feature": 4}
    with pytest.raises(polysem.InputError, match=r"trained with l1: 2\.0"):
        _ = sae.recipe


def test_showing_what_is_mixed_says_so_and_metrics_warn(folder):
    train(folder, 2.0)
    study = polysem.open(folder)
    assert "not of one run: the tables of m/a.b/s" in repr(study)
    assert "another SAE than there is now" in repr(study["m"]["a.b"]["s"])
    assert "another SAE than there is now" in study["m"]["a.b"]["s"]._repr_html_()
    assert "relu" in study["m"]["a.b"]._repr_html_()
    with pytest.warns(UserWarning, match=r"metrics of .* are not of one run: the tables of m/a\.b/s"):
        assert len(study.metrics) == 1


def test_figures_of_other_tables_are_not_shown_as_theirs(folder):
    receipt, tables = folder / "figures/m/a.b/s.json", folder / "tables/m/a.b/s.json"
    said = {"artifacts": {"f": {"file": "f.svg"}}, "made_from": {"tables": file_digest(tables)}}
    receipt.write_text(json.dumps(said))
    (folder / "figures/m/a.b/s").mkdir()
    (folder / "figures/m/a.b/s/f.svg").touch()
    sae = polysem.open(folder)["m"]["a.b"]["s"]
    assert sae.drawn("f").name == "f"
    tables.write_text(tables.read_text() + "\n")
    os.utime(tables, (1, 1))
    with pytest.raises(polysem.InputError, match=r"the figures of m/a\.b/s were made of other tables than there are"):
        sae.drawn("f")


def test_figures_whose_receipt_names_no_tables_are_refused_by_the_recipe(folder):
    (folder / "figures/m/a.b/s.json").write_text(json.dumps({"artifacts": {"f": {"file": "f.svg"}}}))
    (folder / "figures/m/a.b/s").mkdir()
    (folder / "figures/m/a.b/s/f.svg").touch()
    sae = polysem.open(folder)["m"]["a.b"]["s"]
    assert sae.drawn("f").name == "f"
    train(folder, 2.0)
    measure(folder)
    with pytest.raises(polysem.InputError, match=r"trained with l1: 2\.0"):
        sae.drawn("f")
