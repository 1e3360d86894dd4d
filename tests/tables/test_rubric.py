"""S1.F10: which features and neurons people score, at which examples, and what comes of it, by hand."""

import hashlib
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from measured import made
from rubric_case import (
    BEFORE,
    EXAMPLES,
    FEATURES,
    NAMES,
    NEVER,
    SITES,
    TOKENS,
    ULTRA_LOW,
    WORDS,
    RubricCase,
    given,
    scores_of,
)

from polysem.io.errors import InputError
from polysem.io.tables import read_table
from polysem.layout.place import Place
from polysem.layout.rubric import item_name, sheet_name
from polysem.params.analysis import Analysis
from polysem.tables.passes.rubric.items import PER_INTERVAL, chosen_examples, drawn_features
from polysem.tables.passes.rubric.scored import difference


@pytest.fixture(scope="module")
def case(tmp_path_factory) -> RubricCase:
    return RubricCase(tmp_path_factory.mktemp("rubric"))


@pytest.fixture(scope="module")
def table(case) -> xr.Dataset:
    return case.table()


def places(table: xr.Dataset) -> list[tuple[str, str, int]]:
    names = (table[name].to_numpy().tolist() for name in ("site", "dictionary", "feature"))
    return list(zip(*names, strict=True))


def test_there_are_as_many_neurons_as_features_at_every_site(table):
    found = [(site, dictionary) for site, dictionary, _ in places(table)]
    counts = {place: found.count(place) for place in found}
    assert counts == {(site, name): count for site, count in zip(SITES, (3, 2), strict=True) for name in NAMES}
    assert len(set(places(table))) == 10
    assert not {NEVER, ULTRA_LOW} & set(table["feature"].to_numpy().tolist())
    kinds = dict(zip(table["dictionary"].to_numpy().tolist(), table["kind"].to_numpy().tolist(), strict=True))
    assert kinds == {"sae_seed=0": "feature", "neurons": "neuron"}


def test_the_order_is_that_of_names_which_are_digests_and_tells_nothing(case, table):
    names = table["item"].to_numpy().tolist()
    assert names == sorted(names) and all(re.fullmatch("[0-9a-f]{16}", name) for name in names)
    wanted = {item_name(Place("toy", site, name), feature, "0" * 64) for site, name, feature in places(table)}
    assert set(names) == wanted and table.attrs["sheet"] == sheet_name(names)
    assert 0 < (table["kind"].to_numpy()[:5] == "neuron").sum() < 5


def test_what_is_shown_is_what_the_tables_of_the_dictionary_say(case, table):
    for number, (site, name, feature) in enumerate(places(table)):
        of, place = table.isel(item=number), Place("toy", site, name, str(case.root))
        frequency, examples, logits = (
            read_table(Path(place.table(one))) for one in ("frequency", "examples", "logits")
        )
        assert float(of["frequency"]) == frequency["active_tokens"].to_numpy()[feature] / TOKENS
        assert float(of["largest"]) == frequency["max_activation"].to_numpy()[feature]
        assert of["boosted_token"].to_numpy().tolist() == logits["boosted_token"].to_numpy()[feature].tolist()
        row = examples.isel(feature=feature)
        known = list(zip(row["sequence"].to_numpy().tolist(), row["position"].to_numpy().tolist(), strict=True))
        for shown in np.flatnonzero(of["shown_interval"].to_numpy() >= 0):
            at = of.isel(example=shown)
            example = known.index((int(at["shown_sequence"]), int(at["shown_position"])))
            assert float(at["shown_activation"]) == row["activation"].to_numpy()[example]
            share = float(at["shown_activation"]) / float(of["largest"])
            assert int(at["shown_interval"]) / 5 < share <= (int(at["shown_interval"]) + 1) / 5 + 1e-6
            tokens = row["token"].to_numpy()[example].tolist()
            assert at["shown_token"].to_numpy().tolist() == tokens
            assert at["shown_window_activation"].to_numpy()[BEFORE] == row["activation"].to_numpy()[example]
            texts = [WORDS[token].replace("\0", "␀") if token >= 0 else "" for token in tokens]
            assert at["shown_text"].to_numpy().tolist() == texts
        beyond = of["shown_interval"].to_numpy() < 0
        assert set(of["shown_interval"].to_numpy()[beyond].tolist()) <= {-1}
        assert (of["shown_token"].to_numpy()[beyond] == -1).all() and np.isnan(of["shown_activation"][beyond]).all()


def test_features_are_drawn_one_of_each_part_of_their_ranks():
    ranked = np.random.default_rng(0).permutation(100)
    drawn = drawn_features(ranked, 7, 3)
    assert drawn.tolist() == sorted(set(drawn.tolist())) and len(drawn) == 7
    edges = [round(100 * part / 7) for part in range(8)]
    rank = sorted(ranked.tolist().index(feature) for feature in drawn.tolist())
    assert all(low <= one < high for (low, high), one in zip(pairwise(edges), rank, strict=True))
    assert drawn_features(ranked, 7, 3).tolist() == drawn.tolist() != drawn_features(ranked, 7, 4).tolist()
    assert drawn_features(ranked[:4], 7, 3).tolist() == sorted(ranked[:4].tolist())


def test_every_feature_of_a_part_can_be_drawn_as_well_as_any_other():
    drawn = [int(drawn_features(np.arange(40), 4, seed)[1]) for seed in range(2000)]
    counts = np.bincount(drawn, minlength=40)
    assert counts[:10].sum() == counts[20:].sum() == 0 and (np.abs(counts[10:20] - 200) < 5 * 200**0.5).all()


def test_examples_are_of_all_intervals_and_of_different_sequences_first():
    """Largest 10. In the top interval four examples of two sequences, one of them twice; one in the middle; the last
    example is none."""
    examples = xr.Dataset(
        {
            "activation": ("example", [10.0, 9.5, 9.0, 8.5, 10.0, 5.0, 2.0, np.nan]),
            "sequence": ("example", [1, 1, 1, 2, 1, 3, 3, -1]),
            "position": ("example", [0, 1, 2, 0, 0, 0, 1, -1]),
        }
    )
    for seed in range(20):
        found = list(chosen_examples(examples, 10.0, seed))
        top = [place for interval, place in found if interval == 4]
        assert len(top) == PER_INTERVAL == 3 and 3 in top and 0 in top and 4 not in top
        assert found[:3] == sorted(found[:3], key=lambda one: -examples["activation"].to_numpy()[one[1]])
        assert found[3:] == [(2, 5), (0, 6)]
    assert len(list(chosen_examples(examples.isel(example=slice(0, 0)), 10.0, 0))) == 0


def test_another_seed_shows_other_examples():
    columns = {"activation": np.full(50, 10.0), "sequence": np.arange(50), "position": np.zeros(50, int)}
    examples = xr.Dataset({name: ("example", values) for name, values in columns.items()})
    shown = {tuple(place for _, place in chosen_examples(examples, 10.0, seed)) for seed in range(8)}
    assert len(shown) == 8


def test_a_table_without_scores_counts_none_and_holds_no_number_of_any(table):
    counts = {name: float(of) for name, of in table.data_vars.items() if not of.dims}
    names = ("rubric_raters", "rubric_rated_features", "rubric_rated_neurons", "rubric_other_scores")
    assert counts == dict.fromkeys(names, 0.0)
    assert "score" not in table and "rater" not in table


def test_two_raters_by_hand(case, table):
    items, kinds = table["item"].to_numpy().tolist(), table["kind"].to_numpy()
    features = [items[number] for number in np.flatnonzero(kinds == "feature")]
    neurons = [items[number] for number in np.flatnonzero(kinds == "neuron")]
    nothing = {"explanation": ""}
    ada = scores_of(
        "Ada", table.attrs["sheet"],
        given(features[0], 3, 5, 3, 3, explanation="red\0"), given(features[1], 2, 3, 1, 2),
        given(features[2], 1, 1, 0, 2),
        given(neurons[0], 0, 0, 0, 0, **nothing), given(neurons[1], 1, 2, 0, 0),
    )  # fmt: skip
    bo = scores_of("Bo", "0" * 64, given(features[0], 3, 4, 2, 3), given(neurons[0], 1, 1, 0, 0))
    old = scores_of("Cy", "1" * 64, given("f" * 16, 3, 5, 3, 3), given("e" * 16, 0, 0, 0, 0, **nothing))
    found = case.table([bo, old, ada])
    assert found["rater"].to_numpy().tolist() == ["Ada", "Bo"]
    assert found.attrs["sheet"] == table.attrs["sheet"] and found["item"].to_numpy().tolist() == items
    of = found.sel(item=features[0])
    assert of["score"].to_numpy().tolist() == [[3, 5, 3, 3], [3, 4, 2, 3]]
    assert of["explanation"].to_numpy().tolist() == ["red␀", "something"]
    assert of["total"].to_numpy().tolist() == [14, 12] and float(of["item_total"]) == 13
    assert int(of["item_raters"]) == 2 and int(found["item_raters"].sum()) == 7
    assert np.isnan(found.sel(item=features[3])["score"]).all()
    # totals of features 13, 8 and 4, of neurons 1 and 3
    numbers = {name: float(found[name]) for name in found.data_vars if name.startswith("rubric_")}
    wanted = {
        "rubric_raters": 2, "rubric_rated_features": 3, "rubric_rated_neurons": 2, "rubric_other_scores": 2,
        "rubric_median_features": 8, "rubric_median_neurons": 2, "rubric_mean_features": 25 / 3,
        "rubric_mean_neurons": 2, "rubric_difference": 25 / 3 - 2,
    }  # fmt: skip
    assert {name: numbers[name] for name in wanted} == pytest.approx(wanted)
    # items that both scored: (14, 12) and (0, 2); D_o = 4, D_e = the mean of 4, 196, 144, 144, 100, 4
    assert numbers["rubric_agreement"] == pytest.approx(1 - 4 / (592 / 6))
    confidence = found["mean_score"].sel(criterion="confidence", estimate="estimate")
    assert confidence.to_numpy() == pytest.approx([(3 + 2 + 1) / 3, (0.5 + 1) / 2])
    assert found["rated_items"].to_numpy().tolist() == [3, 2] and found["most"].to_numpy().tolist() == [3, 5, 3, 3]
    low, high = (numbers[f"rubric_difference_{end}"] for end in ("low", "high"))
    assert low < numbers["rubric_difference"] < high
    for name in ("median_total", "mean_total"):
        assert (found[name].sel(estimate="low") <= found[name].sel(estimate="high")).all()
    assert found["mean_total"].sel(group="neurons").to_numpy().tolist() == [2, 1, 3]


def test_where_only_features_are_scored_nothing_is_said_of_neurons(case, table):
    feature = table["item"].to_numpy()[table["kind"].to_numpy() == "feature"][0]
    found = case.table([scores_of("Ada", table.attrs["sheet"], given(feature, 3, 5, 3, 3))])
    assert float(found["rubric_median_features"]) == 14
    for name in ("rubric_median_neurons", "rubric_difference", "rubric_agreement", "rubric_difference_low"):
        assert np.isnan(float(found[name]))
    assert np.isnan(difference(np.array([1.0]), np.array([np.nan]), 0)).all()


def test_scores_of_a_stranger_s_items_alone_are_counted_and_nothing_else(case):
    found = case.table([scores_of("Ada", "0" * 64, given("f" * 16, 3, 5, 3, 3))])
    assert float(found["rubric_other_scores"]) == 1 and "rater" not in found


def test_whatever_a_rater_is_called_and_writes_the_table_holds_it(tmp_path):
    case, texts = RubricCase(tmp_path), ("A\0da", "<b>\u202e</b>", "🦊 שלום", "'; --")
    table = case.table()
    items, sheet = table["item"].to_numpy().tolist(), table.attrs["sheet"]
    case.write([scores_of(text, sheet, given(items[0], 1, 1, 1, 1, explanation=text)) for text in texts])
    found = read_table(Path(case.place.table("rubric")))
    wanted = sorted(text.replace("\0", "␀") for text in texts)
    assert found["rater"].to_numpy().tolist() == wanted
    assert found["explanation"].to_numpy()[:, 0].tolist() == wanted


def test_an_item_that_the_sheet_does_not_have_is_refused(case, table):
    with pytest.raises(InputError, match="Ada scores the item ffffffffffffffff, and the rubric sheet of toy has none"):
        case.table([scores_of("Ada", table.attrs["sheet"], given("f" * 16, 3, 5, 3, 3))])


def test_another_training_has_other_items_and_the_other_dictionaries_keep_theirs(tmp_path):
    case = RubricCase(tmp_path)
    before = case.table()
    case.write_dictionary(Place("toy", SITES[0], NAMES[0], str(tmp_path)), 0, weights="1")
    after = case.table()
    assert sorted(places(before)) == sorted(places(after))
    same = set(before["item"].to_numpy().tolist()) & set(after["item"].to_numpy().tolist())
    assert len(same) == 7 and before.attrs["sheet"] != after.attrs["sheet"]
    rated = [given(name, 1, 1, 1, 1) for name in before["item"].to_numpy().tolist()]
    found = case.table([scores_of("Ada", before.attrs["sheet"], *rated)])
    assert float(found["rubric_other_scores"]) == 3
    assert float(found["rubric_rated_features"]), float(found["rubric_rated_neurons"]) == (2, 5)


def test_a_site_that_cannot_be_scored_alike_is_left_out_with_its_reason(tmp_path):
    case = RubricCase(tmp_path)
    case.write_dictionary(Place("toy", SITES[0], NAMES[1], str(tmp_path)), 1, has_path=False)
    found = case.table()
    assert set(found["site"].to_numpy().tolist()) == {SITES[1]} and found.sizes["item"] == 10
    assert found.attrs["left_out"].startswith(f"{SITES[0]}: there is no direct path to the logits")
    alone = case.table(relatives=[("toy", SITES[0], "neurons")])
    assert alone.attrs["not_applicable"] == f"{SITES[0]}: there is no SAE"


def test_without_a_sheet_the_table_says_why(case, tmp_path, image_store):
    values = {"relatives": case.relatives, "scores": []}
    none = made("model", "rubric", case.place, "language", Analysis(rubric_features=0), **values)
    assert none.attrs["not_applicable"] == "analysis.rubric_features is 0"
    image_store(np.zeros((2, 3), np.float32), np.zeros(2, np.int32), 2)
    Path(tmp_path / "tokens/m").mkdir()
    for name in ("eval.zarr", "eval.json"):
        (tmp_path / "tokens" / name).rename(tmp_path / "tokens/m" / name)
    images = made("model", "rubric", Place("m", root=str(tmp_path)), "classifier", **(values | {"relatives": []}))
    assert images.attrs["not_applicable"] == "a classifier has no texts to show"


def test_the_draw_depends_on_the_seed_and_on_nothing_else(case, table):
    again = case.table()
    assert again.identical(table)
    other = made(
        "model", "rubric", case.place, "language", Analysis(rubric_features=5, baseline_seed=1),
        relatives=case.relatives, scores=[],
    )  # fmt: skip
    assert set(places(other)) != set(places(table))


def test_all_features_are_on_the_sheet_where_there_are_no_more(case):
    found = made(
        "model", "rubric", case.place, "language", Analysis(rubric_features=1000), relatives=case.relatives, scores=[]
    )
    assert found.sizes["item"] == 4 * (FEATURES - 2) and found.sizes["example"] == 15 and EXAMPLES == 12
    digests = [hashlib.sha256(str(place).encode()).hexdigest() for place in places(found)]
    assert len(set(digests)) == found.sizes["item"]
