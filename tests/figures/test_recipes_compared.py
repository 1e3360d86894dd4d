"""All SAEs of a site side by side, and what their trainings left."""

import numpy as np
import pytest
import xarray as xr

from polysem.figures.parts.families import with_families
from polysem.figures.registry import NotApplicable, find_figure
from polysem.params.analysis import Analysis

from .conftest import SAE, draw_from, legible_texts, origin, spelled

NUMBERS = {
    "site_fidelity": ("L0", "explained_variance", "loss_recovered_zero"),
    "ultra_low": ("ultra_low_threshold_firings",),
    "geometry": ("encoder_decoder_cosine_median",),
}


def together(names: list[str]) -> dict[str, xr.Dataset]:
    random = np.random.default_rng(0)
    tables = {}
    for table, numbers in NUMBERS.items():
        columns = {name: ("dictionary", random.random(len(names))) for name in numbers}
        made = xr.Dataset(columns, {"dictionary": names}).assign_attrs(origin("all dictionaries"))
        tables[table] = with_families(made, spelled(names))
    tables["ultra_low"] = tables["ultra_low"].assign(
        class_share=(("dictionary", "frequency_class"), random.random((len(names), 3))),
        frequency_class=["frequent", "ultra-low", "never active"],
    )
    return tables


GRID = [f"recipe-{number}_seed={seed}" for number in range(90) for seed in (0, 1)]


@pytest.mark.parametrize("names", [["neurons", "l1"], ["neurons", *GRID[:14]], ["neurons", *GRID]])
def test_no_text_covers_another_whatever_the_number_of_saes(names, tmp_path, monkeypatch):
    figure = find_figure("recipes_compared").draw(**together(names), analysis=Analysis())
    legible_texts(figure, tmp_path / "figure.svg", monkeypatch)


def test_a_grid_is_drawn_by_recipe_and_what_is_left_out_is_said():
    figure = find_figure("recipes_compared").draw(**together(["neurons", *GRID]), analysis=Analysis())
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels[:3] == ["neurons", "recipe-0", "recipe-1"]
    words = " ".join(" ".join(text.get_text().split()) for text in figure.texts)
    assert "180 SAEs, a row per recipe" in words
    assert "Drawn: the first 60 of 91 recipes." in words


def test_features_that_never_fired_do_not_count_as_ultra_low():
    tables = together(["l1"])
    tables["ultra_low"]["class_share"].values[:] = [0.4, 0.4, 0.2]
    axes = find_figure("recipes_compared").draw(**tables, analysis=Analysis()).axes
    values = [[line.get_xdata()[0] for line in panel.lines if line.get_marker() == "o"] for panel in axes[3:5]]
    assert values == [[pytest.approx(40)], [pytest.approx(20)]]


def test_a_site_of_neurons_alone_has_no_recipes():
    with pytest.raises(NotApplicable, match="this site has no SAE"):
        find_figure("recipes_compared").draw(**together(["neurons"]), analysis=Analysis())


def history(followed: int = 0, never: float = 0.0) -> xr.Dataset:
    random = np.random.default_rng(0)
    steps, checks = np.arange(10, 2001, 10), np.arange(100, 2001, 100)
    shares = {name: ("step", np.full(200, never)) for name in ("share_below_1e-4", "share_below_1e-5", "share_dead")}
    table = xr.Dataset(
        {
            **shares,
            "tokens_counted": ("step", np.full(200, 20_480)),
            "replaced": ("step", np.where(steps > 1000, 7, 0)),
            "frequency_histogram": (("checkpoint_step", "bin"), random.integers(0, 9, (20, 80))),
        },
        {"step": steps, "checkpoint_step": checks, "bin": np.round(np.arange(-8, 0, 0.1), 1)},
    ).assign_attrs(origin(SAE) | {"batch_size": 1024})
    if followed:
        for name in ("frequency", "encoder_norm", "bias"):
            values = random.random((20, followed)) * (random.random((20, followed)) < 0.9)
            table[f"followed_{name}"] = (("checkpoint_step", "feature"), values)
    return table


@pytest.mark.parametrize("never", [0.0, 0.4])
def test_the_course_of_a_training_is_drawn(never, tmp_path, monkeypatch):
    figure = find_figure("training_frequencies").draw(training=history(never=never), analysis=Analysis())
    texts = " ".join(legible_texts(figure, tmp_path / "figure.svg", monkeypatch))
    assert "7 dead features got new weights" in " ".join(texts.split())
    assert ("no feature is rarer than 10⁻⁴" in texts) == (not never), "an empty panel says why"


def test_the_axis_of_l0_has_numbers_whatever_its_range():
    for values in ([31.0, 32.0, 33.0], [3.0, 31.0, 900.0]):
        names = ["neurons", "a", "b"]
        tables = together(names)
        tables["site_fidelity"]["L0"].values[:] = values
        axes = find_figure("recipes_compared").draw(**tables, analysis=Analysis()).axes[0]
        low, high = axes.get_xlim()
        assert len([tick for tick in axes.get_xticks() if low <= tick <= high]) >= 2


def followed(rare: int, rarer: int) -> xr.Dataset:
    return xr.Dataset(
        {"followed_features": ("course", [rare, rarer])}, {"course": ["rare half-way", "rarer at the end"]}
    )


@pytest.mark.parametrize(
    ("rare", "words"),
    [
        (3, "Of 3 that were rarer than 10⁻³ half-way, 2 were rarer still at the end."),
        (0, "None of them was rarer than 10⁻³ half-way."),
    ],
)
def test_followed_features_are_drawn(rare, words, tmp_path, monkeypatch):
    tables = {"training": history(5), "followed": followed(rare, max(0, rare - 1))}
    figure = find_figure("followed_features").draw(**tables, analysis=Analysis())
    texts = " ".join(legible_texts(figure, tmp_path / "figure.svg", monkeypatch))
    assert words in " ".join(texts.split())
    assert [len(axes.lines) for axes in figure.axes] == [5, 5, 5]


def test_what_was_not_trained_here_or_followed_no_features_says_so():
    nothing, none = xr.Dataset().assign_attrs(origin("neurons")), xr.Dataset()
    for name in ("training_frequencies", "followed_features"):
        with pytest.raises(NotApplicable, match="neurons was not trained here"):
            draw_from(name, {"training": nothing, "followed": none}, Analysis())
    with pytest.raises(NotApplicable, match=r"followed_features: \[0, 1, 2\]"):
        draw_from("followed_features", {"training": history(), "followed": none}, Analysis())
