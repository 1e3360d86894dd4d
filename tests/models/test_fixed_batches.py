"""Texts read together have the bits that they have when they are read alone."""

import numpy as np
import pytest
import torch

from polysem.models.fixed_batches import SHORTEST, FixedBatches
from polysem.models.subject import Batch, Subject

CONTEXT, VOCABULARY, WIDTH = 100, 50, 24


class Rows(Subject):
    """A model of matrix products; `leaking` lets a slot see that it is not the first."""

    device = torch.device("cpu")
    sites = ("one", "two")

    def __init__(self, leaking: bool = False) -> None:
        generator = torch.Generator().manual_seed(0)
        self.embedding = torch.randn(VOCABULARY, WIDTH, generator=generator)
        self.weights = torch.randn(WIDTH, WIDTH, generator=generator)
        self.leaking, self.shapes = leaking, []

    def width(self, site):
        return WIDTH

    def visit(self, batch: Batch, sites, take, *, inputs=False):
        self.shapes.append(tuple(batch.inputs.shape))
        first = self.embedding[batch.inputs].cumsum(1)
        if self.leaking:
            first[1:] *= 1 + 2**-20
        found = {"one": first, "two": first @ self.weights}
        for site in sites:
            take(site, found[site], None)

    def evaluate(self, batch, replacements=None):
        raise NotImplementedError

    def log_probabilities(self, batch, replacements=None, copies=1, at=None):
        raise NotImplementedError

    input_weights = output_weights = logit_directions = lambda self, site: None


def texts(count: int, longest: int = CONTEXT) -> list[np.ndarray]:
    draw = np.random.default_rng(3)
    return [draw.integers(0, VOCABULARY, draw.integers(1, longest + 1)) for _ in range(count)]


def test_texts_in_company_have_the_bits_that_they_have_alone():
    model = Rows()
    batches, given = FixedBatches(model, CONTEXT, VOCABULARY, slots=8), texts(60)
    alone = [batches.read([ids], ["one", "two"])[0] for ids in given]
    together = batches.read(given, ["one", "two"])
    for ids, one, other in zip(given, alone, together, strict=True):
        assert one["two"].shape == (len(ids), WIDTH)
        assert all(torch.equal(one[site], other[site]) for site in ("one", "two"))


def test_the_shape_of_a_batch_follows_from_the_length_of_a_text_alone():
    model = Rows()
    batches = FixedBatches(model, CONTEXT, VOCABULARY, slots=8)
    batches.read(texts(60), ["two"])
    assert set(model.shapes) == {(8, 16), (8, 32), (8, 64), (8, CONTEXT)}
    assert [batches.bucket(length) for length in (1, 16, 17, 64, 65, 100)] == [SHORTEST, 16, 32, 64, 100, 100]


def test_a_model_whose_slots_differ_reads_one_text_at_once():
    model = Rows(leaking=True)
    batches = FixedBatches(model, CONTEXT, VOCABULARY, slots=8)
    found = batches.read(given := texts(9, 10), ["one"])
    assert batches.slots(16) == 1
    assert model.shapes[-9:] == [(1, 16)] * 9
    assert torch.equal(found[8]["one"], model.embedding[given[8]].cumsum(0))


@pytest.mark.parametrize("slots", [1, 4])
def test_the_order_of_texts_is_kept(slots):
    model = Rows()
    given = texts(20)
    found = FixedBatches(model, CONTEXT, VOCABULARY, slots).read(given, ["one"])
    for ids, one in zip(given, found, strict=True):
        torch.testing.assert_close(one["one"], model.embedding[ids].cumsum(0))
