"""What tables say of a dictionary that predicts another site: of which basis a number is, and what has no meaning."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from measured import made
from test_geometry import with_output
from weight_cases import alignment_of, frequencies, random_sae

from polysem.activations.extract_activations import extract_activations
from polysem.activations.rows import ActivationRows
from polysem.io.errors import InputError
from polysem.io.stores import create_array, written_store
from polysem.io.tables import write_table
from polysem.layout.place import Place
from polysem.models.load import load_subject
from polysem.models.native import bridge_of, new_model, save_native
from polysem.models.record_model import record_model
from polysem.params.analysis import Analysis
from polysem.saes.activation_functions.standard import Function
from polysem.saes.sae import save_sae
from polysem.saes.transcoder import Transcoder
from polysem.tables.of_dictionary.geometry import geometry
from polysem.tables.of_dictionary.logits import logits
from polysem.tables.of_dictionary.ultra_low import ultra_low
from polysem.tables.parts.directions import Directions
from polysem.tables.parts.labels import index, labelled, variable
from polysem.tables.passes.embeddings.entering import entering

SITE, POST, TARGET = "blocks.0.mlp.hook_in", "blocks.0.mlp.hook_post", "blocks.0.hook_mlp_out"
CONTEXT = 16
CONFIG = {
    "d_model": 8, "d_head": 4, "n_heads": 2, "n_layers": 1, "n_ctx": CONTEXT, "d_vocab": 50, "d_mlp": 16,
    "act_fn": "relu", "normalization_type": "LN", "seed": 0,
}  # fmt: skip


def transcoder(features=6, neurons=4, outputs=5, target=TARGET) -> Transcoder:
    generator = torch.Generator().manual_seed(0)

    def normal(*shape):
        return torch.randn(*shape, generator=generator)

    W_dec = torch.nn.functional.normalize(normal(features, outputs), dim=1)
    parts = (normal(neurons, features), normal(features), W_dec, normal(outputs), Function())
    return Transcoder(*parts, W_skip=normal(outputs, neurons), target=target)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """The input of an MLP in a model that depends on it, with the activations there, behind it and in between."""
    place = Place("m", SITE, root=str(tmp_path_factory.mktemp("run")))
    model, tokens = Path(place.weights.path), Path(place.tokens("eval").store)
    model.mkdir(parents=True)
    native = new_model(CONFIG)
    with torch.no_grad():
        for parameter in native.parameters():  # so that the model depends on its MLP
            parameter += 0.5 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(parameter.numel()))
    save_native(bridge_of(native), CONFIG, model)
    record_model(model, "language", {"context_length": CONTEXT, "processing": {}}, {})
    draw = np.random.default_rng(0)
    ids = draw.integers(0, 50, (40, CONTEXT), dtype=np.int32)
    arrays = {"ids": ids, "length": np.full(40, CONTEXT, np.int32), "counted": np.tile(np.arange(CONTEXT) > 0, (40, 1))}
    with written_store(
        tokens, attributes={"kind": "text", "context_length": CONTEXT}, params={}, code="", device="cpu"
    ) as group:
        for name, values in arrays.items():
            dimensions = ("sequence", "position")[: values.ndim]
            create_array(group, name, values.shape, str(values.dtype), dimensions, compressed=True)[:] = values
    for site in (SITE, TARGET, POST):
        store = Path(place.at(site).activations("eval").store)
        store.parent.mkdir(parents=True)
        extract_activations(model, tokens, site, store, 10**6, "float32", "")
    return place


def the_mlp(place) -> Transcoder:
    """The MLP of the model as a transcoder."""
    subject = load_subject(Path(place.weights.path))
    W_in, W_out = (getattr(subject, name)(POST) for name in ("input_weights", "output_weights"))
    stores = [ActivationRows(Path(place.at(site).activations("eval").store)) for site in (SITE, TARGET, POST)]
    x, y, post = (torch.from_numpy(rows.slice(0, rows.length)) for rows in stores)
    b_out = (y - post @ W_out).mean(0)
    on = post > 0
    b_in = ((post - x @ W_in.T) * on).sum(0) / on.sum(0).clamp_min(1)
    return Transcoder(W_in.T, b_in, W_out, b_out, Function(), target=TARGET)


def counted(of, features) -> None:
    values = variable("feature", np.full(features, 0.1), "share of tokens", "1")
    table = labelled({"frequency": values}, {"feature": index("feature", 0, features, "feature")}, {})
    write_table(Path(of.table("frequency")), table)


def saved(place, name, sae) -> None:
    of = place.of(name)
    save_sae(sae, Path(of.sae.path), {"hook_name": SITE}, None)
    counted(of, sae.features)


def fidelity(place, names, targets=()):
    return made(
        "site", "fidelity", place, "language", Analysis(fidelity_tokens=400, ultra_low_frequency=1e-4),
        dictionaries=[place.of(name).names for name in names], targets=[place.at(site).names for site in targets],
    )  # fmt: skip


def test_the_mlp_itself_as_a_transcoder_loses_nothing_and_without_a_feature_it_does(place):
    whole = the_mlp(place)
    saved(place, "whole", whole)
    silent = Transcoder(whole.W_enc, whole.b_enc, 0 * whole.W_dec, 0 * whole.b_dec, Function(), target=TARGET)
    saved(place, "silent", silent)
    table = fidelity(place, ["whole", "silent"], [TARGET])
    found, nothing = (table.sel(dictionary=name) for name in ("whole", "silent"))
    assert float(found["explained_variance"]) == pytest.approx(1, abs=1e-6)
    assert float(found["cross_entropy_spliced"]) == pytest.approx(float(found["cross_entropy_clean"]), abs=1e-5)
    assert float(found["loss_recovered_zero"]) == pytest.approx(1, abs=1e-3)
    # what predicts nothing is what zeros in place of the target are
    assert float(nothing["cross_entropy_spliced"]) == pytest.approx(float(found["cross_entropy_zero"]), abs=1e-6)
    assert float(found["cross_entropy_zero"]) != pytest.approx(float(found["cross_entropy_clean"]), abs=1e-3)
    assert json.loads(table.attrs["targets"]) == {"whole": TARGET, "silent": TARGET}


def test_the_ablations_of_a_transcoder_are_those_of_an_sae_of_its_target(place):
    saved(place, "whole", the_mlp(place))
    table = fidelity(place, ["whole"], [TARGET])
    for site in (SITE, TARGET):
        counted(place.at(site, "neurons"), 8)
    own, there = (fidelity(place.at(site), ["neurons"]) for site in (SITE, TARGET))
    for name in ("cross_entropy_zero", "cross_entropy_mean"):
        assert float(table[name][0]) == pytest.approx(float(there[name][0]), abs=1e-6)
        assert float(table[name][0]) != pytest.approx(float(own[name][0]), abs=1e-4)
    assert "targets" not in there.attrs


def test_a_target_without_activations_is_refused(place):
    saved(place, "whole", the_mlp(place))
    with pytest.raises(InputError, match=r"predicts blocks\.0\.hook_mlp_out, of which no activations are given"):
        fidelity(place, ["whole"])


def test_encoder_and_decoder_rows_of_two_bases_are_not_held_against_each_other():
    sae = transcoder()
    seen = {f"{SITE}/output_weights": torch.eye(4)[:, :2], f"{TARGET}/output_weights": torch.eye(5)[:, :3]}
    table = geometry(
        sae, frequencies(np.full(6, 0.1)), alignment_of(sae), Directions(seen), SITE, Analysis(), showcase=[1, 2]
    )
    assert not {"encoder_decoder_cosine", "encoder_decoder_product", "null_share_encoder"} & set(table)
    assert table.attrs["encoder_decoder_not_applicable"] == (
        "encoder rows stand at blocks.0.mlp.hook_in and decoder rows at blocks.0.hook_mlp_out, which the transcoder "
        "predicts: two bases"
    )
    assert table["showcase_decoder"].shape == (2, 5)
    assert table.attrs["rank"] == 3  # of what is behind the target
    expected = sae.W_dec[:, 3:].square().sum(1)
    np.testing.assert_allclose(table["null_share_decoder"], expected, atol=1e-5)
    np.testing.assert_allclose(table["encoder_norm"], sae.W_enc.norm(dim=0), rtol=1e-5)
    plain = geometry(random_sae(6, 4), frequencies(np.full(6, 0.1)), alignment_of(random_sae(6, 4)),
        with_output(torch.eye(4)), POST, Analysis())  # fmt: skip
    assert "encoder_decoder_not_applicable" not in plain.attrs


def test_logit_weights_begin_at_the_target_and_those_of_neurons_at_the_site():
    sae, generator = transcoder(), torch.Generator().manual_seed(3)
    unembedding = torch.randn(5, 20, generator=generator)
    after = Directions({"unembedding": unembedding, f"{TARGET}/residual": torch.zeros(0)})
    table = logits(sae, after, SITE, showcase=[0, 3], neurons=[1, 2])
    weights = sae.W_dec @ unembedding
    np.testing.assert_allclose(table["boost"][:, 0], weights.max(1).values, rtol=1e-5)
    assert "neuron_logit_weight" not in table  # the MLP stands between its input and the logits
    nowhere = logits(transcoder(target="blocks.0.mlp.hook_pre"), after, SITE)
    assert nowhere.attrs["not_applicable"].startswith(
        "of blocks.0.mlp.hook_pre, which the transcoder predicts: the site"
    )


def test_an_ultra_low_cluster_of_a_transcoder_has_encoder_directions_and_no_cosine_with_its_decoder():
    sae = transcoder(features=8)
    frequency = frequencies(np.where(np.arange(8) < 4, 5e-4, 0.1))
    table = ultra_low(sae, frequency, Analysis(ultra_low_frequency=1e-3))
    assert "mean_direction" in table
    assert table["mean_direction"].size == 4
    assert "ultra_low_mean_decoder_cosine" not in table


def test_what_enters_the_features_of_a_transcoder_is_not_centred(place):
    found = entering(Path(place.activations("eval").store), the_mlp(place), Directions({}), SITE)
    assert found.centre is None
    np.testing.assert_array_equal(found.of(np.arange(5)), found.rows.gather(np.arange(5)))
