"""The histogram of a feature's activations, drawn by hand: a sheet has one, and a report thousands of sheets."""

import math

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

WIDTH, HEIGHT = 560, 200
LEFT, RIGHT, TOP, BOTTOM = 20, 20, 24, 48
FEW_DECADES = 1.5
"""On a shorter axis, powers of 2 are marked rather than powers of 10."""


def histogram(counts: NDArray[np.int64], edges: NDArray[np.float64], unit: str) -> Markup:
    """An SVG of counts [bin] over edges [edge], the activation on a log axis; empty ends are cut off.

    `unit` is what is counted, "tokens". Colours are left to the page's style. Empty if nothing is counted.
    """
    filled = np.flatnonzero(counts)
    if not filled.size:
        return Markup("")
    first, last = max(int(filled[0]) - 1, 0), min(int(filled[-1]) + 1, len(counts) - 1)
    counts, edges = counts[first : last + 1], edges[first : last + 2]
    most = int(counts.max())
    low, high = math.log(edges[0]), math.log(edges[-1])

    def across(value: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (math.log(value) - low) / (high - low)

    floor = HEIGHT - BOTTOM
    lefts = [across(float(edge)) for edge in edges]
    tops = floor - (floor - TOP) * counts / most
    bars = "".join(
        f"M{left:.1f} {floor}V{top:.1f}H{right:.1f}V{floor}z"
        for left, right, top, count in zip(lefts, lefts[1:], tops.tolist(), counts.tolist(), strict=False)
        if count
    )
    ticks = Markup("").join(
        Markup('<path d="M{x:.1f} {floor}v5"/><text x="{x:.1f}" y="{y}">{label}</text>').format(
            x=across(value), floor=floor, y=floor + 18, label=label
        )
        for value, label in _ticks(float(edges[0]), float(edges[-1]))
    )
    title = (
        f"Histogram of activations: {int(counts.sum()):,} {unit} between {edges[0]:.3g} and {edges[-1]:.3g}, at most "
        f"{most:,} in a bin, which is {edges[int(counts.argmax())]:.3g} to {edges[int(counts.argmax()) + 1]:.3g}"
    )
    return Markup(
        '<svg class="histogram" viewBox="0 0 {width} {height}" role="img"><title>{title}</title>'
        '<path class="bars" d="{bars}"/><g class="axis"><path d="M{left} {floor}H{right}"/>{ticks}'
        '<text x="{middle}" y="{below}">activation (log scale)</text>'
        '<text class="most" x="{left}" y="{above}">up to {most} {unit} per bin</text></g></svg>'
    ).format(
        width=WIDTH,
        height=HEIGHT,
        title=title,
        bars=bars,
        left=LEFT,
        right=WIDTH - RIGHT,
        floor=floor,
        ticks=ticks,
        middle=WIDTH // 2,
        below=HEIGHT - 6,
        above=TOP - 8,
        most=f"{most:,}",
        unit=unit,
    )


def _ticks(low: float, high: float) -> list[tuple[float, str]]:
    base = 10.0 if math.log10(high / low) >= FEW_DECADES else 2.0
    first, last = math.ceil(math.log(low, base) - 1e-9), math.floor(math.log(high, base) + 1e-9)
    return [(base**power, f"{base**power:.4g}") for power in range(first, last + 1)]
