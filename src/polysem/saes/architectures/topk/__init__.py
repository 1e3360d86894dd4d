"""TopK: the k largest pre-activations of a token stay, where they are above 0; no penalty (Gao et al. 2024)."""
