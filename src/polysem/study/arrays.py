"""Arrays of any of three libraries through functions of torch: what comes in comes out."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from polysem.io.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    import torch
    import xarray as xr
    from numpy.typing import NDArray

Array = TypeVar("Array", "torch.Tensor", "NDArray[np.floating[Any]]", "xr.DataArray")
"""A tensor, a NumPy array or an xarray DataArray; the last axis of the first two holds neurons or features."""


def through(
    function: "Callable[[torch.Tensor], torch.Tensor]", x: Array, *, reads: str, gives: str, size: int
) -> Array:
    """What a function of float32 tensors makes of an array along its axis `reads`, of this size; the axis is then
    called `gives`.

    A tensor comes back on its device and with its gradients, a DataArray with the coordinates of its other axes. Raises
    InputError for another size and for numbers that are neither floating nor integers, TypeError for anything that is
    no array.
    """
    import numpy as np
    import torch
    import xarray as xr

    def on_cpu(values: torch.Tensor) -> torch.Tensor:
        if values.ndim == 0 or values.shape[-1] != size:
            found = f"shape {tuple(values.shape)}"
            raise InputError(f"found an array of {found}; its last axis must hold {size} numbers, one per {reads}")
        if values.is_complex() or values.dtype == torch.bool:
            raise _no_numbers(values.dtype)
        return function(values.to("cpu", torch.float32))

    if isinstance(x, torch.Tensor):
        return on_cpu(x).to(x.device)
    if isinstance(x, np.ndarray):
        if x.dtype.kind not in "fiu":
            raise _no_numbers(x.dtype)
        with torch.no_grad():
            return on_cpu(torch.from_numpy(np.array(x, np.float32, order="C"))).numpy()
    if isinstance(x, xr.DataArray):
        if reads not in x.dims:
            raise InputError(
                f"found a DataArray of {', '.join(map(str, x.dims))}; it must have the dimension {reads!r}"
            )
        ordered: xr.DataArray = x.transpose(..., reads)
        values = through(function, ordered.to_numpy(), reads=reads, gives=gives, size=size)
        coordinates = {name: value for name, value in ordered.coords.items() if reads not in value.dims}
        return xr.DataArray(values, coordinates, [*ordered.dims[:-1], gives])
    raise TypeError(f"found {type(x).__name__}; give a torch.Tensor, a numpy.ndarray or an xarray.DataArray")


def _no_numbers(dtype: object) -> InputError:
    return InputError(f"found an array of {dtype}; its numbers must be real, floating or integer")
