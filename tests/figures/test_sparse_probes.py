"""Probes on few features, drawn: S1.X2."""

import numpy as np
import pytest
import xarray as xr
from matplotlib.text import Text

from polysem.figures.parts import theme
from polysem.figures.parts.families import with_families
from polysem.figures.registry import NotApplicable
from polysem.tables.contract import load_table
from polysem.tables.parts.labels import along_dictionaries, variable

from .conftest import SAE, draw_from, legible_texts, origin, spelled

TAGS = 12
SIZES = {"tag": TAGS, "k": 4, "rank": 8, "neuron": 6}
CONTRACT = load_table("dictionary", "sparse_probing")[1]


def probing_table(
    dictionary: str = SAE, seed: int = 0, probed: int = TAGS, tags: int = TAGS, left_out: int = 0
) -> xr.Dataset:
    """A table that holds what is declared, with numbers drawn at random."""
    random, sizes = np.random.default_rng(seed), SIZES | {"tag": tags}
    values: dict[str, np.ndarray] = {
        "tag": np.array([f"tag {number}" for number in range(tags)], object),
        "k": np.array([1, 2, 4, 8]),
        "rank": np.arange(8),
        "neuron": np.arange(6),
        "probed": np.arange(tags) < probed,
        "probed_tags": np.array(probed),
        "left_out_tags": np.array(left_out),
        "kept": (np.arange(tags) < probed) & (np.arange(tags) >= left_out),
        "fewest": random.choice([1, 2, 4, 8, -1], tags),
    }
    table = xr.Dataset()
    for name, said in CONTRACT.variables.items():
        absent = "of neurons" if dictionary != "neurons" else "of SAEs"
        if not said.only.startswith(absent) and ("control" not in said.only or left_out):
            found = values.get(name, random.random([sizes[dimension] for dimension in said.dimensions]))
            if "tag" in said.dimensions and name not in values:
                found = np.where(np.reshape(np.arange(tags) < probed, (tags, *[1] * (found.ndim - 1))), found, np.nan)
            table[name] = variable(said.dimensions, found, said.long_name, said.units)
    coordinates = [name for name in SIZES if name in table]
    return table.set_coords(coordinates).assign_attrs(origin(dictionary) | {"least": 20})


def of_dictionary(dictionary: str = SAE, **settings) -> dict[str, xr.Dataset]:
    own = probing_table(dictionary, **settings)
    neurons = own if dictionary == "neurons" else probing_table("neurons", 1, **settings)
    return {"sparse_probing": own, "neurons/sparse_probing": neurons}


def of_site(*saes: str, **settings) -> dict[str, xr.Dataset]:
    names = ["neurons", *saes]
    each = [
        probing_table(name, number, **settings).drop_dims("neuron", errors="ignore")
        for number, name in enumerate(names)
    ]
    table = along_dictionaries(each, names).assign_attrs(dictionary="all dictionaries")
    return {"sparse_probing": with_families(table, spelled(names))}


CASES = {
    "an SAE": ("sparse_probes", of_dictionary),
    "neurons": ("sparse_probes", lambda: of_dictionary("neurons")),
    "a tag alone": ("sparse_probes", lambda: of_dictionary(probed=1)),
    "more tags than are drawn": ("sparse_probes", lambda: of_dictionary(tags=90, probed=85)),
    "a site": ("probes_by_dictionary", lambda: of_site("l1-x8_seed=0", "l1-x8_seed=1", "topk")),
    "an SAE with a control": ("sparse_probes", lambda: of_dictionary(left_out=3)),
    "a site with a control": ("probes_by_dictionary", lambda: of_site("l1-x8_seed=0", "topk", left_out=2)),
    "no SAE": ("probes_by_dictionary", of_site),
    "many SAEs": ("probes_by_dictionary", lambda: of_site(*(f"an-sae-with-a-long-name_seed={n}" for n in range(40)))),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_no_text_covers_another(case, analysis, tmp_path, monkeypatch):
    name, tables = CASES[case]
    texts = legible_texts(draw_from(name, tables(), analysis), tmp_path / "figure.svg", monkeypatch)
    assert any(text.startswith("S1.X2  Probes on few features") for text in texts)


@pytest.mark.parametrize("case", ["an SAE", "a site"])
def test_the_same_tables_give_the_same_bytes(case, analysis, tmp_path):
    name, tables = CASES[case]
    for file in ("one", "two"):
        theme.save(draw_from(name, tables(), analysis), tmp_path / f"{file}.svg")
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()


def test_tags_stand_in_the_order_of_what_all_activations_tell_and_features_at_their_f1(analysis):
    tables = of_dictionary(probed=10)
    own, neurons = tables["sparse_probing"], tables["neurons/sparse_probing"]
    figure = draw_from("sparse_probes", tables, analysis)
    left, right = figure.axes
    order = np.argsort(neurons["dense_f1"].values[:10])
    assert [label.get_text() for label in left.get_yticklabels()] == [f"tag {number}" for number in order]
    one, eight, of_neurons, dense = (line.get_xdata() for line in left.lines)
    np.testing.assert_array_equal(one, own["f1"].values[order, 0])
    np.testing.assert_array_equal(eight, own["f1"].values[order, -1])
    np.testing.assert_array_equal(of_neurons, neurons["f1"].values[order, -1])
    np.testing.assert_array_equal(dense, neurons["dense_f1"].values[order])
    fewest = own["fewest"].values[order]
    np.testing.assert_array_equal(right.lines[1].get_xdata()[fewest > 0], fewest[fewest > 0])
    assert (right.lines[1].get_xdata()[fewest < 0] > 8).all()
    words = " ".join(text.get_text() for text in figure.findobj(Text))
    assert "Not probed: 2 tags with fewer than 20 tokens in a half." in words


def test_lines_of_a_site_are_the_means_of_its_dictionaries(analysis):
    tables = of_site("l1-x8_seed=0", "topk")
    left, right = draw_from("probes_by_dictionary", tables, analysis).axes
    for row, line in enumerate(left.lines[:3]):
        np.testing.assert_array_equal(line.get_ydata(), tables["sparse_probing"]["mean_f1"].values[row])
    shares = tables["sparse_probing"]["fewer_than_most_neurons_share"].values[1:]
    np.testing.assert_array_equal(right.lines[0].get_xdata(), shares)


def test_a_control_is_beside_and_the_tags_that_it_tells_are_in_brackets(analysis):
    tables = of_dictionary(left_out=3)
    own, dense = tables["sparse_probing"], tables["neurons/sparse_probing"]["dense_f1"].values
    figure = draw_from("sparse_probes", tables, analysis)
    order = np.argsort(dense)
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == [f"(tag {number})" if number < 3 else f"tag {number}" for number in order]
    np.testing.assert_array_equal(figure.axes[0].lines[-1].get_xdata(), own["control_f1"].values[order, -1])
    words = " ".join(text.get_text() for text in figure.findobj(Text))
    assert "Mean F1 over 9 tags" in words and "Left out of means and shares: 3 tags in brackets" in words
    site = of_site("topk", left_out=2)
    lines = [line for line in draw_from("probes_by_dictionary", site, analysis).axes[0].lines if line.is_dashed()]
    np.testing.assert_array_equal(lines[0].get_ydata(), site["sparse_probing"]["control_mean_f1"].values[0])


@pytest.mark.parametrize(
    ("tables", "why"),
    [
        ({}, "the tokens carry no tags"),
        ({"probed": 0}, "no tag is on 20 tokens of each half"),
    ],
)
def test_where_nothing_is_probed_the_figures_say_why(tables, why, analysis):
    if tables:
        dictionary, site = of_dictionary(**tables), of_site("topk", **tables)
    else:
        empty = xr.Dataset(attrs={"not_applicable": why})
        dictionary = {"sparse_probing": empty, "neurons/sparse_probing": empty}
        site = {"sparse_probing": empty}
    for name, given in (("sparse_probes", dictionary), ("probes_by_dictionary", site)):
        with pytest.raises(NotApplicable, match=why):
            draw_from(name, given, analysis)
