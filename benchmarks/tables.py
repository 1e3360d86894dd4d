"""Tables that need weights alone: seconds of CPU time on one thread, beside the bare products that they need.

`OPENBLAS_NUM_THREADS=1 python benchmarks/tables.py` takes 16,384 features over 2,048 neurons, 60 % of them ultra-low,
behind a W_out of 512 and vocabularies of 1,024 and 48,262 tokens. "All four" are measured as a survey takes them, with
what W_out sees of the decoder rows made once for two of them; their parts follow.
"""

import argparse
import statistics
import time

import numpy as np
import torch
import xarray as xr
from scipy.linalg import eigvalsh
from scipy.linalg.blas import ssyrk
from torch.nn.functional import normalize

from polysem.params.analysis import Analysis
from polysem.saes.activation_functions.standard import Function
from polysem.saes.sae import SAE
from polysem.tables.of_dictionary.alignment import BLOCK, neuron_alignment
from polysem.tables.of_dictionary.geometry import geometry
from polysem.tables.of_dictionary.logits import logits
from polysem.tables.of_dictionary.ultra_low import ultra_low
from polysem.tables.parts.directions import Directions
from polysem.tables.parts.nearest import nearest
from polysem.tables.parts.null_space import seen_rows

SITE = "blocks.0.mlp.hook_post"


def dictionary(neurons, features):
    generator = torch.Generator().manual_seed(0)
    decoder = normalize(torch.randn(features, neurons, generator=generator), dim=1)
    encoder = decoder.T + torch.randn(neurons, features, generator=generator) / neurons**0.5
    return SAE(encoder.contiguous(), torch.zeros(features), decoder, torch.zeros(neurons), Function())


def directions(neurons, width, tokens):
    generator = torch.Generator().manual_seed(1)
    tensors = {f"{SITE}/output_weights": (neurons, width), "unembedding": (width, tokens)}
    return Directions({name: torch.randn(shape, generator=generator) for name, shape in tensors.items()})


def measure(neurons, features, width, rounds):
    sae, analysis = dictionary(neurons, features), Analysis()
    low = np.where(np.random.default_rng(0).random(features) < 0.6, 5e-5, 0.01)
    frequency = xr.Dataset({"frequency": ("feature", low)}, attrs={"tokens": 10**6})
    small, large = directions(neurons, width, 1024), directions(neurons, width, 48_262)
    W_out, unembedding = (matrix.numpy() for matrix in large.logit_path(SITE))
    rows, tokens = sae.W_dec.numpy(), unembedding[:, :1024].copy()

    def alignment():
        return neuron_alignment((block.numpy() for block in sae.W_dec.split(BLOCK)), neurons)

    def all_four():
        seen = seen_rows(sae, small, SITE)
        geometry(sae, frequency, alignment(), small, SITE, analysis, seen=seen)
        ultra_low(sae, frequency, analysis)
        logits(sae, small, SITE, seen=seen)

    aligned, seen, through = alignment(), seen_rows(sae, small, SITE), rows @ W_out
    products = ssyrk(1.0, rows.T)
    small_rows = sae.W_dec.bfloat16()
    ways = {
        "all four, 1,024 tokens": all_four,
        "  alignment": alignment,
        "  what W_out sees of the decoder": lambda: seen_rows(sae, small, SITE),
        "  geometry": lambda: geometry(sae, frequency, aligned, small, SITE, analysis, seen=seen),
        "  ultra_low": lambda: ultra_low(sae, frequency, analysis),
        "  logits": lambda: logits(sae, small, SITE, seen=seen),
        "  bare: both rows through W_out": lambda: (rows @ W_out, W_out.T @ sae.W_enc.numpy()),
        "  bare: and from there to the logits": lambda: through @ tokens,
        "  bare: all outer products, one triangle": lambda: ssyrk(1.0, rows.T),
        "  bare: their eigenvalues": lambda: eigvalsh(products, lower=False, driver="evd"),
        "nearest": lambda: nearest(sae),
        "  bare: all cosines, bfloat16": lambda: [tile @ small_rows.T for tile in small_rows.split(512)],
        "logits, 48,262 tokens": lambda: logits(sae, large, SITE, seen=seen_rows(sae, large, SITE)),
        "  bare: rows through W_out and W_U": lambda: [
            block @ W_out @ unembedding for block in np.array_split(rows, 64)
        ],
    }
    for name, way in ways.items():
        spent = []
        for _ in range(rounds):
            begun = time.process_time()
            way()
            spent.append(time.process_time() - begun)
        print(f"{name:45} {statistics.median(spent):7.2f} s", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--neurons", type=int, default=2048)
    parser.add_argument("--features", type=int, default=16_384)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    measure(arguments.neurons, arguments.features, arguments.width, arguments.rounds)
