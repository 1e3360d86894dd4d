"""S1.F11: pages of case studies, from tables made by hand."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from polysem.io.tables import write_table
from polysem.layout.place import Place
from polysem.report.write_case_studies import write_case_studies

from .sheet_case import MODEL, SAE, SITE, SheetCase

HOSTILE = '<script>alert(1)</script>"&\u202e'
ESTIMATES = ("f1", "precision", "recall", "specificity", "sensitivity", "mean_with", "mean_without")
TABLES = ["case_studies", "ablation", "steering", "automata", "explanations"]


def objects(*texts: str) -> np.ndarray:
    return np.array(texts, object)


def write(place: Place, name: str, variables: dict, **attributes) -> None:
    made = {
        key: xr.Variable(dims, values, {"long_name": key, "units": "1"}) for key, (dims, values) in variables.items()
    }
    Path(place.tables).mkdir(parents=True, exist_ok=True)
    write_table(Path(place.table(name)), xr.Dataset(made, attrs=attributes))


def cases_table(place: Place, **changed) -> None:
    """Feature 1 of the SAE, which meets two parts of the bar, and neuron 3 beside it."""
    both = ("case", "estimate")
    variables = {
        "site": ("case", objects(SITE, SITE)),
        "dictionary": ("case", objects(SAE, "neurons")),
        "feature": ("case", [1, 3]),
        "tag": ("case", objects(HOSTILE, HOSTILE)),
        "chosen_by": ("case", objects("best feature of a tag", "best neuron of a tag")),
        **{name: (both, [[0.9375, 0.5, 1.0], [0.25, np.nan, np.nan]]) for name in ESTIMATES},
        "neuron": ("case", [3, -1]),
        "f1_above_neuron": (both, [[0.6875, 0.6, 0.7], [np.nan] * 3]),
        "twin": ("case", [-1, -1]),
        "twin_dictionary": ("case", objects("", "")),
        "twin_correlation": (both, np.full((2, 3), np.nan)),
        "random_smaller": ("case", [0.5, 1.0]),
        "meets_f1": ("case", [1, 0]),
        "meets_effect": ("case", [0, 1]),
        "meets_neuron": ("case", [1, -1]),
        "meets_twin": ("case", [-1, -1]),
    }
    write(place, "case_studies", variables | changed, bar_f1=0.9, bar_effect=0.95, bar_gap=0.1, bar_twin=0.8)


def other_tables(place: Place) -> None:
    """Feature 1 was ablated and shown in one context, steered, and follows itself."""
    one, shown = "intervened", ("shown", "context", "offset")
    numbers = ("kl", "later_kl", "target_change", "random_smaller", "weight_correlation", "direct_share")
    ablation = {
        "site": ("place", objects(SITE)),
        "dictionary": ("place", objects(SAE)),
        "of_place": (one, [0]),
        "feature": (one, [1]),
        **{name: (one, [0.125]) for name in numbers},
        "shown_place": ("shown", [0]),
        "shown_feature": ("shown", [1]),
        "shown_largest": ("shown", [2.0]),
        "shown_sequence": (("shown", "context"), [[7, -1]]),
        "shown_token": (shown, [[[40, 41, 42], [-1, -1, -1]]]),
        "shown_activation": (shown, [[[0.0, 2.0, 1.0], [np.nan] * 3]]),
        "shown_change": (shown, [[[np.nan, -4.0, -1.0], [np.nan] * 3]]),
        "shown_logit_weight": (shown, [[[0.5, 2.0, -1.0], [np.nan] * 3]]),
        "offset": ("offset", [-1, 0, 1]),
    }
    ablation |= {"kl_low": (one, [0.0625]), "kl_high": (one, [0.25])}
    write(place, "ablation", ablation)
    each = ("steered", "way", "dose", "text")
    steering = {
        "site": ("steered", objects(SITE)),
        "dictionary": ("steered", objects(SAE)),
        "feature": ("steered", [1]),
        "way": ("way", objects("feature", "unsteered")),
        "dose": ("dose", [1.0, 2.0]),
        "prompt": ("text", objects("")),
        "tag_share_of": (each[:3], [[[0.75, 0.5], [0.0, 0.0]]]),
        "tag_share_of_low": (each[:3], [[[0.625, np.nan], [np.nan, np.nan]]]),
        "tag_share_of_high": (each[:3], [[[1.0, np.nan], [np.nan, np.nan]]]),
        "perplexity_of": (each[:3], [[[1.0, 2.718], [1.0, 1.0]]]),
        "perplexity_of_low": (each[:3], np.full((1, 2, 2), np.nan)),
        "perplexity_of_high": (each[:3], np.full((1, 2, 2), np.nan)),
        "continuation": (each, np.array([[[[HOSTILE], [""]], [["as it is"], [""]]]], object)),
    }
    write(place, "steering", steering)
    automata = {
        "place_site": ("place", objects(SITE)),
        "place_dictionary": ("place", objects(SAE)),
        "node_place": ("node", [0, 0]),
        "node_feature": ("node", [1, 8]),
        "edge_source": ("edge", [0, 1]),
        "edge_target": ("edge", [0, 1]),
        "edge_place": ("edge", [0, 0]),
        "strength": ("edge", [0.5, 0.9]),
        "lift": ("edge", [30.5, 99.0]),
        "prediction": ("edge", [12.0, 99.0]),
        "drop": ("edge", [0.625, np.nan]),
        "edge_confirmed": ("edge", [1, -1]),
    }
    write(place, "automata", automata)
    explanations = {
        "site": ("place", objects(SITE)),
        "dictionary": ("place", objects(SAE)),
        "of_place": ("explained", [0]),
        "feature": ("explained", [1]),
        "explainer": ("explainer", objects("tag", "token")),
        "score": ("score", objects("simulation", "detection")),
        "text": (("explained", "explainer"), np.array([[HOSTILE, ""]], object)),
        "score_of": (("explained", "explainer", "score"), [[[0.625, np.nan], [0.5, 0.5]]]),
    }
    write(place, "explanations", explanations)


@pytest.fixture
def case(tmp_path) -> SheetCase:
    made = SheetCase(tmp_path)
    made.write_tables()
    made.write_tables("neurons")
    place = Place(MODEL, root=str(tmp_path))
    write(place.at(SITE), "comparison", {})
    cases_table(place)
    other_tables(place)
    return made


def written(case: SheetCase) -> dict[str, str]:
    folder = case.folder / "report/case_studies" / MODEL
    folder.parent.mkdir(parents=True, exist_ok=True)
    tokenizer = case.folder / "models" / MODEL / "tokenizer.json"
    write_case_studies(Place(MODEL), tokenizer, folder, 1e-3, 1e-4, TABLES, {}, str(case.folder))
    return {file.name: file.read_text(encoding="utf-8") for file in folder.glob("*.html")}


def test_a_page_says_what_is_met_and_what_was_done_with_the_feature(case) -> None:
    pages = written(case)
    page = " ".join(pages["1.html"].split())
    assert "0.9375 (0.5 to 1)</td><td>met" in page
    assert "50 %</td><td>not met" in page
    assert "0.6875 (0.6 to 0.7) above neuron 3</td><td>met" in page
    assert "no SAE of the same recipe has another seed</td><td>not known" in page
    assert "4 nat" in page and 'class="i4" title="importance 1.00"' in page, "the largest loss has the widest line"
    assert "<td>0.75<br><small>0.625 to 1</small></td><td>0.5</td><td>1</td><td>2.718</td>" in page, (
        "shares and perplexities at both doses"
    )
    assert "<td>0.625</td><td>–</td>" in page and "No explainer" not in page
    assert "after itself</th><td>30.5</td><td>12</td><td>62.5 %</td><td>confirmed" in page
    assert "99" not in page.split('id="automata"')[1], "the loop of feature 8 is none of its business"


def test_numbers_of_the_ablation_have_their_intervals(case) -> None:
    page = " ".join(written(case)["1.html"].split("Set to 0")[1].split())
    assert "in nats</th><td>0.125</td><td>0.0625 to 0.25</td>" in page
    assert "minus its logit weights</th><td>0.125</td><td>–</td>" in page


def test_contexts_are_shown_by_logit_weights_where_there_is_a_direct_path(case) -> None:
    section = written(case)["1.html"].split('id="ablation"')[1].split("</section>")[0]
    assert section.count("<ol") == 2 and "by its logit weights" in section
    assert re.findall(r'title="importance ([^"]+)"', section.split("<ol")[2]) == ["0.25", "1.00"]
    place = Place(MODEL, root=str(case.folder))
    table = xr.load_dataset(place.table("ablation"), engine="h5netcdf")
    table["shown_logit_weight"][:] = np.nan
    write_table(Path(place.table("ablation")), table)
    section = written(case)["1.html"].split('id="ablation"')[1].split("</section>")[0]
    assert section.count("<ol") == 1 and "by its logit weights" not in section


def test_a_feature_of_a_dictionary_of_several_sizes_has_its_parent_and_children(case) -> None:
    """Sizes a, the SAE and b; feature 1 is nearest to feature 4 of a, and to features 6, 7 and 8 of b, 8 not near."""
    sizes = {
        "size_dictionary": ("size", objects("a<b>", SAE, "b")),
        "child_level": ("child", [0, 0, 1, 1, 1, 1]),
        "child_feature": ("child", [0, 1, 6, 7, 8, 1]),
        "child_parent": ("child", [1, 4, 1, 1, 1, 0]),
        "child_cosine": ("child", [0.99, 0.75, 0.5, 0.875, 0.25, 0.99]),
    }
    place = Place(MODEL, SITE, root=str(case.folder))
    write(place, "comparison", sizes, split_cosine=0.5)
    pages = written(case)
    rows = " ".join(pages["1.html"].split('id="sizes"')[1].split("</section>")[0].split())
    assert rows.count('<th scope="row">') == 3
    for words in (
        "parent</th><td><bdi>a&lt;b&gt;</bdi></td><td>4</td><td>0.75",
        "child</th><td><bdi>b</bdi></td><td>6</td>",
    ):
        assert words in rows
    assert "<td>7</td><td>0.875</td>" in rows and "0.99" not in rows
    assert "none of those of growing size" in pages["2.html"]
    write(place, "comparison", sizes, split_cosine=0.9)
    assert "has a cosine of 0.9 with its" in written(case)["1.html"]


def test_the_neuron_has_the_same_page_without_a_bar(case) -> None:
    page = written(case)["2.html"]
    assert "The bar" not in page and "0.25" in page
    assert "It was not ablated" in page and "No explainer says anything of it" in page
    assert "Neurons are steered beside the feature of their tag" in page


def test_hostile_text_is_text_on_all_pages(case) -> None:
    for name, page in written(case).items():
        assert "<script>alert" not in page and "\u202e" not in page, name
    assert "&lt;script&gt;" in written(case)["1.html"]


def test_the_receipt_lists_the_pages_and_the_index_leads_to_them(case) -> None:
    pages = written(case)
    listed = json.loads((case.folder / f"report/case_studies/{MODEL}.json").read_text())["cases"]
    assert [one["id"] for one in listed] == [f"{MODEL}/{SITE}/{SAE}/1", f"{MODEL}/{SITE}/neurons/3"]
    assert [one["is_neuron"] for one in listed] == [False, True]
    assert {one["page"] for one in listed} | {"index.html"} == set(pages)
    assert all(f'href="{one["page"]}"' in pages["index.html"] for one in listed)


def test_a_model_without_cases_says_why(case) -> None:
    write(Place(MODEL, root=str(case.folder)), "case_studies", {}, not_applicable="no SAE has a feature for kind:dna")
    pages = written(case)
    assert set(pages) == {"index.html"}
    assert "There are none: no SAE has a feature for kind:dna." in pages["index.html"]


def test_feature_numbers_of_one_site_do_not_mix_with_those_of_another(case) -> None:
    place = Place(MODEL, root=str(case.folder))
    cases_table(place, site=("case", objects(SITE, "blocks.1.mlp.hook_post")))
    with pytest.raises(Exception, match=r"blocks\.1"):
        written(case)


def test_the_best_feature_of_two_tags_has_a_page_for_each(case) -> None:
    both = {
        "dictionary": ("case", objects(SAE, SAE)),
        "feature": ("case", [1, 1]),
        "tag": ("case", objects("kind:dna", "kind:code")),
    }
    cases_table(Place(MODEL, root=str(case.folder)), **both)
    pages = written(case)
    assert "kind:dna" in pages["1.html"].split("<main")[1] and "kind:code" not in pages["1.html"].split("<main")[1]
    assert "kind:code" in pages["2.html"].split("<main")[1]
