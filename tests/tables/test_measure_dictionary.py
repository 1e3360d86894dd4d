"""The step that makes all tables of a dictionary: what they hold, and which of them it makes again."""

import json
import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from measured import all_stated

from polysem.io.content import file_digest
from polysem.io.tables import read_table
from polysem.layout.annotations import weights_of
from polysem.layout.place import Place
from polysem.params.analysis import Analysis
from polysem.saes.activation_functions import standard
from polysem.saes.sae import SAE, save_sae
from polysem.saes.transcoder import Transcoder
from polysem.tables.contract import ROOMS
from polysem.tables.inputs import Job
from polysem.tables.made_of import Stated, made_from
from polysem.tables.measure_dictionary import measure_dictionary
from polysem.tables.of_dictionary.alignment import neuron_alignment
from polysem.tables.parts.directions import Directions, write_directions
from polysem.tables.parts.token_tags import held_out
from polysem.tables.passes.survey import survey
from polysem.workflow.declarations import declared, modules_of

NEURONS, CLASSES, IMAGES = 4, 3, 500
TABLES = modules_of(ROOMS["dictionary"])


@pytest.fixture
def study(activation_store, image_store, tmp_path):
    """A site of images: its activations, their classes, the weights behind it, an SAE."""
    generator = np.random.default_rng(0)
    x = generator.standard_normal((IMAGES, NEURONS)).astype(np.float32)
    labels = generator.integers(0, CLASSES, IMAGES).astype(np.int32)
    weights = torch.randn(NEURONS, CLASSES, generator=torch.Generator().manual_seed(0))
    place = Place("m", "s", "neurons", root=str(tmp_path))
    tensors = {"s/output_weights": weights, "s/logits": torch.zeros(0)}
    Path(place.directions).parent.mkdir(parents=True)
    write_directions(Path(place.directions), Directions(tensors))
    activation_store(x + 10, "m/s/train")
    activation_store(x, "m/s/eval")
    image_store(np.zeros((IMAGES, 2), np.float32), labels, CLASSES, "m/eval")
    generator = torch.Generator().manual_seed(1)
    W_enc, W_dec = torch.randn(NEURONS, 16, generator=generator), torch.randn(16, NEURONS, generator=generator)
    save_sae(
        SAE(W_enc, torch.full((16,), -0.5), W_dec, torch.zeros(NEURONS), standard.Function()),
        Path(place.of("l1").sae.path),
        {},
        torch.zeros(16),
    )
    return SimpleNamespace(x=x, labels=labels, weights=weights, place=place, W_enc=W_enc, W_dec=W_dec)


def make(place: Place, stated=None) -> None:
    measure_dictionary(*place.names, "classifier", stated or all_stated(place), root=place.root)


def make_neurons(study) -> None:
    """The tables that those of SAEs of the site are held against."""
    make(study.place)


def read_tables(place: Place):
    return {file.stem: read_table(file) for file in Path(place.tables).glob("*.nc")}


def aged(place: Place) -> None:
    """All tables get an old date."""
    for file in Path(place.tables).iterdir():
        os.utime(file, (1_000_000_000, 1_000_000_000))


def made_again(place: Place) -> set[str]:
    """The tables that have a new date."""
    return {file.stem for file in Path(place.tables).iterdir() if file.stat().st_mtime != 1_000_000_000}


def test_all_tables_are_of_the_tokens_of_the_eval_store_and_each_says_whose_it_is_and_what_made_it(study):
    make(study.place)
    tables = read_tables(study.place)
    assert set(tables) == set(TABLES)
    active = (study.x > 0).sum(axis=0)
    assert tables["frequency"].attrs["tokens"] == tables["rank_frequency"].attrs["tokens"] == IMAGES
    assert tables["frequency"]["active_tokens"].values.tolist() == active.tolist()
    half_b = held_out(np.arange(IMAGES))
    of_half = np.stack([(study.x[half] > 0).sum(0) for half in (~half_b, half_b)], axis=1)
    assert tables["frequency"]["active_tokens_of_half"].values.tolist() == of_half.tolist()
    assert [tables["rank_frequency"].attrs[f"tokens_{use}"] for use in ("ranking", "counting")] == [
        (~half_b).sum(),
        half_b.sum(),
    ]
    by_half_a = of_half[np.argsort(-of_half[:, 0], kind="stable"), 1] / half_b.sum()
    np.testing.assert_allclose(tables["rank_frequency"]["bin_frequency"].values, by_half_a)
    assert tables["rank_frequency"]["frequency_sorted"].values.tolist() == sorted(active / IMAGES, reverse=True)
    assert tables["alignment"]["strongest_neuron"].values.tolist() == [0, 1, 2, 3]
    for name, table in tables.items():
        assert [table.attrs[key] for key in ("model", "site", "dictionary")] == ["m", "s", "neurons"]
        assert table.attrs["catalogue"] == declared(TABLES[name])["CATALOGUE"]
        assert table.attrs["code"] == "c0de"
        assert json.loads(table.attrs["versions"])["torch"] == torch.__version__


def test_an_sae_is_measured_by_the_command_line_with_its_params(study):
    given = {"baseline_seed": 1, "head_ranks": 10, "top_examples": 3, "sampled_examples": 2}
    make_neurons(study)
    place = study.place.of("l1")
    stated = {name: asdict(said) for name, said in all_stated(place, Analysis(**given)).items()}
    spec = {"tables": stated, "kind": "classifier", "root": place.root}
    command = [sys.executable, "-m", "polysem", "step", "measure_dictionary", "--config", json.dumps(spec)]
    subprocess.run([*command, "--model=m", "--site=s", "--dictionary=l1"], check=True)
    tables = read_tables(place)
    f = np.maximum(study.x @ study.W_enc.numpy() - 0.5, 0)
    np.testing.assert_allclose(tables["frequency"]["frequency"], (f > 0).mean(0), atol=1 / IMAGES)
    expected = neuron_alignment(iter([study.W_dec.numpy()]), NEURONS, baseline_seed=1)
    np.testing.assert_array_equal(tables["alignment"]["kurtosis_excess_random"], expected["kurtosis_excess_random"])
    assert int(tables["rank_frequency"]["first_rank"].sel(range="tail")) == 10
    best = np.sort(f, axis=0)[::-1][:3].T
    np.testing.assert_allclose(tables["examples"]["activation"].values[:, :3], best, rtol=1e-5)
    assert tables["examples"].sizes["example"] == 5
    related = tables["associations"]
    assert (
        related["correlated_features"].values.tolist()
        == np.isfinite(related["neuron_correlation"].values).sum(0).tolist()
    )
    sizes = np.abs(study.W_dec.numpy())
    for feature, (neuron, rank) in enumerate(
        zip(related["correlated_neuron"].values[:, 0], related["correlated_neuron_weight_rank"].values, strict=True)
    ):
        assert np.argsort(-sizes[feature])[rank - 1] == neuron
    lifted = study.W_dec @ study.weights
    assert tables["logits"]["boosted_token"].values[:, 0].tolist() == lifted.argmax(1).tolist()
    assert tables["tags"]["tag"].values.tolist() == ["class:0", "class:1", "class:2"]
    unit = study.W_dec / study.W_dec.norm(dim=1, keepdim=True)
    cosine = (unit @ unit.T).fill_diagonal_(-2)
    assert tables["associations"]["nearest_feature"].values[:, 0].tolist() == cosine.argmax(1).tolist()
    correlation = np.corrcoef(np.concatenate([f.T, study.x.T]))[:16, 16:]
    assert tables["associations"]["correlated_neuron"].values[:, 0].tolist() == correlation.argmax(1).tolist()
    assert "ultra_low_active" in tables["ultra_low"]


def test_all_tables_of_a_transcoder_hold_what_they_declare_with_decoder_rows_at_its_target(study):
    place, generator = study.place.of("t"), torch.Generator().manual_seed(2)
    W_enc, W_dec = torch.randn(NEURONS, 16, generator=generator), torch.randn(16, 6, generator=generator)
    behind = torch.randn(6, CLASSES, generator=generator)
    tensors = {"s/output_weights": study.weights, "t/output_weights": behind, "t/logits": torch.zeros(0)}
    write_directions(Path(place.directions), Directions(tensors))
    parts = (W_enc, torch.full((16,), -0.5), W_dec, torch.zeros(6), standard.Function())
    save_sae(Transcoder(*parts, target="t"), Path(place.sae.path), {}, torch.zeros(16))
    make_neurons(study)
    measure_dictionary(*place.names, "classifier", all_stated(place), "t", root=place.root)
    tables = read_tables(place)
    assert set(tables) == set(TABLES)
    assert {table.attrs["target"] for table in tables.values()} == {"t"}
    assert {name for name, table in tables.items() if "decoder_site" in table.attrs} == {"alignment", "geometry"}
    np.testing.assert_array_equal(tables["alignment"]["strongest_neuron"], W_dec.square().argmax(1))
    assert tables["logits"]["boosted_token"].values[:, 0].tolist() == (W_dec @ behind).argmax(1).tolist()
    assert "two bases" in tables["geometry"].attrs["encoder_decoder_not_applicable"]
    assert tables["geometry"]["showcase_decoder"].sizes["neuron"] == 6
    f = np.maximum(study.x @ W_enc.numpy() - 0.5, 0)
    np.testing.assert_allclose(tables["frequency"]["frequency"], (f > 0).mean(0), atol=1 / IMAGES)


def readers_of(name: str) -> set[str]:
    """The tables that read a table, and those that read these."""
    found = {table for table, module in TABLES.items() if f"table:{name}" in declared(module)["READS"]}
    return found.union(*(readers_of(table) for table in found))


@pytest.mark.parametrize("table", sorted(TABLES))
def test_an_edit_of_a_table_makes_it_and_what_reads_it_again_and_the_others_keep_bytes_and_date(study, table):
    make(study.place)
    aged(study.place)
    edited = all_stated(study.place)
    edited[table] = replace(edited[table], code="another")
    make(study.place, edited)
    assert made_again(study.place) == {table} | readers_of(table)


def test_a_table_that_is_made_alone_has_the_bytes_that_it_has_among_all_others(study):
    make_neurons(study)
    place = study.place.of("l1")
    make(place)
    before = {file.name: file.read_bytes() for file in Path(place.tables).iterdir()}
    for table in ("frequency", "clusters", "logits", "sparse_probing", "tags", "ultra_low"):
        (Path(place.tables) / f"{table}.nc").unlink()
        aged(place)
        make(place)
        assert made_again(place) == {table}
    assert {file.name: file.read_bytes() for file in Path(place.tables).iterdir()} == before


@pytest.mark.parametrize(
    ("key", "value", "again"),
    [
        ("head_ranks", 20, {"rank_frequency"}),
        ("top_examples", 3, {"diverse_examples", "examples"}),
        ("ultra_low_frequency", 0.3, {"geometry", "ultra_low"}),
        ("rare_frequency", 0.3, set()),
        ("comparison_tokens", 1024, set()),
    ],
)
def test_a_changed_key_makes_the_tables_that_declare_it_again(study, key, value, again):
    make(study.place)
    aged(study.place)
    make(study.place, all_stated(study.place, Analysis(**{key: value})))
    assert made_again(study.place) == again


def test_the_survey_runs_only_for_tables_that_need_activations(study, monkeypatch):
    make_neurons(study)
    make(study.place.of("l1"))

    def refused(*_):
        raise AssertionError("the survey ran")

    monkeypatch.setattr(survey, "blocks", refused)
    edited = all_stated(study.place.of("l1"))
    for table in ("rank_frequency", "geometry", "alignment"):
        assert "survey" not in edited[table].reads
    edited["rank_frequency"] = replace(edited["rank_frequency"], code="another")
    edited["geometry"] = replace(edited["geometry"], code="another")
    make(study.place.of("l1"), edited)
    edited["frequency"] = replace(edited["frequency"], code="another")
    with pytest.raises(AssertionError, match="the survey ran"):
        make(study.place.of("l1"), edited)


def test_other_weights_make_the_tables_of_an_sae_again_and_not_those_of_the_neurons(study):
    make_neurons(study)
    places = [study.place.of("l1"), study.place]
    for place in places:
        make(place)
        aged(place)
    save_sae(
        SAE(study.W_enc * 2, torch.zeros(16), study.W_dec, torch.zeros(NEURONS), standard.Function()),
        Path(places[0].sae.path),
        {},
        torch.zeros(16),
    )
    for place in places:
        make(place)
    assert (made_again(places[0]), made_again(places[1])) == (set(TABLES) - {"followed"}, set())


def test_the_receipt_of_an_sae_says_which_one_the_tables_are_of(study):
    said = {}
    for place in (study.place, study.place.of("l1")):
        make(place)
        said[place.dictionary] = json.loads(Path(place.tables_receipt).read_text()).get("made_from")
    sae, activations = study.place.of("l1").sae, Path(study.place.activations("eval").receipt)
    counted = {"eval.json": file_digest(activations)}
    weights = {name: file_digest(Path(sae.file(name))) for name in ("cfg.json", "sae_weights.safetensors")}
    assert said == {"l1": weights | counted, "neurons": counted}


def test_the_receipt_of_neurons_says_of_which_weights_of_the_model_they_are(study):
    store = Path(study.place.activations("eval").receipt)
    receipt = json.loads(store.read_text())
    receipt["params"]["weights"] = "1" * 64
    store.write_text(json.dumps(receipt))
    make(study.place)
    assert weights_of(Path(study.place.tables_receipt)) == "1" * 64


def test_what_a_table_of_a_site_was_made_from_is_told_by_path_and_digest(study):
    make_neurons(study)
    sae, site = study.place.of("l1"), study.place.of("")
    make(sae)
    reads = ("store", "saes:weights", "saes:table:frequency")
    found = made_from(Stated("", reads, {}, {"saes": [sae.names]}), Job(site, "classifier"))
    files = [site.activations("eval").receipt, sae.sae.file("cfg.json"), sae.table("frequency")]
    assert found == {str(Path(file).relative_to(site.root)): file_digest(Path(file)) for file in files}
