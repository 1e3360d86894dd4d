"""S3.U1: the clusters of a feature on its sheet."""

import numpy as np
import pytest

from polysem.io.columns import read_columns
from polysem.io.tables import write_table
from polysem.layout.place import Place
from polysem.report.sheet_clusters import Like, Relations
from polysem.tables.parts.labels import labelled, variable

from .sheet_case import BEFORE, CLUSTERED, DIFFERENT, DISTANCES, DRAWN, MODEL, SAE, SITE, TOP, Page, SheetCase

LISTED = {f"{MODEL}/{SITE}/{SAE}": [3]}


@pytest.fixture
def case(tmp_path):
    return SheetCase(tmp_path)


def section(folder, feature):
    source = Page(folder / f"{feature}.html").source
    return source.split('<section id="clusters">')[1].split("</section>")[0]


def relations(case):
    """Centres 0 … 3: clusters 0 and 1 of feature 3, cluster 1 of feature 7, cluster 0 of neuron 5 of another site."""
    importance = np.full((4, 4), np.nan)
    importance[0] = [0.0, 0.3, 1.0, np.nan]
    values = {
        "site": ("centre", np.array([SITE, SITE, SITE, "blocks.1.mlp.hook_post"], dtype=object)),
        "dictionary": ("centre", np.array([SAE, SAE, SAE, "neurons"], dtype=object)),
        "feature": ("centre", [3, 3, 7, 5]),
        "cluster": ("centre", [0, 1, 1, 0]),
        "neighbour": (("centre", "rank"), [[2, 3], [-1, -1], [0, -1], [0, -1]]),
        "similarity": (("centre", "rank"), [[0.91, 0.254], [np.nan] * 2, [0.91, np.nan], [0.25, np.nan]]),
        "importance": (("centre", "offset"), importance),
        "offset": ("offset", [-2, -1, 0, 1]),
    }
    variables = {name: variable(*value, name, "1") for name, value in values.items()}
    path = case.folder / "cluster_relations.nc"
    write_table(path, labelled(variables, {}, {"model": MODEL}))
    return path


def test_the_measures_of_the_table_stand_beside_those_of_random_tokens(case):
    page = Page(case.write(listed=LISTED) / "3.html")
    rows = page.tables["Clusters"]
    assert rows[0] == ["measure", "neuron embedding", "what enters", "random tokens"]
    table = case.tables["clusters"]
    for row, name in zip(rows[1:5], DISTANCES, strict=True):
        wanted = [*table[name].values[:2, 3], table[f"random_{name}"].values[3]]
        assert [float(value) for value in row[1:]] == pytest.approx(wanted, rel=5e-3)
    assert rows[5] == ["clusters", "2", "2", *rows[5][3:]]
    assert "5 strong examples in 2 clusters: the first tokens met, at most 100, on which it reaches 75 %" in page.text


def test_each_cluster_shows_its_examples_the_central_one_first(case):
    folder = case.write(listed=LISTED)
    page = Page(folder / "3.html")
    assert len(page.contexts) == len(DIFFERENT) + TOP + DRAWN + CLUSTERED
    parts = section(folder, 3).split("<h3")[1:]
    assert [part.split(">")[1].split("<")[0] for part in parts] == ["Cluster 1: 3 examples", "Cluster 2: 2 examples"]
    tokens = case.tables["clusters"]["cluster_token"].values[3, 1, 0]
    assert case.tokenizer.decode([token for token in tokens if token >= 0]) in page.contexts
    assert [part.count("<summary") for part in parts] == [3, 2]
    assert "sequence 202, position 32, the central example" in parts[0]
    assert [part.split('class="value">')[1].split("<")[0] for part in parts] == ["3.5", "3.25"]


@pytest.mark.parametrize(
    ("feature", "said", "clusters"),
    [
        (4, "Never active: there are no examples to cluster.", 0),
        (5, "One strong example alone", 1),
        (6, "All 5 strong examples have the same embedding: one cluster, which does not make it monosemantic.", 1),
    ],
)
def test_features_that_cannot_be_clustered_say_so(case, feature, said, clusters):
    text = section(case.write(all=True), feature)
    assert said in text and text.count("<h3") == clusters
    assert ("<table" in text) == (feature == 6)


def test_values_that_are_no_numbers_and_clusters_beyond_the_first_are_named(case):
    table = case.tables["clusters"]
    table["state"].values[3] = "not a number"
    table["cluster_size"].values[3] = 0
    table["clusters"].values[:, 1], table["size"].values[1] = 9, 14
    folder = case.write(listed={f"{MODEL}/{SITE}/{SAE}": [1, 3]})
    assert "5 strong examples are not numbers" in section(folder, 3)
    assert "7 further clusters with 9 examples are not shown." in section(folder, 1)


def test_a_site_without_input_weights_says_which_have_them(case):
    case.neurons["clusters"] = (
        case.tables["tags"].drop_dims("feature").assign_attrs(not_applicable="Sites: mlp.hook_post.")
    )
    folder = case.write("neurons", listed={f"{MODEL}/{SITE}/neurons": [2]})
    assert "Sites: mlp.hook_post." in section(folder, 2) and "<table" not in section(folder, 2)


def test_similar_clusters_are_named_and_linked_where_they_have_a_sheet(case):
    folder = case.write(listed={f"{MODEL}/{SITE}/{SAE}": [3, 7]}, relations=relations(case), random=0, polysemantic=0)
    text = " ".join(section(folder, 3).split())
    assert '<a href="../../blocks.0.mlp.hook_post/l1-x8_l1%3D3e-4_seed%3D0/7.html#cluster-2">7, cluster 2</a>' in text
    assert "of this dictionary, 0.91" in text
    assert "5, cluster 1 of blocks.1.mlp.hook_<wbr>post / neurons, 0.25" in text
    assert text.count("Similar:") == 1
    assert 'id="cluster-2"' in section(folder, 7)


def test_the_importance_of_tokens_is_a_line_below_them_with_a_legend(case):
    folder = case.write(listed=LISTED, relations=relations(case))
    text = section(folder, 3)
    first, second = text.split("<h3")[1:]
    assert first.count('class="i2" title="importance 0.30"') == 1
    assert '<span class="i4" title="importance 1.00"><mark' in first
    assert 'title="importance' not in second and "share of the activation that is lost" in text
    assert "importance" not in section(case.write(listed=LISTED), 3)


def test_importance_belongs_to_its_offset(case):
    table = case.tables["clusters"]
    table["cluster_token"].values[3, 0, 0] = -1
    names = [" once", " upon", " time", " was"]
    ids = [case.tokenizer.encode(name).ids[0] for name in names]
    table["cluster_token"].values[3, 0, 0, BEFORE - 2 : BEFORE + 2] = ids
    first = section(case.write(listed=LISTED, relations=relations(case)), 3).split("<h3")[1]
    context = first.split("<summary")[1].split("</summary>")[0]
    key = case.tokenizer.decode([ids[2]])
    assert f">{key}</mark></span>" in context
    before = case.tokenizer.decode([ids[1]])
    assert context.index("importance 0.30") < context.index(f"{before}<") < context.index("importance 1.00")


def test_similar_clusters_that_were_found_later_stand_where_the_table_has_none(case):
    of_another = Relations(read_columns(relations(case)), Place(MODEL, "blocks.9.mlp.hook_post", "neurons"))
    assert not of_another and of_another.similar(3, 0, lambda *_: None) == []
    found = of_another.measured({}, {(3, 0): [Like(SITE, SAE, 7, 1, 0.876)]})
    (one,) = found.similar(3, 0, lambda site, dictionary, feature: f"{dictionary}/{feature}")
    assert (one.name, one.address, one.similarity) == ("7, cluster 2", f"{SAE}/7#cluster-2", "0.88")
