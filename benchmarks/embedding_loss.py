"""What the neuron-embedding loss of S3 costs: training steps with it against steps without.

`python benchmarks/embedding_loss.py` prints, for the size of the document's MNIST SAEs (64 neurons, 512 features,
batches of 128) and for a language model's (512 neurons, 4,096 features, batches of 4,096), the median time of a step
with the loss as a multiple of one without; on the same activations, in one process, interleaved. Weights stay as they
are, so both have the same active features.
"""

import argparse
import statistics
import time

import torch
from sae_step import Batches, activations

from polysem.params.study import section_class
from polysem.saes.trainer import Trainer

SIZES = [(64, 512, 128), (512, 4096, 4096)]


def trainer_with(x, start, weight):
    keys = {"expansion": len(start["W_dec"]) // x.shape[1], "tokens": 10**9, "batch_size": len(x)}
    if weight:
        keys |= {"embedding_loss": weight, "embedding_loss_from": 0}
    recipe = section_class("saes", "relu").model_validate(
        {"architecture": "relu", "l1": 0.0, "learning_rate": 1e-9, "normalize_activations": False, **keys}
    )
    trainer = Trainer(recipe, Batches(x))
    for name, tensor in start.items():
        trainer.weights[name].copy_(tensor)
    trainer.weights["b_dec"].zero_()
    return trainer


def measure(neurons, features, batch, share, seconds):
    x, start = activations(neurons, features, batch)
    if share is not None:
        start["b_enc"].fill_(-torch.quantile((x[:128] @ start["W_enc"].T).flatten(), 1 - share))
    trainers = {weight: trainer_with(x, start, weight) for weight in (0.0, 1.0)}
    times = {weight: [] for weight in trainers}
    begun = time.perf_counter()
    while time.perf_counter() - begun < seconds or len(times[0.0]) < 6:
        for weight, trainer in trainers.items():
            before = time.perf_counter()
            terms, _ = trainer.advance()
            times[weight].append(time.perf_counter() - before)
    without, with_loss = (statistics.median(spent[2:]) for spent in times.values())
    print(
        f"n={neurons} m={features} batch={batch} L0={terms['L0']:.0f}: {1e3 * without:.2f} ms without, "
        f"{1e3 * with_loss:.2f} ms with, {with_loss / without:.2f} times",
        flush=True,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=10.0, help="for each size")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.set_grad_enabled(False)
    for neurons, features, batch in SIZES:
        for share in (None, 0.1, 0.3):
            measure(neurons, features, batch, share, arguments.seconds)
