"""The dense product of a search, by whichever of three ways this machine is fastest in.

A search looks for candidates with one of them and scores these again, always in the same way, so what it finds has the
same bytes whichever is used. What a CPU says of itself does not tell which is fastest: some have instructions for
bfloat16 that take longer than float32's. So they are timed, once for each machine.
"""

import os
import platform
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from polysem.io.caches import FOLDER, read_cache, write_cache
from polysem.io.content import text_digest
from polysem.io.errors import InputError

BOUND = 2**-7 * 1.01
"""Largest error of a product x·w in bfloat16, in units of ‖x‖ · ‖w‖: each factor is off by up to 2⁻⁸ of itself."""
SPREAD = 6 * 0.0023
"""Six standard deviations of that error, in units of ‖x‖ · max|w|: errors of neurons cancel like random signs."""
MEMORY = FOLDER / "products"
TIMED = (256, 512, 4096)
"""Tokens, neurons and features of the product that is timed."""
ROUNDS = 4
HOPELESS = 2.0
"""A way that takes so many times as long as the best one in its first round is not timed again."""
Into = Callable[[Tensor, Tensor, Tensor, Tensor], object]


@dataclass(frozen=True)
class Product:
    """A way to compute x W_encᵀ + bias for a block of tokens."""

    name: str
    dtype: torch.dtype
    bits: torch.dtype
    """Integers of the same size: numbers above 0 are ordered like their bits."""
    rounding: float
    """Largest relative error of a number in this precision, with room to spare."""
    into: Into
    """Called with x, W_enc and the bias in this precision, and a matrix that takes the result."""

    def error(self, W_enc: Float[Tensor, "feature neuron"]) -> Float[Tensor, " feature"]:
        """How far this product and a float32 inner product can be apart, in units of a token's norm."""
        norm = W_enc.norm(dim=1)
        if self.dtype == torch.float32:
            return norm.mul_((W_enc.shape[1] + 4) * 2**-23)
        return torch.minimum(BOUND * norm, SPREAD * W_enc.norm(torch.inf, dim=1))


def _by_torch(x: Tensor, W_enc: Tensor, bias: Tensor, out: Tensor) -> None:
    torch.addmm(bias, x, W_enc.T, out=out)


def _by_numpy(x: Tensor, W_enc: Tensor, bias: Tensor, out: Tensor) -> None:
    np.dot(x.numpy(), W_enc.numpy().T, out=out.numpy())
    out.add_(bias)


FLOAT32 = Product("float32", torch.float32, torch.int32, 2**-22, _by_torch)
FLOAT32_BY_NUMPY = Product("float32 by NumPy", torch.float32, torch.int32, 2**-22, _by_numpy)
BFLOAT16 = Product("bfloat16", torch.bfloat16, torch.int16, 2**-8, _by_torch)
PRODUCTS = {product.name: product for product in (FLOAT32, FLOAT32_BY_NUMPY, BFLOAT16)}


def fastest() -> Product:
    """The fastest of the products on this machine with the threads that torch has now."""
    return _fastest(torch.get_num_threads())


@cache
def _fastest(threads: int) -> Product:
    machine = {"cpu": _cpu(), "torch": torch.__version__, "numpy": np.__version__, "threads": threads}
    numpy_threads = os.environ.get("OPENBLAS_NUM_THREADS")
    names = [name for name in PRODUCTS if name != FLOAT32_BY_NUMPY.name or numpy_threads == str(threads)]
    file = MEMORY / f"{text_digest(repr((machine, names)))}.json"
    kept = read_cache(file)
    seconds: dict[str, float] = measured(names) if kept is None else kept["seconds"]
    if kept is None:
        with suppress(InputError):  # where nothing can be written, the next process measures again
            write_cache(file, {"machine": machine, "seconds": seconds})
    return PRODUCTS[min(seconds, key=lambda name: seconds[name])]


def measured(names: list[str]) -> dict[str, float]:
    """The shortest time that each of some products took."""
    rows, neurons, features = TIMED
    generator = torch.Generator().manual_seed(0)
    x, W_enc = (torch.randn(count, neurons, generator=generator) for count in (rows, features))
    seconds: dict[str, float] = {}
    for name in names:
        product = PRODUCTS[name]
        left, right, bias = (tensor.to(product.dtype) for tensor in (x, W_enc, torch.zeros(features)))
        out = torch.zeros(rows, features, dtype=product.dtype)
        for _ in range(ROUNDS):
            begun = time.perf_counter()
            product.into(left, right, bias, out)
            seconds[name] = min(seconds.get(name, np.inf), time.perf_counter() - begun)
            if seconds[name] > HOPELESS * min(seconds.values()):
                break
    return seconds


def _cpu() -> str:
    """What the system says about the first processor but for its speed, which changes."""
    try:
        first = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n\n")[0]
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    changing = ("cpu MHz", "bogomips", "processor", "apicid", "initial apicid", "core id", "physical id")
    return text_digest("\n".join(line for line in first.splitlines() if not line.startswith(changing)))
