"""Where a step computes: the key `device` of the params file, which the step resolves on the machine it runs on."""

import sys
from importlib.metadata import version
from typing import Literal, get_args

from polysem.io.errors import InputError

Device = Literal["auto", "cpu", "cuda"]
"""What may be asked for; `auto` is a GPU where the step finds one."""
DEVICES: tuple[Device, ...] = get_args(Device)
Resolved = Literal["cpu", "cuda"]


def resolved(device: Device) -> Resolved:
    """The type of device that a step has. InputError if a GPU is asked for and there is none that torch can use."""
    if device == "cpu":
        return "cpu"
    if _has_card():
        return "cuda"
    if device == "cuda":
        raise InputError(
            f"device: cuda asks for a GPU, and torch {version('torch')} finds none here; set device in the params file "
            "to cpu or auto, install a torch with CUDA, or run where a card is (docs/cluster.md)"
        )
    if sys.platform == "darwin":
        print("note: device: auto is the CPU on a Mac; Apple's GPU is not used (docs/cluster.md)", file=sys.stderr)
    return "cpu"


def _has_card() -> bool:
    """Torch is not imported to hear that a build for the CPU has none: a step with nothing to make does without it."""
    if "torch" not in sys.modules and version("torch").endswith("+cpu"):
        return False
    import torch

    return torch.cuda.is_available()


def precision(device: Resolved, products: str = "float32") -> dict[str, str]:
    """What receipts say of results that were not made by a CPU: type of the device, and number format of its products
    of matrices. Of the CPU, where all is float32, they say nothing but what they always said."""
    return {} if device == "cpu" else {"device": device, "precision": products}
