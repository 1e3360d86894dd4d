"""Language models as subjects."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from polysem.io.errors import InputError
from polysem.models.language import LanguageSubject
from polysem.models.load import load_subject
from polysem.models.native import bridge_of, new_model
from polysem.models.subject import Batch

from .conftest import CONFIG, perturbed, with_inputs

SITE = "blocks.1.mlp.hook_post"


@pytest.fixture
def subject(native_folder) -> LanguageSubject:
    return load_subject(native_folder())


@pytest.fixture
def batch() -> Batch:
    ids = torch.randint(0, CONFIG["d_vocab"], (3, 12), generator=torch.Generator().manual_seed(1))
    targets = torch.zeros_like(ids)
    targets[:, :-1] = ids[:, 1:]
    length = torch.tensor([12, 7, 2])[:, None]
    position = torch.arange(12)
    return Batch(ids, targets, position + 1 < length, (position > 0) & (position < length))


@torch.inference_mode()
def test_the_bridge_gives_the_logits_of_the_plain_model(plain, subject, batch):
    torch.testing.assert_close(subject.bridge(batch.inputs, return_type="logits"), plain(batch.inputs))


@torch.inference_mode()
def test_activations_are_those_of_run_with_cache_at_every_site(subject, batch):
    _, cache = subject.bridge.run_with_cache(batch.inputs)
    together = subject.activations(batch, subject.sites)
    assert len(subject.sites) == 18
    for site in subject.sites:
        alone = subject.activations(batch, [site])[site]
        assert alone.shape == (3, 12, subject.width(site))
        torch.testing.assert_close(alone, cache[site].flatten(2), rtol=0, atol=0)
        torch.testing.assert_close(together[site], alone, rtol=0, atol=0)


@torch.inference_mode()
def test_activations_are_those_of_the_plain_model(plain, subject, batch):
    block = plain.layers[0]
    x = plain.tok_embed(batch.inputs) + plain.pos(torch.arange(12))
    middle = x + block.attn(block.ln1(x))[0]
    hidden = F.gelu(block.mlp.fc_in(block.ln2(middle)))
    found = subject.activations(
        batch, ["blocks.0.hook_resid_mid", "blocks.0.mlp.hook_post", "blocks.0.hook_resid_post"]
    )
    torch.testing.assert_close(found["blocks.0.hook_resid_mid"], middle)
    torch.testing.assert_close(found["blocks.0.mlp.hook_post"], hidden)
    torch.testing.assert_close(found["blocks.0.hook_resid_post"], middle + block.mlp.fc_out(hidden))


def test_nothing_behind_the_last_site_is_run(subject, batch):
    run = []
    subject.bridge.unembed.register_forward_hook(lambda *_: run.append("unembed"))
    subject.bridge.blocks[1].register_forward_hook(lambda *_: run.append("block 1"))
    subject.activations(batch, ["blocks.0.mlp.hook_post", "blocks.0.hook_resid_pre"])
    assert run == []
    subject.evaluate(batch)
    assert run == ["block 1", "unembed"]


def test_leaving_early_leaves_nothing_behind(subject, batch):
    before = subject.evaluate(batch)
    subject.activations(batch, ["blocks.0.mlp.hook_pre"])
    with pytest.raises(ZeroDivisionError):
        subject.evaluate(batch, {SITE: lambda x: 1 / 0})
    assert torch.equal(subject.evaluate(batch).losses, before.losses)
    assert not any(point.fwd_hooks for point in subject.bridge.hook_dict.values())


@torch.inference_mode()
def test_the_loss_is_the_cross_entropy_of_the_next_token_at_scored_positions(plain, subject, batch):
    evaluation = subject.evaluate(batch)
    probabilities = plain(batch.inputs).double().softmax(-1)
    for sequence, length in enumerate([12, 7, 2]):
        for position in range(12):
            loss, hit = evaluation.losses[sequence, position].item(), evaluation.correct[sequence, position].item()
            if position + 1 < length:
                following = batch.inputs[sequence, position + 1]
                right = probabilities[sequence, position, following].item()
                assert loss == pytest.approx(-np.log(right), rel=1e-4)
                assert hit == (right == probabilities[sequence, position].max().item())
            else:
                assert (loss, hit) == (0.0, False)


def test_padding_does_not_change_the_loss_in_front_of_it(subject, batch):
    other = Batch(batch.inputs.clone(), batch.targets.clone(), batch.scored, batch.counted)
    other.inputs[1, 7:] = 0
    torch.testing.assert_close(subject.evaluate(batch).losses[1, :5], subject.evaluate(other).losses[1, :5])


@pytest.mark.parametrize(
    "site",
    [
        "blocks.0.hook_resid_pre",
        "blocks.0.hook_attn_out",
        "blocks.1.mlp.hook_pre",
        SITE,
        "blocks.0.hook_resid_mid",
        "blocks.1.attn.hook_z",
    ],
)
def test_the_identity_changes_nothing_and_zero_does(subject, batch, site):
    clean = subject.evaluate(batch).losses
    assert torch.equal(subject.evaluate(batch, {site: lambda x: x.clone()}).losses, clean)
    zero = subject.evaluate(batch, {site: torch.zeros_like}).losses
    assert (zero - clean)[batch.scored].abs().max() > 1e-3


@torch.inference_mode()
def test_replaced_activations_go_through_the_rest_of_the_model(plain, subject, batch):
    other = torch.randn(3, 12, CONFIG["d_mlp"], generator=torch.Generator().manual_seed(2))
    first, last = plain.layers
    (x,) = first(plain.tok_embed(batch.inputs) + plain.pos(torch.arange(12)))
    x = x + last.attn(last.ln1(x))[0] + last.mlp.fc_out(other)
    losses = F.cross_entropy(plain.head(plain.ln_out(x)).flatten(0, 1), batch.targets.flatten(), reduction="none")
    found = subject.evaluate(batch, {SITE: lambda x: other}).losses
    torch.testing.assert_close(found[batch.scored], losses.view(3, 12)[batch.scored])


@torch.inference_mode()
def test_what_replaces_the_residual_stream_between_attention_and_mlp_goes_past_the_mlp_too(plain, subject, batch):
    other = torch.randn(3, 12, CONFIG["d_model"], generator=torch.Generator().manual_seed(2))
    last = plain.layers[1]
    x = other + last.mlp(last.ln2(other))
    losses = F.cross_entropy(plain.head(plain.ln_out(x)).flatten(0, 1), batch.targets.flatten(), reduction="none")
    found = subject.evaluate(batch, {"blocks.1.hook_resid_mid": lambda x: other}).losses
    torch.testing.assert_close(found[batch.scored], losses.view(3, 12)[batch.scored])


@torch.inference_mode()
def test_sites_that_share_a_hook_can_be_replaced_at_once(subject, batch):
    other = torch.randn(3, 12, CONFIG["d_model"], generator=torch.Generator().manual_seed(2))
    middle = subject.evaluate(batch, {"blocks.1.hook_resid_mid": lambda x: other}).losses
    for before in ("blocks.1.hook_resid_pre", "blocks.1.hook_attn_out"):
        for sites in ([before, "blocks.1.hook_resid_mid"], ["blocks.1.hook_resid_mid", before]):
            changes = {site: (lambda x: other) if "mid" in site else (lambda x: x + 1) for site in sites}
            torch.testing.assert_close(subject.evaluate(batch, changes).losses, middle, rtol=1e-4, atol=1e-5)
            doubled = {site: (lambda x: 2 * x) if "mid" in site else (lambda x: other) for site in sites}
            alone = subject.evaluate(batch, {before: lambda x: other}).losses
            assert (subject.evaluate(batch, doubled).losses - alone).abs().max() > 1e-3


@torch.inference_mode()
def test_heads_stand_one_after_the_other(plain, subject, batch):
    heads = subject.activations(batch, ["blocks.0.attn.hook_z"])["blocks.0.attn.hook_z"]
    added = subject.activations(batch, ["blocks.0.hook_attn_out"])["blocks.0.hook_attn_out"]
    rest = added - heads @ subject.output_weights("blocks.0.attn.hook_z")
    torch.testing.assert_close(rest, rest[:1, :1].expand_as(rest), rtol=1e-4, atol=1e-5)


def test_two_sites_can_be_replaced_at_once(subject, batch):
    sites = ["blocks.0.mlp.hook_post", SITE]
    one = [subject.evaluate(batch, {site: torch.zeros_like}).losses for site in sites]
    both = subject.evaluate(batch, dict.fromkeys(sites, torch.zeros_like)).losses
    assert not torch.equal(both, one[0])
    assert not torch.equal(both, one[1])


def test_weights_of_neurons_are_those_of_the_plain_model(plain, subject):
    mlp = plain.layers[1].mlp
    assert torch.equal(subject.input_weights(SITE), mlp.fc_in.weight)
    assert torch.equal(subject.output_weights(SITE), mlp.fc_out.weight.T)
    unembedding = plain.ln_out.weight[:, None] * plain.head.weight.T
    unembedding = unembedding - unembedding.mean(0)
    torch.testing.assert_close(subject.logit_directions(SITE), mlp.fc_out.weight.T @ unembedding)
    torch.testing.assert_close(subject.logit_directions("blocks.0.hook_mlp_out"), unembedding)
    assert subject.output_weights("blocks.0.hook_mlp_out") is None
    assert subject.logit_directions("blocks.0.mlp.hook_pre") is None


@pytest.mark.parametrize("fold_ln", [False, True])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize("normalization", ["LN", "RMS"])
def test_inputs_times_input_weights_and_the_bias_make_the_activations(
    native_folder, batch, fold_ln, activation, normalization
):
    processing = {"processing": {"fold_ln": fold_ln}}
    subject = load_subject(native_folder(processing, act_fn=activation, normalization_type=normalization))
    for layer in (0, 1):
        site = f"blocks.{layer}.mlp.hook_post"
        activations, inputs = with_inputs(subject, batch, site)
        torch.testing.assert_close(activations, subject.activations(batch, [site])[site], rtol=0, atol=0)
        assert inputs.shape == (3, 12, CONFIG["d_model"])
        pre = inputs @ subject.input_weights(site).T + subject.bridge.b_in[layer].detach()
        torch.testing.assert_close(getattr(F, activation)(pre), activations, rtol=1e-5, atol=1e-6)
        before, same = with_inputs(subject, batch, f"blocks.{layer}.mlp.hook_pre")
        torch.testing.assert_close(pre, before, rtol=1e-5, atol=1e-6)
        assert torch.equal(same, inputs)
    assert not subject.reads_gate(site)


def test_sites_without_input_weights_have_no_inputs(subject, batch):
    for site in ("blocks.0.hook_mlp_out", "blocks.1.hook_resid_post"):
        activations, inputs = with_inputs(subject, batch, site)
        assert inputs is None
        assert torch.equal(activations, subject.activations(batch, [site])[site])
        assert not subject.reads_gate(site)
        assert subject.pixel_responses(site) is None


def test_an_unknown_site_is_refused_with_those_that_there_are(subject, batch):
    for call in (
        lambda: subject.activations(batch, ["blocks.2.mlp.hook_post"]),
        lambda: subject.evaluate(batch, {"blocks.2.mlp.hook_post": torch.zeros_like}),
        lambda: subject.width("blocks.2.mlp.hook_post"),
    ):
        with pytest.raises(InputError, match=r"no site 'blocks\.2\.mlp\.hook_post'; it has blocks\.0\.hook_resid_pre"):
            call()


@pytest.mark.parametrize(
    ("processing", "normalization"),
    [
        ({"fold_ln": True}, "LN"),
        ({"center_writing_weights": True}, "LN"),
        ({"center_unembed": True}, "LN"),
        ({"fold_ln": True, "center_writing_weights": True, "center_unembed": True}, "LN"),
        ({"fold_ln": True}, "RMS"),
    ],
)
def test_processing_of_weights_leaves_losses_unchanged(native_folder, batch, processing, normalization):
    raw = load_subject(native_folder(normalization_type=normalization))
    processed = load_subject(native_folder({"processing": processing}, normalization_type=normalization))
    losses = raw.evaluate(batch).losses
    assert (processed.evaluate(batch).losses - losses).abs().max() < 1e-4
    zero = {SITE: torch.zeros_like}
    assert (processed.evaluate(batch, zero).losses - raw.evaluate(batch, zero).losses).abs().max() < 1e-4
    torch.testing.assert_close(
        processed.activations(batch, [SITE])[SITE], raw.activations(batch, [SITE])[SITE], rtol=1e-4, atol=1e-4
    )


def test_folding_a_layer_norm_scales_and_centres_the_weights_that_read_it(native_folder):
    raw, folded = load_subject(native_folder()), load_subject(native_folder({"processing": {"fold_ln": True}}))
    scaled = raw.input_weights(SITE) * raw.bridge.state_dict()["blocks.1.ln2.weight"]
    torch.testing.assert_close(folded.input_weights(SITE), scaled - scaled.mean(1, keepdim=True))


def test_a_model_reads_back_as_it_was_written(plain, native_folder, batch):
    folder = native_folder()
    again = load_subject(folder)
    assert torch.equal(again.bridge(batch.inputs, return_type="logits"), load_subject(folder).bridge(batch.inputs))
    stored = load_file(folder / "model.safetensors")
    assert torch.equal(stored["embed.weight"], plain.tok_embed.weight)


def test_a_fresh_model_is_a_function_of_its_seed():
    torch.manual_seed(99)
    one = new_model(CONFIG).state_dict()
    torch.manual_seed(100)
    same, other = new_model(CONFIG).state_dict(), new_model(CONFIG | {"seed": 4}).state_dict()
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["head.weight"], other["head.weight"])


def test_a_context_longer_than_the_model_is_refused(native_folder):
    with pytest.raises(InputError, match="context_length = 13 exceeds the 12 positions of m0; lower it"):
        load_subject(native_folder({"context_length": 13}))


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_folder_that_does_not_fit_its_record_is_refused(native_folder, name):
    folder = native_folder()
    (folder / name).write_bytes((folder / name).read_bytes() + b" ")
    with pytest.raises(InputError, match=rf"{name} is not the file that .*model\.json records"):
        load_subject(folder)


@pytest.mark.parametrize("content", ["", "{}", '{"kind": "language"}', '{"kind": "sorcery"}'])
def test_a_folder_without_a_sound_record_is_refused(native_folder, content):
    folder = native_folder()
    (folder / "model.json").write_text(content)
    with pytest.raises(InputError, match=r"model\.json is no record of a model"):
        load_subject(folder)


def test_a_bridge_takes_the_model_with_all_its_weights(batch):
    model = perturbed(new_model(CONFIG)).eval()
    with torch.inference_mode():
        logits = model(batch.inputs)
    subject = LanguageSubject(bridge_of(model), "cpu")
    with torch.inference_mode():
        torch.testing.assert_close(subject.bridge(batch.inputs), logits)
