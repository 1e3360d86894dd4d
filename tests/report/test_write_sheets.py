"""S0.F4: the sheets as a whole, what they show and what they leave behind."""

import json
import shutil
import subprocess
import sys
from urllib.parse import unquote

import numpy as np
import pytest

from polysem.io.content import file_digest
from polysem.io.errors import InputError
from polysem.io.folders import receipt_of
from polysem.layout.annotations import NOBODY
from polysem.layout.notes import write_note
from polysem.layout.place import Place
from polysem.report.write_sheets import write_sheets

from .sheet_case import CLUSTERED, DIFFERENT, DRAWN, MODEL, SAE, SITE, TOP, Page, SheetCase, diverse, receipt

LISTED = {f"{MODEL}/{SITE}/{SAE}": [3]}
NOW, BEFORE = "1" * 64, "2" * 64
"""Digests of the weights, and of those of another training."""


@pytest.fixture
def case(tmp_path):
    return SheetCase(tmp_path)


def number(text):
    return float(text.replace("%", "").replace(",", ""))


def test_the_sheet_has_what_document_s0_shows_of_a_feature(case):
    page = Page(case.write(listed=LISTED) / "3.html")
    logits, examples = case.tables["logits"], case.tables["examples"]

    boosted = page.tables["Boosted"][1:]
    assert len(boosted) == 10
    for (_, value), boost in zip(boosted, logits["boost"].values[3], strict=True):
        assert number(value) == pytest.approx(boost, rel=5e-3)

    weights = case.decoder[3].astype(float)
    strongest = np.argsort(-np.abs(weights))[:10]
    aligned = page.tables["Aligned neurons"][1:]
    assert [row[0] for row in aligned] == [f"neuron {neuron}" for neuron in strongest]
    assert [number(row[1]) for row in aligned] == pytest.approx(weights[strongest], rel=5e-3)
    shares = 100 * weights[strongest] ** 2 / (weights**2).sum()
    assert [number(row[2]) for row in aligned] == pytest.approx(shares, rel=5e-3)

    assert len(page.contexts) == len(DIFFERENT) + TOP + DRAWN + CLUSTERED
    text = case.tokenizer.decode([token for token in examples["token"].values[3, 0] if token >= 0])
    assert page.contexts[0] == text
    marks = page.source.split("</mark>")
    key = case.tokenizer.decode([examples["token"].values[3, 0, 20]])
    assert marks[1].endswith(f">{key}")  # the first mark is the legend's
    assert [row[1] for row in page.tables["Nearest features"][1:]] == [
        f"{value:+.3f}" for value in case.tables["associations"]["nearest_cosine"].values[3]
    ]


def test_boosted_tokens_are_named_by_the_tokenizer(case):
    tokens = case.tokenizer.encode(" once upon a").ids
    case.tables["logits"]["boosted_token"][3, : len(tokens)] = tokens
    case.tables["logits"]["boosted_token"][3, len(tokens)] = 5000
    names = [row[0] for row in Page(case.write(listed=LISTED) / "3.html").tables["Boosted"][1:]]
    wanted = [case.tokenizer.decode([token]).replace(" ", "·") for token in tokens]
    assert names[: len(tokens) + 1] == [*wanted, "[5000]"]


def test_tokens_are_shaded_by_their_share_of_the_largest_activation(case):
    case.show(3, "a", "b", "c", key=1)
    table = case.tables["examples"]
    table["window_activation"][3, 0] = 0
    table["window_activation"][3, 0, 19:22] = [1.0, 9.0, 4.51]  # of at most 9
    source = Page(case.write(listed=LISTED) / "3.html").source
    assert (
        '<span class="l1" title="1">a</span><mark class="l9" title="9">b</mark><span class="l5" title="4.51">c<'
        in source
    )


def test_a_token_without_a_measured_activation_is_set_apart(case):
    case.show(3, "a", "b", "c", key=1)
    case.tables["examples"]["window_activation"][3, 0, 19] = np.nan
    assert '<span class="unmeasured">a</span>' in Page(case.write(listed=LISTED) / "3.html").source


def test_examples_that_differ_come_first_and_say_for_how_many_they_stand(case):
    page = Page(case.write(listed=LISTED) / "3.html")
    section = page.source.split('<section id="examples">')[1].split("</section>")[0]
    different, rest = section.split('<details class="all">')
    shown = [case.tables["examples"]["token"].values[3, place] for place in DIFFERENT]
    texts = [case.tokenizer.decode([token for token in tokens if token >= 0]) for tokens in shown]
    assert page.contexts[: len(DIFFERENT)] == texts
    stands = [place.split("</li>")[0] for place in different.split("<li>")[1:]]
    assert ['class="more">+6<' in item for item in stands] == [True, False, False]
    assert "stands for 4 the same in the same context and 2 similar" in stands[0]
    assert "stands for" not in stands[1]
    assert 'class="more">+7<' in stands[2] and "stands for 7 similar" in stands[2]
    assert (
        "Of its 90 strongest tokens those whose neuron embeddings lie more than a cosine distance of 0.3 apart; +n: "
        "for how many others one stands. Different ones among its 12 strongest: 3 tokens, 11 contexts with the 5 "
        "tokens before, 2 neuron embeddings."
    ) in page.text
    assert rest.count("<li>") == TOP and "more" not in rest.split("</summary>", 1)[1]


def test_neurons_without_embeddings_show_what_is_no_repeat(case):
    without = diverse(case.tables["examples"]).drop_vars(["different_examples"])
    without["similar"][:] = 0
    case.tables["diverse_examples"] = without
    page = Page(case.write(listed=LISTED) / "3.html")
    assert "Of its 90 strongest tokens those that are no repeats of each other; +n: for how many" in page.text
    assert "3 tokens, 11 contexts with the 5 tokens before." in page.text
    assert "stands for 4 the same in the same context<" in page.source


def test_drawn_examples_stand_in_their_quantile_intervals(case):
    table = case.tables["examples"]
    table["quantile"][3, TOP:] = [1.0, 0.8, 0.79, 0.6, 0.59, 0.41, 0.4, 0.39, 0.1, 0.0]
    page = Page(case.write(listed=LISTED) / "3.html")
    blocks = page.source.split("<h3>")[1:]
    assert [block.split("</h3>")[0] for block in blocks] == ["80–100 %", "60–80 %", "40–60 %", "20–40 %", "0–20 %"]
    assert [block.count("<summary") for block in blocks] == [2, 2, 3, 1, 2]


def test_the_histogram_shows_the_bins_of_the_table_and_says_what_it_shows(case):
    source = Page(case.write(listed=LISTED) / "3.html").source
    assert "Histogram of activations: 900 tokens between" in source and "at most 450 in a bin" in source
    path = source.split('class="bars" d="')[1].split('"')[0]
    assert path.count("M") == 2  # bins 70 and 80


def test_rare_and_silent_features_say_so(case):
    case.tables["frequency"]["frequency"][1] = 0.9e-4
    folder = case.write(all=True)
    flags = {
        feature: Page(folder / f"{feature}.html").source.split("<h1>")[1].split("</h1>")[0] for feature in range(9)
    }
    assert "ultra-low frequency" in flags[1] and ">rare<" in flags[2] and ">never active<" in flags[4]
    assert all("flag" not in flags[feature] for feature in (0, 3, 5, 7, 8))
    silent = Page(folder / "4.html")
    assert silent.text.count("Never active on these tokens.") == 2 and not silent.contexts


def test_where_no_direct_path_leads_to_the_tokens_the_sheet_says_why(case):
    reason = "The site is not followed by the unembedding; choose hook_mlp_out."
    case.tables["logits"] = case.tables["tags"].assign_attrs(not_applicable=reason)
    page = Page(case.write(listed=LISTED) / "3.html")
    assert "Boosted" not in page.tables and page.text.count(reason) == 2


def test_every_link_leads_to_a_sheet(case):
    folders = [case.write(random=3), case.write("neurons", random=3)]
    seen = 0
    search = {f"../../../../pages/static/search.{ending}" for ending in ("css", "js")}
    for folder in folders:
        home = {"../../../../index.html", f"../../../../pages/models/{MODEL}/{SITE}/{folder.name}.html"}
        for file in folder.glob("*.html"):
            page = Page(file)
            ids = {attributes["id"] for _, attributes in page.elements if "id" in attributes}
            for link in page.links():
                address, _, fragment = unquote(link).partition("#")
                if address in search | home:  # of the report
                    continue
                target = (file.parent / address).resolve() if address else file
                assert target.is_file(), (file, link)
                assert not fragment or fragment in (ids if target == file else Page(target).source), (file, link)
                seen += 1
    assert seen > 100
    neuron = Page(folders[1] / "4.html")
    assert f"../{SAE}/1.html" in [unquote(link) for link in neuron.links()]
    assert neuron.tables["Features that point here"][1] == [f"{SAE}: strongest neuron of 6"]
    assert "../neurons/4.html" in Page(folders[0] / "1.html").links()


def test_a_sheet_of_a_neuron_has_no_neighbours_in_a_basis_of_its_own(case):
    page = Page(case.write("neurons") / "4.html")
    assert "Aligned neurons" not in page.tables and "Nearest features" not in page.tables
    assert page.text.count("Neuron 4") == 1 and len(page.tables["Correlated neurons"]) == 6


def test_the_index_groups_sheets_by_the_reason_they_were_chosen_for(case):
    folder = case.write(polysemantic=3, random=2, listed=LISTED, labels=f"feature,label,author,note\n3,{'a dog'},me,\n")
    page = Page(folder / "index.html")
    groups = {heading: [int(row[0]) for row in rows[1:]] for heading, rows in page.tables.items()}
    assert groups["Largest activations"] == [3, 1, 2] and groups["Listed"] == [3] and len(groups["Random"]) == 2
    row = page.tables["Listed"][1]
    assert row[1] == "a dog" and [row[3], row[5]] == ["9", "0.09"]
    key = case.tables["examples"]["token"].values[3, :TOP, 20].tolist()
    most = max(key, key=lambda token: (key.count(token), -key.index(token)))
    assert row[2].split(" ")[0] == case.tokenizer.decode([most]).replace(" ", "·")


def test_the_receipt_has_what_a_search_needs(case):
    folder = case.write(polysemantic=0, random=0, listed=LISTED)
    (sheet,) = receipt(folder)["sheets"]
    assert sheet["id"] == f"{MODEL}/{SITE}/{SAE}/3" and sheet["page"] == "3.html" and (folder / "3.html").is_file()
    assert sheet["frequency"] == 0.09 and sheet["flag"] == ""
    key = case.tables["examples"]["token"].values[3, :TOP, 20]
    assert set(sheet["tokens"]) <= {case.tokenizer.decode([token]) for token in key} and len(sheet["tokens"]) == 5


def test_labels_are_shown_with_author_and_note(case):
    text = 'feature,label,author,note\n3,"dogs, and cats",me,after an article\n3,pets,you,\n'
    page = Page(case.write(listed=LISTED, labels=text) / "3.html")
    assert all(part in page.text for part in ("dogs, and cats", "– me", "after an article", "pets", "– you"))


def test_a_label_of_a_feature_that_there_is_not_is_refused(case):
    with pytest.raises(InputError, match=r"b says something of feature 9; the dictionary has 0 … 8"):
        case.write(labels="feature,label,author,note\n9,a,b,c\n")


def test_a_labelled_feature_gets_a_sheet_unless_the_params_say_otherwise(case):
    labels = "feature,label,author,note\n5,rare word,me,\n"
    folder = case.write(polysemantic=0, random=0, shown=False, labels=labels)
    assert {file.stem for file in folder.glob("[0-9]*.html")} == {"5"}
    assert [int(row[0]) for row in Page(folder / "index.html").tables["With notes"][1:]] == [5]
    folder = case.write(polysemantic=0, random=0, shown=False, annotated=False)
    assert not list(folder.glob("[0-9]*.html"))


def test_stars_and_comments_are_shown_and_notes_of_another_training_apart(case):
    place = Place(MODEL, SITE, SAE)
    receipt_of(case.write_tables()).write_text(json.dumps({"made_from": {"sae_weights.safetensors": NOW}}))
    write_note(
        place, 3, "Ada", NOW, star=True, label="dogs", note="big ones", comment="see the parks", root=case.folder
    )
    write_note(place, 3, "Björn", NOW, star=True, root=case.folder)
    write_note(place, 3, "Ada", BEFORE, star=True, label="cats", comment="always asleep", root=case.folder)
    write_note(place, 6, "Ada", BEFORE, star=True, root=case.folder)
    folder = case.write(polysemantic=0, random=0, shown=False)
    assert {file.stem for file in folder.glob("[0-9]*.html")} == {"3"}
    page = Page(folder / "3.html")
    own, _, other = " ".join(page.text.split()).partition("Of another training: 1 note")
    assert "★ Ada, Björn" in own and "dogs – Adabig ones" in own and "see the parks – Ada" in own
    assert "cats" not in own and "cats – Ada, weights 22222222" in other and "always asleep" in other
    index = Page(folder / "index.html")
    assert "2 notes are about another training" in index.text
    assert index.tables["With notes"][1][1] == "★ dogs 1 comment"


def test_the_same_tables_give_the_same_bytes(case):
    first = case.write()
    before = {file.name: file.read_bytes() for file in first.iterdir()} | {"receipt": receipt(first)}
    shutil.rmtree(first)
    again = case.write()
    assert {file.name: file.read_bytes() for file in again.iterdir()} | {"receipt": receipt(again)} == before


def test_sheets_that_were_not_finished_leave_nothing_behind(case):
    folder = case.write()
    assert (folder / "index.html").is_file()
    (case.folder / "tables" / MODEL / SITE / SAE / "logits.nc").write_bytes(b"no table")
    with pytest.raises(InputError, match=r"logits\.nc cannot be read"):
        write_sheets(
            Place(MODEL, SITE, SAE),
            case.folder / "tables" / MODEL / SITE / SAE,
            NOBODY,
            folder,
            case.choice(SAE),
            [],
            case.folder / "models" / MODEL / "tokenizer.json",
        )
    left = folder.with_name(f"{SAE}.partial")
    left.mkdir()
    (left / "77.html").write_text("of a killed run")
    assert not (case.write() / "77.html").exists() and not left.exists()


def test_the_step_imports_neither_torch_nor_transformer_lens():
    program = (
        "import sys; import polysem.report.write_sheets;"
        "print(sorted({'torch', 'transformer_lens', 'transformers', 'snakemake', 'matplotlib'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert result.stdout.strip() == "[]"


def test_the_receipt_says_which_tables_the_sheets_are_of(case):
    tables = case.write_tables()
    assert receipt(case.write(listed=LISTED))["made_from"] == {}
    receipt_of(tables).write_text("{}")
    assert receipt(case.write(listed=LISTED))["made_from"] == {"tables": file_digest(receipt_of(tables))}
