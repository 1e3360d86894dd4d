"""Kernels that give the same numbers every time."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

WHEN_LOADED: list[Callable[[], None]] = []
"""What a step that loads torch on its way, if at all, has to do then: set threads and kernels."""


def torch_is_needed() -> None:
    """Called by a step before it uses torch, if its module does not import it: most of its runs may do without."""
    while WHEN_LOADED:
        WHEN_LOADED.pop()()


def require_deterministic_kernels() -> None:
    """Make torch refuse kernels whose results vary, for the whole process.

    `torch.use_deterministic_algorithms` sets the same, and imports torch's compiler for a setting of it; nothing here
    is compiled. Memory that is to be overwritten is not filled first, which takes a tenth of a step on a GPU.
    """
    import torch
    import torch.utils.deterministic

    torch.set_deterministic_debug_mode("error")
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


@contextmanager
def deterministic_kernels() -> Iterator[None]:
    """Within it, torch refuses such kernels; after it, what held before holds."""
    import torch
    import torch.utils.deterministic as memory

    before = torch.get_deterministic_debug_mode(), memory.fill_uninitialized_memory  # type: ignore[attr-defined]
    require_deterministic_kernels()
    try:
        yield
    finally:
        torch.set_deterministic_debug_mode(before[0])
        memory.fill_uninitialized_memory = before[1]  # type: ignore[attr-defined]
