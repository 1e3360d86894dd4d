"""`polysem.load_sae` and `save`: SAEs of anyone, in and out."""

import json
import shutil

import numpy as np
import pytest
import torch

import polysem
from polysem.io.tables import read_table

SITE = "blocks.0.mlp.hook_post"
pytestmark = pytest.mark.workflow


@pytest.fixture(scope="module")
def rows(site) -> np.ndarray:
    return site.activations("eval")[:50].to_numpy()


@pytest.mark.parametrize(
    ("name", "form"),
    [("topk-x4", "saelens"), ("topk-x4", "dictionary_learning"), ("l1-x4", "openai"), ("l1-x4", "saelens")],
)
def test_a_saved_sae_is_found_by_its_files_and_is_the_same(site, rows, tmp_path, name, form):
    site[name].save(tmp_path / "out", format=form)
    loaded = polysem.load_sae(tmp_path / "out")
    assert (loaded.format, loaded.neurons, loaded.features) == (form, 64, 256)
    np.testing.assert_array_equal(loaded.encode(rows), site[name].encode(rows))
    np.testing.assert_array_equal(loaded.reconstruct(rows), site[name].reconstruct(rows))
    assert loaded.settings["hook_name"] == SITE
    assert form in repr(loaded) and "<table>" in loaded._repr_html_()
    loaded.save(tmp_path / "again", format=form)
    np.testing.assert_array_equal(polysem.load_sae(tmp_path / "again").encode(rows), loaded.encode(rows))


def test_frequencies_of_the_run_go_with_an_sae_in_saelens_form(site, tmp_path, finished):
    assert site["topk-x4"].save(tmp_path / "out") == []
    measured = read_table(finished / f"results/tables/stories-1l/{SITE}/topk-x4/frequency.nc")["frequency"]
    loaded = polysem.load_sae(tmp_path / "out")
    np.testing.assert_allclose(loaded.frequency, measured, rtol=1e-5, atol=1e-9)
    loaded.save(tmp_path / "again")
    torch.testing.assert_close(polysem.load_sae(tmp_path / "again").frequency, loaded.frequency, rtol=1e-5, atol=1e-9)


def test_what_cannot_be_saved_is_refused_and_nothing_is_overwritten(site, tmp_path):
    with pytest.raises(polysem.InputError, match="the neurons are no SAE"):
        site["neurons"].save(tmp_path / "neurons")
    with pytest.raises(polysem.InputError, match=r"format is 'saelen' \(did you mean 'saelens'\?\)"):
        site["topk-x4"].save(tmp_path / "out", format="saelen")
    with pytest.raises(polysem.InputError, match="TopK and normalises its inputs by none"):
        site["topk-x4"].save(tmp_path / "out", format="openai")
    (tmp_path / "full").mkdir()
    (tmp_path / "full/note.txt").write_text("mine")
    with pytest.raises(polysem.InputError, match="is there already; remove it or name another folder"):
        site["topk-x4"].save(tmp_path / "full")
    assert [file.name for file in (tmp_path / "full").iterdir()] == ["note.txt"]


def test_a_folder_of_no_format_says_what_each_would_need(tmp_path):
    with pytest.raises(polysem.InputError, match=r"no format \(.*saelens: .*sae_weights\.safetensors is missing; "):
        polysem.load_sae(tmp_path)
    with pytest.raises(polysem.InputError, match=r"there is no .*nowhere"):
        polysem.load_sae(tmp_path / "nowhere")
    with pytest.raises(polysem.InputError, match=r"SAEs are read as dictionary_learning, .*openai, saelens"):
        polysem.load_sae(tmp_path, format="pickle")


def test_a_file_that_a_format_refuses_gives_its_reason(site, tmp_path):
    site["topk-x4"].save(tmp_path / "out")
    config = json.loads((tmp_path / "out/cfg.json").read_text())
    (tmp_path / "out/cfg.json").write_text(json.dumps(config | {"architecture": "crosscoder"}))
    with pytest.raises(polysem.InputError, match=r"cannot be read as saelens: .*architecture is 'crosscoder'"):
        polysem.load_sae(tmp_path / "out")


def test_a_folder_with_saes_of_two_formats_asks_which_is_meant(site, tmp_path, rows):
    site["l1-x4"].save(tmp_path / "one", format="saelens")
    site["l1-x4"].save(tmp_path / "two", format="dictionary_learning")
    for file in (tmp_path / "two").iterdir():
        shutil.copy(file, tmp_path / "one")
    with pytest.raises(polysem.InputError, match="can be read as dictionary_learning, saelens; name the one"):
        polysem.load_sae(tmp_path / "one")
    chosen = polysem.load_sae(tmp_path / "one", format="dictionary_learning")
    np.testing.assert_array_equal(chosen.encode(rows), site["l1-x4"].encode(rows))
