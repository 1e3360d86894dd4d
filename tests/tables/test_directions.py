import pytest
import torch

from polysem.io.errors import InputError
from polysem.models.load import load_subject
from polysem.models.native import bridge_of, new_model, save_native
from polysem.models.record_model import record_model
from polysem.tables.parts.directions import Directions, directions_of, write_directions

CONFIG = {
    "d_model": 8,
    "d_head": 4,
    "n_heads": 2,
    "n_layers": 1,
    "n_ctx": 6,
    "d_vocab": 11,
    "d_mlp": 12,
    "act_fn": "relu",
    "normalization_type": "LN",
    "seed": 1,
}
POST, PRE, OUT = "blocks.0.mlp.hook_post", "blocks.0.mlp.hook_pre", "blocks.0.hook_mlp_out"


def language_model(tmp_path, processing=None, **config):
    """A subject, and the plain model that it was made of."""
    whole = CONFIG | config
    plain = new_model(whole).eval()
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in plain.parameters():
            parameter += 0.3 * torch.randn(parameter.shape, generator=generator)
    twin = new_model(whole)
    twin.load_state_dict(plain.state_dict())
    folder = tmp_path / f"m{len(list(tmp_path.iterdir()))}"
    folder.mkdir()
    save_native(bridge_of(twin), whole, folder)
    record_model(folder, "language", {"context_length": 6, "processing": processing or {}}, {})
    return load_subject(folder), plain


def rows(count, width, seed=0):
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def test_logit_weights_are_what_a_direction_adds_to_the_logits_times_the_size_that_the_norm_divides_by(tmp_path):
    subject, plain = language_model(tmp_path)
    directions = directions_of(subject, [POST, OUT], {})
    x, feature = rows(1, 8)[0], rows(3, 8, 1)
    size = (x.var(unbiased=False) + 1e-5).sqrt()
    norm = plain.ln_out

    def logits(residual):
        return plain.head(norm.weight * (residual - residual.mean()) / size + norm.bias)

    expected = torch.stack([(logits(x + row) - logits(x)) * size for row in feature])
    torch.testing.assert_close(directions.logit_weights(OUT, feature), expected, rtol=1e-4, atol=1e-4)
    hidden = rows(3, 12, 2)
    written = hidden @ plain.layers[0].mlp.fc_out.weight.T
    expected = torch.stack([(logits(x + row) - logits(x)) * size for row in written])
    torch.testing.assert_close(directions.logit_weights(POST, hidden), expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_an_rms_norm_is_not_centred(tmp_path):
    subject, plain = language_model(tmp_path, normalization_type="RMS")
    weights = directions_of(subject, [OUT], {}).logit_weights(OUT, rows(2, 8))
    torch.testing.assert_close(weights, rows(2, 8) * plain.ln_out.weight @ plain.head.weight.T)


@torch.no_grad()
def test_a_model_without_norms_has_its_unembedding_as_it_is(tmp_path):
    subject, plain = language_model(tmp_path, normalization_type=None)
    weights = directions_of(subject, [OUT], {}).logit_weights(OUT, rows(2, 8))
    torch.testing.assert_close(weights, rows(2, 8) @ plain.head.weight.T)


@pytest.mark.parametrize("normalization", ["LN", "RMS"])
def test_folding_the_norms_into_the_weights_first_changes_no_logit_weight(tmp_path, normalization):
    raw, _ = language_model(tmp_path, normalization_type=normalization)
    folded, _ = language_model(tmp_path, {"fold_ln": True}, normalization_type=normalization)
    weights = [directions_of(subject, [POST], {}).logit_weights(POST, rows(4, 12)) for subject in (raw, folded)]
    torch.testing.assert_close(weights[0], weights[1], rtol=1e-4, atol=1e-4)


def test_pre_activations_have_input_weights_and_no_direct_path(tmp_path):
    subject, _ = language_model(tmp_path)
    directions = directions_of(subject, [PRE, OUT], {})
    assert torch.equal(directions.input_weights(PRE), subject.input_weights(PRE))
    assert directions.output_weights(PRE) is None
    assert directions.logit_weights(PRE, rows(1, 12)) is None
    assert directions.input_weights(OUT) is None


def test_the_last_layer_of_a_classifier_leads_to_the_classes(classifier):
    subject = load_subject(classifier)
    site = "layers.0.hook_post"
    directions = directions_of(subject, [site], {})
    torch.testing.assert_close(directions.logit_weights(site, torch.eye(8)), subject.logit_directions(site))
    assert directions.attributes["final_norm"] == "no norm between the site and the logits"


def test_pixel_responses_are_the_activations_of_images_of_one_pixel(classifier):
    subject = load_subject(classifier)
    site = "layers.0.hook_post"
    found = directions_of(subject, [site], {}).pixel_responses(site)
    assert found.shape == (5, 8)
    first = subject.model.layers[0]
    for pixel in range(4):
        expected = (first.weight[:, pixel] + first.bias).relu()
        torch.testing.assert_close(found[pixel], expected.detach())
    torch.testing.assert_close(found[4], first.bias.relu().detach())


def test_directions_name_the_sites_that_have_input_weights(tmp_path, classifier):
    subject, _ = language_model(tmp_path)
    directions = directions_of(subject, [POST, PRE, OUT], {})
    assert directions.sites_with_input_weights() == sorted([POST, PRE])
    assert directions.input_weights_kind(POST) == "input weights"
    assert directions.pixel_responses(POST) is None
    assert directions_of(load_subject(classifier), ["layers.0.hook_post"], {}).sites_with_input_weights()


def test_directions_read_back_as_they_were_written_with_the_same_bytes(tmp_path, classifier):
    subject, _ = language_model(tmp_path)
    first, second = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    written = directions_of(subject, [POST, PRE, OUT], {"fold_ln": False, "center_unembed": True})
    write_directions(first, written)
    again = Directions.read(first)
    write_directions(second, again)
    assert first.read_bytes() == second.read_bytes()
    assert again.attributes["processing"] == "center_unembed: true, fold_ln: false"
    for site, width in ((POST, 12), (OUT, 8)):
        hidden = rows(3, width)
        assert torch.equal(again.logit_weights(site, hidden), written.logit_weights(site, hidden))
    assert again.logit_weights(PRE, rows(3, 12)) is None


def test_a_file_without_directions_is_refused(tmp_path):
    (tmp_path / "directions.safetensors").write_bytes(b"nothing")
    with pytest.raises(InputError, match="holds no directions of a model"):
        Directions.read(tmp_path / "directions.safetensors")
