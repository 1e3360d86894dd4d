"""SAEs that are added to a study, and the params by which a run measures them."""

import json
from pathlib import Path

import pytest
import torch
from explorer_study import MODEL
from explorer_study import study as random_study
from safetensors.torch import save_file

import polysem
from polysem.explorer.added import described
from polysem.params.study import load_study
from polysem.saes.fetch import local_weights, read_published
from polysem.study.additions import Addition, added, free_name
from polysem.study.sae import KNOWN

SITE, NEURONS, FEATURES = "blocks.0.hook_resid_post", 64, 20
PARAMS = """\
corpora: {{c: {{source: generated}}}}
models: {{random: {{source: trained, corpus: c, sites: [{sites}]}}}}
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> "polysem.Study":
    """One layer of random weights, studied at its end. Not to be changed."""
    return polysem.open(random_study(tmp_path_factory.mktemp("random"), 1, 40, kind="residual", d_model=NEURONS))


def tensors() -> dict[str, torch.Tensor]:
    shapes = {"W_enc": (NEURONS, FEATURES), "b_enc": (FEATURES,), "W_dec": (FEATURES, NEURONS), "b_dec": (NEURONS,)}
    return {name: torch.randn(shape, generator=torch.Generator().manual_seed(0)) for name, shape in shapes.items()}


def saved(path: Path, state: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    (save_file if path.suffix == ".safetensors" else torch.save)(state, path)


def with_config(path: Path, config: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(config))


def linear(its: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {"encoder.weight": its["W_enc"].T.contiguous(), "decoder.weight": its["W_dec"].T.contiguous()}


def written(folder: Path, form: str) -> Path:
    """What a user names as `--add`, of each form."""
    its = tensors()
    widths = {"d_in": NEURONS, "d_sae": FEATURES}
    match form:
        case "saelens":
            saved(folder / "my_sae: v1.5/sae_weights.safetensors", its)
            metadata = {"hook_name": SITE, "model_name": "elsewhere"}
            with_config(folder / "my_sae: v1.5/cfg.json", widths | {"architecture": "standard", "metadata": metadata})
            return folder / "my_sae: v1.5"
        case "openai":
            path = folder / "gpt2-small/resid_post_mlp_v4/autoencoders/0.pt"
            unused = {name: torch.zeros(FEATURES) for name in ("latents_activation_frequency", "latents_mean_square")}
            unused |= {"stats_last_nonzero": torch.zeros(FEATURES, dtype=torch.long)}
            saved(path, {"pre_bias": its["b_dec"], "latent_bias": its["b_enc"], **linear(its), **unused})
            return path
        case "neel":
            saved(folder / "25.pt", its)
            with_config(folder / "25_cfg.json", {"l1_coeff": 1e-3, "act_name": SITE, "act_size": NEURONS})
            return folder / "25.pt"
        case "tinystories":
            saved(folder / "12_odd_bird.pt", its)
            with_config(folder / "12_odd_bird.json", {"l1_coeff": 1e-3})
            return folder / "12_odd_bird.pt"
        case "dictionary_learning":
            saved(folder / "run/ae.pt", {"bias": its["b_dec"], "encoder.bias": its["b_enc"], **linear(its)})
            trainer = {"dict_class": "AutoEncoder", "activation_dim": NEURONS, "dict_size": FEATURES}
            with_config(folder / "run/config.json", {"trainer": trainer, "buffer": {}})
            return folder / "run/ae.pt"
        case "sparsify":
            state = {"encoder.weight": its["W_enc"].T.contiguous(), "encoder.bias": its["b_enc"]}
            saved(folder / "layers.0/sae.safetensors", state | {"W_dec": its["W_dec"], "b_dec": its["b_dec"]})
            config = {"activation": "topk", "num_latents": FEATURES, "k": 3, "d_in": NEURONS, "expansion_factor": 32}
            with_config(folder / "layers.0/cfg.json", config)
            return folder / "layers.0"
    raise AssertionError(form)


def read_back(text: str, tmp_path: Path, sites: str = SITE) -> "polysem.Study":
    """The params file of the study with what was printed below it."""
    path = tmp_path / "params.yaml"
    path.write_text(PARAMS.format(sites=sites) + text[text.index("and run:\n") + len("and run:\n") :])
    return load_study(path)


@pytest.mark.parametrize("form", sorted(set(KNOWN) - {"mechmnistic"}))
@pytest.mark.parametrize("elsewhere", [False, True], ids=["named", "relative"])
def test_what_is_printed_of_an_sae_of_any_form_is_an_entry_of_the_params(study, tmp_path, monkeypatch, form, elsewhere):
    path = written(tmp_path / "files", form)
    if elsewhere:
        monkeypatch.chdir(path.parent)
        path = Path(path.name)
    addition = Addition(path=str(path), format=form, site=SITE)
    found = added(study, addition)
    assert found.features == FEATURES and found.encoder is not None
    monkeypatch.chdir(tmp_path)
    (name, entry), *others = read_back(described(found.facts()), tmp_path).saes.items()
    assert not others and name == found.name
    assert (entry.imported.format, entry.imported.site, entry.imported.models) == (form, SITE, [MODEL])
    assert read_published(form, local_weights(entry.imported)).features == FEATURES


def test_an_sae_of_images_is_refused_where_no_site_is_like_its_own(study, tmp_path):
    its = tensors()
    state = {"0.weight": its["W_enc"].T.contiguous(), "0.bias": its["b_enc"], "1.weight": its["W_dec"].T.contiguous()}
    saved(tmp_path / "sae.pt", state | {"1.bias": its["b_dec"]})
    with pytest.raises(polysem.InputError, match=r"the model random has no site 'layers\.0\.hook_post'"):
        added(study, Addition(path=str(tmp_path / "sae.pt"), format="mechmnistic"))


def test_what_the_entry_of_the_model_lacks_is_printed_above_that_of_the_sae(study, tmp_path):
    path = written(tmp_path / "files", "neel")
    site = "blocks.0.hook_resid_pre"
    with_config(path.with_name("25_cfg.json"), {"l1_coeff": 1e-3, "act_name": site, "act_size": NEURONS})
    text = described(added(study, Addition(path=str(path))).facts())
    assert f"# add {site} to models.random.sites\n" in text
    assert "# before that, mend what does not fit models.random: it was trained on contexts of 128 tokens" in text
    assert [*read_back(text, tmp_path, site).saes] == ["25"]
    with pytest.raises(polysem.InputError, match=r"not among models\.random\.sites"):
        read_back(text, tmp_path)


def test_of_a_transcoder_the_target_is_printed(study, tmp_path):
    path = written(tmp_path / "files", "saelens")
    target = "blocks.0.hook_mlp_out"
    config = json.loads((path / "cfg.json").read_text())
    metadata = config["metadata"] | {"hook_name_out": target}
    with_config(path / "cfg.json", config | {"architecture": "transcoder", "d_out": NEURONS, "metadata": metadata})
    text = described(added(study, Addition(path=str(path))).facts())
    assert f"# add {target} to models.random.sites\n" in text
    (sae,) = read_back(text, tmp_path, f"{SITE}, {target}").saes.values()
    assert sae.target == target


def test_names_are_those_of_files_as_far_as_the_params_allow_and_are_none_of_the_study(study, tmp_path):
    path = written(tmp_path / "files", "saelens")
    names = []
    for given in (path, path / "sae_weights.safetensors"):
        names.append(added(study, Addition(path=str(given))).name)
    assert names == ["my-sae-v1-5", "my-sae-v1-5"]
    path.rename(path.with_name("Standard"))
    assert added(study, Addition(path=str(path.with_name("Standard")))).name == "Standard-2"
    assert free_name("…", ()) == "sae"
    assert free_name("a", {"A", "a-2"}) == "a-3"
    assert free_name("neurons", {"neurons"}) == "neurons-2"
    assert len(free_name("a" * 300, ())) == 190
