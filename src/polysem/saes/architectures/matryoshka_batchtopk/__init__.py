"""Matryoshka BatchTopK: prefixes of the features, each in the next, reconstruct the activations by themselves (Bussmann
et al. 2025, *Learning Multi-Level Features with Matryoshka Sparse Autoencoders*)."""
