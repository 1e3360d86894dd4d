"""Dictionaries of a study: tables, activations, encoding, figures."""

import json
import re
import shutil

import numpy as np
import pytest
import torch
import xarray as xr

import polysem
from polysem.figures.parts import theme
from polysem.io.stores import open_store
from polysem.io.tables import read_table, write_table

SITE = "blocks.0.mlp.hook_post"
pytestmark = pytest.mark.workflow


def test_tables_are_read_when_numbers_are_asked_for(site, finished):
    table = site["topk-x4"].table("alignment")
    assert not table["power_top1"]._in_memory
    whole = read_table(finished / f"results/tables/stories-1l/{SITE}/topk-x4/alignment.nc")
    np.testing.assert_array_equal(table["power_top1"], whole["power_top1"])
    assert not table["kurtosis_excess"]._in_memory


def test_activations_are_a_lazy_array_of_tokens_and_neurons(site, finished):
    found = site.activations("eval")
    assert found.dims == ("token", "neuron") and set(found.coords) == {"sequence", "position"}
    assert not found.variable._in_memory and found.encoding["chunks"] == (1024, 64)
    store = open_store(finished / f"results/activations/stories-1l/{SITE}/eval.zarr")
    np.testing.assert_array_equal(found[1000:1100], store["activations"][1000:1100])
    assert site.inputs("eval").sizes == {"token": 4096, "input": 32}
    with pytest.raises(polysem.InputError, match="keeps no inputs of neurons"):
        site.inputs("train")
    with pytest.raises(polysem.InputError, match="there is no split 'test'; there are: train, eval"):
        site.activations("test")


def test_a_store_that_lost_a_shard_is_refused_and_not_read_as_zeros(results):
    shard = results / f"activations/stories-1l/{SITE}/eval.zarr/activations/c/0/0"
    shard.unlink()
    site = polysem.open(results)["stories-1l"][SITE]
    with pytest.raises(polysem.InputError, match=r"lacks 1 of 1 files of 'activations'; delete it and its receipt"):
        site.activations("eval")


def test_what_comes_in_comes_out(site):
    sae, rows = site["topk-x4"], site.activations("eval")[:6]
    with torch.no_grad():
        expected = sae.weights.encode(torch.from_numpy(rows.to_numpy()).float()).numpy()
    assert 0 < (expected > 0).sum() <= 6 * 8
    tensor = torch.from_numpy(rows.to_numpy().astype(np.float32)).requires_grad_()
    of_tensor = sae.encode(tensor)
    of_tensor.sum().backward()
    assert tensor.grad is not None and tensor.grad.abs().sum() > 0
    np.testing.assert_array_equal(of_tensor.detach().numpy(), expected)
    np.testing.assert_array_equal(sae.encode(rows.to_numpy()), expected)
    np.testing.assert_allclose(sae.encode(rows.to_numpy()[0]), expected[0], rtol=1e-5)
    array = sae.encode(rows.T)
    assert isinstance(array, xr.DataArray) and array.dims == ("token", "feature")
    xr.testing.assert_equal(array["position"], rows["position"])
    np.testing.assert_array_equal(array, expected)
    assert sae.decode(array).dims == ("token", "neuron")
    np.testing.assert_array_equal(sae.decode(array), sae.reconstruct(rows))
    given = rows.to_numpy().astype(np.float32)
    site["neurons"].encode(given)[:] = -1
    np.testing.assert_array_equal(given, rows)  # what comes out is no view of what came in
    np.testing.assert_array_equal(site["neurons"].encode(rows), rows)


def test_an_array_of_another_width_is_refused(site):
    with pytest.raises(polysem.InputError, match=r"shape \(2, 65\); its last axis must hold 64 numbers"):
        site["topk-x4"].encode(np.zeros((2, 65)))
    with pytest.raises(polysem.InputError, match="it must have the dimension 'feature'"):
        site["topk-x4"].decode(site.activations("eval")[:2])
    with pytest.raises(TypeError, match=r"found list; give a torch\.Tensor"):
        site["topk-x4"].encode([[0.0] * 64])


def test_a_drawn_figure_has_the_bytes_of_the_run_s(site, tmp_path, finished):
    of_dictionaries = [(site["topk-x4"], "decoder_power"), (site["l1-x4"], "training_frequencies")]
    for owner, name in [*of_dictionaries, (site, "loss_recovered")]:
        theme.save(owner.draw(name), tmp_path / "drawn.svg")
        assert (tmp_path / "drawn.svg").read_bytes() == owner.drawn(name).path.read_bytes(), name


def test_thresholds_of_a_figure_can_be_given(site):
    def legend(**analysis: float) -> str:
        figure = site["topk-x4"].draw("decoder_power", **analysis)
        return " ".join(text.get_text() for legend in figure.legends for text in legend.get_texts())

    assert legend(rare_frequency=0.5) != legend()
    with pytest.raises(polysem.InputError, match=r"unknown key \(did you mean 'rare_frequency'\?\)"):
        site["topk-x4"].draw("decoder_power", rare_frequncy=0.5)


def test_a_figure_that_does_not_apply_gives_its_reason_and_an_unknown_one_the_nearest(site):
    reason = site["topk-x4"].figures["image_feature"]
    for show in (site["topk-x4"].draw, site["topk-x4"].drawn):
        with pytest.raises(polysem.InputError, match=re.escape(reason)):
            show("image_feature")
        with pytest.raises(polysem.InputError, match="did you mean 'decoder_power'"):
            show("decoder_powr")
    with pytest.raises(polysem.InputError, match="has no figure 'decoder_power'"):
        site.draw("decoder_power")


def test_a_text_runs_to_the_activations_that_the_store_has_of_it(study, site):
    tokens = study["stories-1l"].tokens("eval")
    name = study["stories-1l"].token_text
    first = tokens["ids"][0, 1:13].values.tolist()
    found = site.model.run("".join(map(name, first)), sites=[SITE])[SITE]
    assert found["text"].values.tolist() == ["<|bos|>", *map(name, first)]
    assert found["counted"].values.tolist() == [False] + [True] * 12
    np.testing.assert_allclose(found[1:], site.activations("eval")[:12], atol=4e-3)  # float16
    assert list(site.model.run("Once", sites=["blocks.0.hook_resid_pre"])) == ["blocks.0.hook_resid_pre"]


def test_what_a_model_cannot_read_is_refused(study):
    stories, digits = study["stories-1l"], study["digits"]
    with pytest.raises(polysem.InputError, match="the text is empty"):
        stories.run("")
    with pytest.raises(polysem.InputError, match=r"has \d+ tokens, 64 are the model's context"):
        stories.run("Once upon a time " * 30)
    with pytest.raises(polysem.InputError, match=r"no site 'blocks\.9\.hook_mlp_out'"):
        stories.run("Once", sites=["blocks.9.hook_mlp_out"])
    with pytest.raises(polysem.InputError, match="digits reads images"):
        digits.run("Once")
    with pytest.raises(polysem.InputError, match=r"reads \(image, 64 pixels\)"):
        digits.run(np.zeros((2, 63)))
    with pytest.raises(polysem.InputError, match=r"pixels must lie in \[0, 1\]; found 0 to 255"):
        digits.run(np.linspace(0, 255, 64)[None])


def test_images_run_to_the_activations_that_the_store_has_of_them(study):
    digits = study["digits"]
    pixels = digits.tokens("eval")["pixels"][:7].to_numpy()
    found = digits.run(pixels)["layers.0.hook_post"]
    np.testing.assert_allclose(found, digits["layers.0.hook_post"].activations("eval")[:7], atol=1e-6)


@pytest.fixture
def older(results):
    """A site whose tables of topk-x4 are as an older version may have left them."""

    def change(table: str, without: str) -> "polysem.Dictionary":
        path = results / f"tables/stories-1l/{SITE}/topk-x4/{table}.nc"
        write_table(path, read_table(path).drop_vars(without))
        for page in (results / f"report/sheets/stories-1l/{SITE}/topk-x4").glob("*.html"):
            page.unlink()
        shutil.rmtree(results / "index")  # older versions made none
        return polysem.open(results)["stories-1l"][SITE]["topk-x4"]

    return change


@pytest.mark.parametrize(
    ("table", "without", "use"),
    [
        ("examples", "quantile", lambda sae: sae.feature(7).examples),
        ("diverse_examples", "similar", lambda sae: sae.feature(7).diverse_examples),
        ("tags", "best_feature", lambda sae: sae.feature(7).tags),
        ("alignment", "power_next9", lambda sae: sae.draw("decoder_power")),
        ("frequency", "standard_deviation", lambda sae: sae.feature(7).sheet()),
    ],
)
def test_a_table_of_an_older_version_is_a_sentence(older, table, without, use):
    with pytest.raises(polysem.InputError) as caught:
        use(older(table, without))
    assert without in str(caught.value) and "version of polysem" in str(caught.value)
    assert "`snakemake --cores all` measures" in str(caught.value)
    assert not isinstance(caught.value, KeyError)


def test_a_missing_table_says_how_it_is_made(results):
    folder = results / f"tables/stories-1l/{SITE}/topk-x4"
    sae = polysem.open(results)["stories-1l"][SITE]["topk-x4"]
    with pytest.raises(KeyError, match=rf"`snakemake --cores all results/tables/stories-1l/{SITE}/topk-x4` makes it"):
        sae.table("novel")
    (folder / "tags.nc").unlink()
    with pytest.raises(polysem.InputError, match=r"tags\.nc is not there; `snakemake --cores all` makes it"):
        sae.table("tags")


def test_receipts_of_either_form_name_the_tables(results):
    """Before and since tables are renewed one by one."""
    now = polysem.open(results)["stories-1l"][SITE]["neurons"]
    receipt = results.parent / now.place.tables_receipt
    held = {name: said["sha256"] for name, said in json.loads(receipt.read_text())["artifacts"].items()}
    assert len(held) > 5 and now.tables == list(held)
    receipt.write_text(json.dumps({"sha256": held}))
    assert polysem.open(results)["stories-1l"][SITE]["neurons"].tables == list(held)
