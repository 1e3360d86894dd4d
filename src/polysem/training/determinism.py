"""Kernels that give the same numbers every time."""


def require_deterministic_kernels() -> None:
    """Make torch refuse kernels whose results vary, for the whole process.

    `torch.use_deterministic_algorithms` sets the same, and imports torch's compiler for a setting of it; nothing here
    is compiled.
    """
    import torch

    torch.set_deterministic_debug_mode("error")
