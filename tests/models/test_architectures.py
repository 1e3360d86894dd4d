"""The contract of language models as subjects: what they give is what transformers' own forward pass does."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import AutoConfig

from polysem.io.caches import read_cache, write_cache
from polysem.io.errors import InputError
from polysem.models.import_model import import_model
from polysem.models.load import load_subject
from polysem.models.subject import Batch, Subject
from polysem.params.models.language import BLOCK_HOOKS
from polysem.tables.parts.directions import directions_of
from polysem.workflow.checks.shapes import config_outline

from .architectures import ARCHITECTURES, PLAIN_HEADS, VOCABULARY, Plain, plain_model, save
from .conftest import with_inputs

POSITION = 6
COPIED_AT_THE_START = ("gpt-bigcode", "bloom", "falcon-sequential", "opt", "xglm")
"""Architectures whose masks or positions are made for each sequence."""
CLOSE = {"rtol": 1e-4, "atol": 2e-5}


@pytest.fixture(scope="module", params=list(ARCHITECTURES))
def both(request, tmp_path_factory) -> tuple[Plain, Subject]:
    plain = Plain(request.param)
    folder = save(plain.model, tmp_path_factory.mktemp("models") / request.param)
    return plain, load_subject(folder)


@pytest.fixture(scope="module")
def batch() -> Batch:
    ids = torch.randint(0, VOCABULARY, (2, 9), generator=torch.Generator().manual_seed(4))
    targets = F.pad(ids[:, 1:], (0, 1))
    scored = torch.arange(9).expand(2, 9) < 8
    return Batch(ids, targets, scored, torch.ones_like(scored))


@contextmanager
def hooked(*handles: Any) -> Iterator[None]:
    with ExitStack() as stack:
        for handle in handles:
            stack.callback(handle.remove)
        yield


def entering(arguments: tuple, named: dict[str, Any]) -> Tensor:
    return arguments[0] if arguments else named["hidden_states"]


def change_entering(part: torch.nn.Module, change: Callable[[Tensor], Tensor]) -> Any:
    def hook(_: Any, arguments: tuple, named: dict[str, Any]) -> Any:
        if arguments:
            return (change(arguments[0]), *arguments[1:]), named
        return arguments, named | {"hidden_states": change(named["hidden_states"])}

    return part.register_forward_pre_hook(hook, with_kwargs=True)


def change_leaving(part: torch.nn.Module, change: Callable[[Tensor], Tensor]) -> Any:
    def hook(_: Any, __: Any, output: Any) -> Any:
        return (change(output[0]), *output[1:]) if isinstance(output, tuple) else change(output)

    return part.register_forward_hook(hook)


def at(plain: Plain, site: str, change: Callable[[Tensor], Tensor]) -> list[Any]:
    """Hooks of the plain model that put something else in the place of the activations at a site."""
    layer, hook = int(site.split(".")[1]), site.split(".", 2)[2]
    block, times = plain.layers[layer], plain.multiplier
    match hook:
        case "hook_resid_pre":
            return [change_entering(block, change)]
        case "hook_resid_post":
            return [change_leaving(block, change)]
        case "hook_attn_out" | "hook_mlp_out":
            return [change_leaving(plain.last(layer, hook), lambda value: change(value * times) / times)]
        case "hook_resid_mid":
            seen: list[Tensor] = []

            def keep(_: Any, arguments: tuple, named: dict[str, Any]) -> None:
                seen[:] = [entering(arguments, named)]

            def middle(value: Tensor) -> Tensor:
                return (change(seen[0] + value * times) - seen[0]) / times

            return [
                block.register_forward_pre_hook(keep, with_kwargs=True),
                change_leaving(plain.last(layer, "hook_attn_out"), middle),
            ]
        case "attn.hook_z":
            return [change_entering(plain.attention_out(layer), change)]
        case "mlp.hook_post":
            return [change_entering(plain.mlp_out(layer), change)]
        case "mlp.hook_in":
            return [change_entering(plain.mlp(layer), change)]
        case "mlp.hook_pre":
            width = plain.mlp_out(layer).weight.numel() // plain.model.config.hidden_size

            def first(value: Tensor) -> Tensor:
                return torch.cat([change(value[..., :width]), value[..., width:]], -1)

            return [change_leaving(plain.mlp_in(layer), first)]
    raise AssertionError(hook)


@torch.inference_mode()
def plain_activations(plain: Plain, site: str, batch: Batch) -> Tensor:
    found: list[Tensor] = []

    def keep(value: Tensor) -> Tensor:
        found.append(value.clone())
        return value

    with hooked(*at(plain, site, keep)):
        plain.model(batch.inputs)
    (value,) = found
    return value.reshape(*batch.inputs.shape, -1)


@torch.inference_mode()
def plain_losses(plain: Plain, batch: Batch, *handles: Any) -> Tensor:
    with hooked(*handles):
        logits = plain.model(batch.inputs).logits
    losses = F.cross_entropy(logits.flatten(0, 1), batch.targets.flatten(), reduction="none").view_as(batch.targets)
    return losses.masked_fill(~batch.scored, 0.0)


def test_the_loss_is_that_of_the_plain_model(both, batch):
    plain, subject = both
    torch.testing.assert_close(subject.evaluate(batch).losses, plain_losses(plain, batch), **CLOSE)


def test_the_sites_are_those_that_the_architecture_has(both):
    plain, subject = both
    assert list(subject.sites) == plain.sites()


def test_activations_at_every_site_are_those_of_the_plain_model(both, batch):
    plain, subject = both
    together = subject.activations(batch, subject.sites)
    for site in subject.sites:
        expected = plain_activations(plain, site, batch)
        assert subject.width(site) == expected.shape[-1]
        torch.testing.assert_close(together[site], expected, **CLOSE, msg=lambda text, site=site: f"{site}: {text}")


def test_the_identity_spliced_in_changes_no_loss_at_all(both, batch):
    _, subject = both
    clean = subject.evaluate(batch).losses
    for site in subject.sites:
        assert torch.equal(subject.evaluate(batch, {site: lambda value: value.clone()}).losses, clean), site


def test_what_is_spliced_in_goes_through_the_plain_model_in_the_same_way(both, batch):
    plain, subject = both
    clean = plain_losses(plain, batch)
    for site in subject.sites:
        generator = torch.Generator().manual_seed(3)
        other = torch.randn(*batch.inputs.shape, subject.width(site), generator=generator)
        found = subject.evaluate(batch, {site: lambda value, other=other: other}).losses
        expected = plain_losses(plain, batch, *at(plain, site, lambda value, other=other: other.view(value.shape)))
        assert (expected - clean).abs().max() > 1e-3, site
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=2e-4, msg=lambda text, site=site: f"{site}: {text}")


@torch.inference_mode()
def test_copies_that_share_what_lies_before_a_site_are_what_each_gives_alone(both, batch):
    _, subject = both
    clean = subject.log_probabilities(batch)
    taken = -clean[:, :-1].gather(-1, batch.inputs[:, 1:, None])[..., 0].masked_fill(~batch.scored[:, :-1], 0.0)
    torch.testing.assert_close(taken, subject.evaluate(batch).losses[:, :-1])
    factors = torch.tensor([1.0, 0.5, -2.0])
    assert subject.log_probabilities(batch, copies=3).equal(clean.repeat_interleave(3, 0))
    for part in (batch, batch.part(0, 1)):
        of_copy = factors.repeat(len(part.inputs))[:, None, None]
        for site in subject.sites:
            found = subject.log_probabilities(part, {site: lambda value, of_copy=of_copy: value * of_copy}, 3)
            for number, factor in enumerate(factors):
                alone = subject.log_probabilities(part, {site: lambda value, factor=factor: value * factor})
                torch.testing.assert_close(found[number::3], alone, rtol=1e-3, atol=2e-4)


@torch.inference_mode()
def test_distributions_at_some_positions_are_those_of_all(both, batch):
    _, subject = both
    site = subject.sites[0]
    for copies in (1, 3):
        sequences = copies * len(batch.inputs)
        at = torch.stack([torch.arange(sequences) % 3, torch.full((sequences,), batch.inputs.shape[1] - 1)], dim=1)
        for replacements in ({}, {site: lambda value: 0.5 * value}):
            whole = subject.log_probabilities(batch, replacements, copies)
            found = subject.log_probabilities(batch, replacements, copies, at)
            wanted = whole.gather(1, at[..., None].expand(-1, -1, whole.shape[-1]))
            torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


def test_the_next_token_alone_has_the_probabilities_of_the_last_position(both, batch):
    _, subject = both
    for site in (None, *subject.sites):
        replaced = {} if site is None else {site: lambda value: value * 0.5}
        whole = subject.log_probabilities(batch, replaced)[:, -1]
        torch.testing.assert_close(subject.next_log_probabilities(batch, replaced), whole, rtol=1e-3, atol=2e-4)
    assert subject.next_log_probabilities(batch, copies=2).shape[0] == 2 * len(batch.inputs)


def test_what_lies_before_a_site_is_computed_once_where_masks_are_the_same_for_all_sequences(both, request):
    assert both[1]._copies_inside == (request.node.callspec.params["both"] not in COPIED_AT_THE_START)


def test_what_enters_the_neurons_times_their_input_weights_is_their_pre_activation(both, batch):
    plain, subject = both
    for layer in (0, 1):
        found: list[Tensor] = []
        with hooked(change_entering(plain.mlp_in(layer), lambda value, found=found: found.append(value) or value)):
            plain_losses(plain, batch)
        before = plain_activations(plain, f"blocks.{layer}.mlp.hook_pre", batch)
        for hook in ("mlp.hook_pre", "mlp.hook_post"):
            site = f"blocks.{layer}.{hook}"
            activations, inputs = with_inputs(subject, batch, site)
            torch.testing.assert_close(inputs, found[0].view_as(inputs), **CLOSE)
            bias = before - inputs @ subject.input_weights(site).T
            torch.testing.assert_close(bias, bias[:1, :1].expand_as(bias), **CLOSE)
            torch.testing.assert_close(activations, subject.activations(batch, [site])[site], rtol=0, atol=0)
        assert subject.input_weights(f"blocks.{layer}.attn.hook_z") is None


def test_one_pass_for_all_sites_gives_each_what_a_pass_of_its_own_does(both, batch):
    _, subject = both
    found = {}

    def take(site: str, *values: Tensor | None) -> None:
        found[site] = [None if value is None else value.clone() for value in values]

    subject.visit(batch, subject.sites, take, inputs=True)
    assert list(found) != [] and found.keys() == set(subject.sites)
    for site, values in found.items():
        for value, wanted in zip(values, with_inputs(subject, batch, site), strict=True):
            assert (value is None) == (wanted is None)
            assert value is None or torch.equal(value, wanted)


def held(norm: torch.nn.Module, value: Tensor, sizes: list[Tensor]) -> Tensor:
    """What a norm of transformers computes, with the size that it divides by held fixed."""
    kind = type(norm).__name__
    centred = "LayerNorm" in kind and "RMSNorm" not in kind
    value = value - value.mean(-1, keepdim=True) if centred else value
    small = next((getattr(norm, name) for name in ("eps", "variance_epsilon") if hasattr(norm, name)), 1e-5)
    size = (value.square().mean(-1, keepdim=True) + small).sqrt().detach()
    sizes.append(size)
    gain = getattr(norm, "weight", None)
    if gain is None:
        return value / size
    offset = kind.startswith("Gemma") or kind == "NemotronLayerNorm1P"
    biased = getattr(norm, "bias", None)
    return value / size * (gain + float(offset)) + (0.0 if biased is None else biased)


def derivative(plain: Plain, site: str, batch: Batch) -> tuple[Tensor, Tensor]:
    """How the logits [token] at a position follow the activations of a site there on the direct path, the sizes that
    norms divide by held fixed [token, neuron]; and the product of these sizes."""
    layer, hook = int(site.split(".")[1]), site.split(".", 2)[2]
    own = {"hook_mlp_out": "mlp", "mlp.hook_post": "mlp", "hook_attn_out": "attn", "attn.hook_z": "attn"}.get(hook)
    if hook == "hook_resid_mid":  # what attention adds differs from it by a constant
        own = "attn"
    leaf: list[Tensor] = []
    sizes: list[Tensor] = []

    def cut(value: Tensor) -> Tensor:
        leaf.append(value.detach().requires_grad_())
        return leaf[-1]

    def fixed(part: torch.nn.Module) -> Any:
        return part.register_forward_hook(lambda module, arguments, output: held(module, arguments[0], sizes))

    others = [
        plain.last(index, name)
        for index in (0, 1)
        for kind, name in (("attn", "hook_attn_out"), ("mlp", "hook_mlp_out"))
        if (index, kind) != (layer, own)
    ]
    within = {"attn.hook_z": "hook_attn_out", "mlp.hook_post": "hook_mlp_out"}.get(hook)
    behind = [] if within is None else [plain.last(layer, within)]
    norms = [part for part in behind if "Norm" in type(part).__name__]
    handles = [change_leaving(part, lambda value: value.detach()) for part in others]
    handles += at(plain, site.replace("hook_resid_mid", "hook_attn_out"), cut)
    with torch.enable_grad(), hooked(*handles, *(fixed(part) for part in [*norms, plain.final_norm()])):
        logits = plain.model(batch.inputs).logits[0, POSITION]
        (rows,) = torch.autograd.grad(logits, leaf[0], torch.eye(VOCABULARY), is_grads_batched=True)
    slopes = rows.reshape(VOCABULARY, *batch.inputs.shape, -1)[:, 0, POSITION]
    product = torch.stack([size.reshape(*batch.inputs.shape)[0, POSITION] for size in sizes]).prod()
    return slopes, product


def test_logit_weights_are_the_derivative_of_the_plain_models_logits_with_sizes_of_norms_held_fixed(both, batch):
    plain, subject = both
    directions = directions_of(subject, subject.sites, {})
    cap = getattr(plain.model.config, "final_logit_softcapping", None)
    with torch.no_grad():
        logits = plain.model(batch.inputs).logits[0, POSITION]
    slope = torch.ones(VOCABULARY) if cap is None else 1 - (logits / cap) ** 2
    for site in subject.sites:
        found = directions.logit_weights(site, torch.eye(subject.width(site)))
        if site.endswith(("mlp.hook_in", "mlp.hook_pre")):
            assert found is None
            continue
        expected, size = derivative(plain, site, batch)
        torch.testing.assert_close(
            found.T * slope[:, None] / size, expected, **CLOSE, msg=lambda text, site=site: f"{site}: {text}"
        )


def loaded(name: str, folder) -> Subject:
    return load_subject(save(plain_model(name), folder / name))


def test_a_site_that_the_architecture_lacks_is_refused_with_the_reason_and_those_that_there_are(both, batch):
    plain, subject = both
    for site in {f"blocks.1.{hook}" for hook in BLOCK_HOOKS} - set(plain.sites()):
        with pytest.raises(
            InputError, match=rf"no site '{site}' \(the architecture has none\); it has blocks\.0\.hook_r"
        ):
            subject.activations(batch, [site])


def test_the_neurons_of_experts_are_no_site(tmp_path, batch):
    subject = loaded("mixtral", tmp_path)
    hooks = {site.split(".", 2)[2] for site in subject.sites}
    assert hooks == {*(hook for hook in BLOCK_HOOKS if hook.startswith("hook_")), "attn.hook_z"}
    with pytest.raises(InputError, match=r"'blocks\.0\.mlp\.hook_post' \(what leaves the MLP is not W_out times what"):
        subject.activations(batch, ["blocks.0.mlp.hook_post"])


def test_where_norms_stand_on_the_residual_stream_there_is_no_direct_path(tmp_path, batch):
    subject = loaded("openai-gpt", tmp_path)
    assert {"blocks.0.mlp.hook_post", "blocks.1.attn.hook_z"} <= set(subject.sites)
    directions = directions_of(subject, subject.sites, {})
    for site in subject.sites:
        assert directions.logit_weights(site, torch.eye(subject.width(site))) is None
        assert subject.logit_directions(site) is None
        assert "final_norm" in directions.attributes


@pytest.mark.parametrize("name", ["falcon-new-decoder", "helium"])
def test_an_architecture_that_transformer_lens_cannot_load_is_refused(tmp_path, name):
    with pytest.raises(InputError, match=f"{name}: TransformerLens cannot load the model of its config.json"):
        loaded(name, tmp_path)


@pytest.mark.parametrize("name", ["gpt2-unscaled", "starcoder2-small-number", "bloom-exact"])
def test_an_architecture_whose_predictions_transformer_lens_gets_wrong_is_refused_at_import(tmp_path, name):
    copy = save(plain_model(name), tmp_path / "copy")
    keys = {"repository": "some/model", "revision": "main", "local_copy": str(copy), "tokenizer": None}
    (tmp_path / "m").mkdir()
    with pytest.raises(InputError, match="TransformerLens gives this architecture other predictions than transformers"):
        import_model(tmp_path / "m", "transformers", keys)
    assert not list((tmp_path / "m").iterdir())


def test_what_is_done_to_the_logits_and_to_what_is_written_is_said(tmp_path):
    notes = {
        name: loaded(name, tmp_path).path_notes(["blocks.1.mlp.hook_post"]) for name in ("cohere", "gemma-2", "llama")
    }
    assert "multiplies its logits by 0.25" in notes["cohere"]["logit_factor"]
    assert "c tanh(l / c) with c = 3" in notes["gemma-2"]["logit_soft_cap"]
    assert "blocks.1.mlp.hook_post: gain and centring of the norm behind" in notes["gemma-2"]["norm_behind"]
    assert set(notes["llama"]) == {"final_norm"}


@pytest.mark.parametrize(
    ("name", "modules"),
    [
        ("llama", {"hook_resid_post": ["model.layers.*"],
            "mlp.hook_in": ["model.layers.*.post_attention_layernorm"],
            "mlp.hook_pre": ["model.layers.*.mlp.gate_proj"],
            "hook_mlp_out": ["model.layers.*.mlp", "model.layers.*.mlp.down_proj"],
            "hook_attn_out": ["model.layers.*.self_attn", "model.layers.*.self_attn.o_proj"]}),
        ("gemma-2", {"hook_resid_post": ["model.layers.*"],
            "mlp.hook_in": ["model.layers.*.pre_feedforward_layernorm"],
            "mlp.hook_pre": ["model.layers.*.mlp.gate_proj"],
            "hook_mlp_out": ["model.layers.*.post_feedforward_layernorm"],
            "hook_attn_out": ["model.layers.*.post_attention_layernorm"]}),
        ("granite", {"hook_resid_post": ["model.layers.*"],
            "mlp.hook_in": ["model.layers.*.post_attention_layernorm"],
            "mlp.hook_pre": ["model.layers.*.mlp.gate_proj"]}),
    ],
)  # fmt: skip
def test_the_modules_of_transformers_that_stand_at_a_site_are_known(tmp_path, name, modules):
    assert loaded(name, tmp_path).modules("blocks.1.hook_mlp_out") == modules


@pytest.mark.parametrize("name", ["pythia", "gemma-2", "gpt-neo", "mixtral", "llama-wide-heads", "opt"])
def test_a_config_tells_the_sites_that_its_model_has(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    subject = loaded(name, tmp_path)
    found = config_outline(tmp_path / name / "config.json")
    assert found.widths == {site: subject.width(site) for site in subject.sites}
    assert found.modules == subject.modules("blocks.1.hook_resid_post")


def test_layers_behind_the_second_have_the_sites_of_the_first_two(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = AutoConfig.for_model("gpt_neox", **PLAIN_HEADS | {"num_hidden_layers": 5})
    config.save_pretrained(tmp_path)
    widths = config_outline(tmp_path / "config.json").widths
    assert len(widths) == 5 * 8
    assert widths["blocks.4.mlp.hook_post"] == 48
    assert "blocks.4.hook_resid_mid" not in widths


def test_a_config_is_asked_once_and_a_torn_answer_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    AutoConfig.for_model("gpt_neox", **PLAIN_HEADS).save_pretrained(tmp_path)
    first = config_outline(tmp_path / "config.json")
    (kept,) = Path(".cache/outlines").iterdir()
    write_cache(kept, read_cache(kept) | {"sites": {"blocks.0.hook_resid_pre": 7}})
    assert config_outline(tmp_path / "config.json").widths == {"blocks.0.hook_resid_pre": 7}
    kept.write_text(kept.read_text()[:20])
    assert config_outline(tmp_path / "config.json") == first


def test_a_config_that_cannot_be_tried_out_tells_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    huge = {"model_type": "llama", "hidden_size": 16384, "num_hidden_layers": 2}
    for values in ({"model_type": "nothing-known"}, {}, {"model_type": "llama", "hidden_size": "wide"}, huge):
        (tmp_path / "config.json").write_text(json.dumps(values))
        assert config_outline(tmp_path / "config.json") is None


@pytest.mark.parametrize("name", ["gpt2", "pythia", "llama", "opt"])
def test_folding_norms_into_the_weights_first_changes_neither_sites_nor_logit_weights(tmp_path, batch, name):
    model = plain_model(name)
    raw = load_subject(save(model, tmp_path / "raw"))
    folded = load_subject(save(model, tmp_path / "folded", fold_ln=True))
    assert list(folded.sites) == list(raw.sites)
    made = [directions_of(subject, raw.sites, {}) for subject in (raw, folded)]
    for site in raw.sites:
        weights = [directions.logit_weights(site, torch.eye(raw.width(site))) for directions in made]
        if weights[0] is None:
            assert weights[1] is None
            continue
        # a constant added to all logits of a direction is no change of what is predicted
        centred = [found - found.mean(1, keepdim=True) for found in weights]
        torch.testing.assert_close(centred[1], centred[0], rtol=1e-3, atol=1e-4)
    clean = folded.evaluate(batch).losses
    torch.testing.assert_close(clean, raw.evaluate(batch).losses, rtol=1e-3, atol=1e-4)
    for site in folded.sites:
        assert torch.equal(folded.evaluate(batch, {site: lambda value: value.clone()}).losses, clean), site
