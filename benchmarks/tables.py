"""Tables that need weights alone: seconds of CPU time on one thread, beside the bare products that they need.

`python benchmarks/tables.py` takes 16,384 features over 2,048 neurons, 60 % of them ultra-low, behind a W_out of 512
and vocabularies of 1,024 and 48,262 tokens.
"""

import argparse
import statistics
import time

import numpy as np
import torch
import xarray as xr
from torch.nn.functional import normalize

from polysem.params.analysis import Analysis
from polysem.saes.activation_functions.standard import Function
from polysem.saes.sae import SAE
from polysem.tables.alignment import BLOCK, neuron_alignment
from polysem.tables.directions import Directions
from polysem.tables.geometry import geometry
from polysem.tables.logits import logits
from polysem.tables.nearest import nearest
from polysem.tables.ultra_low import ultra_low

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
    (W_out, unembedding), rows = large.logit_path(SITE), sae.W_dec

    def alignment():
        return neuron_alignment((block.numpy() for block in sae.W_dec.split(BLOCK)), neurons)

    aligned = alignment()
    ways = {
        "alignment": alignment,
        "geometry": lambda: geometry(sae, frequency, aligned, small, SITE, analysis),
        "  bare: both rows through W_out": lambda: (rows @ W_out, sae.W_enc.T @ W_out),
        "  bare: decoder's matrix of outer products": lambda: rows.T @ rows,
        "ultra_low": lambda: ultra_low(sae, frequency, analysis),
        "logits, 1,024 tokens": lambda: logits(sae, small, SITE),
        "nearest": lambda: nearest(sae),
        "  bare: all cosines, bfloat16": lambda: [tile @ rows.bfloat16().T for tile in rows.bfloat16().split(512)],
        "logits, 48,262 tokens": lambda: logits(sae, large, SITE),
        "  bare: rows through W_out and W_U": lambda: [block @ W_out @ unembedding for block in rows.split(256)],
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
