"""Streamed rows without the tokens that are left out, against those of stores."""

import numpy as np
import pytest
import torch
from test_streamed import BATCH, CONFIG, CONTEXT, SITE, by_content, kernels, model, recipe, tokens  # noqa: F401

from polysem.activations.extract_activations import extract_activations
from polysem.activations.paired import PairedRows
from polysem.activations.rows import ActivationRows
from polysem.io.errors import InputError
from polysem.io.stores import create_array, written_store
from polysem.models.batches import TokenStore
from polysem.models.load import load_subject
from polysem.models.native import bridge_of, new_model, save_native
from polysem.models.record_model import record_model
from polysem.saes.sources.streamed import ModelRows, Stream

RESIDUAL, TARGET = "blocks.0.hook_resid_pre", "blocks.0.hook_mlp_out"
WIDTHS = {RESIDUAL: 8, TARGET: 8, SITE: 16}


@pytest.fixture
def loud(model):  # noqa: F811
    """Four tokens have an embedding that is a thousand times as long."""
    bridge = bridge_of(new_model(CONFIG))
    with torch.no_grad():
        bridge.state_dict()["embed.weight"][:4] *= 1000
    save_native(bridge, CONFIG, model)
    record_model(model, "language", {"context_length": CONTEXT, "processing": {}}, {})
    return model


@pytest.fixture
def stores(loud, tokens, tmp_path):  # noqa: F811
    def store(site):
        path = tmp_path / f"{site}/train.zarr"
        extract_activations(loud, tokens, site, path, 10**6, "float32", "")
        return path

    return store


def opened(model, tokens, site, target=None, **keys):  # noqa: F811
    own = recipe(120 * sum(WIDTHS[name] for name in (site, target) if name) // 16)
    own.target = target
    return ModelRows(own, model, tokens, site, "float32", "cpu", **keys)


def rows_of(found):
    return by_content(found.gather(np.arange(found.length)))


def test_an_epoch_of_the_stream_holds_every_token_of_the_store_once(loud, tokens, stores):  # noqa: F811
    store = ActivationRows(stores(RESIDUAL))
    stream = Stream(load_subject(loud), TokenStore(tokens), RESIDUAL, 0)
    found = torch.cat(list(stream.rows(0, stream.length)))
    assert 20 < stream.length - len(found) == store.receipt["params"]["left_out"]["tokens"]
    assert by_content(found.numpy()) == rows_of(store)
    assert stream.left_out[RESIDUAL].values().items() <= store.receipt["params"]["left_out"].items()


@pytest.mark.parametrize("target", [None, TARGET])
def test_batches_hold_no_token_that_is_left_out_and_fill_up_with_others(loud, tokens, stores, target):  # noqa: F811
    source = opened(loud, tokens, RESIDUAL, target)
    own = stores(RESIDUAL)
    there = rows_of(ActivationRows(own) if target is None else PairedRows(own, stores(target)))
    used = torch.cat([source.batch(step) for step in range(20)])
    found = by_content(used.numpy())
    assert used.shape == (20 * BATCH, 8 if target is None else 16)
    assert found.keys() <= there.keys()
    assert source.receipt["params"]["left_out"]["how"] == "massive"
    assert ("left_out_at_target" in source.receipt["params"]) == (target is not None)


def test_a_generation_has_every_kept_token_and_the_first_ones_again(loud, tokens):  # noqa: F811
    source = opened(loud, tokens, RESIDUAL)
    source._enter(0)
    half = source._generation // 2
    stream = Stream(load_subject(loud), TokenStore(tokens), RESIDUAL, 0)
    kept = torch.cat(list(stream.rows(0, source._generation)))
    missing = source._generation - len(kept)
    assert 0 < missing < len(kept)
    there = by_content(torch.cat([source._rows[half:], source._waiting]).numpy())
    assert there == by_content(torch.cat([kept, kept[:missing]]).numpy())


def test_rows_depend_on_the_seed_and_the_step_alone(loud, tokens):  # noqa: F811
    through = opened(loud, tokens, RESIDUAL)
    wanted = [through.batch(step) for step in range(25)]
    for step in (0, 3, 9, 24):
        assert torch.equal(opened(loud, tokens, RESIDUAL).batch(step), wanted[step])


def test_without_massive_tokens_rows_are_those_of_a_stream_that_leaves_out_nothing(model, tokens):  # noqa: F811
    ours, all_of_them = (opened(model, tokens, SITE, leave_out=how) for how in ("massive", "none"))
    assert all(torch.equal(ours.batch(step), all_of_them.batch(step)) for step in range(9))


def test_a_generation_in_which_every_token_is_left_out_is_refused(model, tmp_path):  # noqa: F811
    path = tmp_path / "firsts.zarr"
    with written_store(path, attributes={"context_length": 2}, params={}, code="", device="cpu") as group:
        arrays = {"ids": np.ones((90, 2), np.int32), "length": np.ones(90, np.int32)}
        for name, values in (arrays | {"counted": np.array([[True, False]] * 90)}).items():
            dimensions = ("sequence", "position")[: values.ndim]
            create_array(group, name, values.shape, str(values.dtype), dimensions, compressed=True)[:] = values
    with pytest.raises(InputError, match="all 80 tokens of a generation are left out"):
        opened(model, path, SITE, leave_out="first").batch(0)
