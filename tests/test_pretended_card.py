import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pretended_card import CARD, LAYERS_NOT_USED, VARYING, OnCard, pretended_card

from polysem.numerics.determinism import deterministic_kernels


@pytest.fixture
def card():
    with pretended_card() as card, deterministic_kernels():
        yield card


@pytest.fixture
def x(card):
    return torch.arange(12.0).view(4, 3).to("cuda")


def test_what_is_made_on_the_card_or_of_what_is_there_is_on_it(card, x):
    made = torch.zeros(3, 2, device="cuda")
    for tensor in (x, made, x @ made, x.T, x[0], x.sum(), torch.zeros_like(x), torch.ones(4, 3).to(x), x.bfloat16()):
        assert isinstance(tensor, OnCard) and tensor.is_cuda and tensor.device == CARD
    assert not isinstance(x.cpu(), OnCard)
    assert not isinstance(torch.zeros(2), OnCard)


def test_a_copy_shares_nothing_and_a_view_on_the_card_does(card):
    here = torch.zeros(3)
    there = here.to("cuda")
    there[1:].add_(1)
    assert there.tolist() == [0, 1, 1]
    assert here.tolist() == [0, 0, 0]


MIXED = {
    "sum": lambda x, y: x + y,
    "in place": lambda x, y: x.add_(y),
    "product": lambda x, y: x @ y.T,
    "list": lambda x, y: torch.cat([x, y]),
    "number of the card": lambda x, y: y + x.sum(),
    "into a number of the CPU": lambda x, y: y.sum().add_(x.sum()),
    "values": lambda x, y: x.index_put_((torch.tensor([0]),), y[:1]),
    "indices of the card": lambda x, y: y[torch.zeros(1, dtype=torch.int64, device=x.device)],
    "embedding": lambda x, y: F.embedding(torch.zeros(1, dtype=torch.int64), x),
    "rows": lambda x, y: x.index_add_(0, torch.arange(4), y),
    "output": lambda x, y: torch.mul(x, x, out=y),
}


@pytest.mark.parametrize("mixed", MIXED.values(), ids=MIXED)
def test_tensors_of_two_memories_do_not_mix(mixed, x):
    with pytest.raises(RuntimeError, match="same device"):
        mixed(x, torch.ones(4, 3))


ALLOWED = {
    "number": lambda x: x + torch.tensor(1.0),
    "number of Python": lambda x: torch.where(x > 1, x, 0.0),
    "number into a mask": lambda x: x.masked_fill(x > 1, torch.tensor(0.0)),
    "indices of the CPU": lambda x: x[torch.tensor([0, 2])],
    "copy into a part": lambda x: x[:2].copy_(torch.ones(2, 3)),
}


@pytest.mark.parametrize("allowed", ALLOWED.values(), ids=ALLOWED)
def test_numbers_and_indices_of_the_cpu_are_taken_as_cuda_takes_them(allowed, x):
    assert torch.equal(allowed(x).cpu(), allowed(torch.arange(12.0).view(4, 3)))


@pytest.mark.parametrize("read", [torch.Tensor.numpy, np.asarray, np.sqrt])
def test_numpy_does_not_get_them(read, x):
    with pytest.raises(TypeError, match="can't convert cuda:0 device type tensor to numpy"):
        read(x)


def test_numpy_gets_those_of_the_cpu_beside_them(x):
    np.testing.assert_array_equal(np.asarray(x.cpu()), np.arange(12).reshape(4, 3))
    assert np.asarray(x.cpu(), dtype=np.float64).dtype == np.float64


def test_gradients_are_on_the_card(card):
    model = torch.nn.Linear(3, 2).to("cuda")
    F.cross_entropy(model(torch.ones(4, 3, device="cuda")), torch.tensor([0, 1, 0, 1]).to("cuda")).backward()
    assert isinstance(model.weight, torch.nn.Parameter)
    assert model.weight.grad.is_cuda
    with pytest.raises(RuntimeError, match="same device"):
        model(torch.ones(4, 3))


def test_what_python_waits_for_is_counted(card, x):
    float(x.sum()), bool((x > 3).any()), int(x.argmax()), torch.nonzero(x), x[x > 1]
    assert sum(card.waits.values()) == 5
    card.copies.clear()
    x.cpu(), x.tolist(), torch.ones(2).to("cuda"), x[torch.tensor([1])]
    assert card.copies == {"to CPU": 2, "to card": 1, "indices": 1}


VARIES = {
    "torch.Tensor.put_": lambda x: x.put_(torch.zeros(1, dtype=torch.int64, device=CARD), torch.ones(1, device=CARD)),
    "torch.histc": torch.histc,
    "torch.bincount": lambda x: torch.bincount(x.long().flatten(), weights=x.flatten()),
    "torch.median": lambda x: x.median(dim=0),
    "torch.cumsum": lambda x: x.cumsum(0),
    "torch.Tensor.scatter_reduce": lambda x: x.scatter_reduce(0, torch.zeros_like(x).long(), x, "prod"),
    "torch.nn.NLLLoss": lambda x: F.nll_loss(x.view(1, 2, 2, 3), torch.zeros(1, 2, 3, dtype=torch.int64, device=CARD)),
    "torch.nn.EmbeddingBag": lambda x: (
        F.embedding_bag(torch.zeros(2, 1, dtype=torch.int64, device=CARD), x.requires_grad_(), mode="max")
        .sum()
        .backward()
    ),
}


@pytest.mark.parametrize("name", VARYING)
def test_a_kernel_whose_results_vary_raises_where_such_are_refused(name, x):
    with pytest.raises(RuntimeError, match=f"{name} does not have a deterministic implementation"):
        VARIES[name](x)
    torch.set_deterministic_debug_mode("default")
    VARIES[name](torch.arange(12.0).view(4, 3).to("cuda"))


@pytest.mark.parametrize(
    "same", [lambda x: x.long().cumsum(0), lambda x: torch.bincount(x.long().flatten()), lambda x: x.median()]
)
def test_its_form_whose_results_are_the_same_is_allowed(same, x):
    same(x)


def test_these_are_all_kernels_that_torch_documents():
    said = torch.use_deterministic_algorithms.__doc__
    refused = said[said.rindex("operations will throw a") : said.index("In addition, several operations")]
    named = re.findall(r"^ +\* :\w+:`([\w.]+)`", refused, re.MULTILINE)
    layers = {f"torch.nn.{layer}" for layer in LAYERS_NOT_USED}
    assert set(named) == set(VARYING) | layers | {"torch.Tensor.resize_"}  # of quantized tensors, which are not here
