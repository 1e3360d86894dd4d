"""The figure in which all dictionaries of a site stand together."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from polysem.figures.draw_site_figures import draw_site_figures
from polysem.figures.of_site.loss_recovered import draw
from polysem.figures.parts.families import with_families
from polysem.io.errors import InputError
from polysem.io.tables import write_table
from polysem.params.analysis import Analysis, GivenAnalysis

from .conftest import legible_texts, origin, spelled, without_codes

NEURONS = ("neurons", 190.0, 1.0)
GRID = [
    *((f"l1-x8_l1={l1}_seed={seed}", 40.0 / l1 + seed, 0.97 - 0.1 * l1) for l1 in (0.5, 1, 2) for seed in (0, 1)),
    *((f"topk-x8_k={k}", float(k), 1 - 1.5 / k) for k in (4, 8, 16, 32, 64)),
]


def fidelity(*dictionaries) -> xr.Dataset:
    names, active, recovered = zip(*dictionaries, strict=True)
    table = xr.Dataset(
        {"L0": ("dictionary", np.array(active)), "loss_recovered_zero": ("dictionary", np.array(recovered))},
        {"dictionary": list(names)},
    )
    return table.assign_attrs(origin("all dictionaries") | {"tokens": 16_384})


def drawn(*dictionaries):
    table = fidelity(*dictionaries)
    return draw(site_fidelity=with_families(table, spelled(table["dictionary"].values)), analysis=Analysis())


def note(figure):
    return " ".join(" ".join(text.get_text().split()) for text in figure.texts)


CASES = {
    "one SAE": [NEURONS, ("l1-x8", 43.0, 0.86)],
    "a grid": [NEURONS, *GRID],
    "fourteen recipes that do alike": [NEURONS, *((f"recipe-{n}", 20.0 + n / 10, 0.9 + n / 1e4) for n in range(14))],
    "a name of sixty characters": [NEURONS, ("x" * 60, 20.0, 0.9)],
    "neurons alone": [NEURONS],
    "nothing that can be drawn": [("neurons", 0.0, np.nan)],
    "a model that gains": [NEURONS, ("topk-x8", 32.0, 1.02)],
    "far worse than zeros": [NEURONS, ("l1-x8", 3.0, -40.0), ("topk-x8", 3.0, 0.2)],
}


@pytest.mark.parametrize("case", CASES)
def test_no_text_covers_another(case, tmp_path, monkeypatch):
    texts = legible_texts(drawn(*CASES[case]), tmp_path / "figure.svg", monkeypatch)
    assert "S2.T1  Loss recovered against sparsity" in texts
    assert "toy / blocks.0.mlp.hook_post / all dictionaries" in texts


def test_each_recipe_is_one_line_through_its_saes_in_the_order_of_their_l0():
    figure = drawn(NEURONS, *reversed(GRID))
    (axes,) = figure.axes
    lines = [line.get_xydata() for line in axes.lines if line.get_marker() not in ("", "None")]
    assert [len(line) for line in lines] == [1, 5, 6]
    np.testing.assert_allclose(lines[0], [[190, 1]])
    np.testing.assert_allclose(lines[1], [[k, 1 - 1.5 / k] for k in (4, 8, 16, 32, 64)])
    assert (np.diff(lines[2][:, 0]) > 0).all()
    assert len({line.get_marker() for line in axes.lines}) == 4  # with the line of the model's own loss
    assert {text.get_text() for text in axes.texts} == {"neurons", "l1-x8", "topk-x8"}
    assert "11 SAEs, 16,384 eval tokens." in note(figure)


@pytest.mark.parametrize(("worst", "bottom"), [(0.2, 0.2), (0.93, 0.93), (0.99, 0.95), (-9.0, -0.25)])
def test_the_axis_follows_the_points_but_never_shows_less_than_a_twentieth(worst, bottom):
    (axes,) = drawn(NEURONS, ("l1-x8", 40.0, worst), ("topk-x8", 32.0, 0.995)).axes
    low, high = axes.get_ylim()
    assert low < bottom and high > 1
    assert low == pytest.approx(bottom, abs=0.1 * (high - low))


def test_what_is_cut_or_left_out_is_counted():
    figure = drawn(NEURONS, ("l1-x8_l1=9", 0.0, 0.0), ("l1-x8_l1=1", 3.0, -40.0), ("topk-x8", 8.0, np.nan))
    assert "Drawn at the lower edge: 1 SAE, down to -40.00." in note(figure)
    assert "Left out: 1 without an active feature." in note(figure)
    assert "Left out: 1 without a loss recovered" in note(figure)
    low = [line.get_ydata().min() for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert low == [-0.25]


@pytest.fixture
def site(tmp_path) -> Path:
    table = fidelity(NEURONS, *GRID)
    for name, words in (("L0", "mean number of active features"), ("loss_recovered_zero", "loss recovered")):
        table[name].attrs = {"long_name": words, "units": "1"}
    write_table(tmp_path / "tables/fidelity.nc", table)
    return tmp_path


def run(site, output, *names):
    command = [sys.executable, "-m", "polysem", "step", "draw_site_figures", f"--tables={site / 'tables'}"]
    options = {"figures": without_codes("loss_recovered"), "dictionaries": names, "params": Analysis().values()}
    options |= {"families": spelled(names)}
    command += [f"--output={site / output}", f"--config={json.dumps(options)}"]
    return subprocess.run(command, capture_output=True, text=True)


def test_the_step_draws_a_table_of_the_site_with_the_same_bytes_each_time(site):
    names = [name for name, *_ in (NEURONS, *GRID)]
    for output in ("one", "two"):
        assert run(site, output, *names).returncode == 0
    one, two = ((site / output / "loss_recovered.svg").read_bytes() for output in ("one", "two"))
    assert one == two


def test_a_table_that_is_missing_is_named(site):
    (site / "tables/fidelity.nc").unlink()
    result = run(site, "out", "neurons")
    assert result.returncode == 1
    assert "fidelity.nc" in result.stderr


def test_an_unknown_figure_is_refused(site):
    with pytest.raises(InputError, match="did you mean 'loss_recovered'"):
        draw_site_figures(
            site / "tables", site / "out", ["neurons"], spelled(["neurons"]), without_codes("loss_recoverd"), Analysis()
        )


@pytest.fixture
def redraw(site):
    """Draws the figure with some recipes under other names: the digest of what it is made of."""
    names = [name for name, *_ in (NEURONS, *GRID)]

    def again(**changed: str) -> str:
        families = spelled(names) | {name: changed.get(family, family) for name, family in spelled(names).items()}
        draw_site_figures(
            site / "tables", site / "out", names, families, without_codes("loss_recovered"), GivenAnalysis()
        )
        return json.loads((site / "out.json").read_text())["artifacts"]["loss_recovered"]["made_of"]

    return again


def test_recipes_under_other_names_draw_the_figure_again(redraw, site):
    first = redraw()
    before = (site / "out/loss_recovered.svg").read_bytes()
    assert redraw() == first and (site / "out/loss_recovered.svg").read_bytes() == before
    assert redraw(**{"l1-x8": "topk-x8"}) != first
    assert (site / "out/loss_recovered.svg").read_bytes() != before


def test_an_sae_whose_recipe_is_not_known_is_refused_and_named(site):
    known = spelled(name for name, *_ in (NEURONS, *GRID) if not name.startswith("topk"))
    figures = without_codes("loss_recovered")
    with pytest.raises(InputError, match=r"the recipe of topk-x8_k=4, topk-x8_k=8, .* is not known"):
        draw_site_figures(site / "tables", site / "out", [*known], known, figures, GivenAnalysis())


def test_a_table_with_families_of_its_own_keeps_them():
    table = xr.Dataset({"seeds": ("family", [2])}, {"family": ["a, b"], "dictionary": ["neurons", "a"]})
    assert with_families(table, {"neurons": "neurons", "a": "a"}).identical(table)
