"""Tokens that are left out: the rule, the stores without them, and rows of two sites that leave out others."""

from pathlib import Path

import numpy as np
import pytest
import torch
from test_activations import (  # noqa: F401
    CONFIG,
    CONTEXT,
    SITE,
    extracted,
    kernels,
    model,
    tokens,
    write_arrays,
)

from polysem.activations import left_out as left_out_module
from polysem.activations.left_out import LeftOut, left_out_at, recorded_left_out
from polysem.activations.paired import PairedRows, shared_rows
from polysem.activations.rows import ActivationRows
from polysem.io.errors import InputError
from polysem.io.stores import create_array, hash_store, open_store, read_array, read_receipt, written_store
from polysem.models.batches import TokenStore
from polysem.models.load import load_subject
from polysem.models.native import bridge_of, new_model, save_native
from polysem.models.record_model import record_model

RESIDUAL = "blocks.0.hook_resid_pre"
LOUD = 3
"""The token whose embedding is a thousand times as long in the model `loud`."""


@pytest.fixture
def loud(model) -> Path:  # noqa: F811
    bridge = bridge_of(new_model(CONFIG))
    with torch.no_grad():
        bridge.state_dict()["embed.weight"][LOUD] *= 1000
    save_native(bridge, CONFIG, model)
    record_model(model, "language", {"context_length": CONTEXT, "processing": {}}, {})
    return model


def test_a_token_is_massive_above_ten_times_the_median_and_not_at_it():
    x = torch.tensor([[3.0, 4.0], [30.0, 40.0], [30.0, 40.001], [0.0, 0.0]])
    rule = LeftOut("massive", 5.0, 4)
    assert rule.above == 50
    assert rule.massive(x).tolist() == [False, False, True, False]
    assert rule.of(x[None]).tolist() == [[False, False, True, False]]
    assert LeftOut("none", 5.0, 4).of(x[None]).tolist() == [[False] * 4]
    assert LeftOut("none", 5.0, 4).massive(x).tolist() == [False, False, True, False]
    assert LeftOut("first", 5.0, 4).of(x[None].repeat(2, 1, 1)).tolist() == [[True, False, False, False]] * 2
    assert LeftOut("first", 5.0, 4).at(x, torch.tensor([1, 0, 2, 0])).tolist() == [False, True, False, True]


def test_where_most_activations_are_zeros_nothing_is_massive():
    assert not LeftOut("massive", 0.0, 4).massive(torch.tensor([[0.0], [1e30]])).any()


@pytest.mark.parametrize("measured", [1, 40, 101, 10**6])
def test_the_median_is_that_of_the_first_train_tokens_that_count(loud, tokens, monkeypatch, measured):  # noqa: F811
    monkeypatch.setattr(left_out_module, "MEASURED", measured)
    subject, store, norms = load_subject(loud), TokenStore(tokens), []
    for number in range(store.sequences):
        batch = store.batch(number, number + 1)
        x = subject.activations(batch, [RESIDUAL])[RESIDUAL][0]
        norms += [float(row.double().square().sum().sqrt()) for row in x[batch.counted[0]]]
    rule = left_out_at(subject, store, [RESIDUAL], "massive")[RESIDUAL]
    ordered = sorted(norms[:measured])
    middle = (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
    assert rule.measured == min(measured, len(norms))
    assert rule.median_norm == pytest.approx(middle, rel=1e-6)


def slow(model: Path, tokens: Path, how: str, median: float):  # noqa: F811
    """Places and activations of the tokens that are kept, one at a time, and how many are massive."""
    subject, store, kept, massive = load_subject(model), TokenStore(tokens), [], []
    for sequence in range(store.sequences):
        batch = store.batch(sequence, sequence + 1)
        x = subject.activations(batch, [RESIDUAL])[RESIDUAL][0]
        for position in np.flatnonzero(batch.counted[0].numpy()).tolist():
            large = float(x[position].double().norm()) > 10 * median
            out = {"massive": large, "first": position == 0, "none": False}[how]
            kept += [] if out else [(sequence, position, x[position].numpy())]
            massive += [(sequence, position)] if large else []
    return kept, massive


@pytest.mark.parametrize("how", ["massive", "first", "none"])
@pytest.mark.parametrize("limit", [100, 1024, 10**6])
def test_a_store_holds_the_tokens_that_are_kept_and_says_what_it_left_out(
    loud,
    tokens,  # noqa: F811
    extracted,  # noqa: F811
    how,
    limit,
    capsys,
):
    with_first = write_arrays(
        tokens.parent / "with_first.zarr",
        {"kind": "text", "context_length": CONTEXT},
        **{name: read_array(open_store(tokens), name)[:] for name in ("ids", "length")},
        counted=np.arange(CONTEXT) < read_array(open_store(tokens), "length")[:][:, None],
    )
    store = extracted(model=loud, tokens=with_first, site=RESIDUAL, leave_out=how, limit=limit)
    rule, rows = recorded_left_out(store), ActivationRows(store)
    kept, massive = slow(loud, with_first, how, rule.median_norm)
    assert 20 < len(massive) < 200
    wanted = kept[:limit]
    assert rows.length == len(wanted)
    sequence, position = rows.places(0, rows.length)
    assert list(zip(sequence.tolist(), position.tolist(), strict=True)) == [one[:2] for one in wanted]
    found = rows.slice(0, rows.length)
    np.testing.assert_allclose(found, np.stack([one[2] for one in wanted]), rtol=1e-5, atol=1e-6)
    receipt = read_receipt(store)
    assert receipt["sha256"] == hash_store(store)
    assert receipt["arrays"]["activations"]["shape"] == [len(wanted), 8]
    end = wanted[-1][:2] if len(kept) > limit else (10**6, 0)
    counted = np.argwhere(read_array(open_store(with_first), "counted")[:]).tolist()
    before = sum(tuple(place) <= end for place in counted)
    assert receipt["params"]["left_out"] == rule.values() | {
        "tokens": before - len(wanted),
        "massive": sum(place <= end for place in massive),
    }
    said = capsys.readouterr().err
    assert f"of {before:,} tokens" in said
    assert {"massive": "are left out", "first": "the first of each sequence", "none": "they count"}[how] in said


def test_without_massive_tokens_a_store_has_the_bytes_of_one_that_leaves_out_nothing(extracted):  # noqa: F811
    digests = {how: read_receipt(extracted(how, leave_out=how, limit=1500))["sha256"] for how in ("massive", "none")}
    assert digests["massive"] == digests["none"]


def test_the_eval_split_goes_by_the_norms_of_train_tokens(loud, tokens, extracted, tmp_path):  # noqa: F811
    only_loud = write_arrays(
        tmp_path / "eval.zarr",
        {"kind": "text", "context_length": CONTEXT},
        ids=np.full((4, CONTEXT), LOUD, np.int32) + (np.arange(CONTEXT) == 5).astype(np.int32),
        length=np.full(4, CONTEXT, np.int32),
        counted=np.ones((4, CONTEXT), bool),
    )
    train = extracted(model=loud, site=RESIDUAL)
    found = extracted("eval", model=loud, tokens=only_loud, train_tokens=tokens, site=RESIDUAL)
    assert recorded_left_out(found) == recorded_left_out(train)
    assert ActivationRows(found).places(0, 4)[1].tolist() == [5] * 4
    alone = extracted("alone", model=loud, tokens=only_loud, site=RESIDUAL)
    assert ActivationRows(alone).length == 4 * CONTEXT, "half of all tokens are massive, so none is"


def test_a_massive_token_that_is_left_out_need_not_fit_into_half_precision(loud, extracted):  # noqa: F811
    bridge = bridge_of(new_model(CONFIG))
    with torch.no_grad():
        bridge.state_dict()["embed.weight"][LOUD] *= 1e8
    save_native(bridge, CONFIG, loud)
    record_model(loud, "language", {"context_length": CONTEXT, "processing": {}}, {})
    assert ActivationRows(extracted(model=loud, site=RESIDUAL, dtype="float16")).length > 1000
    with pytest.raises(InputError, match="does not fit into"):
        extracted(model=loud, site=RESIDUAL, dtype="float16", leave_out="none")


def test_a_site_at_which_every_token_is_left_out_is_refused(extracted, tmp_path):  # noqa: F811
    alone = write_arrays(
        tmp_path / "alone.zarr",
        {"kind": "text", "context_length": CONTEXT},
        ids=np.zeros((3, CONTEXT), np.int32),
        length=np.ones(3, np.int32),
        counted=np.broadcast_to(np.arange(CONTEXT) == 0, (3, CONTEXT)),
    )
    with pytest.raises(InputError, match=r"leave_out 'first' leaves out every token at blocks\.0\.mlp\.hook_post"):
        extracted(tokens=alone, leave_out="first")
    assert not (tmp_path / "activations" / "train.zarr").exists()


def stored(path: Path, places: list[tuple[int, int]], width: int, left_out: int) -> Path:
    """A store whose rows say which token they are of."""
    params = {"site": path.name, "model": "m", "tokens": "t", "settings": {}, "limit": 99}
    rule = {"how": "massive", "median_norm": 1.0, "measured": 9, "tokens": left_out}
    with written_store(path, attributes={}, params=params | {"left_out": rule}, code="", device="cpu") as group:
        rows = np.array([[100 * a + b] * width for a, b in places], np.float32)
        create_array(group, "activations", rows.shape, "float32", ("token", "neuron"), compressed=False)[:] = rows
        for name, values in zip(("sequence", "position"), np.array(places, np.int32).T, strict=True):
            create_array(group, name, values.shape, "int32", ("token",), compressed=True)[:] = values
    return path


EVERY = [(a, b) for a in range(3) for b in range(4)]


def without(*left_out, stop=None):
    return [place for place in EVERY if place not in left_out][:stop]


def test_pairs_are_of_tokens_that_neither_site_leaves_out(tmp_path):
    own = stored(tmp_path / "own.zarr", without((0, 0), (1, 2)), 2, 2)
    target = stored(tmp_path / "target.zarr", without((0, 0), (2, 1)), 3, 2)
    rows = PairedRows(own, target)
    kept = without((0, 0), (1, 2), (2, 1))
    assert (rows.length, rows.width) == (len(kept), 2)
    wanted = np.array([[100 * a + b] * 5 for a, b in kept], np.float32)
    np.testing.assert_array_equal(rows.gather(np.arange(len(kept))), wanted)
    np.testing.assert_array_equal(rows.gather(np.array([7, 0, 3])), wanted[[7, 0, 3]])


def test_a_store_that_ends_earlier_because_it_left_out_less_lacks_no_token(tmp_path):
    """Both have eight rows: the one that leaves out two reaches two tokens further."""
    first, second = without(stop=8), without((0, 0), (1, 1), stop=8)
    stores = [(path, ActivationRows(path)) for path in (
        stored(tmp_path / "a.zarr", first, 1, 0), stored(tmp_path / "b.zarr", second, 1, 2)
    )]  # fmt: skip
    found = shared_rows(stores)
    assert [[places[row] for row in rows] for rows, places in zip(found, (first, second), strict=True)] == [
        [place for place in first if place in second]
    ] * 2


def test_stores_of_the_same_tokens_need_no_numbers_of_rows(tmp_path):
    same = [stored(tmp_path / f"{name}.zarr", without((1, 0)), 1, 1) for name in "ab"]
    assert shared_rows([(path, ActivationRows(path)) for path in same]) is None


@pytest.mark.parametrize(
    ("places", "left_out", "message"),
    [
        (without((1, 1), (1, 2)), 1, r"b\.zarr and \S+a\.zarr are not of the same tokens: the first lacks 2 of those .*"
         r" left out 1"),
        (without((0, 1)), 0, r"a\.zarr has 12 tokens and \S+b\.zarr 11"),
        ([(7, 7)], 12, "share no token"),
    ],
)  # fmt: skip
def test_stores_that_lack_more_tokens_than_they_left_out_are_refused(tmp_path, places, left_out, message):
    own = stored(tmp_path / "a.zarr", EVERY, 1, 12 if places == [(7, 7)] else 0)
    target = stored(tmp_path / "b.zarr", places, 1, left_out)
    with pytest.raises(InputError, match=message):
        PairedRows(own, target)
