"""Gated SAE: one affine map decides whether a feature is active, another how strongly (Rajamanoharan et al. 2024)."""
