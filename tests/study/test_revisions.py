"""`polysem.open(".", revision=…)`: git has the numbers, DVC's cache the rest."""

import gc
import re

import numpy as np
import pytest
import xarray as xr

import polysem

SITE = "blocks.0.mlp.hook_post"
pytestmark = pytest.mark.workflow


def test_a_revision_shows_what_its_run_made_and_not_what_lies_there_now(copied, inside):
    before = polysem.open(copied / "results")
    kept = before["stories-1l"][SITE]["topk-x4"].table("alignment").load()
    numbers = before.metrics
    (copied / "results/metrics.json").write_text('{"stories-1l": {"model": {"loss": 1.0}}}')
    (copied / f"results/tables/stories-1l/{SITE}/topk-x4/alignment.nc").unlink()
    inside(copied)
    study = polysem.open(".", revision="HEAD")
    assert study.metrics.equals(numbers)
    sae = study["stories-1l"][SITE]["topk-x4"]
    xr.testing.assert_identical(sae.table("alignment").load(), kept)
    assert sae.encode(np.zeros((2, 64), np.float32)).shape == (2, 256)
    assert sae.site.activations("eval").sizes == {"token": 4096, "neuron": 64}
    assert (
        sae.drawn("decoder_power").path.read_bytes()
        == (copied / f"results/figures/stories-1l/{SITE}/topk-x4/decoder_power.svg").read_bytes()
    )
    assert sae.feature(3)._repr_html_().startswith("<iframe sandbox")
    assert study["stories-1l"].run("Once upon a time")[SITE].sizes["neuron"] == 64
    assert "params.yaml of HEAD" in repr(study)


def test_what_is_not_in_the_cache_is_named_with_the_command_that_gets_it(finished, tmp_path, inside):
    fresh = finished.clone(tmp_path / "fresh")
    inside(fresh)
    study = polysem.open(".", revision="HEAD")
    assert len(study.metrics) and list(study["stories-1l"][SITE]) == ["neurons", "l1-x4", "topk-x4"]
    neurons = study["stories-1l"][SITE]["neurons"]
    assert repr(neurons.site) == f"<polysem.Site stories-1l/{SITE}: neurons, l1-x4, topk-x4>"
    for shown in (repr(neurons.site["topk-x4"]), neurons.site["topk-x4"]._repr_html_()):
        assert "results/saes of HEAD are not in the cache of DVC here; `dvc fetch" in shown
    with pytest.raises(polysem.InputError) as caught:
        neurons.table("frequency")
    assert "results/tables of HEAD are not in the cache of DVC here" in str(caught.value)
    command = re.search("`(dvc fetch --all-commits results/tables)`", str(caught.value))[1]
    fresh.dvc(*command.split()[1:])
    again = polysem.open(".", revision="HEAD")["stories-1l"][SITE]["neurons"]
    assert again.table("frequency").sizes["feature"] == 64


def test_labels_are_those_of_the_revision(copied, inside):
    inside(copied)
    folder = copied / f"labels/stories-1l/{SITE}"
    folder.mkdir(parents=True)
    (folder / "topk-x4.csv").write_text("feature,label,author,note\n7,names,ann,\n")
    copied.commit("A label")
    by_revision = {
        revision: polysem.open(".", revision=revision)["stories-1l"][SITE]["topk-x4"].labels
        for revision in ("HEAD~1", "HEAD")
    }
    assert by_revision["HEAD~1"] == {} and by_revision["HEAD"][7][0].text == "names"


def test_lazy_arrays_of_a_revision_outlive_its_study(finished, inside):
    inside(finished)
    lazy = polysem.open(".", revision="HEAD")["stories-1l"][SITE].activations("eval")
    gc.collect()
    here = polysem.open("results")["stories-1l"][SITE].activations("eval")
    assert np.abs(here).max() > 0
    np.testing.assert_array_equal(lazy, here)


def test_an_unknown_revision_and_one_without_a_run_are_refused(finished, inside):
    inside(finished)
    with pytest.raises(polysem.InputError, match="git knows no revision 'HEAD~9'"):
        polysem.open(".", revision="HEAD~9")
    with pytest.raises(polysem.InputError, match=r"HEAD~1 has no results/metrics\.json in git"):
        polysem.open(".", revision="HEAD~1")
