"""JumpReLU with an L0 penalty, trained with straight-through gradients (Rajamanoharan et al. 2024)."""
