"""SAEs that differ in the weight of the neuron-embedding loss alone, side by side."""

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from polysem.figures.draw_figures import argument
from polysem.figures.draw_site_figures import recipe_table
from polysem.figures.of_site.embedding_loss import families, interval, quantities
from polysem.figures.registry import NotApplicable, find_figure

from .conftest import legible_texts, origin


def recipe(seed=0, weight=0.0, **changes):
    return {"architecture": "relu", "l1": 2.0, "seed": seed, "embedding_loss": weight, "embedding_start": 200} | changes


def tables(recipes: dict) -> dict[str, xr.Dataset]:
    names = ["neurons", *recipes]
    random = np.random.default_rng(0)

    def table(**values):
        columns = {name: ("dictionary", value) for name, value in values.items()}
        return xr.Dataset(columns, {"dictionary": names}).assign_attrs(origin("all dictionaries"))

    def some(low=0.0, high=1.0):
        return random.uniform(low, high, len(names))

    by_embedding = {
        f"median_{name}": (("dictionary", "embedding"), random.random((len(names), 3)))
        for name in ("max_distance", "mean_distance")
    }
    clusters = (
        table(median_size=some(5, 60)).assign(by_embedding).assign_coords(embedding=["neuron", "input", "weighted"])
    )
    return {
        "site_fidelity": table(
            mse=some(),
            l1=some(2000, 3000),
            L0=some(10, 50),
            accuracy_loss=some(0.01, 0.2),
            loss_recovered_zero=some(),
        ),
        "ultra_low": table(features=np.full(len(names), 512.0), never_active=some(0, 120), dead_share=some()),
        "tags": table(),
        "clusters": clusters,
        "recipes": recipe_table(recipes, names),
    }


GRID = {
    f"relu_embedding-loss={weight}_seed={seed}": recipe(seed, weight) for weight in (0.0, 0.005) for seed in range(5)
}


def test_no_text_covers_another(analysis, tmp_path, monkeypatch):
    many = GRID | {f"topk_{weight}": recipe(0, weight, architecture="topk") for weight in (0, 0.001, 0.002, 0.005)}
    for recipes in (GRID, many):
        figure = find_figure("embedding_loss").draw(**tables(recipes), analysis=analysis)
        texts = " ".join(legible_texts(figure, tmp_path / "figure.svg", monkeypatch))
        published = {"0.33": "0.55", "20.3": "25.8", "2.4": "9.1", "1.5": "4.6", "0.45": "0.28", "0.21": "0.08"}
        for without, with_loss in (published | {"23.8": "3.7", "7": "32"}).items():
            assert f"{without}; with loss {with_loss}" in texts


def test_families_differ_in_the_weight_and_the_seed_alone():
    recipes = {
        "a": recipe(0, 0.0),
        "b": recipe(1, 0.0),
        "c": recipe(0, 0.005, embedding_start=10),  # another key of the loss, which is not read without it
        "other": recipe(0, 0.005, l1=3.0),
        "older": {key: value for key, value in recipe().items() if "embedding" not in key},
    }
    (found,) = families(recipe_table(recipes, ["neurons", *recipes]))
    assert found.members == {0.0: [1, 2], 0.005: [3]}
    assert found.name == "a, b, c"


def test_intervals_are_those_of_students_t():
    values = np.array([0.3, 0.35, 0.31, 0.4, np.nan])
    known = values[:4]
    low, high = stats.t.interval(0.95, 3, known.mean(), known.std(ddof=1) / 2)
    assert interval(values) == pytest.approx((known.mean(), (high - low) / 2))
    assert interval(np.array([2.0]))[0] == 2 and np.isnan(interval(np.array([2.0]))[1])
    assert np.isnan(interval(np.array([]))[0])


def test_the_points_are_the_tables_numbers(analysis):
    every = tables(GRID)
    figure = find_figure("embedding_loss").draw(**every, analysis=analysis)
    for axes, quantity in zip(
        figure.axes,
        quantities(*(every[argument(name)] for name in find_figure("embedding_loss").READS[:4])),
        strict=False,
    ):
        seeds = [line.get_ydata() for line in axes.lines if line.get_marker() == "."]
        if np.isfinite(quantity.values).any():
            np.testing.assert_allclose(np.concatenate(seeds), quantity.values[1:])
            (middle,) = [line.get_ydata() for line in axes.lines if line.get_marker() == "o"]
            np.testing.assert_allclose(middle, [quantity.values[1:6].mean(), quantity.values[6:].mean()])
        else:
            assert quantity.title == "monosemanticity above base" and not seeds
    shares = {
        quantity.title: quantity.values
        for quantity in quantities(*(every[argument(name)] for name in find_figure("embedding_loss").READS[:4]))
    }
    np.testing.assert_allclose(shares["L0, %"], 100 * every["site_fidelity"]["L0"] / 512)
    np.testing.assert_allclose(shares["max distance"], every["clusters"]["median_max_distance"][:, 0])


def test_dead_are_those_of_the_training_images_and_without_such_the_never_active_are_not_called_so():
    every = [tables(GRID)[argument(name)] for name in find_figure("embedding_loss").READS[:4]]
    (of_images,) = [one for one in quantities(*every) if one.document == ("23.8", "3.7")]
    assert of_images.title == "dead, %"
    np.testing.assert_allclose(of_images.values, 100 * every[1]["dead_share"])
    of_text = quantities(every[0], every[1].drop_vars("dead_share"), *every[2:])
    (never,) = [one for one in of_text if one.title == "never active, %"]
    assert never.document is None and "dead, %" not in {one.title for one in of_text}
    np.testing.assert_allclose(never.values, 100 * every[1]["never_active"] / 512)


@pytest.mark.parametrize(
    "recipes", [{}, {"a": recipe(0), "b": recipe(1)}, {"a": recipe(0), "b": recipe(0, 0.1, l1=9.0)}]
)
def test_a_site_without_such_saes_says_what_would_show_some(recipes, analysis):
    with pytest.raises(NotApplicable, match="differ in embedding_loss alone"):
        find_figure("embedding_loss").draw(**tables(recipes), analysis=analysis)
