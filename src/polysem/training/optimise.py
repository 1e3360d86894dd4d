"""The training loop that language models and classifiers share."""

import math
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from polysem.numerics.torch_private import Adam
from polysem.params.models.training import Training
from polysem.training.checkpoints import Checkpoint
from polysem.training.order import EpochOrder

Loss = Callable[[Tensor], Tensor]
"""Mean loss in nats on the sequences with these numbers."""


def optimise(
    model: nn.Module, loss_on: Loss, order: EpochOrder, steps: int, training: Training, checkpoint: Checkpoint
) -> list[float]:
    """Train with AdamW; the loss in nats at every step. Resumes from the checkpoint, to the same bits.

    Matrices decay, vectors (biases, norms) do not. Raises FloatingPointError when the loss is no longer finite.
    """
    optimiser = Adam(
        [
            {"params": [p for p in model.parameters() if p.ndim > 1], "weight_decay": training.weight_decay},
            {"params": [p for p in model.parameters() if p.ndim <= 1], "weight_decay": 0.0},
        ],
        betas=(0.9, 0.98),
        decoupled_weight_decay=True,
        foreach=True,
    )
    losses: list[float] = []
    if state := checkpoint.load():
        model.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        losses = state["losses"]
        print(f"resumed at step {len(losses)} of {steps}", file=sys.stderr)
    for step in _with_progress(range(len(losses), steps), steps, losses):
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(training, step, steps)
        loss = loss_on(order.at(step))
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad()
        losses.append(loss.item())
        if not math.isfinite(losses[-1]):
            raise FloatingPointError(f"the loss is {losses[-1]} at step {step}; lower training.learning_rate")
        if checkpoint.due():
            checkpoint.save(_state(model, optimiser, losses))
    return losses


def _state(model: nn.Module, optimiser: torch.optim.Optimizer, losses: list[float]) -> dict[str, Any]:
    return {"model": model.state_dict(), "optimiser": optimiser.state_dict(), "losses": losses}


def _with_progress(steps: range, total: int, losses: list[float]) -> Iterator[int]:
    begun, every = time.monotonic(), max(1, total // 20)
    for done, step in enumerate(steps, 1):
        yield step
        if done % every == 0 or step + 1 == total:
            speed = done / (time.monotonic() - begun)
            recent = losses[-every:]
            print(
                f"step {step + 1}/{total}  loss {sum(recent) / len(recent):.3f}  {speed:.1f} steps/s  "
                f"{(total - step - 1) / speed:.0f} s left",
                file=sys.stderr,
                flush=True,
            )


def learning_rate(training: Training, step: int, steps: int) -> float:
    """Linear warm-up from 0, then half a cosine down to 0 at the last step."""
    warmup = max(1, round(training.warmup * steps))
    if step < warmup:
        return training.learning_rate * (step + 1) / warmup
    progress = (step - warmup) / max(1, steps - warmup)
    return training.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))
