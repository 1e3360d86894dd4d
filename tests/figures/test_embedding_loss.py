"""SAEs that differ in the weight of the neuron-embedding loss alone, side by side."""

import numpy as np
import pytest
import xarray as xr

from polysem.figures.of_site.embedding_loss import quantities
from polysem.figures.registry import NotApplicable, find_figure
from polysem.tables.of_site.embedding_loss import NONE, VARIABLES, compared, families

from .conftest import legible_texts, origin, spelled

QUANTITIES = [name for name, (dimensions, _, _) in VARIABLES.items() if dimensions == "dictionary"][3:]


def recipe(seed=0, weight=0.0, **changes):
    return {"architecture": "relu", "l1": 2.0, "seed": seed, "embedding_loss": weight, "embedding_start": 200} | changes


def table(recipes: dict, **known) -> xr.Dataset:
    """The table of a site with these SAEs; each quantity is drawn at random, but for those that are known."""
    names = ["neurons", *recipes]
    random = np.random.default_rng(0)
    values = {name: random.uniform(0, 1, len(names)) for name in QUANTITIES}
    values["monosemanticity_above_base"][:] = np.nan
    found = families(names, recipes, spelled(names))
    made = compared(found, names, values | known) if found else xr.Dataset(attrs={"not_applicable": NONE})
    return made.assign_attrs(origin("all dictionaries"))


GRID = {
    f"relu_embedding-loss={weight}_seed={seed}": recipe(seed, weight) for weight in (0.0, 0.005) for seed in range(5)
}


def test_no_text_covers_another(analysis, tmp_path, monkeypatch):
    many = GRID | {f"topk_{weight}": recipe(0, weight, architecture="topk") for weight in (0, 0.001, 0.002, 0.005)}
    for recipes in (GRID, many):
        figure = find_figure("embedding_loss").draw(site_embedding_loss=table(recipes), analysis=analysis)
        texts = " ".join(legible_texts(figure, tmp_path / "figure.svg", monkeypatch))
        published = {"0.33": "0.55", "20.3": "25.8", "2.4": "9.1", "1.5": "4.6", "0.45": "0.28", "0.21": "0.08"}
        for without, with_loss in (published | {"23.8": "3.7", "7": "32"}).items():
            assert f"{without}; with loss {with_loss}" in texts


def test_the_points_are_the_tables_numbers(analysis):
    shown = table(GRID)
    figure = find_figure("embedding_loss").draw(site_embedding_loss=shown, analysis=analysis)
    for axes, quantity in zip(figure.axes, quantities(shown), strict=False):
        seeds = [line.get_ydata() for line in axes.lines if line.get_marker() == "."]
        crosses = [line.get_ydata() for line in axes.lines if line.get_marker() == "x"]
        assert [list(map(float, one)) for one in crosses] == (
            [[float(value) for value in quantity.document]] if quantity.document else []
        )
        values = quantity.factor * shown[quantity.name].values
        if np.isfinite(values).any():
            np.testing.assert_allclose(np.concatenate(seeds), values[1:])
            (middle,) = [line.get_ydata() for line in axes.lines if line.get_marker() == "o"]
            np.testing.assert_allclose(middle, [values[1:6].mean(), values[6:].mean()])
        else:
            assert quantity.title == "monosemanticity above base" and not seeds


def test_dead_are_those_of_the_training_images_and_without_such_the_never_active_are_not_called_so():
    (of_images,) = [one for one in quantities(table(GRID)) if one.document == ("23.8", "3.7")]
    assert (of_images.title, of_images.name) == ("dead, %", "dead_share")
    of_text = quantities(table(GRID, dead_share=np.full(11, np.nan)))
    (never,) = [one for one in of_text if one.title == "never active, %"]
    assert never.document is None and never.name == "never_active_share"
    assert "dead, %" not in {one.title for one in of_text}


@pytest.mark.parametrize(
    "recipes", [{}, {"a": recipe(0), "b": recipe(1)}, {"a": recipe(0), "b": recipe(0, 0.1, l1=9.0)}]
)
def test_a_site_without_such_saes_says_what_would_show_some(recipes, analysis):
    with pytest.raises(NotApplicable, match="differ in embedding_loss alone"):
        find_figure("embedding_loss").draw(site_embedding_loss=table(recipes), analysis=analysis)
