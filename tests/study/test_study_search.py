"""`Study.search` against all activations of all dictionaries, one by one."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from explorer_study import MODEL
from explorer_study import study as random_study

import polysem
from polysem.io.stores import RECEIPT_FORMAT
from polysem.io.tables import write_table
from polysem.saes.ranking import QUANTILES, SCALES, Distributions, scaled
from polysem.study.engine import Engine
from polysem.study.search import Query
from polysem.tables.parts.labels import variable

TEXT = "Once upon a time there was a red ball."
LANGUAGE, SITE = "stories-1l", "blocks.0.mlp.hook_post"


@pytest.fixture(scope="session")
def many(tmp_path_factory) -> "polysem.Study":
    """Two layers of random weights with an SAE at each. Not to be changed."""
    return polysem.open(random_study(tmp_path_factory.mktemp("random"), 2, 500, d_model=64, active=0.05))


def expected(study, model, text, top, scale="raw", density=1.0, tokens=None):
    """The results of a search by ranking every feature, as (site, dictionary, feature)."""
    ran, found = study[model].run(text), []
    for site, held in study[model].items():
        for name, dictionary in held.items():
            x = torch.from_numpy(ran[site].values)
            values = dictionary.weights.encode(x).numpy() if name != "neurons" else ran[site].values
            counted = ran[site]["counted"].values if tokens is None else np.isin(np.arange(len(x)), tokens)
            largest = np.where(counted[:, None], values, -np.inf).max(0)
            feature = np.flatnonzero(largest > 0)
            on_scale = largest[feature]
            if "frequency" in dictionary.tables:
                frequency = dictionary.table("frequency")
                feature = feature[frequency["frequency"].values[feature] <= density]
                distributions = Distributions(
                    frequency["max_activation"].values,
                    frequency["frequency"].values,
                    dictionary.table("quantiles")["activation"].values,
                    int(frequency["tokens_of_half"].sum()),
                )
                on_scale = scaled(largest[feature], feature, distributions, scale)
            found += zip(-on_scale, -largest[feature], [(site, name, int(one)) for one in feature], strict=True)
    return [place for *_, place in sorted(found)[:top]]


def places(found):
    return [(one.site, one.dictionary, one.feature) for one in found.results]


def test_the_strongest_features_of_all_layers_are_found(many):
    for text in ("red ball", "The quick brown fox", "x", "…é\n"):
        for top in (1, 7, 25, 400):
            assert places(many.search(text, top=top)) == expected(many, MODEL, text, top)


def test_all_that_is_active_is_found_where_it_is_less_than_was_asked_for(many):
    found = many.search("ab", top=1000, sites="blocks.1.mlp.hook_post", kind="features")
    whole = expected(many, MODEL, "ab", 10_000)
    assert places(found) == [one for one in whole if one[:2] == ("blocks.1.mlp.hook_post", "standard")]
    assert 0 < len(found) < 500


@pytest.mark.workflow
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("density", [0.01, 1.0])
def test_every_scale_ranks_as_it_says(study, scale, density):
    found = study.search(TEXT, top=40, scale=scale, density=density)
    whole = expected(study, LANGUAGE, TEXT, 40, scale, density)
    assert set(places(found)) == set(whole)
    assert places(found) == whole
    assert not found.notes
    assert found.results or density < 1


@pytest.mark.workflow
def test_a_result_says_what_the_feature_does_on_each_token(study):
    ran = study[LANGUAGE].run(TEXT)[SITE]
    for one in study.search(TEXT, density=1).results:
        dictionary = study[LANGUAGE][SITE][one.dictionary]
        activations = (
            dictionary.encode(ran)[:, one.feature].values if one.dictionary != "neurons" else ran[:, one.feature]
        )
        np.testing.assert_allclose(one.activations, activations, rtol=1e-4, atol=1e-5)
        assert one.value == max(one.activations[1:]) == one.activations[one.position]
        assert one.token == str(ran["text"].values[one.position])
        assert one.frequency == pytest.approx(float(dictionary.table("frequency")["frequency"][one.feature]))


@pytest.mark.workflow
def test_tokens_and_bos_count_if_they_are_asked_for(study):
    found = study.search(TEXT, density=1, tokens=[3, 5])
    assert [place for place, counted in enumerate(found.counted) if counted] == [3, 5]
    assert {one.position for one in found.results} <= {3, 5}
    assert places(found) == expected(study, LANGUAGE, TEXT, 25, tokens=[3, 5])
    assert not found.counted[0] or found.tokens[0]
    first = study.search(TEXT, density=1, tokens=0)
    assert {one.position for one in first.results} == {0}
    assert all(study.search(TEXT, density=1, bos=True).counted)
    assert study.search(TEXT, density=1).counted == [False] + [True] * (len(found.tokens) - 1)


def test_no_feature_is_active_on_tokens_that_are_left_out_at_its_site_unless_they_are_named(tmp_path):
    root, text = random_study(tmp_path, 2, 500, d_model=64, active=0.05), "The quick brown fox"

    def found(**keys):
        results = polysem.open(root).search(text, top=1000, density=1, kind="features", **keys).results
        return [[one for one in results if one.site == name] for name in (site, other)]

    model = polysem.open(root)[MODEL]
    site, other = model
    norms = np.linalg.norm(model.run(text)[site].values, axis=1)
    middle = float(np.sort(norms)[len(norms) // 2])
    out = np.flatnonzero(norms > middle * (1 + 1e-6))
    assert 0 < len(out) < len(norms) - 1
    before = found()
    receipt = Path(model[site].place.activations("eval").receipt)
    receipt.parent.mkdir(parents=True, exist_ok=True)
    rule = {"how": "massive", "median_norm": middle / 10, "measured": 9, "tokens": 1}
    receipt.write_text(json.dumps({"format": RECEIPT_FORMAT, "params": {"left_out": rule}}))
    after, named = found(), found(tokens=out.tolist())
    assert {one.position for one in before[0]} & set(out.tolist())
    for one in after[0]:
        assert one.position not in out and not np.array(one.activations)[out].any()
    assert len(after[0]) > 10
    assert after[1] == before[1]
    assert named[0] and {one.position for one in named[0]} <= set(out.tolist())


@pytest.mark.workflow
def test_searches_are_narrowed_by_names_and_kinds(study):
    assert {one.dictionary for one in study.search(TEXT, density=1, kind="neurons").results} == {"neurons"}
    assert "neurons" not in {one.dictionary for one in study.search(TEXT, density=1, top=1000, kind="features").results}
    assert {one.dictionary for one in study.search(TEXT, density=1, dictionaries="l1-x4").results} == {"l1-x4"}
    rare = study.search(TEXT, top=1000, density=0.05).results
    assert rare and max(one.frequency for one in rare) <= 0.05


@pytest.mark.workflow
def test_what_cannot_be_searched_is_a_sentence(study):
    for name, (value, sentence) in {
        "text": ("", "search.text: the text is empty; give one with at least one token"),
        "top": (0, "search.top: found 0, allowed is greater than or equal to 1"),
        "scale": ("rwa", "search.scale: found 'rwa', allowed is 'raw', 'share', 'quantile' or 'surprise'"),
        "model": ("digits", "digits reads images; a search asks a model that reads text"),
        "sites": ("blocks.0.mlp.hook_pots", f"no site 'blocks.0.mlp.hook_pots' \\(did you mean '{SITE}'\\?\\)"),
        "tokens": (99, "the text has no token 99; its tokens are 0 … "),
        "density": (0, "search.density: found 0, allowed is greater than 0"),
    }.items():
        with pytest.raises(polysem.InputError, match=sentence):
            study.search(**{"text": TEXT} | {name: value})
    with pytest.raises(polysem.InputError, match=r"has 801 characters, and 800 are allowed"):
        study.search("a" * 801)
    with pytest.raises(polysem.InputError, match=r"half of a surrogate pair"):
        study.search("\ud800")
    with pytest.raises(polysem.UnknownNameError, match=r"no model 'stories-2l' \(did you mean 'stories-1l'\?\)"):
        study.search(TEXT, model="stories-2l")
    with pytest.raises(polysem.InputError, match=r"no dictionary of stories-1l is of the kind 'neurons'"):
        study.search(TEXT, kind="neurons", dictionaries="l1-x4")


@pytest.mark.workflow
def test_a_dictionary_without_quantiles_is_named_and_left_out(results):
    place = polysem.open(results)[LANGUAGE][SITE]["l1-x4"].place
    receipt = results.parent / place.tables_receipt.replace(str(results), "results")
    receipt.write_text(receipt.read_text().replace('"quantiles"', '"quantiles of another version"'))
    found = polysem.open(results).search(TEXT, scale="quantile", density=1, top=1000)
    assert found.notes == [
        f"{LANGUAGE}/{SITE}/l1-x4 is left out: {place.path} has no table of quantiles: an older version of polysem "
        "measured it, so it can be ranked by raw alone; `snakemake --cores all` measures it again"
    ]
    assert {one.dictionary for one in found.results} == {"neurons", "topk-x4"}


def test_a_dictionary_whose_quantiles_are_at_other_shares_is_ranked_by_raw_alone(tmp_path):
    results = random_study(tmp_path, 1, 40, d_model=64, active=0.05)
    place = polysem.open(results)[MODEL]["blocks.0.mlp.hook_post"]["standard"].place
    ones = variable("feature", np.ones(40, np.float32), "a number", "1")
    knots = variable(("feature", "quantile"), np.ones((40, len(QUANTILES)), np.float32), "activation", "activation")
    listed = {"artifacts": {name: {"file": f"{name}.nc"} for name in ("frequency", "quantiles")}}
    Path(place.tables_receipt).write_text(json.dumps(listed))
    write_table(
        Path(place.table("frequency")), xr.Dataset({"frequency": ones, "max_activation": ones}, attrs={"tokens": 500})
    )

    def found(shares, scale):
        write_table(Path(place.table("quantiles")), xr.Dataset({"activation": knots}, {"quantile": shares}))
        return polysem.open(results).search("red", density=1, scale=scale, kind="features").results

    assert found(QUANTILES, "quantile")
    assert found(QUANTILES / 2, "raw")
    with pytest.raises(
        polysem.InputError, match=r"quantiles\.nc has quantiles at other shares than this version takes"
    ):
        found(QUANTILES / 2, "quantile")


def test_results_are_a_table_and_plain_values(many):
    found = many.search("red", top=3)
    frame = found.frame()
    assert list(frame["feature"]) == [one.feature for one in found.results]
    assert list(frame.columns)[-1] == "frequency" and len(frame) == len(found) == 3
    assert found.as_json()["results"][0]["activations"] == found.results[0].activations
    assert "<table>" in found._repr_html_()


def test_hundreds_of_texts_have_the_same_answers_in_any_company(many):
    engine, draw = Engine(many[MODEL]), np.random.default_rng(0)
    words = ["the", "cat", "saw", "a red ball", "and ran", "to", "its", "house", "in rain"]
    queries = [
        Query(text=" ".join(draw.choice(words, draw.integers(1, 15))), density=1, top=int(draw.integers(1, 40)))
        for _ in range(300)
    ]
    alone = [engine.search([query])[0].as_json() for query in queries]
    order = draw.permutation(len(queries))
    for part in np.array_split(order, 30):
        for number, found in zip(part, engine.search([queries[number] for number in part]), strict=True):
            assert found.as_json() == alone[number]


def test_a_text_that_cannot_be_read_spoils_no_other(many):
    engine = Engine(many[MODEL])
    good, bad = Query(text="red", density=1), Query(text="red", density=1, tokens=(50,))
    first, wrong, again = engine.search([good, bad, good])
    assert isinstance(wrong, polysem.InputError) and first.results
    assert first.as_json() == again.as_json() == engine.search([good])[0].as_json()


def test_activations_of_chosen_features_are_those_of_the_search(many):
    engine, text = Engine(many[MODEL]), "red ball"
    found = many.search(text, kind="features", sites="blocks.0.mlp.hook_post", top=5)
    features = [one.feature for one in found.results]
    one, other = engine.activations("blocks.0.mlp.hook_post", "standard", features, [text, "blue"])
    assert one.tokens == found.tokens and one.activations == [result.activations for result in found.results]
    assert len(other.activations) == 5 and len(other.activations[0]) == len(other.tokens)
    with pytest.raises(polysem.UnknownNameError, match=r"has no feature 500; it has 0 … 499"):
        engine.activations("blocks.0.mlp.hook_post", "standard", [500], [text])
