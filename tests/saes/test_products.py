"""Which product a search takes: measured once for each machine, and nothing depends on it."""

import json

import pytest
import torch

from polysem.io.caches import FOLDER
from polysem.saes import products
from polysem.saes.products import BFLOAT16, FLOAT32, FLOAT32_BY_NUMPY, PRODUCTS, fastest, measured


@pytest.fixture
def memory(tmp_path, monkeypatch):
    """An empty memory, and how often products are timed."""
    timings = []

    def timed(names):
        timings.append(names)
        return {name: 0.1 if name == BFLOAT16.name else 0.2 for name in names}

    monkeypatch.setattr(products, "MEMORY", tmp_path / "products")
    monkeypatch.setattr(products, "measured", timed)
    products._seconds.cache_clear()
    yield tmp_path / "products", timings
    products._seconds.cache_clear()


def another_process():
    products._seconds.cache_clear()


def test_a_machine_is_measured_once(memory):
    folder, timings = memory
    for _ in range(3):
        assert fastest() == BFLOAT16
        another_process()
    assert len(timings) == 1
    (file,) = folder.iterdir()
    assert json.loads(file.read_text())["content"]["seconds"][BFLOAT16.name] == 0.1


@pytest.mark.parametrize("damage", ["torn", "empty", "changed", "a list"])
def test_a_memory_that_is_not_as_it_was_written_is_measured_again(damage, memory):
    folder, timings = memory
    fastest()
    (file,) = folder.iterdir()
    text = file.read_text()
    damaged = {"torn": text[:50], "empty": "", "changed": text.replace("0.2", "0.01"), "a list": "[1]"}[damage]
    assert damaged != text
    file.write_text(damaged)
    another_process()
    assert fastest() == BFLOAT16
    assert len(timings) == 2
    assert file.read_text() == text


def test_another_machine_is_measured_for_itself(memory, monkeypatch):
    folder, timings = memory
    fastest()
    another_process()
    monkeypatch.setattr(products, "_cpu", lambda: "another")
    fastest()
    assert len(timings) == 2
    assert len(list(folder.iterdir())) == 2


def test_where_nothing_can_be_kept_every_process_measures(memory):
    folder, timings = memory
    folder.write_text("a file where the folder should be")
    assert fastest() == BFLOAT16
    another_process()
    assert fastest() == BFLOAT16
    assert len(timings) == 2


@pytest.mark.parametrize("threads", ["1", "7", None])
def test_numpy_is_measured_only_where_it_has_as_many_threads_as_torch(threads, memory, monkeypatch):
    _, timings = memory
    if threads is None:
        monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    else:
        monkeypatch.setenv("OPENBLAS_NUM_THREADS", threads)
    fastest()
    assert (FLOAT32_BY_NUMPY.name in timings[0]) == (threads == str(torch.get_num_threads()))


def test_every_product_is_timed_but_none_that_is_hopeless_for_long(monkeypatch):
    monkeypatch.setattr(products, "TIMED", (64, 32, 128))
    seconds = measured(list(PRODUCTS))
    assert list(seconds) == list(PRODUCTS)
    assert all(0 < each < 10 for each in seconds.values())


@pytest.mark.parametrize("product", PRODUCTS.values(), ids=lambda product: product.name)
def test_a_product_is_no_further_from_an_inner_product_than_its_error(product):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(300, 200, generator=generator)
    W_enc = torch.randn(400, 200, generator=generator) * torch.rand(400, 1, generator=generator)
    out = product.of(x.to(product.dtype), W_enc.to(product.dtype), torch.zeros(400, dtype=product.dtype))
    exact = x.double() @ W_enc.double().T
    off = (out.double() - exact).abs() - product.rounding * exact.abs()
    assert (off <= x.norm(dim=1, keepdim=True) * product.error(W_enc)).all()
    if product.dtype == torch.float32:
        assert float(product.error(W_enc).max() / W_enc.norm(dim=1).max()) < 1e-4
    assert FLOAT32.rounding < BFLOAT16.rounding


@pytest.mark.parametrize("product", PRODUCTS.values(), ids=lambda product: product.name)
def test_no_number_is_rounded_by_more_than_a_product_says(product):
    step = 2.0**-12 if product.dtype == torch.bfloat16 else 2.0**-26
    numbers = 1 + step * torch.arange(1, 4096, dtype=torch.float64)  # the coarsest ones: just above a power of two
    error = ((numbers.to(product.dtype).double() - numbers) / numbers).abs().max()
    assert error <= product.rounding <= 5 * error


def test_measurements_lie_in_the_folder_of_what_is_kept():
    assert products.MEMORY.parent == FOLDER
