"""A card that this machine does not have. Its tensors lie in the memory of the CPU and behave as CUDA's do wherever a
mistake would show on a real card alone:

- they say `cuda:0` and `is_cuda`, so steps take the ways that they take on a card;
- an operation on them and on tensors of the CPU raises, but for numbers without dimensions and for indices;
- NumPy does not get them;
- a kernel that torch documents as one whose results vary raises, where torch is told to refuse such;
- numbers that Python waits for, and copies between the two memories, are counted.

What is computed is what a CPU computes. So it says nothing of speed, and nothing of the rounding of a real card's sums.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from types import FunctionType
from typing import Any
from unittest import mock

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter, tree_map_only

CARD = torch.device("cuda", 0)
NAME = "Pretended Card"
aten = torch.ops.aten

FLOATING = lambda x, *_, dtype=None, **__: dtype.is_floating_point if dtype else x.is_floating_point()  # noqa: E731
VARYING: dict[str, dict[Any, Callable[..., bool]]] = {
    "torch.Tensor.put_": {aten.put.default: lambda *_, **__: True, aten.put_.default: lambda *_, **__: True},
    "torch.histc": {aten.histc.default: lambda *_, **__: True},
    "torch.bincount": {aten.bincount.default: lambda x, weights=None, *_, **__: weights is not None},
    "torch.median": {aten.median.dim: lambda *_, **__: True, aten.nanmedian.dim: lambda *_, **__: True},
    "torch.cumsum": dict.fromkeys((aten.cumsum.default, aten.cumsum.out, aten.cumsum_.default), FLOATING),
    "torch.Tensor.scatter_reduce": {
        op: lambda x, dim, index, src, reduce, **_: reduce == "prod"
        for op in (aten.scatter_reduce.two, aten.scatter_reduce_.two)
    },
    "torch.nn.NLLLoss": {
        aten.nll_loss2d_forward.default: lambda *_, **__: True, aten.nll_loss2d_backward.default: lambda *_, **__: True
    },
    "torch.nn.EmbeddingBag": {
        aten._embedding_bag_backward.default: lambda *args, **_: args[8] == 2,
    },
}  # fmt: skip
"""By the names of torch's documentation (`torch.use_deterministic_algorithms`): the kernels that raise, and with which
arguments."""
LAYERS_NOT_USED = (
    "AvgPool3d", "AdaptiveAvgPool2d", "AdaptiveAvgPool3d", "AdaptiveMaxPool2d", "FractionalMaxPool2d",
    "FractionalMaxPool3d", "MaxUnpool1d", "MaxUnpool2d", "MaxUnpool3d", "functional.interpolate", "ReflectionPad1d",
    "ReflectionPad2d", "ReflectionPad3d", "CTCLoss", "functional.grid_sample",
)  # fmt: skip
"""Layers of `torch.nn` in the same list, of images and speech."""
REFUSED = {kernel: (name, when) for name, kernels in VARYING.items() for kernel, when in kernels.items()}
WAITING = {
    aten._local_scalar_dense.default, aten.nonzero.default, aten.masked_select.default, aten.equal.default,
    aten.bincount.default, aten.unique_dim.default, aten._unique2.default, aten.unique_consecutive.default,
    aten.repeat_interleave.Tensor,
}  # fmt: skip
"""Kernels whose result Python has to wait for, as it says what there is to be allocated or done next."""
INDEXING = {
    aten.index.Tensor, aten.index_put.default, aten.index_put_.default, aten._index_put_impl_.default,
    aten._unsafe_index.Tensor, aten._unsafe_index_put.default,
}  # fmt: skip
"""Kernels that take indices in the memory of the CPU, too, and copy them."""
TAKING_NUMBERS = {aten.fill, aten.fill_, aten.masked_fill, aten.masked_fill_}
"""Kernels that take numbers without dimensions from the CPU, beside all that go element by element."""
COPYING = {aten.copy_.default}
"""Kernels between the two memories."""


class OnCard(torch.Tensor):
    """A tensor that says it is on the card."""

    __torch_function__ = torch._C._disabled_torch_function_impl
    device = property(lambda self: CARD)
    is_cuda = property(lambda self: True)
    is_cpu = property(lambda self: False)

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return PretendedCard.running().dispatched(func, args, kwargs or {})


class _Factories(TorchDispatchMode):
    """What a function of torch that is written in Python makes on the card on its way: this class is asked, as the card
    itself is not while it handles the function."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if is_card(kwargs.get("device")) and not any(isinstance(x, OnCard) for x in tree_iter((args, kwargs))):
            return on_card(func(*args, **{**kwargs, "device": torch.device("cpu")}))
        return func(*args, **kwargs)


def on_card(x: torch.Tensor) -> torch.Tensor:
    return x if isinstance(x, OnCard) else torch.Tensor._make_subclass(OnCard, x, x.requires_grad)


class PretendedCard(TorchFunctionMode):
    """The card, as long as it is there, and what was asked of it."""

    _running: "PretendedCard | None" = None

    def __init__(self) -> None:
        super().__init__()
        self.waits = Counter[str]()
        """Numbers and sizes that Python waited for, by kernel."""
        self.copies = Counter[str]()
        """Copies of tensors from one memory to the other: `to card`, `to CPU`, `indices`, which a kernel copies, and
        `sent`, for which Python does not wait."""
        self.bytes = Counter[str]()
        """Bytes of these."""

    @staticmethod
    def running() -> "PretendedCard":
        assert PretendedCard._running is not None, "a tensor of the pretended card is used where there is no such card"
        return PretendedCard._running

    def count(self, what: str, x: torch.Tensor) -> None:
        self.copies[what] += 1
        self.bytes[what] += x.numel() * x.itemsize

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        handled = METHODS.get(func)
        if handled is not None:
            return handled(self, *args, **kwargs)
        if is_card(kwargs.get("device")):
            kwargs["device"] = "cpu"
            made = func(*args, **kwargs)
            if func in (torch.tensor, torch.as_tensor):
                self.count("to card", made)
            return on_card(made)
        with _Factories() if isinstance(func, FunctionType) else nullcontext():
            return func(*args, **kwargs)

    def dispatched(self, func, args, kwargs):
        tensors = [x for x in tree_iter((args, kwargs)) if isinstance(x, torch.Tensor)]
        elsewhere = [x for x in tensors if not isinstance(x, OnCard)]
        if func in INDEXING:
            self._index(func, args)
        elif func in COPYING:
            self.count("to card" if isinstance(args[0], OnCard) else "to CPU", args[1]) if elsewhere else None
        elif refused := [x for x in elsewhere if not is_taken(func, x, args)]:
            shapes = ", ".join(str(list(x.shape)) for x in refused)
            raise RuntimeError(
                f"Expected all tensors to be on the same device, but found at least two devices, {CARD} and cpu! "
                f"({func}, on the CPU {shapes})"
            )
        name, varies = REFUSED.get(func, ("", None))
        if varies and torch.get_deterministic_debug_mode() == 2 and varies(*args, **kwargs):
            raise RuntimeError(
                f"{name} does not have a deterministic implementation, but you set "
                "'torch.use_deterministic_algorithms(True)'."
            )
        if func in WAITING:
            self.waits[str(func)] += 1
        if is_card(kwargs.get("device")):
            kwargs = {**kwargs, "device": torch.device("cpu")}
        with torch._C._DisableTorchDispatch(), torch._C.DisableTorchFunction():
            made = EMULATED[func](*args, **kwargs) if func in EMULATED else func(*args, **kwargs)
        return wrapped(func, made, args, kwargs)

    def _index(self, func, args) -> None:
        indices = [x for x in args[1] if x is not None]
        for x in indices:
            if not isinstance(args[0], OnCard) and isinstance(x, OnCard):
                raise RuntimeError("indices should be either on cpu or on the same device as the indexed tensor (cpu)")
            if not isinstance(x, OnCard) and x.dim():
                self.count("indices", x)
            if x.dtype in (torch.bool, torch.uint8):
                self.waits[f"{func} by a mask"] += 1
        for x in args[2:3]:
            if isinstance(x, OnCard) != isinstance(args[0], OnCard) and (x.dim() or isinstance(x, OnCard)):
                raise RuntimeError(f"Expected all tensors to be on the same device, {CARD} and cpu! ({func})")


def is_taken(func, x: torch.Tensor, args) -> bool:
    """Whether a kernel takes a tensor of the CPU beside one of the card: a number without dimensions that it reads."""
    written = func.overloadpacket.__name__.endswith("_") and args[0] is x
    return x.dim() == 0 and not written and (torch.Tag.pointwise in func.tags or func.overloadpacket in TAKING_NUMBERS)


def is_card(device: Any) -> bool:
    return device is not None and torch.device(device).type == "cuda"


def wrapped(func, made, args, kwargs):
    """Results on the card; what an operation wrote in place is the tensor that it was given."""
    given = [x for x in tree_iter((args, kwargs)) if isinstance(x, torch.Tensor)]

    def place(x: torch.Tensor) -> torch.Tensor:
        same = next((other for other in given if other is x), None)
        return same if same is not None else on_card(x)

    if func is aten._local_scalar_dense.default:
        return made
    return tree_map_only(torch.Tensor, place, made)


def _product_in(left, right, dtype):
    return left.to(dtype) @ right.to(dtype)


EMULATED = {aten.mm.dtype: _product_in}
"""What a CPU does not have."""


def _to(card: PretendedCard, x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
    if args and isinstance(args[0], torch.Tensor):
        device, dtype = args[0].device, args[0].dtype
    else:
        device, dtype, _, _ = torch._C._nn._parse_to(
            *("cpu" if not isinstance(each, (torch.dtype, bool)) and is_card(each) else each for each in args),
            **{key: "cpu" if key == "device" and is_card(value) else value for key, value in kwargs.items()},
        )
        wanted = next((each for each in args if isinstance(each, (str, torch.device))), kwargs.get("device"))
        device = x.device if wanted is None else torch.device(wanted)
    changed = x if dtype is None or dtype == x.dtype else aten._to_copy.default(x, dtype=dtype)
    if is_card(device) == isinstance(x, OnCard):
        return changed
    sent = kwargs.get("non_blocking") and getattr(x, "pinned", False)
    return _Move.apply(changed, is_card(device), "sent" if sent else "to card" if is_card(device) else "to CPU")


class _Move(torch.autograd.Function):
    """A copy in the other memory."""

    @staticmethod
    def forward(ctx, x, there, what):
        ctx.there = there
        PretendedCard.running().count(what, x)
        return moved(x, there)

    @staticmethod
    def backward(ctx, gradient):
        return moved(gradient, not ctx.there), None, None


def moved(x: torch.Tensor, there: bool) -> torch.Tensor:
    with torch._C._DisableTorchDispatch(), torch._C.DisableTorchFunction():
        value = x.detach().as_subclass(torch.Tensor).clone(memory_format=torch.preserve_format)
    return on_card(value) if there else value


def _for_numpy(method: Callable[..., Any]) -> Callable[..., Any]:
    """A method that gives NumPy the memory of a tensor, and does so of the CPU's alone."""

    def given(card: PretendedCard, x: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        if isinstance(x, OnCard):
            raise TypeError(
                f"can't convert {CARD} device type tensor to numpy. "
                "Use Tensor.cpu() to copy the tensor to host memory first."
            )
        return method(x, *args, **kwargs)

    return given


def _tolist(card: PretendedCard, x: torch.Tensor) -> Any:
    return _to(card, x, "cpu").tolist()


def _format(card: PretendedCard, x: torch.Tensor, said: str) -> str:
    return format(_to(card, x, "cpu"), said)


def _pin_memory(card: PretendedCard, x: torch.Tensor) -> torch.Tensor:
    """A copy in memory that is locked, from which a card takes what it is sent while Python goes on."""
    assert not isinstance(x, OnCard), "cannot pin what is on the card"
    pinned = x.clone()
    pinned.pinned = True
    return pinned


METHODS: dict[Any, Callable[..., Any]] = {
    torch.Tensor.to: _to,
    torch.Tensor.cpu: lambda card, x, **_: _to(card, x, "cpu"),
    torch.Tensor.cuda: lambda card, x, *_, **__: _to(card, x, CARD),
    torch.Tensor.numpy: _for_numpy(torch.Tensor.numpy),
    torch.Tensor.__array__: _for_numpy(torch.Tensor.__array__),
    torch.Tensor.tolist: _tolist,
    torch.Tensor.pin_memory: _pin_memory,
    torch.Tensor.__reduce_ex__: lambda card, x, protocol: _to(card, x, "cpu").__reduce_ex__(protocol),
    torch.Tensor.__format__: _format,
    torch.Tensor.__repr__: lambda card, x, **_: repr(_to(card, x, "cpu")),
}


@contextmanager
def pretended_card() -> Iterator[PretendedCard]:
    """Within it there is a card."""
    card = PretendedCard()
    swapping = torch.__future__.get_swap_module_params_on_conversion()
    torch.__future__.set_swap_module_params_on_conversion(True)  # a parameter that moves becomes one of another class
    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(PretendedCard, "_running", card))
        stack.callback(torch.__future__.set_swap_module_params_on_conversion, swapping)
        for name, value in (
            ("is_available", lambda: True), ("get_device_name", lambda *_: NAME), ("device_count", lambda: 1),
            ("is_initialized", lambda: True),
            ("current_device", lambda: 0), ("_lazy_init", lambda: None),
        ):  # fmt: skip
            stack.enter_context(mock.patch.object(torch.cuda, name, value))
        stack.enter_context(card)
        yield card
