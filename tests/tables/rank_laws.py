"""Synthetic firings whose frequencies follow a law of the rank."""

import numpy as np


def power_law(alpha, most=0.5):
    return lambda rank: most * rank**-alpha


def exponential(length, most=0.03):
    return lambda rank: most * np.exp(-rank / length)


def truncated(alpha, length, most=0.3):
    return lambda rank: most * rank**-alpha * np.exp(-rank / length)


def halves_of(tokens):
    return np.array([tokens // 2, tokens - tokens // 2])


def fired(law, features, tokens, seed=0, dispersion=1.0):
    """Firings [feature, half] of features in random order; the variance of a count is `dispersion` times its mean."""
    generator = np.random.default_rng(seed)
    mean = law(np.arange(1, features + 1.0))[:, None] * halves_of(tokens)
    if dispersion > 1:
        mean = generator.gamma(mean / (dispersion - 1), dispersion - 1)
    return generator.permutation(generator.poisson(mean))
