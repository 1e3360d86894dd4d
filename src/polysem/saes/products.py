"""The dense product of a search, by whichever of some ways this machine is fastest in.

A search looks for candidates with one of them and scores these again, always in the same way, so what it finds has the
same bytes whichever is used. What a CPU says of itself does not tell which is fastest: some have instructions for
bfloat16 that take longer than float32's, and on some a library reaches half of what another does. So they are timed,
once for each machine.
"""

import os
import platform
import time
from collections.abc import Callable, Sequence
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
from polysem.numerics.torch_private import ONEDNN, ONEDNN_BFLOAT16, linear, onednn_linear

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
Of = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Product:
    """A way to compute x W_encᵀ + bias for a block of tokens."""

    name: str
    dtype: torch.dtype
    bits: torch.dtype
    """Integers of the same size: numbers above 0 are ordered like their bits."""
    rows: int
    """Tokens of a block that it is quick with. Fewer would not be worth laying out W_enc for them, and of more the
    results leave the cache before they are compared."""
    rounding: float
    """Largest relative error of a number in this precision, with room to spare."""
    of: Of
    """Called with x, W_enc and the bias in this precision."""

    def error(self, W_enc: Float[Tensor, "feature neuron"]) -> Float[Tensor, " feature"]:
        """How far this product and a float32 inner product can be apart, in units of a token's norm."""
        norm = W_enc.norm(dim=1)
        if self.dtype == torch.float32:
            return norm.mul_((W_enc.shape[1] + 4) * 2**-23)
        largest = torch.maximum(W_enc.amax(1), -W_enc.amin(1))
        return torch.minimum(BOUND * norm, SPREAD * largest)


def _by_numpy(x: Tensor, W_enc: Tensor, bias: Tensor) -> Tensor:
    return torch.from_numpy(np.dot(x.numpy(), W_enc.numpy().T)).add_(bias)


FLOAT32 = Product("float32", torch.float32, torch.int32, 1024, 2**-22, linear)
FLOAT32_BY_NUMPY = Product("float32 by NumPy", torch.float32, torch.int32, 1024, 2**-22, _by_numpy)
FLOAT32_BY_ONEDNN = Product("float32 by oneDNN", torch.float32, torch.int32, 256, 2**-22, onednn_linear)
BFLOAT16 = Product("bfloat16", torch.bfloat16, torch.int16, 256, 2**-8, onednn_linear if ONEDNN_BFLOAT16 else linear)
PRODUCTS = {
    product.name: product for product in (FLOAT32, FLOAT32_BY_NUMPY, *([FLOAT32_BY_ONEDNN] if ONEDNN else []), BFLOAT16)
}


def fastest(among: Sequence[Product] = tuple(PRODUCTS.values())) -> Product:
    """The fastest of some products on this machine with the threads that torch has now."""
    seconds = _seconds(torch.get_num_threads())
    return min((product for product in among if product.name in seconds), key=lambda product: seconds[product.name])


@cache
def _seconds(threads: int) -> dict[str, float]:
    """What each product that can be chosen took, as it was measured once on this machine."""
    machine = {"cpu": _cpu(), "torch": torch.__version__, "numpy": np.__version__, "threads": threads}
    numpy_threads = os.environ.get("OPENBLAS_NUM_THREADS")
    names = [name for name in PRODUCTS if name != FLOAT32_BY_NUMPY.name or numpy_threads == str(threads)]
    file = MEMORY / f"{text_digest(repr((machine, names)))}.json"
    kept = read_cache(file)
    seconds: dict[str, float] = measured(names) if kept is None else kept["seconds"]
    if kept is None:
        with suppress(InputError):  # where nothing can be written, the next process measures again
            write_cache(file, {"machine": machine, "seconds": seconds})
    return seconds


def measured(names: list[str]) -> dict[str, float]:
    """The shortest time that each of some products took."""
    rows, neurons, features = TIMED
    generator = torch.Generator().manual_seed(0)
    x, W_enc = (torch.randn(count, neurons, generator=generator) for count in (rows, features))
    seconds: dict[str, float] = {}
    for name in names:
        product = PRODUCTS[name]
        left, right, bias = (tensor.to(product.dtype) for tensor in (x, W_enc, torch.zeros(features)))
        for _ in range(ROUNDS):
            begun = time.perf_counter()
            product.of(left, right, bias)
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
