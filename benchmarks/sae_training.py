"""A whole SAE training (rows from a store, shuffling, history, checkpoints) against its bare step; and its memory.

`python benchmarks/sae_training.py` writes activation stores of two sizes into a temporary folder and prints the share
of the bare step's throughput that the whole training reaches (medians of interleaved rounds), and the peak memory of a
training on either store: mapped files that the system may drop at any time are not counted.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import repeat
from pathlib import Path

import torch
from sae_step import activations, our_trainer
from stored import write_rows

from polysem.params.study import section_class
from polysem.saes.history import History
from polysem.saes.sources.stored import StoredRows
from polysem.saes.train_sae import train
from polysem.saes.trainer import Trainer
from polysem.training.checkpoints import Checkpoint

BATCH = 4096


def write_store(path, rows, x):
    pieces = repeat(x.half().numpy(), -(-rows // len(x)))
    write_rows(path, pieces, rows, x.shape[1], params={"site": "", "settings": {}})


def trainer_on(store, start, steps):
    recipe = section_class("saes", "relu").model_validate(
        {
            "architecture": "relu",
            "l1": 0.0,
            "tokens": steps * BATCH,
            "batch_size": BATCH,
            "learning_rate": 1e-9,
            "normalize_activations": False,
        }
    )
    trainer = Trainer(recipe, StoredRows(store, BATCH, 0))
    for name, tensor in start.items():
        trainer.weights[name].copy_(tensor)
    trainer.weights["b_dec"].zero_()
    return trainer


def whole(store, start, steps):
    trainer = trainer_on(store, start, steps)
    checkpoint = Checkpoint("benchmark", time.time(), seconds=20)
    history = History(trainer.steps, BATCH, trainer.features)
    begun = time.perf_counter()
    train(trainer, history, checkpoint, BATCH)
    checkpoint.save({"trainer": trainer.state(), "history": history.state()})
    spent = (time.perf_counter() - begun) / steps
    checkpoint.remove()
    return spent


def bare(x, start, steps):
    trainer = our_trainer(x, start, "relu")
    trainer.advance()
    begun = time.perf_counter()
    for _ in range(steps):
        trainer.advance()
    return (time.perf_counter() - begun) / steps


def peak_memory(store):
    """MiB of memory of its own that a training on a store needed at most."""
    program = f"import sae_training as b; b.train_alone({str(store)!r})"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment, cwd=store.parent, check=True
    )
    return float(done.stdout)


def train_alone(store):
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    trainer = trainer_on(Path(store), activations(512, 4096, 256)[1], 10)
    peak = 0
    while trainer.step < trainer.steps:
        trainer.advance()
        fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
        peak = max(peak, int(fields["RssAnon"].split()[0]))
    print(peak / 1024)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    x, start = activations(512, 4096, BATCH)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        small, large = Path(folder) / "small.zarr", Path(folder) / "large.zarr"
        write_store(small, 50_000, x)
        write_store(large, 800_000, x)
        times = {"whole": [], "bare": []}
        for _ in range(arguments.rounds):
            times["bare"].append(bare(x, start, arguments.steps))
            times["whole"].append(whole(large, start, arguments.steps))
        share = statistics.median(times["bare"]) / statistics.median(times["whole"])
        print(f"the whole training has {share:.2f} of the throughput of its bare step")
        print(f"peak memory: {peak_memory(small):.0f} MiB on 50,000 rows, {peak_memory(large):.0f} MiB on 800,000 rows")


if __name__ == "__main__":
    main()
