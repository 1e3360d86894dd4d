"""Absorption and hedging of all SAEs of a set of known features."""

import numpy as np
import pytest
import xarray as xr

from polysem.figures.draw_toy_figures import draw_toy_figures
from polysem.figures.of_toy.absorption_and_hedging import PANELS
from polysem.figures.parts.families import with_families
from polysem.figures.registry import find_figure
from polysem.io.errors import InputError
from polysem.io.tables import read_table, write_table
from polysem.params.analysis import Analysis
from polysem.tables.parts.labels import along_dictionaries

from .conftest import legible_texts, without_codes

SCALARS = ("L0", "L0_known", "explained_variance")


def table(number: int, parents: int = 8, features: int = 20) -> xr.Dataset:
    random = np.random.default_rng(number)
    columns = {name: ("parent", random.random(parents), {"long_name": name, "units": "1"}) for name in PANELS}
    columns |= {name: ((), random.random(), {"long_name": name, "units": "1"}) for name in SCALARS}
    means = {f"mean_{name}": columns[name][1].mean() for name in PANELS}
    columns |= {name: ((), mean, {"long_name": name, "units": "1"}) for name, mean in means.items()}
    columns["feature_cosine"] = ("feature", random.random(features), {"long_name": "cosine", "units": "1"})
    return xr.Dataset(columns, attrs={"child_chance": 0.5, "catalogue": "S1.X1"})


def known(count: int, recipes: tuple[str, ...] = ("matryoshka",)) -> xr.Dataset:
    each = [table(number).drop_dims("feature") for number in range(count)]
    families = {f"sae-{number}": recipes[number % len(recipes)] for number in range(count)}
    return with_families(along_dictionaries(each, [*families]), families).assign_attrs(model="toy")


def drawn(count, **changed):
    return find_figure("absorption_and_hedging").draw(known=known(count).assign(changed), analysis=Analysis())


@pytest.mark.parametrize("count", [1, 4, 12])
def test_no_text_covers_another_whatever_the_number_of_saes(count, tmp_path, monkeypatch):
    legible_texts(drawn(count), tmp_path / "figure.svg", monkeypatch)


def test_dots_are_parents_and_a_line_stands_at_their_mean():
    found = known(2)
    axes = drawn(2).axes[3]
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    assert [len(line.get_xdata()) for line in dots] == [8, 8]
    np.testing.assert_allclose(dots[1].get_xdata(), found["hedging"].values[1])
    means = [line.get_xdata()[0] for line in axes.lines if line.get_marker() != "o"]
    assert means == pytest.approx([*found["hedging"].values.mean(1), 0.5])


def test_saes_have_one_colour_if_they_are_of_one_recipe_whatever_their_names():
    table = known(4, recipes=("topk", "matryoshka"))
    axes = find_figure("absorption_and_hedging").draw(known=table, analysis=Analysis()).axes[0]
    colours = [line.get_color() for line in axes.lines if line.get_marker() == "o"]
    assert colours[0] == colours[2] != colours[1] == colours[3]


def test_numbers_without_a_meaning_are_left_out_and_counted():
    values = known(2)["parent_in_children"].copy()
    values[0, :3] = np.nan
    figure = drawn(2, parent_in_children=values)
    dots = [line for line in figure.axes[2].lines if line.get_marker() == "o"]
    assert [len(line.get_xdata()) for line in dots] == [5, 8]
    assert "3 numbers without a meaning" in " ".join(text.get_text() for text in figure.texts)


def test_the_step_draws_the_saes_of_a_set_whatever_their_numbers_of_features(tmp_path):
    for number, name in enumerate(("topk", "l1")):
        write_table(tmp_path / f"tables/{name}.nc", table(number, features=20 + number))
    output = tmp_path / "figures/few/known/together"
    figures, families = without_codes("absorption_and_hedging"), {"topk": "topk", "l1": "l1"}
    draw_toy_figures(tmp_path / "tables", output, "few", ["topk", "l1"], families, figures)
    assert (output / "absorption_and_hedging.svg").stat().st_size > 10_000
    assert read_table(tmp_path / "tables/l1.nc").sizes["feature"] == 21
    with pytest.raises(InputError, match=r"gated\.nc"):
        draw_toy_figures(tmp_path / "tables", output, "few", ["gated"], {"gated": "gated"}, figures)
