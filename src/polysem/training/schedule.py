"""Learning-rate schedule of model training."""

import math

from polysem.params.models.training import Training


def learning_rate(training: Training, step: int, steps: int) -> float:
    """Linear warm-up from 0, then half a cosine down to 0 at the last step."""
    warmup = max(1, round(training.warmup * steps))
    if step < warmup:
        return training.learning_rate * (step + 1) / warmup
    progress = (step - warmup) / max(1, steps - warmup)
    return training.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))
