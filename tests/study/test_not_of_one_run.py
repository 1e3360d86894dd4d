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


def of_neurons(results: Path) -> dict[str, str]:
    """What the receipt of the tables of neurons names, which have a model and activations."""
    (results / "activations/m/a.b").mkdir(parents=True)
    (results / "activations/m/a.b/eval.json").write_text("{}")
    (results / "models/m/model.json").write_text(json.dumps({"files": {"model.safetensors": "1" * 64}}))
    return {"model.safetensors": "1" * 64, "eval.json": file_digest(results / "activations/m/a.b/eval.json")}


@pytest.mark.parametrize(
    ("newer", "content", "other"),
    [
        ("models/m/model.json", json.dumps({"files": {"model.safetensors": "2" * 64}}), "another model than there is"),
        ("activations/m/a.b/eval.json", "[]", "other activations than there are"),
    ],
)
def test_tables_of_neurons_of_another_model_or_of_other_activations_are_refused(folder, newer, content, other):
    (folder / "tables/m/a.b/neurons").mkdir()
    table = (folder / "tables/m/a.b/s/frequency.nc").read_bytes()
    (folder / "tables/m/a.b/neurons/frequency.nc").write_bytes(table)
    artifacts = {"frequency": {"made_of": "1", "file": "frequency.nc"}}
    receipt = {"artifacts": artifacts, "made_from": of_neurons(folder)}
    (folder / "tables/m/a.b/neurons.json").write_text(json.dumps(receipt))
    neurons = polysem.open(folder)["m"]["a.b"]["neurons"]
    assert neurons.table("frequency").sizes == {"feature": 4}
    (folder / newer).write_text(content)
    with pytest.raises(polysem.InputError, match=f"the tables of m/a.b/neurons were made of {other} now"):
        neurons.table("frequency")


@pytest.mark.parametrize("of", ["site", "model"])
def test_tables_of_a_site_and_of_a_model_that_read_what_is_no_more_are_refused(folder, of):
    measured = folder / "tables/m/a.b/s.json"
    receipt = json.loads(measured.read_text())
    receipt["artifacts"]["frequency"]["sha256"] = "1" * 64
    measured.write_text(json.dumps(receipt))
    path = folder / ("tables/m/a.b/fidelity.nc" if of == "site" else "tables/m/twins.nc")
    path.write_bytes((folder / "tables/m/a.b/s/frequency.nc").read_bytes())
    sae = "saes/m/a.b/s/cfg.json"
    said = {sae: file_digest(folder / sae), "tables/m/a.b/s/frequency.nc": "1" * 64, "models/m/gone.json": "3" * 64}
    path.with_name(f"{path.name}.json").write_text(json.dumps({"artifacts": {}, "made_from": said}))

    def ask() -> xr.Dataset:
        model = polysem.open(folder)["m"]
        return model["a.b"].table("fidelity") if of == "site" else model.table("twins")

    assert ask().sizes == {"feature": 4}
    receipt["artifacts"]["frequency"]["sha256"] = "2" * 64
    measured.write_text(json.dumps(receipt))
    with pytest.raises(
        polysem.InputError, match=r"was made of another tables/m/a\.b/s/frequency\.nc than there is now"
    ):
        ask()
    receipt["artifacts"]["frequency"]["sha256"] = "1" * 64
    measured.write_text(json.dumps(receipt))
    train(folder, 2.0)
    with pytest.raises(polysem.InputError, match=r"was made of another saes/m/a\.b/s/cfg\.json than there is now"):
        ask()
