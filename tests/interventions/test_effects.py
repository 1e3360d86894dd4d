"""What removals do to predictions, against a model worked by hand and against one edit at a time."""

import math

import numpy as np
import pytest
import torch

from polysem.interventions import effects
from polysem.interventions.edits import Edit, replacements
from polysem.interventions.effects import Places, Removals, by_context, by_token, read_states, state_of
from polysem.io.stores import create_array, written_store
from polysem.models.batches import TokenStore
from polysem.models.classifier import ClassifierSubject, Perceptron
from polysem.models.language import LanguageSubject
from polysem.models.native import bridge_of, new_model
from polysem.saes.activation_functions.standard import Function
from polysem.saes.dictionary import Neurons
from polysem.saes.sae import SAE
from polysem.saes.transcoder import with_target

VOCABULARY, CONTEXT, NEURONS, RESIDUAL = 30, 12, 24, 16
FIRST, LAST = "blocks.0.mlp.hook_post", "blocks.1.mlp.hook_post"


def stored(path, attributes, **arrays):
    with written_store(path, attributes=attributes, params={}, code="", device="cpu") as group:
        for name, values in arrays.items():
            dimensions = ("sequence", "position")[: values.ndim]
            create_array(group, name, values.shape, str(values.dtype), dimensions, compressed=True)[:] = values
    return TokenStore(path)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    draw = np.random.default_rng(0)
    length = np.array([12, 7, 12, 9, 3], np.int32)
    ids = draw.integers(0, VOCABULARY, (5, CONTEXT)).astype(np.int32)
    counted = np.arange(CONTEXT) < length[:, None]
    return stored(tmp_path_factory.mktemp("t") / "e.zarr", {"kind": "text"}, ids=ids, length=length, counted=counted)


@pytest.fixture(scope="module")
def subject():
    config = {
        "d_model": RESIDUAL, "d_head": 8, "n_heads": 2, "n_layers": 2, "n_ctx": CONTEXT, "d_vocab": VOCABULARY,
        "d_mlp": NEURONS, "act_fn": "relu", "normalization_type": "LN", "seed": 0,
    }  # fmt: skip
    bridge = bridge_of(new_model(config))
    drawn = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for weight in bridge.parameters():  # a fresh model hardly does anything
            weight += 0.3 * torch.randn(weight.shape, generator=drawn)
    return LanguageSubject(bridge, "cpu")


def random_sae(neurons, outputs, normalization="none"):
    drawn = torch.Generator().manual_seed(3)
    encoder, decoder = torch.randn(neurons, 40, generator=drawn), torch.randn(40, outputs, generator=drawn)
    bias = torch.zeros(neurons if neurons == outputs else outputs)
    return SAE(encoder, torch.zeros(40), decoder, bias, Function(), normalization)


def removals_of(dictionary, count=40):
    """Removals at random tokens that something follows, some of them at one token."""
    draw = np.random.default_rng(1)
    length = np.array([12, 7, 12, 9, 3])
    sequence = draw.integers(0, 5, count)
    position = (draw.random(count) * (length[sequence] - 1)).astype(np.int64)
    feature = draw.integers(0, dictionary.features, count)
    activation = draw.uniform(0.5, 2, count)
    return Removals(Places(sequence, position), activation, feature, dictionary.decoder())


@torch.inference_mode()
def slow(subject, site, dictionary, store, removals, number, behind):
    """(KL at the token, KL behind it, change of the next token's log-probability) of one removal, in float64."""
    sequence, position = int(removals.places.sequence[number]), int(removals.places.position[number])
    batch = store.batch(sequence, sequence + 1)
    length = int(batch.scored.sum()) + 1
    there = torch.zeros(1, CONTEXT, dtype=torch.bool)
    there[0, position] = True
    edit = Edit(
        torch.tensor([[removals.row[number]]]),
        "add",
        torch.tensor([[-removals.activation[number]]], dtype=torch.float32),
        positions=there,
    )
    clean = subject.log_probabilities(batch)[0].double()
    edited = subject.log_probabilities(batch, replacements(site, dictionary, edit))[0].double()
    divergence = (clean.exp() * (clean - edited)).sum(-1)
    torch.testing.assert_close(divergence[:position], torch.zeros(position, dtype=torch.float64), atol=1e-5, rtol=0)
    last = min(position + behind, length - 2)
    follows = int(batch.inputs[0, position + 1])
    return (
        float(divergence[position]),
        float(divergence[position + 1 : last + 1].sum()),
        float(edited[position, follows] - clean[position, follows]),
    )


def fast(chunks, count):
    found = np.full((count, 3), np.nan)
    for chunk in chunks:
        divergence = chunk.divergence()
        found[chunk.removals, 0] = divergence[:, 0]
        found[chunk.removals, 1] = divergence[:, 1:].sum(1)
        found[chunk.removals, 2] = chunk.target_change()
    return found


CASES = {
    "first": (FIRST, lambda: Neurons(NEURONS)),
    "last": (LAST, lambda: Neurons(NEURONS)),
    "last-sae": (LAST, lambda: random_sae(NEURONS, NEURONS)),
    "normalized": (LAST, lambda: random_sae(NEURONS, NEURONS, "layer_norm")),
    "mlp-out": ("blocks.1.hook_mlp_out", lambda: random_sae(RESIDUAL, RESIDUAL)),
    "stream": ("blocks.1.hook_resid_mid", lambda: random_sae(RESIDUAL, RESIDUAL)),
    "transcoder": (
        "blocks.1.mlp.hook_in",
        lambda: with_target(random_sae(RESIDUAL, RESIDUAL), None, "blocks.1.hook_mlp_out"),
    ),
    "across": (FIRST, lambda: with_target(random_sae(NEURONS, RESIDUAL), None, "blocks.1.hook_mlp_out")),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("behind", [0, 4])
def test_many_removals_together_are_what_each_is_alone(subject, store, case, behind):
    site, make = CASES[case]
    dictionary = make()
    removals = removals_of(dictionary)
    written = dictionary.target or site
    wanted = np.array(
        [slow(subject, site, dictionary, store, removals, number, behind) for number in range(len(removals))]
    )
    found = fast(by_context(subject, written, dictionary, removals, store, VOCABULARY, behind), len(removals))
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=2e-5)
    assert (wanted[:, 0] > 1e-3).mean() > 0.5, "removals do something"
    if case == "first" and behind:
        assert (wanted[:, 1] > 1e-4).any(), "attention follows: later predictions change, too"
    elif behind:
        assert found[:, 1].max() < 1e-6


@pytest.mark.parametrize("case", [name for name in CASES if name != "first"])
def test_tokens_out_of_their_contexts_give_what_the_whole_model_does(subject, store, case, monkeypatch):
    monkeypatch.setitem(effects.NUMBERS, "cpu", 7 * VOCABULARY)
    site, make = CASES[case]
    dictionary = make()
    written = dictionary.target or site
    removals = removals_of(dictionary)
    names = state_of(subject, written)
    assert names == ("blocks.1.hook_resid_pre", "blocks.1.hook_attn_out")
    states = read_states(subject, store, removals.places, (), names)
    found = fast(by_token(subject, written, dictionary, removals, states, VOCABULARY), len(removals))
    wanted = fast(by_context(subject, written, dictionary, removals, store, VOCABULARY, 0), len(removals))
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-5)


def test_only_behind_the_last_attention_tokens_leave_their_contexts(subject):
    for hook in ("hook_resid_pre", "attn.hook_z", "hook_attn_out"):
        assert state_of(subject, f"blocks.1.{hook}") is None
    for site in (site for site in subject.sites if site.startswith("blocks.0.")):
        assert state_of(subject, site) is None
    assert state_of(ClassifierSubject(Perceptron([2, 2, 2], "relu"), "cpu"), "layers.0.hook_post") is None


def test_a_model_that_does_not_keep_tokens_apart_gets_the_whole_pass(subject, monkeypatch):
    whole = LanguageSubject.log_probabilities
    monkeypatch.setattr(
        LanguageSubject,
        "log_probabilities",
        lambda self, *of, **more: (found := whole(self, *of, **more)) + found.mean(1, keepdim=True),
    )
    assert state_of(subject, LAST) is None


def test_a_model_of_two_features_worked_by_hand(tmp_path):
    """Two pixels are two hidden neurons; class 0 gets 2 a, class 1 gets 3 b. Without a, the logits are 0 and 3 b."""
    model = Perceptron([2, 2, 2], "relu")
    with torch.no_grad():
        for layer, weight in zip(model.layers, ([[1.0, 0], [0, 1]], [[2.0, 0], [0, 3]]), strict=True):
            layer.weight[:] = torch.tensor(weight)
            layer.bias[:] = 0
    subject = ClassifierSubject(model, "cpu")
    a, b = 0.5, 0.25
    store = stored(
        tmp_path / "i.zarr",
        {"kind": "images"},
        pixels=np.array([[0, 0], [a, b]], np.float32),
        labels=np.array([1, 0], np.int32),
    )
    removals = Removals(Places(np.array([1, 1]), np.array([0, 0])), np.array([a, b]), np.array([0, 1]), torch.eye(2))
    found = fast(by_context(subject, "layers.0.hook_post", Neurons(2), removals, store, 2, 0), 2)

    def sigmoid(x):
        return 1 / (1 + math.exp(-x))

    clean = sigmoid(2 * a - 3 * b)
    for row, without in zip(found, (sigmoid(-3 * b), sigmoid(2 * a)), strict=True):
        divergence = clean * math.log(clean / without) + (1 - clean) * math.log((1 - clean) / (1 - without))
        assert row.tolist() == pytest.approx([divergence, 0, math.log(without / clean)], rel=1e-4)
