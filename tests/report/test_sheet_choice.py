"""S0.F4: which features get a sheet."""

import numpy as np
import pytest

from polysem.io.errors import InputError
from polysem.report.sheet_choice import feature_groups, neuron_groups, neurons_with_sheets, shown_in_figures
from polysem.tables.of_dictionary.alignment import neuron_alignment

from .sheet_case import NEURONS, SAE, SheetCase, columns, frequency


@pytest.fixture
def case(tmp_path):
    return SheetCase(tmp_path)


def groups_of(case, **sheets):
    found = feature_groups(
        case.choice(SAE, **sheets), columns(case.tables["frequency"]), columns(case.tables["alignment"])
    )
    return {group.key: group.features for group in found}


def test_the_most_polysemantic_neurons_features_come_in_both_orders(case):
    groups = groups_of(case, polysemantic=4, random=0)
    # Neuron 4 is the strongest of 0 … 5; these reach 1, 4, 4, 9, 0 and 2, and feature 4 is never active.
    assert groups["largest"] == [3, 1, 2, 5]
    # Their weights in it are 1.5, −3, 1, 2, 2.5 and 1.2 beside small ones.
    share = (case.decoder**2)[:, 4] / (case.decoder**2).sum(axis=1)
    assert groups["aligned"] == sorted(range(6), key=lambda feature: -share[feature])[:4] == [1, 4, 0, 3]
    assert set(groups) == {"largest", "aligned"}


def test_among_equally_polysemantic_neurons_the_first_is_taken():
    rows = np.eye(4, dtype=np.float32)[[3, 1, 3, 1, 2]]
    tables = frequency(np.ones(5, np.float32), np.full(5, 9)), neuron_alignment([rows], 4)
    choice = SheetCase.choice(None, SAE, polysemantic=10, random=0)
    (largest, aligned) = feature_groups(choice, *map(columns, tables))
    assert largest.features == aligned.features == [1, 3]
    assert "Neuron 1 " in largest.note and "2 features" in largest.note


def test_random_features_follow_the_seed_and_are_never_drawn_twice(case):
    drawn = {seed: groups_of(case, polysemantic=0, random=4, seed=seed)["random"] for seed in range(20)}
    assert all(len(set(features)) == 4 and set(features) <= set(range(9)) for features in drawn.values())
    assert drawn[7] == groups_of(case, polysemantic=0, random=4, seed=7)["random"]
    assert len({tuple(features) for features in drawn.values()}) > 10
    assert groups_of(case, polysemantic=0, random=100)["random"] == list(range(9))


def test_listed_features_keep_their_order_and_all_means_all(case):
    sheets = {"polysemantic": 0, "random": 0, "listed": {f"toy/blocks.0.mlp.hook_post/{SAE}": [7, 2, 7]}}
    assert groups_of(case, **sheets) == {"listed": [7, 2]}
    assert groups_of(case, **sheets, all=True)["all"] == list(range(9))


def test_a_listed_feature_that_there_is_not_is_refused(case):
    with pytest.raises(InputError, match="no feature 9; the dictionary has 0 … 8"):
        groups_of(case, listed={f"toy/blocks.0.mlp.hook_post/{SAE}": [2, 9]})


def test_the_most_polysemantic_neuron_of_every_sae_has_a_sheet(case):
    choice = case.choice("neurons", random=0)
    other = neuron_alignment([np.eye(NEURONS, dtype=np.float32)[[8, 8, 1]]], NEURONS)
    saes = {"a": columns(case.tables["alignment"]), "b": columns(other), "c": columns(other)}
    (group,) = neuron_groups(choice, NEURONS, saes)
    assert group.features == [4, 8]
    assert neurons_with_sheets(choice, columns(case.tables["alignment"])) == {4}
    assert neuron_groups(case.choice("neurons", random=0, polysemantic=0), NEURONS, saes) == []


def test_neurons_that_are_known_to_have_sheets_do_have_them(case):
    listed = {"toy/blocks.0.mlp.hook_post/neurons": [9, 10]}
    known = neurons_with_sheets(case.choice(SAE, random=3, seed=5, listed=listed), columns(case.tables["alignment"]))
    own = neuron_groups(
        case.choice("neurons", random=3, seed=5, listed=listed), NEURONS, {SAE: columns(case.tables["alignment"])}
    )
    assert known == {number for group in own for number in group.features}
    assert {4, 9, 10} <= known


def test_a_site_without_saes_has_sheets_of_neurons(case):
    assert [group.key for group in neuron_groups(case.choice("neurons"), NEURONS, {})] == ["random"]


def test_features_in_the_figures_of_clusters_get_a_sheet_unless_unwanted(case):
    (group,) = shown_in_figures(case.choice(SAE), [5, 2])
    assert (group.key, group.features) == ("shown", [5, 2])
    assert shown_in_figures(case.choice(SAE, shown=False), [5, 2]) == []
    assert shown_in_figures(case.choice(SAE), []) == []
