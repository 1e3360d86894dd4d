"""One model, several threads."""

from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from threading import Barrier

import pytest
import torch

from polysem.models.load import load_subject
from polysem.models.subject import Batch

from .conftest import CONFIG, with_inputs

THREADS, CALLS = 8, 20


@pytest.fixture
def batches() -> list[Batch]:
    generator = torch.Generator().manual_seed(1)
    made = []
    for _ in range(4):
        ids = torch.randint(0, CONFIG["d_vocab"], (2, 12), generator=generator)
        everywhere = torch.ones_like(ids, dtype=torch.bool)
        made.append(Batch(ids, ids.roll(-1, dims=1), everywhere, everywhere))
    return made


def test_eight_threads_get_the_numbers_that_one_thread_gets(native_folder, batches):
    subject = load_subject(native_folder())
    sites = ["blocks.0.mlp.hook_post", "blocks.1.hook_resid_mid", "blocks.1.mlp.hook_post"]

    def numbers(kind: int, batch: Batch) -> list[torch.Tensor]:
        if kind < len(sites):
            return [subject.activations(batch, [sites[kind]])[sites[kind]]]
        if kind == len(sites):
            return [part for part in with_inputs(subject, batch, sites[0]) if part is not None]
        return [subject.evaluate(batch, {sites[2]: torch.zeros_like, sites[1]: lambda x: 2 * x}).losses]

    calls = [(kind, batch) for kind in range(len(sites) + 2) for batch in batches]
    expected = [numbers(*call) for call in calls]
    start = Barrier(THREADS)

    def work(first: int) -> int:
        start.wait()
        wrong = 0
        for number in islice(cycle(range(len(calls))), first, first + CALLS):
            found = numbers(*calls[number])
            wrong += not all(torch.equal(a, b) for a, b in zip(found, expected[number], strict=True))
        return wrong

    with ThreadPoolExecutor(THREADS) as pool:
        assert sum(pool.map(work, range(0, 3 * THREADS, 3))) == 0


def test_a_call_from_inside_of_another_is_an_error_and_leaves_the_model_as_it_was(native_folder, batches):
    subject, site = load_subject(native_folder()), "blocks.0.mlp.hook_post"
    expected = subject.activations(batches[0], [site])[site]

    def nested(x: torch.Tensor) -> torch.Tensor:
        return subject.activations(batches[1], [site])[site]

    with pytest.raises(RuntimeError, match="called from a replacement of its own activations"):
        subject.evaluate(batches[0], {site: nested})
    torch.testing.assert_close(subject.activations(batches[0], [site])[site], expected, rtol=0, atol=0)
