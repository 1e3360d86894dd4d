"""Edits of features, against a model whose weights can be written down and against slow loops."""

import itertools
from dataclasses import replace

import pytest
import torch

from polysem.activations.left_out import LeftOut
from polysem.interventions.edits import Edit, ablation, replacements
from polysem.saes.activation_functions.standard import Function
from polysem.saes.dictionary import Neurons
from polysem.saes.sae import SAE
from polysem.saes.transcoder import with_target

SITE = "blocks.0.mlp.hook_post"


def random_sae(normalization: str = "none", neurons: int = 6, features: int = 10) -> SAE:
    drawn = torch.Generator().manual_seed(3)
    encoder, decoder = (torch.randn(shape, generator=drawn) for shape in ((neurons, features), (features, neurons)))
    return SAE(
        encoder, torch.zeros(features), decoder, torch.randn(neurons, generator=drawn), Function(), normalization
    )


@pytest.fixture
def x() -> torch.Tensor:
    return torch.randn(4, 5, 6, generator=torch.Generator().manual_seed(4))


def edited(dictionary, edit, x):
    return replacements(SITE, dictionary, edit)[SITE](x)


@pytest.mark.parametrize("normalization", ["none", "layer_norm", "constant_norm_rescale"])
def test_an_edit_changes_the_reconstruction_and_leaves_the_error(x, normalization):
    sae = random_sae(normalization)
    features = torch.tensor([[0, 3], [7, 1], [2, 9], [5, 5]])[:3]
    x = x[:3]
    amounts = torch.tensor([[0.0, 2.0], [1.5, 0.0], [4.0, 0.5]])
    f = sae.encode(x)
    for how, of in (("set", lambda f, a: a), ("scale", lambda f, a: a * f), ("add", lambda f, a: f + a)):
        changed = f.clone()
        for row, place in itertools.product(range(3), range(2)):
            number = features[row, place]
            changed[row, :, number] = of(f[row, :, number], amounts[row, place])
        wanted = x - sae.reconstruct(x, f) + sae.reconstruct(x, changed)
        torch.testing.assert_close(edited(sae, Edit(features, how, amounts), x), wanted, atol=1e-5, rtol=1e-5)


def test_nothing_is_changed_to_the_last_bit_where_no_feature_is(x):
    sae = random_sae()
    x[0, 0, 0], x[1, 2, 3] = -0.0, torch.finfo(torch.float32).tiny / 4
    features = torch.tensor([[0], [3], [7], [2]])
    for edit in (
        Edit(features, "scale", torch.ones(4, 1)),
        Edit(features, "add", torch.zeros(4, 1)),
        Edit(features, "set", torch.full((4, 1), 9.0), positions=torch.zeros(4, 5, dtype=torch.bool)),
    ):
        assert edited(sae, edit, x).view(torch.int32).equal(x.view(torch.int32))
    positions = torch.zeros(4, 5, dtype=torch.bool)
    positions[2, 1:3] = True
    moved = edited(sae, Edit(features, "set", torch.full((4, 1), 9.0), positions=positions), x)
    assert (moved != x).any(-1).equal(positions)
    inactive = sae.encode(x).gather(-1, features[:, None].expand(-1, 5, -1))[..., 0] == 0
    assert inactive.any() and edited(sae, ablation(features), x)[inactive].equal(x[inactive])


def test_a_neuron_is_edited_alone(x):
    features = torch.tensor([[0], [3], [5], [2]])
    found = edited(Neurons(6), ablation(features), x)
    wanted = x.clone()
    for row in range(4):
        wanted[row, :, features[row, 0]] = 0
    torch.testing.assert_close(found, wanted, atol=1e-6, rtol=0)


def test_baselines_move_as_much_as_features_do_along_other_directions(x):
    sae, features = random_sae(), torch.tensor([[0], [3], [7], [2]])
    directions = torch.randn(4, 1, 6, generator=torch.Generator().manual_seed(5))
    moved = x - edited(sae, ablation(features, directions=directions), x)
    f = sae.encode(x).gather(-1, features[:, None].expand(-1, 5, -1))
    torch.testing.assert_close(moved, f * directions, atol=1e-5, rtol=1e-5)


def test_known_activations_are_not_encoded_again(x, monkeypatch):
    sae, features = random_sae(), torch.tensor([[0], [3], [7], [2]])
    known = sae.encode(x).gather(-1, features[:, None].expand(-1, 5, -1))
    wanted = edited(sae, ablation(features), x)
    monkeypatch.setattr(SAE, "encode", None)
    assert edited(sae, ablation(features, known=known), x).equal(wanted)


def test_a_transcoder_is_read_at_its_site_and_edited_at_its_target(x):
    sae = random_sae()
    transcoder = with_target(sae, None, "blocks.0.hook_mlp_out")
    features = torch.tensor([[0], [3], [7], [2]])
    both = replacements("blocks.0.hook_mlp_in", transcoder, ablation(features))
    assert both["blocks.0.hook_mlp_in"](x) is x
    y = torch.randn(4, 5, 6, generator=torch.Generator().manual_seed(6))
    f = transcoder.encode(x).gather(-1, features[:, None].expand(-1, 5, -1))
    wanted = y - f * transcoder.decoder()[features]
    torch.testing.assert_close(both["blocks.0.hook_mlp_out"](y), wanted, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"amounts": torch.zeros(3, 1)}, "amounts have the shape"),
        ({"positions": torch.ones(2, 5, dtype=torch.bool)}, "positions are of 2 sequences"),
        ({"directions": torch.zeros(4, 1, 5)}, "directions have the shape"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(more, said):
    features = torch.tensor([[0], [3], [7], [2]])
    with pytest.raises(ValueError, match=said):
        replacements(
            SITE, random_sae(), Edit(**({"features": features, "how": "set", "amounts": torch.zeros(4, 1)} | more))
        )


@pytest.mark.parametrize("how", ["massive", "first"])
def test_tokens_that_are_left_out_keep_the_models_activations_to_the_last_bit(x, how):
    x[0, 2], x[3, 0] = 500, -400
    rule = LeftOut(how, 30.0, 9)
    kept = [[0] * 4, range(4)] if how == "first" else [[0, 3], [2, 0]]
    out = torch.zeros(4, 5, dtype=torch.bool)
    out[(kept[1], kept[0]) if how == "first" else (kept[0], kept[1])] = True
    sae, features = random_sae(), torch.tensor([[0], [3], [7], [2]])
    edit = Edit(features, "set", torch.full((4, 1), 9.0))
    everywhere = edited(sae, edit, x)
    found = edited(sae, replace(edit, left_out={SITE: rule}), x)
    assert torch.equal(found[out], x[out])
    assert torch.equal(found[~out], everywhere[~out])
    assert not torch.equal(everywhere[out], x[out])
    for other in ({}, {SITE: LeftOut("none", 30.0, 9)}, {"elsewhere": rule}):
        assert torch.equal(edited(sae, replace(edit, left_out=other), x), everywhere)


def test_a_transcoder_leaves_alone_what_is_left_out_at_either_of_its_sites(x):
    target = "blocks.0.hook_mlp_out"
    drawn, sae = torch.Generator().manual_seed(5), random_sae()
    transcoder = with_target(sae, None, target)
    y = torch.randn(4, 5, 6, generator=drawn)
    x[1, 1], y[2, 3] = 900, 900
    rules = {SITE: LeftOut("massive", 30.0, 9), target: LeftOut("massive", 40.0, 9)}
    edit = Edit(torch.tensor([[0], [3], [7], [2]]), "set", torch.full((4, 1), 9.0))

    def run(edit):
        both = replacements(SITE, transcoder, edit)
        assert torch.equal(both[SITE](x), x)
        return both[target](y)

    everywhere, found, again = run(edit), *(run(replace(edit, left_out=rules)) for _ in range(2))
    out = torch.zeros(4, 5, dtype=torch.bool)
    out[1, 1] = out[2, 3] = True
    assert torch.equal(found[out], y[out])
    assert torch.equal(found[~out], everywhere[~out])
    assert torch.equal(found, again)
