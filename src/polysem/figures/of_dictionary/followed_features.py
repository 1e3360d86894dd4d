"""S2.X2: whether rare features are dying, by following some of them through a training."""

import matplotlib
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from polysem.figures.parts import theme
from polysem.figures.parts.history import require_history
from polysem.figures.registry import NotApplicable
from polysem.params.analysis import Analysis

CATALOGUE = "S2.X2"
READS = ("training", "followed")
PARAMS = ()
TITLE = "Followed features"
CAPTION = """\
The features of ``followed_features`` through the training, a line each: frequency, norm of the encoder row and encoder
bias at each checkpoint. Features that are dying would become ever rarer, with ever lower biases. Source: the comments
of document S2, which ask whether rare features are dying.
"""
PANELS = {
    "followed_frequency": "frequency (log scale)",
    "followed_encoder_norm": "norm of the encoder row",
    "followed_bias": "encoder bias",
}


@theme.styled
def draw(training: xr.Dataset, followed: xr.Dataset, analysis: Analysis) -> Figure:
    """Frequency, encoder norm and encoder bias of the followed features over training, one line each.

    Lines are coloured by the last frequency. Source: comments of document S2: features that get ever rarer, with ever
    lower biases, would be dying.
    """
    require_history(training)
    if "followed_frequency" not in training:
        raise NotApplicable(
            f"the recipe of {training.attrs['dictionary']} follows no features; followed_features: [0, 1, 2] would "
            "follow three"
        )
    figure = theme.sheet(3.9)
    every = figure.subplots(1, 3)
    tokens = training["checkpoint_step"].to_numpy() * training.attrs["batch_size"]
    frequency = training["followed_frequency"].to_numpy()
    fired = frequency[frequency > 0]
    floor = (fired.min() if fired.size else 1e-4) / 2
    rank = np.argsort(np.argsort(frequency[-1], kind="stable"), kind="stable")
    shades = matplotlib.colormaps["viridis"](np.linspace(0, 0.9, max(2, len(rank))))
    for axes, (name, words) in zip(every, PANELS.items(), strict=True):
        values = training[name].to_numpy()
        shown = np.maximum(values, floor) if name == "followed_frequency" else values
        for number in range(values.shape[1]):
            axes.plot(tokens, shown[:, number], color=shades[rank[number]], linewidth=1.1, alpha=0.85, zorder=3)
        if name == "followed_frequency":
            axes.set_yscale("log")
        axes.set_xlim(0, tokens[-1])
        axes.set_title(words, size=9, loc="left")
        axes.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(3, integer=True))
        axes.xaxis.set_major_formatter(matplotlib.ticker.FuncFormatter(lambda value, _: _short(value)))
    every[1].set_xlabel("training tokens")
    theme.frame(figure, training, title=TITLE, catalogue=CATALOGUE, notes=[_note(followed, len(rank), floor)])
    return figure


def _short(value: float) -> str:
    for size, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"


def _note(followed: xr.Dataset, features: int, floor: float) -> str:
    rare, rarer = (
        int(followed["followed_features"].sel(course=name)) for name in ("rare half-way", "rarer at the end")
    )
    words = (
        f"{theme.several(features, 'feature')}, the lighter the more frequent at the end; frequencies below "
        f"{theme.scientific(floor)} are drawn there."
    )
    if not rare:
        return f"{words} None of them was rarer than 10⁻³ half-way."
    return f"{words} Of {rare} that were rarer than 10⁻³ half-way, {rarer} were rarer still at the end."
