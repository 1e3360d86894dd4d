"""The order of training data, and checkpoints."""

import os

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from polysem.training.checkpoints import Checkpoint
from polysem.training.order import EpochOrder


@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 2**31 - 1))
def test_an_epoch_brings_every_number_at_most_once_and_only_a_rest_below_a_batch_is_left_out(count, batch, seed):
    batch = min(count, batch)
    order = EpochOrder(count, batch, seed)
    for epoch in range(2):
        steps = range(epoch * order.steps_per_epoch, (epoch + 1) * order.steps_per_epoch)
        numbers = torch.cat([order.at(step) for step in steps]).tolist()
        assert len(set(numbers)) == len(numbers) > count - batch
        assert set(numbers) <= set(range(count))


def test_an_epoch_covers_every_number_once():
    order = EpochOrder(12, 4, seed=3)
    assert sorted(torch.cat([order.at(step) for step in range(3)]).tolist()) == list(range(12))


def test_a_step_depends_on_seed_and_step_alone():
    forwards = EpochOrder(50, 8, seed=1)
    wanted = [forwards.at(step).tolist() for step in range(20)]
    torch.manual_seed(123)
    backwards = EpochOrder(50, 8, seed=1)
    assert [backwards.at(step).tolist() for step in reversed(range(20))] == wanted[::-1]


def test_seeds_and_epochs_differ():
    order, other = EpochOrder(50, 50, seed=1), EpochOrder(50, 50, seed=2)
    drawn = [order.at(0), order.at(1), other.at(0), other.at(1)]
    assert len({tuple(numbers.tolist()) for numbers in drawn}) == 4


def test_a_batch_larger_than_what_there_is_is_refused():
    with pytest.raises(ValueError, match="a batch of 5 cannot be drawn from 4"):
        EpochOrder(4, 5, seed=0)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("here")
def test_a_checkpoint_reads_back_and_is_gone_once_removed():
    checkpoint = Checkpoint("train", {"l1": 1})
    assert checkpoint.load() is None
    checkpoint.save({"w": torch.arange(3.0), "losses": [0.1, 0.2]})
    state = Checkpoint("train", {"l1": 1}).load()
    assert state is not None
    assert state["losses"] == [0.1, 0.2]
    assert torch.equal(state["w"], torch.arange(3.0))
    checkpoint.remove()
    checkpoint.remove()
    assert checkpoint.load() is None


@pytest.mark.usefixtures("here")
def test_whatever_the_job_depends_on_names_the_checkpoint():
    paths = [
        Checkpoint(job, params, code).path
        for job, params, code in [
            ("train", {"l1": 1}, "a"),
            ("train", {"l1": 2}, "a"),
            ("train", {"l1": 1}, "b"),
            ("other", {"l1": 1}, "a"),
        ]
    ]
    assert len(set(paths)) == 4
    assert Checkpoint("train", {"a": 1, "b": 2}).path == Checkpoint("train", {"b": 2, "a": 1}).path


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.7, 0.999])
def test_a_torn_checkpoint_is_ignored_with_a_note(capsys, share):
    checkpoint = Checkpoint("train")
    checkpoint.save({"w": torch.randn(500), "losses": [0.1]})
    os.truncate(checkpoint.path, int(checkpoint.path.stat().st_size * share))
    assert checkpoint.load() is None
    assert "cannot be read" in capsys.readouterr().err


@pytest.mark.usefixtures("here")
def test_a_checkpoint_with_a_flipped_bit_is_ignored_with_a_note(capsys):
    checkpoint = Checkpoint("train")
    checkpoint.save({"w": torch.zeros(5000), "step": 3})
    content = bytearray(checkpoint.path.read_bytes())
    for place in range(0, len(content), len(content) // 40):
        content[place] ^= 1
        checkpoint.path.write_bytes(content)
        assert checkpoint.load() is None
        assert "its checksum is another" in capsys.readouterr().err
        content[place] ^= 1
    checkpoint.path.write_bytes(content)
    assert checkpoint.load()["step"] == 3


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("content", [b"no checkpoint", b"\x80\x02}q\x00X", bytes(1000), b"PK\x03\x04" + bytes(100)])
def test_a_checkpoint_of_anything_else_is_ignored_with_a_note(capsys, content):
    checkpoint = Checkpoint("train")
    checkpoint.path.parent.mkdir(parents=True)
    checkpoint.path.write_bytes(content)
    assert checkpoint.load() is None
    assert "cannot be read" in capsys.readouterr().err


@pytest.mark.usefixtures("here")
def test_a_checkpoint_is_due_after_so_many_seconds():
    assert not Checkpoint("train", seconds=1000).due()
    checkpoint = Checkpoint("train", seconds=0)
    assert checkpoint.due()
