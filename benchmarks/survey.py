"""The pass over the eval activations for all tables of an SAE, against the encoder's matrix product alone.

`python benchmarks/survey.py` prints the time of each part as a share of the float32 product x W_enc of all tokens, read
from the same store in the same process, interleaved, medians. `--product` searches with other products than the
machine's fastest.
"""

import argparse
import resource
import statistics
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from sae_step import activations
from surveyed import ExampleChoice
from surveyed import survey as whole_survey

from polysem.activations.rows import ActivationRows
from polysem.io.stores import create_array, written_store
from polysem.saes import search
from polysem.saes.activation_functions import standard, topk
from polysem.saes.products import PRODUCTS, fastest
from polysem.saes.sae import SAE
from polysem.tables.passes.survey import co_firing, correlation, examples, frequency, recording
from polysem.tables.passes.survey.blocks import blocks
from polysem.tables.passes.survey.windows import Window

CONTEXT = 128
PARTS = {
    "frequency": [(frequency.Frequency, "add"), (frequency.Frequency, "table")],
    "examples": [(examples.Examples, "add")],
    "windows": [(examples.Examples, "table")],
    "neuron correlations": [(correlation.Correlation, "add")],
    "feature correlations": [(correlation.Correlation, "table")],
    "recording": [(recording.Recording, "add")],
}


class Text:
    """Token ids that are as good as any."""

    is_text = True

    def __init__(self, sequences):
        self.sequences = sequences

    def ids(self, start, stop):
        return np.zeros((min(stop, self.sequences) - start, CONTEXT), np.int32)


def write_store(path, x):
    """Sequences of `CONTEXT` tokens, of which the first is masked."""
    with written_store(path, attributes={}, params={}, code="", device="cpu") as group:
        array = create_array(group, "activations", x.shape, "float16", ("token", "neuron"), compressed=False)
        array[:] = x.half().numpy()
        sequence, position = np.divmod(np.arange(len(x)), CONTEXT - 1)
        for name, values in {"sequence": sequence, "position": position + 1}.items():
            column = create_array(group, name, values.shape, "int32", ("token",), compressed=True)
            column[:] = values.astype(np.int32)
    return int(sequence[-1]) + 1


@contextmanager
def timed(spent):
    """Time spent in the parts."""
    original = {}

    def wrapped(name, method):
        def call(*arguments):
            begun = time.process_time()
            result = method(*arguments)
            spent[name] = spent.get(name, 0) + time.process_time() - begun
            return result

        return call

    for name, methods in PARTS.items():
        for kind, method in methods:
            original[kind, method] = getattr(kind, method)
            setattr(kind, method, wrapped(name, original[kind, method]))
    yield
    for (kind, method), function in original.items():
        setattr(kind, method, function)


def product(rows, sae, size):
    for x in rows.blocks(size):
        torch.from_numpy(x) @ sae.W_enc


def search_alone(rows, sae):
    for _ in blocks(rows, sae):
        pass


def everything(rows, sae, text, folder):
    found = whole_survey(rows, sae, text, ExampleChoice(20, 20, Window(20, 10), 0), scratch=folder)
    rare = found.frequency["frequency"].values < np.quantile(found.frequency["frequency"].values, 0.3)
    co_firing.co_firing(rare, rows, found.again)
    return found


def measure(function, neurons, features, tokens, rounds, products, folder):
    x, start = activations(neurons, features, tokens)
    sequences = write_store(folder / "eval.zarr", x)
    rows = ActivationRows(folder / "eval.zarr")
    bias = torch.zeros(features) if isinstance(function, topk.Function) else start["b_enc"]
    sae = SAE(start["W_enc"].T.contiguous(), bias, start["W_dec"], torch.zeros(neurons), function)
    del x
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    times, shares = {}, {}

    def clocked(name, way):
        begun = time.process_time()
        found = way()
        times.setdefault(name, []).append(time.process_time() - begun)
        return found

    for _ in range(rounds):
        clocked("product", lambda: product(rows, sae, 1024))
        for one in products:
            search.fastest = lambda one=one: one
            clocked(f"search {one.name}", lambda: search_alone(rows, sae))
            spent = {}
            with timed(spent):
                found = clocked(f"all {one.name}", lambda: everything(rows, sae, Text(sequences), folder))
            active = float(found.frequency["frequency"].sum())
            shares.setdefault(one.name, []).append(spent)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    matmul = statistics.median(times["product"])
    kind = type(function).__module__.rpartition(".")[2]
    print(f"{kind} n={neurons} m={features} tokens={tokens} L0={active:.0f} product {matmul:.1f} s", end="")
    print(f"  (peak memory {peak / 2**20:.2f} GiB, before {before / 2**20:.2f})")
    for one in products:
        ratios = {name: statistics.median(times[f"{name} {one.name}"]) / matmul for name in ("all", "search")}
        ratios |= {name: statistics.median(spent[name] for spent in shares[one.name]) / matmul for name in PARTS}
        print(
            f"  searched in {one.name}: ",
            "  ".join(f"{name} {ratio:.2f}" for name, ratio in ratios.items()),
            flush=True,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--tokens", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--large", action="store_true", help="n 2048, m 16384 instead")
    parser.add_argument("--topk", action="store_true", help="TopK 32 instead of ReLU")
    parser.add_argument("--product", nargs="+", choices=PRODUCTS, help="searched with these, not with the fastest")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.set_grad_enabled(False)
    function = topk.Function(32) if arguments.topk else standard.Function()
    shape = (2048, 16384) if arguments.large else (512, 4096)
    products = [PRODUCTS[name] for name in arguments.product or [fastest().name]]
    with tempfile.TemporaryDirectory() as folder:
        measure(function, *shape, arguments.tokens, arguments.rounds, products, Path(folder))
