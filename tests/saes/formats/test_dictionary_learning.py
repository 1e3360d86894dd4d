"""Each class of dictionary_learning, against its formula; test_peers compares with the library itself."""

import json

import pytest
import torch

from polysem.io.errors import InputError
from polysem.saes.agreement import PROCESSING, disagreement
from polysem.saes.formats.dictionary_learning import CLASSES, read

from .conftest import FEATURES, INPUTS, loaded, output, save


def states(parts):
    linear = {"encoder.weight": parts["W_enc"].T.contiguous(), "decoder.weight": parts["W_dec"].T.contiguous()}
    own = dict(parts)
    k = {"k": torch.tensor(6, dtype=torch.int), "threshold": torch.tensor(0.4)}
    per_feature = torch.linspace(0, 1, FEATURES)
    return {
        "AutoEncoder": {"bias": parts["b_dec"], "encoder.bias": parts["b_enc"], **linear},
        "AutoEncoderNew": {"decoder.bias": parts["b_dec"], "encoder.bias": parts["b_enc"], **linear},
        "AutoEncoderTopK": {"b_dec": parts["b_dec"], "encoder.bias": parts["b_enc"], **linear, **k},
        "BatchTopKSAE": {"b_dec": parts["b_dec"], "encoder.bias": parts["b_enc"], **linear, **k},
        "MatryoshkaBatchTopKSAE": {**own, **k, "group_sizes": torch.tensor([10, 30])},
        "GatedAutoEncoder": {"decoder_bias": parts["b_dec"], "gate_bias": parts["b_enc"], "mag_bias": per_feature,
            "r_mag": per_feature - 0.5, **linear},
        "JumpReluAutoEncoder": {**own, "threshold": per_feature},
    }  # fmt: skip


def features(kind, parts, x):
    inside = x if kind in ("AutoEncoderNew", "JumpReluAutoEncoder") else x - parts["b_dec"]
    pre = inside @ parts["W_enc"] + parts["b_enc"]
    match kind:
        case "AutoEncoder" | "AutoEncoderNew":
            return pre.relu()
        case "AutoEncoderTopK":
            kept = pre.relu().topk(6, dim=-1)
            return torch.zeros_like(pre).scatter(-1, kept.indices, kept.values)
        case "BatchTopKSAE" | "MatryoshkaBatchTopKSAE":
            return pre.relu() * (pre.relu() > 0.4)
        case "JumpReluAutoEncoder":
            return (pre * (pre > torch.linspace(0, 1, FEATURES))).relu()
        case "GatedAutoEncoder":
            r_mag, mag_bias = torch.linspace(0, 1, FEATURES) - 0.5, torch.linspace(0, 1, FEATURES)
            return (pre > 0) * (r_mag.exp() * (pre - parts["b_enc"]) + mag_bias).relu()


def write(folder, state, **trainer):
    folder.mkdir(parents=True, exist_ok=True)
    values = {"activation_dim": INPUTS, "dict_size": FEATURES, "lm_name": "EleutherAI/pythia-70m-deduped", "layer": 3}
    config = {"trainer": values | trainer, "buffer": {"d_submodule": INPUTS, "ctx_len": 128}}
    (folder / "config.json").write_text(json.dumps(config))
    return save(folder / "ae.pt", state)


@pytest.mark.parametrize("kind", CLASSES)
def test_every_class_gives_its_features_and_its_reconstruction(tmp_path, parts, x, kind):
    published = read(write(tmp_path, states(parts)[kind], dict_class=kind))
    sae, f = loaded(published), features(kind, parts, x)
    torch.testing.assert_close(sae.encode(x), f, atol=2e-5, rtol=1e-5)
    torch.testing.assert_close(output(sae, x), f @ parts["W_dec"] + parts["b_dec"], atol=5e-5, rtol=1e-5)
    assert published.settings.context_size == 128
    became_another = any("it became a jumprelu" in note for note in published.notes)
    assert became_another == (kind in ("BatchTopKSAE", "MatryoshkaBatchTopKSAE"))


def test_the_trainer_of_the_april_update_calls_an_auto_encoder_new_an_auto_encoder(tmp_path, parts, x):
    sae = loaded(read(write(tmp_path, states(parts)["AutoEncoderNew"], dict_class="AutoEncoder")))
    torch.testing.assert_close(sae.encode(x), features("AutoEncoderNew", parts, x), atol=2e-5, rtol=1e-5)


def test_a_penalty_is_a_mean_over_tokens_already(tmp_path, parts):
    published = read(write(tmp_path, states(parts)["AutoEncoder"], dict_class="AutoEncoder", l1_penalty=0.1))
    assert published.facts["l1_coefficient"] == 0.1
    published = read(write(tmp_path, states(parts)["AutoEncoder"], dict_class="AutoEncoder", l1_penalty=True))
    assert "l1_coefficient" not in published.facts


def test_an_interrupted_run_wraps_its_state(tmp_path, parts, x):
    wrapped = {"ae": states(parts)["AutoEncoder"], "step": 100}
    plain = loaded(read(write(tmp_path / "a", states(parts)["AutoEncoder"], dict_class="AutoEncoder")))
    assert torch.equal(
        output(loaded(read(write(tmp_path / "b", wrapped, dict_class="AutoEncoder"))), x), output(plain, x)
    )
    write(tmp_path / "c", {}, dict_class="AutoEncoder")
    checkpoint = save(tmp_path / "c/checkpoints/ae_100.pt", wrapped)
    assert torch.equal(output(loaded(read(checkpoint)), x), output(plain, x))


def test_a_config_without_a_class_is_read_where_the_tensors_decide(tmp_path, parts):
    loaded(read(write(tmp_path, states(parts)["GatedAutoEncoder"])))
    with pytest.raises(InputError, match="those of AutoEncoderTopK or BatchTopKSAE"):
        read(write(tmp_path, states(parts)["BatchTopKSAE"]))


@pytest.mark.parametrize(
    ("kind", "state", "trainer", "said"),
    [
        ("BatchTopKSAE", {"threshold": torch.tensor(-1.0)}, {}, "threshold is -1, by which that library means"),
        ("AutoEncoderTopK", {"k": torch.tensor(0)}, {}, "k is 0, expected a whole number of at least 1"),
        ("AutoEncoderTopK", {"k": torch.tensor(True)}, {}, "k is True, expected a number"),
        ("AutoEncoderTopK", {"k": torch.ones(2)}, {}, "expected a single number"),
        ("AutoEncoder", {}, {"dict_class": "CrossCoder"}, "dict_class is 'CrossCoder'; polysem reads AutoEncoder,"),
        ("AutoEncoder", {}, {"dict_size": 7}, "dict_size is 7, but the encoder of .* has 40"),
        ("AutoEncoder", {"more": torch.ones(2)}, {}, "holds a tensor 'more'"),
        ("AutoEncoder", {"bias": torch.full((INPUTS,), torch.nan)}, {}, "bias holds NaN or infinite values"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, parts, kind, state, trainer, said):
    path = write(tmp_path, states(parts)[kind] | state, **{"dict_class": kind, **trainer})
    with pytest.raises(InputError, match=said):
        read(path).load()


@pytest.mark.parametrize(
    ("name", "layer", "hook"),
    [
        ("resid_post_layer_8", 8, "blocks.8.hook_resid_post"),
        ("resid_post_layer_8", None, "blocks.8.hook_resid_post"),
        ("resid_out_layer3", 3, "blocks.3.hook_resid_post"),
        ("mlp_out_layer_0", 0, "blocks.0.hook_mlp_out"),
        ("attn_out_layer_11", 11, "blocks.11.hook_attn_out"),
        ("blocks.2.mlp.hook_post", 2, "blocks.2.mlp.hook_post"),
        ("my_favourite", 2, None),
        (None, 2, None),
    ],
)
def test_the_hook_is_known_by_the_name_of_the_submodule(tmp_path, parts, name, layer, hook):
    state = states(parts)["AutoEncoder"]
    published = read(write(tmp_path, state, dict_class="AutoEncoder", submodule_name=name, layer=layer))
    assert published.settings.hook_name == hook
    assert ("the hook is not in the files: site says it" in published.notes) == (hook is None)


def test_a_hook_that_is_not_the_site_is_a_disagreement(tmp_path, parts):
    state = states(parts)["AutoEncoder"]
    published = read(write(tmp_path, state, dict_class="AutoEncoder", submodule_name="resid_post_layer_8", layer=8))
    settings = {"bos_token": None, "context_length": 128, "processing": dict.fromkeys(PROCESSING)}
    assert disagreement(published, "blocks.8.hook_resid_post", INPUTS, settings) is None
    assert disagreement(published, "blocks.3.hook_resid_post", INPUTS, settings) == (
        "it was trained at hook blocks.8.hook_resid_post, and site is blocks.3.hook_resid_post; set site to "
        "blocks.8.hook_resid_post"
    )


def test_a_layer_that_the_name_of_the_submodule_contradicts_is_refused(tmp_path, parts):
    state = states(parts)["AutoEncoder"]
    path = write(tmp_path, state, dict_class="AutoEncoder", submodule_name="resid_post_layer_8", layer=7)
    with pytest.raises(InputError, match="layer is 7, but submodule_name is 'resid_post_layer_8'; keep the one"):
        read(path)


@pytest.mark.parametrize("kind", ["AutoEncoderTopK", "BatchTopKSAE", "MatryoshkaBatchTopKSAE"])
def test_a_k_of_the_config_that_is_not_the_one_of_the_weights_is_refused(tmp_path, parts, kind):
    assert loaded(read(write(tmp_path / "a", states(parts)[kind], dict_class=kind, k=6)))
    with pytest.raises(InputError, match=r"config\.json: k is 7, but the tensor 'k' of .*ae\.pt is 6; take the config"):
        read(write(tmp_path / "b", states(parts)[kind], dict_class=kind, k=7))


def test_the_old_top_k_class_has_its_k_in_the_config_alone(tmp_path, parts, x):
    state = {
        name: tensor for name, tensor in states(parts)["AutoEncoderTopK"].items() if name not in ("k", "threshold")
    }
    sae = loaded(read(write(tmp_path / "a", state, dict_class="AutoEncoderTopK", k=6)))
    torch.testing.assert_close(sae.encode(x), features("AutoEncoderTopK", parts, x), atol=2e-5, rtol=1e-5)
    with pytest.raises(InputError, match=r"holds no tensor 'k', and .*config.json names none under trainer; add k"):
        read(write(tmp_path / "b", state, dict_class="AutoEncoderTopK"))
    for k, said in [
        (0, "k is 0, expected a whole number"),
        ("6", "k is '6', expected"),
    ]:
        with pytest.raises(InputError, match=said):
            read(write(tmp_path / "c", state, dict_class="AutoEncoderTopK", k=k))
