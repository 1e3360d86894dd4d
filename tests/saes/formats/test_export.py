"""`polysem export`: what is written is read back to the same SAE, and what is not known is said."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from polysem.cli import main
from polysem.io.tables import write_table
from polysem.params.study import load_study
from polysem.saes.activation_functions import gated, jumprelu, standard, topk
from polysem.saes.fetch import format_module
from polysem.saes.sae import SAE, save_sae
from polysem.tables.parts.labels import index, labelled, variable
from polysem.workflow import artifacts
from polysem.workflow.commands.export import forms
from polysem.workflow.provenance.records import record_file

from .conftest import FEATURES, INPUTS, output
from .records import left_by

SITE = "blocks.0.mlp.hook_post"
SETTINGS = {"context_length": 64, "bos_token": None, "processing": {"fold_ln": True, "center_writing_weights": True}}
PARAMS = f"""
corpora: {{stories: {{source: generated}}}}
models:
  m: {{source: trained, corpus: stories, sites: [{SITE}], architecture: {{d_mlp: {INPUTS}}}}}
saes:
  x: {{architecture: relu, l1: 1}}
"""
KINDS = ("standard", "topk", "jumprelu", "gated")
FOLDER = Path("results/saes/m") / SITE / "x"
TABLES = f"results/tables/m/{SITE}/x"
SAE_FILES = [FOLDER / name for name in artifacts.SAE_FILES]
READ_BACK = {
    "saelens": ("sae_weights.safetensors", KINDS),
    "dictionary_learning": ("ae.pt", KINDS),
    "openai": ("mlp_post_act/autoencoders/0.pt", ("standard",)),
}
"""Where the weights are, and the activation functions that the format has."""


def sae_of(kind, parts, normalization="none") -> SAE:
    per_feature = torch.linspace(0, 1, FEATURES)
    function = {
        "standard": standard.Function(),
        "topk": topk.Function(7),
        "jumprelu": jumprelu.Function(per_feature),
        "gated": gated.Function(parts["b_enc"], per_feature, per_feature - 0.5),
    }[kind]
    return SAE(parts["W_enc"], parts["b_enc"], parts["W_dec"], parts["b_dec"], function, normalization)


def trained(sae) -> None:
    """The SAE in its place, as the rule that trains it leaves it."""
    save_sae(sae, FOLDER, {"hook_name": SITE, "training": {"settings": SETTINGS}}, None)
    left_by("train_sae", SAE_FILES, params=load_study(Path("params.yaml")).saes["x"].recipe.hyper_parameters())


@pytest.fixture
def run(tmp_path, monkeypatch, parts):
    """A folder with a finished SAE `x` in it, and its tables, each with its record and seal."""
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(PARAMS)

    def make(kind, normalization="none") -> SAE:
        sae = sae_of(kind, parts, normalization)
        trained(sae)
        receipt = tables.with_name("x.json")
        receipt.write_text("{}")
        left_by("measure_dictionary", [tables, receipt], SAE_FILES)
        return sae

    tables = Path("results/tables/m") / SITE / "x"
    frequency = variable("feature", np.linspace(0, 1, FEATURES), "share of tokens", "1")
    feature = index("feature", 0, FEATURES, "feature")
    histogram = np.zeros((FEATURES, 4), np.int32)
    histogram[39, 1:3] = [6, 3]
    counted = {
        "frequency": frequency,
        "activation_histogram": variable(("feature", "bin"), histogram, "active tokens", "token"),
        "bin_edge": variable("edge", [1.0, 2.0, 4.0, 8.0, 16.0], "edges", "activation"),
    }
    rank = index("rank", 0, 1, "place")
    partners = {
        f"{kind}": variable(("feature", "rank"), np.full((FEATURES, 1), value), "a partner", "1")
        for kind, value in (
            ("correlated_neuron", 5), ("neuron_correlation", 0.5), ("neuron_activation_cosine", 0.75),
            ("correlated_feature", -1), ("feature_correlation", np.nan), ("feature_activation_cosine", np.nan),
        )
    }  # fmt: skip
    without = {"activation": ("feature", "example"), "token": ("feature", "example", "offset")}
    shown = {
        name: variable(along, np.full((FEATURES, 1, 1)[: len(along)], -1), "of an image", "1")
        for name, along in without.items()
    }
    shown |= {"window_activation": shown["token"].astype(float), "kind": variable("example", ["top"], "kind", "1")}
    for name, variables, coordinates, attributes in (
        ("frequency", counted, {}, {"tokens": 9}),
        ("associations", partners, {"rank": rank}, {}),
        ("logits", {}, {}, {"not_applicable": "the site has no direct path to the logits"}),
        ("examples", shown, {"offset": index("offset", 0, 1, "offset")}, {}),
    ):
        write_table(tables / f"{name}.nc", labelled(variables, {"feature": feature} | coordinates, attributes))
    return make


@pytest.mark.parametrize(("name", "kind"), [(name, kind) for name, (_, kinds) in READ_BACK.items() for kind in kinds])
def test_what_is_exported_is_read_back_to_the_same_sae(run, x, capsys, name, kind):
    sae = run(kind)
    assert main(["export", "x", "--format", name, "--output", "out"]) == 0
    published = format_module(name).read(Path("out") / READ_BACK[name][0])
    back = published.load()
    torch.testing.assert_close(back.sae.encode(x), sae.encode(x), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(output(back.sae, x), output(sae, x), atol=1e-5, rtol=1e-5)
    if name != "dictionary_learning":
        torch.testing.assert_close(back.frequency.double(), torch.linspace(0, 1, FEATURES).double(), atol=1e-6, rtol=0)
    said = capsys.readouterr().out
    assert said.startswith("written: out")


def test_a_topk_of_normalised_vectors_goes_to_openai_and_back(run, x):
    sae = run("topk", "layer_norm")
    assert main(["export", "x", "--format", "openai", "--output", "out"]) == 0
    back = format_module("openai").read(Path("out/mlp_post_act/autoencoders/0.pt")).load().sae
    torch.testing.assert_close(output(back, x), output(sae, x))


def test_the_settings_of_the_activations_go_with_a_saelens_folder(run):
    run("standard")
    assert main(["export", "m/blocks.0.mlp.hook_post/x", "--format", "saelens"]) == 0
    folder = Path("exports/saelens/m") / SITE / "x"
    assert json.loads((folder / "cfg.json").read_text())["metadata"] == {
        "model_name": "m", "hook_name": SITE, "prepend_bos": False, "context_size": 64,
        "model_from_pretrained_kwargs": {"fold_ln": True, "center_writing_weights": True}, "sae_lens_version": "6.0.0",
    }  # fmt: skip
    settings = format_module("saelens").read(folder / "sae_weights.safetensors").settings
    assert (settings.prepend_bos, settings.fold_ln, settings.context_size) == (False, True, 64)


def test_neuronpedia_gets_what_was_measured_and_nothing_else(run, parts, capsys):
    run("standard")
    assert main(["export", "x", "--format", "neuronpedia", "--output", "out"]) == 0
    assert [file.name for file in Path("out").iterdir()] == ["batch-0.json"]
    batch = json.loads(Path("out/batch-0.json").read_text())
    assert {key: batch[key] for key in batch if key != "features"} == {
        "model_id": "m", "layer": 0, "sae_set": SITE, "sae_id_suffix": "x",
    }  # fmt: skip
    feature = batch["features"][39]
    row = parts["W_dec"][39]
    strongest = row.argsort(descending=True)[:3]
    assert feature["feature_index"] == 39
    assert feature["frac_nonzero"] == 1.0
    assert feature["neuron_alignment_indices"] == strongest.tolist()
    assert feature["neuron_alignment_values"] == pytest.approx(row[strongest].tolist(), rel=1e-5)
    assert feature["neuron_alignment_l1"] == pytest.approx((row[strongest].abs() / row.abs().sum()).tolist(), rel=1e-5)
    said = capsys.readouterr().out
    assert (feature["freq_hist_data_bar_heights"], feature["freq_hist_data_bar_values"]) == ([6, 3], [3.0, 6.0])
    assert (feature["correlated_neurons_indices"], feature["correlated_neurons_pearson"]) == ([5], [0.5])
    assert (feature["correlated_neurons_l1"], feature["correlated_features_indices"]) == ([0.75], [])
    assert feature["n_tokens_in_prompt"] == 64
    for key in ("activations", "pos_str", "n_prompts_total"):
        assert key not in feature
        assert key.partition("_")[0] in said
    assert "the site has no direct path to the logits" in said


def test_a_table_that_is_not_made_is_named_before_anything_is_written(run, capsys):
    run("standard")
    shutil.rmtree(TABLES)
    Path(f"{TABLES}.json").unlink()
    assert main(["export", "x", "--format", "neuronpedia", "--output", "out"]) == 1
    assert f".nc is not made yet; run `snakemake --cores all {TABLES}` first" in capsys.readouterr().err
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("kind", "normalization", "arguments", "said"),
    [
        ("gated", "none", ["--format", "openai"], "x is gated; OpenAI's form has ReLU and TopK"),
        ("topk", "none", ["--format", "openai"], "OpenAI's loader takes TopK for layer_norm and ReLU for none"),
        ("standard", "layer_norm", ["--format", "openai"], "OpenAI's loader takes TopK for layer_norm"),
        ("standard", "layer_norm", ["--format", "dictionary_learning"], "which dictionary_learning cannot say"),
        ("standard", "none", ["--format", "saelens", "--output", "results"], "results is there already"),
    ],
)
def test_what_a_format_cannot_say_is_refused(run, capsys, kind, normalization, arguments, said):
    run(kind, normalization)
    assert main(["export", "x", *arguments]) == 1
    assert said in capsys.readouterr().err


def refused(capsys, name) -> str:
    """Why an export is refused; nothing is written."""
    assert main(["export", "x", "--format", name, "--output", "out"]) == 1
    assert not Path("out").exists()
    return capsys.readouterr().err


@pytest.mark.parametrize("name", ["saelens", "neuronpedia", "openai"])
def test_tables_of_another_sae_than_there_is_are_refused(run, parts, capsys, name):
    run("standard")
    trained(sae_of("standard", parts | {"b_enc": parts["b_enc"] + 1}))
    said = refused(capsys, name)
    assert f"{TABLES} was made from another results/saes/m/" in said and "run snakemake first" in said


def test_an_sae_whose_tables_are_old_goes_where_none_is_needed(run, parts):
    run("standard")
    trained(sae_of("standard", parts | {"b_enc": parts["b_enc"] + 1}))
    assert main(["export", "x", "--format", "dictionary_learning", "--output", "out"]) == 0


@pytest.mark.parametrize("name", forms())
def test_an_sae_of_other_params_is_refused(run, capsys, name):
    run("standard")
    Path("params.yaml").write_text(PARAMS.replace("l1: 1", "l1: 2"))
    assert "x/cfg.json was made with l1: 1.0, and the params file has l1: 2.0" in refused(capsys, name)
    Path("params.yaml").write_text(PARAMS.replace("architecture: relu, l1: 1", "architecture: topk, k: 3"))
    assert "was made with architecture: relu, and the params file has architecture: topk" in refused(capsys, name)


@pytest.mark.parametrize(
    ("path", "artifact"), [*((str(file), str(file)) for file in SAE_FILES), (f"{TABLES}/frequency.nc", TABLES)]
)
def test_a_file_that_no_run_left_so_is_refused(run, capsys, path, artifact):
    run("standard")
    content = bytearray(Path(path).read_bytes())
    content[-2] ^= 1
    Path(path).write_bytes(content)
    assert f"error: {artifact} is not what its run left; run snakemake first" in refused(capsys, "saelens")


def test_what_has_no_record_is_refused(run, capsys):
    run("standard")
    record_file(TABLES).unlink()
    assert "there is no record of how results/tables/m/" in refused(capsys, "saelens")
    record_file(str(SAE_FILES[0])).unlink()
    assert f"there is no record of how {SAE_FILES[0]} was made" in refused(capsys, "saelens")


def test_what_an_sae_was_made_from_is_held_against_its_record_too(run, capsys):
    run("standard")
    rows = Path("results/activations.json")
    rows.write_text("{}")
    left_by("extract_activations", [rows])
    recipe = load_study(Path("params.yaml")).saes["x"].recipe.hyper_parameters()
    left_by("train_sae", SAE_FILES, [rows], params=recipe)
    assert main(["export", "x", "--format", "saelens", "--output", "before"]) == 0
    rows.write_text('{"other": 1}')
    assert f"{rows}, from which {SAE_FILES[0]} was made, is not what its run left" in refused(capsys, "saelens")
    left_by("extract_activations", [rows])
    assert f"{SAE_FILES[0]} was made from another {rows} than there is now" in refused(capsys, "saelens")


@pytest.mark.parametrize("name", forms())
@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/dev/null/x", "--output: /dev/null is no folder, so nothing can be written below it; name another path"),
        ("/proc/x", "/proc/x could not be read or written (No such file or directory); name another path"),
        ("x" * 300, "could not be read or written (File name too long); name another path"),
    ],
)
def test_an_output_that_no_folder_can_have_is_a_sentence(run, capsys, name, path, said):
    run("standard")
    assert main(["export", "x", "--format", name, "--output", path]) == 1
    found = capsys.readouterr().err
    assert said in found and len(found.splitlines()) == 1


@pytest.mark.parametrize("name", ["x", f"m/{SITE}/x", f"results/saes/m/{SITE}/x/"])
def test_an_sae_is_named_by_its_id_its_place_or_its_folder(run, name):
    run("standard")
    assert main(["export", name, "--format", "saelens", "--output", "theirs"]) == 0
    assert Path("theirs/cfg.json").exists()


def test_an_unknown_and_an_unmade_sae_are_refused(run, capsys):
    assert main(["export", "y", "--format", "saelens"]) == 1
    assert "there is no SAE 'y'; there are m/blocks.0.mlp.hook_post/x" in capsys.readouterr().err
    assert main(["export", "x", "--format", "saelens"]) == 1
    assert "is not made yet; run `snakemake --cores all results/saes/m/" in capsys.readouterr().err


def test_every_format_is_registered_by_its_functions():
    from pkgutil import iter_modules
    from typing import get_args

    from polysem.params.recipes.pretrained import Format
    from polysem.saes import formats

    modules = {module.name: format_module(module.name) for module in iter_modules(formats.__path__)}
    assert {name for name, module in modules.items() if hasattr(module, "read")} == set(get_args(Format))
    assert {name for name, module in modules.items() if hasattr(module, "write")} | {"neuronpedia"} == set(forms())
