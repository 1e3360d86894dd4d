"""Numbers by pixel of an image."""

from matplotlib.axes import Axes
from numpy.typing import NDArray


def draw_map(axes: Axes, values: NDArray, extreme: float) -> None:
    """A picture of the values [row, column]: 0 is white, ±`extreme` are the ends of the colours."""
    axes.imshow(values, cmap="PuOr_r", vmin=-extreme, vmax=extreme, interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(True)
