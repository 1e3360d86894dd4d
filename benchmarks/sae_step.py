"""One SAE training step: ours against plain autograd and, where they are installed, against the peers' own steps.

`OPENBLAS_NUM_THREADS=1 python benchmarks/sae_step.py` prints how many times faster ours is, on the same activations, in
one process, interleaved, medians of CPU time. A step is gradients, the optimiser and the decoder's norm; the encoder's
matmul is float32, by torch into a matrix of its own or into one that is there, or by NumPy into one that is there.
Peers come with `benchmarks/peers.txt`; one that is missing is named and left out.

`--product` searches with other products than the machine's fastest, to show what a CPU without it would take.
"""

import argparse
import statistics
import sys
import time
from importlib.util import find_spec

import numpy as np
import torch
import torch.nn.functional as F

from polysem.params.study import section_class
from polysem.saes import search
from polysem.saes.products import PRODUCTS, fastest
from polysem.saes.trainer import Trainer

KEYS = {"relu": {"l1": 0.0}, "topk": {"k": 32}}


class Batches:
    """The same batch at every step."""

    def __init__(self, x):
        self.x, self.width, self.receipt = x, x.shape[1], {}

    def batch(self, step):
        return self.x.clone()

    def sample(self, count, seed):
        return self.x[:count]


def activations(neurons, features, tokens):
    """Sums of 30 random directions, and weights of an SAE with about 35 active features on them."""
    generator = torch.Generator().manual_seed(0)
    W_dec = F.normalize(torch.randn(features, neurons, generator=generator), dim=1)
    chosen = torch.randint(0, features, (tokens, 30), generator=generator)
    strength = torch.rand(tokens, 30, generator=generator) + 0.5
    x = F.embedding_bag(chosen, W_dec, mode="sum", per_sample_weights=strength)
    quantile = torch.quantile((x[:256] @ W_dec.T).flatten()[:1_000_000], 1 - 35 / features)
    return x, {"W_enc": W_dec.clone(), "b_enc": -quantile.expand(features).clone(), "W_dec": W_dec}


def our_trainer(x, start, architecture):
    recipe = section_class("saes", architecture).model_validate(
        {
            "architecture": architecture,
            "expansion": len(start["W_dec"]) // x.shape[1],
            "tokens": 10**9,
            "batch_size": len(x),
            "learning_rate": 1e-9,
            "normalize_activations": False,
            **KEYS[architecture],
        }
    )
    trainer = Trainer(recipe, Batches(x))
    for name, tensor in start.items():
        trainer.weights[name].copy_(tensor)
    trainer.weights["b_dec"].zero_()
    return trainer


def autograd_step(x, start, architecture):
    leaves = {name: tensor.clone().requires_grad_() for name, tensor in start.items()}
    leaves["b_dec"] = torch.zeros(x.shape[1], requires_grad=True)
    optimiser = torch.optim.Adam(list(leaves.values()), lr=1e-9, fused=True)
    k = KEYS[architecture].get("k")

    def step():
        with torch.enable_grad():
            f = ((x - leaves["b_dec"]) @ leaves["W_enc"].T + leaves["b_enc"]).relu()
            if k:
                values, indices = f.topk(k, dim=1, sorted=False)
                f = torch.zeros_like(f).scatter(1, indices, values)
            loss = (f @ leaves["W_dec"] + leaves["b_dec"] - x).square().sum(1).mean()
            optimiser.zero_grad()
            loss.backward()
        W_dec = leaves["W_dec"]
        with torch.no_grad():
            W_dec.grad.addcmul_(W_dec, torch.linalg.vecdot(W_dec.grad, W_dec)[:, None], value=-1)
            optimiser.step()
            W_dec.copy_(F.normalize(W_dec, dim=1))

    return step


def saelens_step(x, start, architecture):
    """SAELens's own trainer step, of its own classes."""
    from sae_lens import (
        SAETrainer,
        StandardTrainingSAE,
        StandardTrainingSAEConfig,
        TopKTrainingSAE,
        TopKTrainingSAEConfig,
    )
    from sae_lens.config import LoggingConfig, SAETrainerConfig

    features, neurons = start["W_dec"].shape
    shared = {"d_in": neurons, "d_sae": features, "apply_b_dec_to_input": True, "normalize_activations": "none"}
    if architecture == "relu":
        sae = StandardTrainingSAE(StandardTrainingSAEConfig(**shared, l1_coefficient=0.0))
    else:
        sae = TopKTrainingSAE(TopKTrainingSAEConfig(**shared, k=KEYS["topk"]["k"], aux_loss_coefficient=0.0))
    with torch.no_grad():
        sae.W_enc.copy_(start["W_enc"].T)
        sae.W_dec.copy_(start["W_dec"])
        sae.b_enc.copy_(start["b_enc"])
    config = SAETrainerConfig(
        total_training_samples=10**9,
        train_batch_size_samples=len(x),
        lr=1e-9,
        lr_end=1e-10,
        device="cpu",
        autocast=False,
        n_checkpoints=0,
        checkpoint_path=None,
        save_final_checkpoint=False,
        lr_scheduler_name="constant",
        lr_warm_up_steps=0,
        lr_decay_steps=0,
        n_restart_cycles=1,
        adam_beta1=0.9,
        adam_beta2=0.999,
        dead_feature_window=1000,
        feature_sampling_window=2000,
        logger=LoggingConfig(log_to_wandb=False),
    )
    trainer = SAETrainer(cfg=config, sae=sae, data_provider=iter([]))

    def step():
        with torch.enable_grad():
            trainer._train_step(sae=sae, sae_in=x)

    return step


def dictionary_learning_step(x, start, architecture):
    """dictionary_learning's own trainer step."""
    features, neurons = start["W_dec"].shape
    shared = {"activation_dim": neurons, "dict_size": features, "layer": 0, "lm_name": "", "steps": 10**6}
    shared |= {"warmup_steps": 0, "device": "cpu", "lr": 1e-9, "decay_start": None}
    if architecture == "relu":
        from dictionary_learning.trainers.standard import StandardTrainer

        trainer = StandardTrainer(**shared, l1_penalty=0.0, sparsity_warmup_steps=None)
        autoencoder = trainer.ae
        decoder = autoencoder.decoder.weight
    else:
        from dictionary_learning.trainers.top_k import TopKTrainer

        trainer = TopKTrainer(**shared, k=KEYS["topk"]["k"], auxk_alpha=0.0)
        autoencoder = trainer.ae
        decoder = autoencoder.decoder.weight
    with torch.no_grad():
        autoencoder.encoder.weight.copy_(start["W_enc"])
        autoencoder.encoder.bias.copy_(start["b_enc"])
        decoder.copy_(start["W_dec"].T)

    def step():
        with torch.enable_grad():
            trainer.update(1, x)

    return step


def sparsify_step(x, start, architecture):
    """sparsify's forward and backward pass with what its trainer does around it."""
    if architecture != "topk":
        return None
    from sparsify import SparseCoder, SparseCoderConfig

    features, neurons = start["W_dec"].shape
    coder = SparseCoder(neurons, SparseCoderConfig(num_latents=features, k=KEYS["topk"]["k"], normalize_decoder=True))
    with torch.no_grad():
        coder.encoder.weight.copy_(start["W_enc"])
        coder.encoder.bias.copy_(start["b_enc"])
        coder.W_dec.copy_(start["W_dec"])
    optimiser = torch.optim.Adam(coder.parameters(), lr=1e-9, fused=True)

    def step():
        with torch.enable_grad():
            out = coder(x)
            out.fvu.backward()
        coder.remove_gradient_parallel_to_decoder_directions()
        optimiser.step()
        optimiser.zero_grad()
        coder.set_decoder_norm_to_unit_norm()

    return step


PEERS = {
    "SAELens": ("sae_lens", saelens_step),
    "dictionary_learning": ("dictionary_learning", dictionary_learning_step),
    "sparsify": ("sparsify", sparsify_step),
}


def searched_with(product, step):
    """A step whose search takes a product."""

    def searching():
        search.fastest = lambda: product
        return step()

    return searching


def measure(architecture, neurons, features, tokens, rounds, products):
    x, start = activations(neurons, features, tokens)
    trainer = our_trainer(x, start, architecture)
    ours = {product.name: searched_with(product, trainer.advance) for product in products}
    ways = ours | {"autograd": autograd_step(x, start, architecture)}
    for name, (package, make) in PEERS.items():
        if find_spec(package) is None:
            print(f"{name} is not installed and left out", file=sys.stderr)
        elif step := make(x, start, architecture):
            ways[name] = step
    there = torch.zeros(tokens, features)
    ways["encoder matmul"] = lambda: x @ start["W_enc"].T
    ways["encoder matmul into a matrix"] = lambda: torch.mm(x, start["W_enc"].T, out=there)
    ways["encoder matmul by NumPy"] = lambda: np.dot(x.numpy(), start["W_enc"].numpy().T, out=there.numpy())
    times = {name: [] for name in ways}
    for round_number in range(rounds + 1):
        for name, way in ways.items():
            begun = time.process_time()
            way()
            if round_number:
                times[name].append(time.process_time() - begun)
    active = trainer.advance()[0]["L0"]
    spent = {name: statistics.median(each) for name, each in times.items()}
    print(f"{architecture:5} n={neurons} m={features} batch={tokens} L0={active:.0f}")
    for name in ours:
        ratios = "  ".join(f"{other} {spent[other] / spent[name]:.2f}" for other in ways if other not in ours)
        print(f"  searched in {name}: ours 1 ({spent[name]:.3f} s)  {ratios}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--tokens", type=int, default=4096)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--large", action="store_true", help="n 2048, m 16384 as well")
    parser.add_argument("--product", nargs="+", choices=PRODUCTS, help="searched with these, not with the fastest")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.set_grad_enabled(False)
    products = [PRODUCTS[name] for name in arguments.product or [fastest().name]]
    for neurons, features in [(512, 4096), (2048, 16384)][: 2 if arguments.large else 1]:
        for architecture in KEYS:
            measure(architecture, neurons, features, arguments.tokens, arguments.rounds, products)
