"""How SAELens and dictionary_learning train the SAEs that `quality.py` compares with, each at its own defaults.

Needs the environment of `benchmarks/peers.txt`. What is given to each: rows, order, batch, steps and width; a learning
rate that rises over `WARMUP` and falls over the last `DECAY` of the steps, a penalty that rises over `PENALTY_WARMUP`.
Initial weights, first b_dec, decoder norms, clipping, Adam's betas, treatment of dead features, thresholds and
bandwidths are each library's defaults.
"""

from itertools import pairwise

import torch

from polysem.saes.activation_functions import gated, jumprelu, standard, topk
from polysem.saes.sae import SAE

WARMUP, DECAY, PENALTY_WARMUP = 0.05, 0.2, 0.1


def sae_lens(rows, steps, features, architecture, rate, value, seed, prefixes):
    import sae_lens as peer
    from sae_lens.config import LoggingConfig, SAETrainerConfig
    from sae_lens.training.sae_trainer import SAETrainer

    torch.manual_seed(seed)
    shape = {"d_in": rows.width, "d_sae": features}
    warm = int(PENALTY_WARMUP * steps)
    config, kind = {
        "relu": (
            lambda: peer.StandardTrainingSAEConfig(**shape, l1_coefficient=value, l1_warm_up_steps=warm),
            peer.StandardTrainingSAE,
        ),
        "gated": (
            lambda: peer.GatedTrainingSAEConfig(**shape, l1_coefficient=value, l1_warm_up_steps=warm),
            peer.GatedTrainingSAE,
        ),
        "jumprelu": (
            lambda: peer.JumpReLUTrainingSAEConfig(**shape, l0_coefficient=value, l0_warm_up_steps=warm),
            peer.JumpReLUTrainingSAE,
        ),
        "topk": (lambda: peer.TopKTrainingSAEConfig(**shape, k=value), peer.TopKTrainingSAE),
        "batchtopk": (lambda: peer.BatchTopKTrainingSAEConfig(**shape, k=value), peer.BatchTopKTrainingSAE),
        "matryoshka_batchtopk": (
            lambda: peer.MatryoshkaBatchTopKTrainingSAEConfig(
                **shape, k=value, matryoshka_widths=[*(round(share * features) for share in prefixes), features]
            ),
            peer.MatryoshkaBatchTopKTrainingSAE,
        ),
    }[architecture]
    sae = kind(config())
    settings = SAETrainerConfig(
        total_training_samples=steps * rows.batch_size,
        train_batch_size_samples=rows.batch_size,
        lr=rate,
        lr_end=rate,
        lr_warm_up_steps=int(WARMUP * steps),
        lr_decay_steps=int(DECAY * steps),
        logger=LoggingConfig(log_to_wandb=False),
    )
    SAETrainer(cfg=settings, sae=sae, data_provider=rows).fit()
    tensors = {name: tensor.detach().clone() for name, tensor in sae.named_parameters()}
    # Norms go into the encoder: TopK and BatchTopK choose by f · ‖W_dec‖, and for the others it changes nothing.
    norm = tensors["W_dec"].norm(dim=1)
    bias = "b_gate" if architecture == "gated" else "b_enc"
    function = {
        "relu": standard.Function,
        "topk": lambda: topk.Function(value),
        **dict.fromkeys(
            ("batchtopk", "matryoshka_batchtopk"),
            lambda: jumprelu.Function(torch.full((features,), float(sae.topk_threshold))),
        ),
        "jumprelu": lambda: jumprelu.Function(tensors["threshold"].clamp(min=0) * norm),
        "gated": lambda: gated.Function(tensors["b_gate"] * norm, tensors["b_mag"] * norm, tensors["r_mag"]),
    }[architecture]()
    weights = (tensors["W_enc"] * norm, tensors[bias] * norm, tensors["W_dec"] / norm[:, None], tensors["b_dec"])
    return SAE(*weights, activation=function)


def dictionary_learning(rows, steps, features, architecture, rate, value, seed, prefixes):
    from dictionary_learning.trainers.batch_top_k import BatchTopKTrainer
    from dictionary_learning.trainers.gdm import GatedSAETrainer
    from dictionary_learning.trainers.jumprelu import JumpReluTrainer
    from dictionary_learning.trainers.matryoshka_batch_top_k import MatryoshkaBatchTopKTrainer
    from dictionary_learning.trainers.standard import StandardTrainer
    from dictionary_learning.trainers.top_k import TopKTrainer

    torch.manual_seed(seed)
    common = {
        "steps": steps,
        "activation_dim": rows.width,
        "dict_size": features,
        "layer": 1,
        "lm_name": "model",
        "lr": rate,
        "warmup_steps": int(WARMUP * steps),
        "decay_start": int((1 - DECAY) * steps),
        "seed": seed,
        "device": "cpu",
    }
    warm = {"sparsity_warmup_steps": int(PENALTY_WARMUP * steps)}
    # Its thresholds are measured from step 1,000 on, which a short training does not reach.
    measured = {"threshold_start_step": min(1000, steps // 2), "threshold_beta": 0.999 if steps > 2000 else 0.99}
    kind, own = {
        "relu": (StandardTrainer, {"l1_penalty": value, **warm}),
        "gated": (GatedSAETrainer, {"l1_penalty": value, **warm}),
        "jumprelu": (JumpReluTrainer, {"target_l0": float(value), **warm}),
        "topk": (TopKTrainer, {"k": value, **measured}),
        "batchtopk": (BatchTopKTrainer, {"k": value, **measured}),
        "matryoshka_batchtopk": (
            MatryoshkaBatchTopKTrainer,
            {"k": value, "group_fractions": [b - a for a, b in pairwise([0, *prefixes, 1])], **measured},
        ),
    }[architecture]
    trainer = kind(**common, **own)
    for step in range(steps):
        trainer.update(step, next(rows))
    state = {name: tensor.detach().clone() for name, tensor in trainer.ae.state_dict().items()}
    if architecture == "jumprelu":  # its encoder sees x, ours x − b_dec
        weights = (state["W_enc"], state["b_enc"] + state["b_dec"] @ state["W_enc"], state["W_dec"], state["b_dec"])
        return SAE(*weights, activation=jumprelu.Function(state["threshold"].clamp(min=0)))
    if architecture == "matryoshka_batchtopk":
        function = jumprelu.Function(torch.full((features,), float(state["threshold"])))
        return SAE(state["W_enc"], state["b_enc"], state["W_dec"], state["b_dec"], activation=function)
    W_enc, W_dec = state["encoder.weight"].T.contiguous(), state["decoder.weight"].T.contiguous()
    if architecture == "gated":
        function = gated.Function(state["gate_bias"], state["mag_bias"], state["r_mag"])
        return SAE(W_enc, state["gate_bias"], W_dec, state["decoder_bias"], activation=function)
    function = {
        "relu": standard.Function,
        "topk": lambda: topk.Function(value),
        "batchtopk": lambda: jumprelu.Function(torch.full((features,), float(state["threshold"]))),
    }[architecture]()
    bias = state["bias"] if architecture == "relu" else state["b_dec"]
    return SAE(W_enc, state["encoder.bias"], W_dec, bias, activation=function)
