"""A matplotlibrc of the user changes no figure."""

from concurrent.futures import ThreadPoolExecutor

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


def test_threads_draw_the_same_bytes_as_one_and_leave_the_settings(tmp_path):
    @theme.styled
    def draw(number: int) -> Figure:
        figure = theme.sheet()
        axes = figure.subplots()
        axes.plot([number, 2 * number], label="a line")
        axes.set_xlabel(f"{number}")
        axes.legend()
        return figure

    def saved(job: tuple[int, int]) -> bytes:
        path = tmp_path / "-".join(map(str, job))
        theme.save(draw(job[1]), path)
        return path.read_bytes()

    with matplotlib.rc_context({"lines.linewidth": 6, "svg.hashsalt": "of the user"}):
        before = dict(matplotlib.rcParams)
        alone = [saved((8, number)) for number in range(4)]
        with ThreadPoolExecutor(8) as pool:
            together = list(pool.map(saved, [(thread, number) for thread in range(8) for number in range(4)]))
        assert together == alone * 8
        assert dict(matplotlib.rcParams) == before
