"""Transcoders as files: what SAELens wrote is read, what is read must fit the model entry, what is exported is read
back."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from polysem.cli import main
from polysem.io.errors import InputError
from polysem.params.study import load_study
from polysem.saes.activation_functions import jumprelu, standard
from polysem.saes.agreement import disagreement
from polysem.saes.formats.saelens import read
from polysem.saes.import_sae import import_sae
from polysem.saes.published import Published, Settings
from polysem.saes.sae import load_sae, save_sae
from polysem.saes.transcoder import Transcoder
from polysem.workflow import artifacts
from polysem.workflow.checks import preflight

from .conftest import FEATURES, INPUTS, output
from .records import left_by
from .test_fit import entry
from .test_saelens import MODERN, write

OUTPUTS = 9
SITE, TARGET = "blocks.0.mlp.hook_in", "blocks.0.hook_mlp_out"
ARCHITECTURES = ("transcoder", "skip_transcoder", "jumprelu_transcoder", "jumprelu_skip_transcoder")
SETTINGS = {"context_length": 64, "bos_token": None, "processing": {"fold_ln": False, "center_writing_weights": False}}


@pytest.fixture
def tensors() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = {"W_enc": (INPUTS, FEATURES), "b_enc": (FEATURES,), "W_dec": (FEATURES, OUTPUTS), "b_dec": (OUTPUTS,)}
    shapes |= {"W_skip": (OUTPUTS, INPUTS), "threshold": (FEATURES,)}
    return {name: torch.randn(*shape, generator=generator) * 0.5 for name, shape in shapes.items()}


def config_of(architecture: str, **changed) -> dict:
    metadata = MODERN["metadata"] | {"hook_name": SITE, "hook_name_out": TARGET}
    keys = {"architecture": architecture, "d_out": OUTPUTS, "apply_b_dec_to_input": False, "metadata": metadata}
    return MODERN | keys | changed


def own(tensors, architecture):
    """The tensors that a folder of this architecture has."""
    names = {"W_enc", "b_enc", "W_dec", "b_dec"}
    names |= {"W_skip"} if "skip" in architecture else set()
    names |= {"threshold"} if "jumprelu" in architecture else set()
    return {name: tensors[name] for name in names}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_published_transcoder_gives_its_prediction(tmp_path, tensors, x, architecture):
    published = read(write(tmp_path, config_of(architecture), own(tensors, architecture)))
    assert (published.inputs, published.outputs, published.features) == (INPUTS, OUTPUTS, FEATURES)
    assert published.settings.hook_name_out == TARGET
    pre = x @ tensors["W_enc"] + tensors["b_enc"]
    f = pre.relu() * (pre > tensors["threshold"]) if "jumprelu" in architecture else pre.relu()
    wanted = f @ tensors["W_dec"] + tensors["b_dec"]
    if "skip" in architecture:
        wanted = wanted + x @ tensors["W_skip"].T
    sae = published.load().sae
    torch.testing.assert_close(sae.encode(x), f)
    torch.testing.assert_close(output(sae, x), wanted)


@pytest.mark.parametrize(
    ("changed", "missing", "said"),
    [
        ({"d_out": 8}, "", "d_out is 8, but W_dec has 9"),
        (
            {"apply_b_dec_to_input": True},
            "",
            "apply_b_dec_to_input is true, but the b_dec of a transcoder is of another",
        ),
        ({"normalize_activations": "expected_average_only_in"}, "", "does not say what the skip connection reads"),
        ({}, "W_skip", "W_skip"),
        (
            {"architecture": "standard"},
            "",
            "and architecture is 'standard'; transcoders are transcoder, skip_transcoder",
        ),
        ({"metadata": {"hook_name": SITE, "hook_name_out": 3}}, "", "hook_name_out is 3, expected a str"),
    ],
    ids=str,
)
def test_a_folder_that_is_no_such_transcoder_is_refused(tmp_path, tensors, changed, missing, said):
    kept = {name: tensor for name, tensor in own(tensors, "skip_transcoder").items() if name != missing}
    (tmp_path / "activation_scaler.json").write_text('{"scaling_factor": 2.5}')
    path = write(tmp_path, config_of("skip_transcoder") | changed, kept)
    with pytest.raises(InputError, match=said):
        read(path).load()


MODEL = f"""
corpora: {{c: {{source: generated}}}}
models:
  m:
    source: trained
    corpus: c
    context_length: 64
    sites: [{SITE}, {TARGET}]
    architecture: {{d_model: {INPUTS}, heads: 4, layers: 1}}
saes:
  theirs: {{source: pretrained, format: saelens, models: [m], site: {SITE}, target: {TARGET}, path: published}}
"""


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("", "", "it predicts 9 neurons, and blocks.0.hook_mlp_out of the model has 12; take the model that it was"),
        (f"target: {TARGET}, ", "", "it is a transcoder, which predicts blocks.0.hook_mlp_out; set target to "),
        (f"sites: [{SITE}, {TARGET}]", f"sites: [{SITE}, blocks.0.hook_resid_mid]", "it predicts hook"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said_before_anything_runs(tmp_path, monkeypatch, tensors, old, new, said):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "published", config_of("transcoder"), own(tensors, "transcoder"))
    text = MODEL.replace(old, new)
    if "hook_resid_mid" in new:
        text = text.replace(f"target: {TARGET}", "target: blocks.0.hook_resid_mid")
    Path("params.yaml").write_text(text)
    with pytest.raises(InputError) as caught:
        preflight.check(load_study(Path("params.yaml")))
    assert said in str(caught.value)


def published_of(**settings) -> Published:
    return Published(INPUTS, FEATURES, Settings(**settings), load=lambda: None, outputs=OUTPUTS)


def test_an_sae_with_a_target_and_a_transcoder_at_another_hook_disagree():
    sae = replace(published_of(hook_name=SITE), outputs=None)
    assert "it is an SAE of the site that it reads, and target is" in disagreement(
        sae, SITE, 12, SETTINGS, None, TARGET
    )
    other = published_of(hook_name="blocks.0.mlp.hook_post", hook_name_out=TARGET)
    assert "set site to blocks.0.mlp.hook_post" in disagreement(other, SITE, 12, SETTINGS, None, TARGET, 9)
    assert disagreement(published_of(hook_name=SITE), SITE, 12, SETTINGS, None, TARGET, 9) is None


def test_what_the_norm_leaves_is_what_enters_the_mlp_where_gains_are_folded():
    theirs = published_of(hook_name="blocks.0.ln2.hook_normalized", hook_name_out=TARGET)
    folded = SETTINGS | {"processing": {"fold_ln": True, "center_writing_weights": False}}
    assert disagreement(theirs, SITE, 12, folded, None, TARGET, 9) is None
    said = disagreement(theirs, SITE, 12, SETTINGS, None, TARGET, 9)
    assert said.endswith(
        "where norms are folded that is blocks.0.mlp.hook_in: set site to it and processing: {fold_ln: true}"
    )
    assert disagreement(theirs, "blocks.1.mlp.hook_in", 12, folded, None, TARGET, 9) is not None


def receipts(folder: Path, outputs=OUTPUTS) -> tuple[Path, Path]:
    for name, width in (("site", INPUTS), ("target", outputs)):
        content = {"arrays": {"activations": {"shape": [9, width]}}, "params": {"site": name, "settings": SETTINGS}}
        (folder / f"{name}.json").write_text(json.dumps(content))
    return folder / "site.json", folder / "target.json"


def test_the_step_imports_it_with_the_target_of_the_params_file(tmp_path, tensors, x):
    metadata = MODERN["metadata"] | {"hook_name": SITE}  # as of files that do not name what they predict
    config = config_of("jumprelu_skip_transcoder", metadata=metadata)
    write(tmp_path / "published", config, own(tensors, "jumprelu_skip_transcoder"))
    section = entry(path=str(tmp_path / "published"), site=SITE, target=TARGET)
    site, target = receipts(tmp_path)
    import_sae(site, tmp_path / "out", section, target)
    before = read(tmp_path / "published/sae_weights.safetensors").load().sae
    after = load_sae(tmp_path / "out", INPUTS)
    assert isinstance(after, Transcoder)
    assert after.target == TARGET
    torch.testing.assert_close(output(after, x), output(before, x))
    with pytest.raises(InputError, match=r"it predicts 9 neurons, and blocks\.0\.hook_mlp_out of the model has 10"):
        import_sae(*receipts(tmp_path, 10)[:1], tmp_path / "again", section, receipts(tmp_path, 10)[1])


PARAMS = f"""
corpora: {{stories: {{source: generated}}}}
models:
  m: {{source: trained, corpus: stories, sites: [{SITE}, {TARGET}], architecture: {{d_model: {INPUTS}, heads: 4}}}}
saes:
  x: {{architecture: relu, l1: 1, sites: [{SITE}], target: {TARGET}}}
"""
FOLDER = Path("results/saes/m") / SITE / "x"


@pytest.fixture
def run(tmp_path, monkeypatch, tensors):
    """A folder with a finished transcoder `x` in it, with its record."""
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(PARAMS)

    def make(kind: str) -> Transcoder:
        function = jumprelu.Function(tensors["threshold"]) if "jumprelu" in kind else standard.Function()
        four = (tensors[name] for name in ("W_enc", "b_enc", "W_dec", "b_dec"))
        sae = Transcoder(*four, function, W_skip=tensors["W_skip"] if "skip" in kind else None, target=TARGET)
        save_sae(sae, FOLDER, {"hook_name": SITE, "training": {"settings": SETTINGS}}, None)
        files = [FOLDER / name for name in artifacts.SAE_FILES]
        recipe = load_study(Path("params.yaml")).saes["x"].recipe
        left_by("train_sae", files, params=recipe.hyper_parameters())
        return sae

    return make


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_what_is_exported_for_saelens_is_read_back(run, x, architecture):
    sae = run(architecture)
    assert main(["export", "x", "--format", "saelens", "--output", "out"]) == 0
    assert json.loads(Path("out/cfg.json").read_text())["architecture"] == architecture
    published = read(Path("out/sae_weights.safetensors"))
    assert (published.settings.hook_name, published.settings.hook_name_out) == (SITE, TARGET)
    torch.testing.assert_close(output(published.load().sae, x), output(sae, x))


@pytest.mark.parametrize("name", ["openai", "dictionary_learning"])
def test_forms_of_saes_alone_refuse_a_transcoder(run, capsys, name):
    run("transcoder")
    assert main(["export", "x", "--format", name, "--output", "out"]) == 1
    assert f"x predicts another site than it reads ({TARGET}), which" in capsys.readouterr().err
