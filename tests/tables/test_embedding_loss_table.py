"""SAEs that differ in the weight of the neuron-embedding loss alone: families, means over seeds, metrics."""

from pathlib import Path

import numpy as np
import pytest
from measured import made
from scipy import stats

from polysem.io.tables import write_table
from polysem.layout.place import Place
from polysem.numerics.resampling import students_interval
from polysem.tables.of_site.embedding_loss import families, metrics
from polysem.tables.parts.labels import index, labelled, scalar, variable

FEATURES = 8


def recipe(seed=0, weight=0.0, **changes):
    return {"architecture": "relu", "l1": 2.0, "seed": seed, "embedding_loss": weight, "embedding_start": 200} | changes


RECIPES = {"a_seed=0": recipe(0), "a_seed=1": recipe(1), "b_seed=0": recipe(0, 0.005)}
NAMES = ["neurons", *RECIPES]
FAMILIES = {"neurons": "neurons", "a_seed=0": "a", "a_seed=1": "a", "b_seed=0": "b"}


@pytest.fixture
def place(tmp_path) -> Place:
    """A site with the tables that this one reads; the number of the dictionary is in every number."""
    site = Place("m", "s", root=str(tmp_path))
    values = np.arange(1, len(NAMES) + 1, dtype=float)
    fidelity = {name: variable("dictionary", values, name, "1") for name in ("mse", "l1", "L0", "accuracy_loss")}
    fidelity["loss_recovered_zero"] = variable("dictionary", values / 10, "loss recovered", "1")
    dictionary = variable("dictionary", np.array(NAMES, object), "dictionary", "1")
    write_table(Path(site.table("fidelity")), labelled(fidelity, {"dictionary": dictionary}, {}))
    for number, name in enumerate(NAMES):
        its, one = site.of(name), {"never_active": scalar(number, "never active", "feature")}
        low = labelled(one, {"feature": index("feature", 0, FEATURES, "feature")}, {})
        write_table(Path(its.table("ultra_low")), low)
        score = {"median_monosemanticity_above_base": scalar(number / 10, "score", "1")}
        write_table(Path(its.table("tags")), labelled(score, {}, {}))
        embeddings = variable("embedding", np.array(["neuron", "input"], object), "embedding", "1")
        of_clusters = {
            f"median_{of}_distance": variable("embedding", [number, 99.0], of, "1") for of in ("max", "mean")
        } | {"median_size": scalar(number, "size", "example")}
        clusters = labelled(of_clusters if number else {}, {"embedding": embeddings} if number else {}, {})
        write_table(Path(its.table("clusters")), clusters)
    return site


def table_of(place: Place, recipes):
    dictionaries = [place.of(name).names for name in NAMES]
    return made(
        "site", "embedding_loss", place, "language", recipes=recipes, families=FAMILIES, dictionaries=dictionaries
    )


def test_means_are_over_the_seeds_of_a_weight_and_intervals_students_t(place):
    table = table_of(place, RECIPES)
    assert table["family"].values.tolist() == ["a, b"]
    assert table["weight"].values.tolist() == [0, 0.005]
    assert table["family_of"].values.tolist() == [-1, 0, 0, 0]
    assert table["weight_of"].values.tolist() == [-1, 0, 0, 1]
    assert table["seeds"].values.tolist() == [[2, 1]]
    assert table["mse_mean"].values.tolist() == [[2.5, 4]]
    low, high = stats.t.interval(0.95, 1, 2.5, np.std([2, 3], ddof=1) / 2**0.5)
    assert table["mse_interval"].values[0, 0] == pytest.approx((high - low) / 2)
    assert np.isnan(table["mse_interval"].values[0, 1])
    assert table["active_share"].values.tolist() == [number / FEATURES for number in (1, 2, 3, 4)]
    assert table["never_active_share"].values.tolist() == [number / FEATURES for number in range(4)]
    np.testing.assert_array_equal(table["max_distance"].values, [np.nan, 1, 2, 3])
    assert np.isnan(table["dead_share"].values).all()


def test_the_first_sae_of_each_weight_has_the_means_among_its_metrics(place):
    found = metrics(table_of(place, RECIPES))
    assert set(found) == {"a_seed=0", "b_seed=0"}
    assert found["a_seed=0"]["embedding_loss_mse_mean"] == 2.5
    assert found["b_seed=0"]["embedding_loss_loss_recovered_mean"] == pytest.approx(0.4)
    assert not [key for key in found["a_seed=0"] if not key.endswith(("_mean", "_interval"))]


@pytest.mark.parametrize("recipes", [{}, {name: recipe(seed) for seed, name in enumerate(RECIPES)}])
def test_a_site_without_such_saes_has_a_table_that_says_so_and_no_metrics(place, recipes):
    table = table_of(place, recipes)
    assert "differ in embedding_loss alone" in table.attrs["not_applicable"]
    assert not table.variables and metrics(table) == {}


def test_families_differ_in_the_weight_and_the_seed_alone():
    recipes = {
        "a": recipe(0, 0.0),
        "b": recipe(1, 0.0),
        "c": recipe(0, 0.005, embedding_start=10),  # another key of the loss, which is not read without it
        "other": recipe(0, 0.005, l1=3.0),
        "older": {key: value for key, value in recipe().items() if "embedding" not in key},
    }
    (found,) = families(
        ["neurons", *recipes], recipes, dict(zip(recipes, ("one", "one", "two", "x", "y"), strict=True))
    )
    assert found.members == {0.0: [1, 2], 0.005: [3]}
    assert found.name == "one, two"


def test_intervals_are_those_of_students_t():
    values = np.array([0.3, 0.35, 0.31, 0.4, np.nan])
    known = values[:4]
    low, high = stats.t.interval(0.95, 3, known.mean(), known.std(ddof=1) / 2)
    assert students_interval(values) == pytest.approx((known.mean(), (high - low) / 2))
    assert students_interval(np.array([2.0]))[0] == 2 and np.isnan(students_interval(np.array([2.0]))[1])
    assert np.isnan(students_interval(np.array([]))[0])
