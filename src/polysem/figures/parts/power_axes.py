"""Axes on which a feature stands by the power of its strongest neuron and of its next nine."""

import numpy as np
from matplotlib.axes import Axes

from polysem.figures.parts import theme


def prepare_power_axes(axes: Axes, top: np.ndarray, following: np.ndarray) -> None:
    """Label and limit the axes for shares `top` and `following` (fractions of 1), and draw where they add to 1.

    Points that all coincide are named, because they look like a single feature.
    """
    axes.set_xlabel("share of squared decoder weight in the strongest neuron")
    axes.set_ylabel("share in the next nine neurons")
    highest = float(following.max()) if following.size else 0.0
    axes.set(xlim=(0, 1), ylim=(0, max(0.4, np.ceil(10.5 * highest) / 10)))
    axes.grid(True, axis="both")
    axes.plot([0, 1], [1, 0], color=theme.FAINT, linewidth=0.8, linestyle=":")
    if not top.size:
        theme.message(axes, "no feature to show")
    elif np.ptp(top) < 1e-6 and np.ptp(following) < 1e-6:
        where = f"({theme.scientific(float(top[0]))}, {theme.scientific(float(following[0]))})"
        theme.message(axes, f"all {top.size:,} features stand on one point, {where}")
