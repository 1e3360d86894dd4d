"""A matplotlibrc of the user changes no figure."""

import matplotlib
from matplotlib.figure import Figure

from polysem.figures.parts import theme


def test_settings_of_the_user_stay_outside_of_the_theme():
    seen = {}

    @theme.styled
    def draw() -> Figure:
        seen.update(matplotlib.rcParams)
        return Figure()

    draw()
    before = dict(seen)
    with matplotlib.rc_context({"lines.linewidth": 6, "axes.grid": True, "figure.facecolor": "red"}):
        draw()
        assert matplotlib.rcParams["lines.linewidth"] == 6
    assert seen == before
