"""How often a step on a card makes Python wait, counted on a pretended one."""

import pytest
import torch
from directions import random_directions, sparse_sums
from pretended_card import pretended_card
from recipes import ARCHITECTURES, recipe_of

from polysem.numerics.determinism import deterministic_kernels
from polysem.saes import search
from polysem.saes.history import History
from polysem.saes.readings import Reading, read, reading
from polysem.saes.sources.stored import StoredRows
from polysem.saes.trainer import Trainer

STEPS = 4
WAITS = {
    "relu": (1, 3),
    "topk": (0, 2),
    "batchtopk": (0, 2),
    "jumprelu": (1, 4),
    "gated": (1, 4),
    "matryoshka_batchtopk": (0, 7),
}
"""How often a step waits beside what it tells, with matrices and with lists: for the share of active entries, if its
rule does not say that, and for the length of every list."""


def asked(path, architecture, **keys):
    """What some steps asked of the card, each; the first ones, in which features fire for the first time, are over."""
    recipe = recipe_of(architecture, **keys)
    with pretended_card() as card, deterministic_kernels():
        source = StoredRows(path, recipe.batch_size, recipe.seed, as_stored=True)
        trainer = Trainer(recipe, source, device="cuda")
        history = History(trainer.steps, recipe.batch_size, trainer.features, trainer.terms, device="cuda")
        while trainer.step < trainer.steps - 1:
            if trainer.step == trainer.steps - 1 - STEPS:
                card.waits.clear()
                card.copies.clear()
                card.bytes.clear()
            terms, found = trainer.advance()
            history.add(trainer.step, terms, found.active)
    return card


@pytest.mark.parametrize("form", ["list", "matrix"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_step_waits_for_what_it_tells_once_and_for_its_search(architecture, form, store, monkeypatch):
    monkeypatch.setattr(search, "DENSE_ABOVE_ON_GPU", 1.0 if form == "list" else 0.0)
    card = asked(store(sparse_sums(2000, random_directions(48, 32), 4)), architecture)
    assert card.copies == {"sent": STEPS, "to CPU": STEPS}
    assert sum(card.waits.values()) == WAITS[architecture][form == "list"] * STEPS


def test_rows_go_to_a_card_as_they_are_stored(store):
    card = asked(store(sparse_sums(2000, random_directions(48, 32), 4), dtype="float16"), "topk", batch_size=128)
    assert card.bytes["sent"] == STEPS * 128 * 32 * 2


def test_numbers_are_read_together_with_what_is_to_be_done_with_them():
    with pretended_card() as card:
        some, more = (torch.tensor(value, device="cuda") for value in (3.0, 0.5))
        told = {
            "product": 2.0 * reading(some) / 4,
            "sum": sum([reading(some), reading(more) * 2.0]),
            "count": reading(torch.tensor([True, True], device="cuda").sum()),
            "known": 7.0,
        }
        card.copies.clear()
        assert read(told) == {"product": 1.5, "sum": 4.0, "count": 2.0, "known": 7.0}
        assert (card.copies["to CPU"], sum(card.waits.values())) == (1, 0)


def test_on_a_cpu_a_number_is_read_at_once():
    assert reading(torch.tensor(3.0)) == 3.0 and not isinstance(reading(torch.tensor(3.0)), Reading)
    assert read({"known": 1.0}) == {"known": 1.0}
