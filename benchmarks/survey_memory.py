"""Peak memory of the step `measure_dictionary` by the number of eval tokens: it goes with features, not tokens.

`python benchmarks/survey_memory.py` surveys the same SAE over 4,096, 40,960 and 1,000,000 tokens of text with tags,
each in a process of its own, and prints the most memory that each held.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from measured import all_stated
from stored import write_rows
from tokenizers import Tokenizer, models

from polysem.io.stores import create_array, written_store
from polysem.layout.place import Place
from polysem.params.analysis import Analysis
from polysem.params.base import NEURONS
from polysem.saes.activation_functions import topk
from polysem.saes.sae import SAE, save_sae
from polysem.tables.parts.directions import Directions, write_directions

CONTEXT, VOCABULARY, TAGS = 128, 500, 12
SITE = "blocks.0.mlp.hook_post"
PIECE = 1 << 16
"""Rows that are made at once."""


def write_activations(path, rows, neurons):
    """Sequences of `CONTEXT` tokens, of which the first is masked."""
    generator = np.random.default_rng(0)
    sizes = (min(PIECE, rows - start) for start in range(0, rows, PIECE))
    pieces = (generator.standard_normal((size, neurons), np.float32).astype(np.float16) for size in sizes)
    return write_rows(path, pieces, rows, neurons, context=CONTEXT)


def write_tokens(path, sequences):
    generator = np.random.default_rng(1)
    shape = (sequences, CONTEXT)
    ids = generator.integers(1, VOCABULARY, shape, np.int32)
    counted = np.broadcast_to(np.arange(CONTEXT) > 0, shape)
    tags = generator.integers(0, 1 << TAGS, (*shape, 1)) & generator.integers(0, 1 << TAGS, (*shape, 1))
    arrays = {"ids": ids, "counted": counted, "tags": tags.astype(np.uint64), "length": np.full(sequences, CONTEXT)}
    attributes = {"kind": "text", "vocabulary": VOCABULARY, "tags": [f"tag-{number}" for number in range(TAGS)]}
    with written_store(path, attributes=attributes, params={}, code="", device="cpu") as group:
        for name, values in arrays.items():
            dimensions = ("sequence", "position", "word")[: values.ndim]
            kind = "int32" if name == "length" else str(values.dtype)
            create_array(group, name, values.shape, kind, dimensions, compressed=True)[:] = values


def write_dictionary(folder, neurons, features, active):
    generator = torch.Generator().manual_seed(0)
    W_dec = torch.nn.functional.normalize(torch.randn(features, neurons, generator=generator), dim=1)
    sae = SAE(W_dec.T.contiguous(), torch.zeros(features), W_dec, torch.zeros(neurons), topk.Function(active))
    folder.mkdir(parents=True)
    save_sae(sae, folder, {}, torch.zeros(features))


def write_tokenizer(path):
    """A word for each token."""
    path.parent.mkdir(parents=True)
    words = {f"w{number}": number for number in range(VOCABULARY)}
    Tokenizer(models.WordLevel(words, unk_token="w0")).save(str(path))


def write_weights(path, neurons):
    path.parent.mkdir(parents=True)
    generator = torch.Generator().manual_seed(1)
    tensors = {"output_weights": (neurons, 16), "input_weights": (neurons, 16)}
    weights = {f"{SITE}/{name}": torch.randn(shape, generator=generator) for name, shape in tensors.items()}
    weights["unembedding"] = torch.randn(16, VOCABULARY, generator=generator)
    write_directions(path, Directions(weights))


def command(folder, dictionary, tables):
    """The step that makes some tables of a dictionary."""
    spec = {"model": "m", "site": SITE, "dictionary": dictionary, "kind": "language", "root": str(folder)}
    config = json.dumps(spec | {"tables": tables})
    return [sys.executable, "-m", "polysem", "step", "measure_dictionary", "--config", config]


def peak(folder, rows, neurons, features, active, **params):
    """MiB that the step held at most. `params` are keys of `analysis:` that are not to have their defaults."""
    place = Place("m", SITE, "d", str(folder))
    sequences = write_activations(Path(place.activations("eval").store), rows, neurons)
    write_tokens(Path(place.tokens("eval").store), sequences)
    write_tokenizer(Path(place.tokenizer))
    write_dictionary(Path(place.sae.path), neurons, features, active)
    write_weights(Path(place.directions), neurons)
    said = {name: asdict(one) for name, one in all_stated(place, Analysis(**params)).items()}
    probed = {"sparse_probing": asdict(all_stated(place.of(NEURONS), Analysis(**params))["sparse_probing"])}
    subprocess.run(command(folder, NEURONS, probed), check=True)
    process = subprocess.Popen(command(folder, place.dictionary, said))
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"measure_dictionary ended with {os.waitstatus_to_exitcode(status)}")
    return usage.ru_maxrss / 1024


def measure(rows, neurons, features, active):
    """Peaks by the number of rows, in MiB."""
    peaks = {}
    for number in rows:
        with tempfile.TemporaryDirectory() as folder:
            peaks[number] = peak(Path(folder), number, neurons, features, active)
        print(f"{number:>9,} rows: {peaks[number]:,.0f} MiB", flush=True)
    return peaks


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[4096, 40_960, 1_000_000])
    parser.add_argument("--neurons", type=int, default=128)
    parser.add_argument("--features", type=int, default=1024)
    parser.add_argument("--active", type=int, default=16, help="features active on each token")
    arguments = parser.parse_args()
    measure(arguments.rows, arguments.neurons, arguments.features, arguments.active)
