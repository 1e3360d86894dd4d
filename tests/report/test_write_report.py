"""The report as a whole: what it shows, what it refuses, what it leaves behind."""

import json
import re
import subprocess
import sys
from urllib.parse import unquote

import pytest

from polysem.io.errors import InputError
from polysem.layout.place import Place
from polysem.report.catalogue import ENTRIES
from polysem.report.pages import Making

from .run_folder import NO_CLUSTER, SAE, SITE, RunFolder, target

HOSTILE = "<script>alert('1')&amp;\"#?%"


@pytest.fixture
def study(tmp_path):
    return RunFolder(tmp_path)


def figures_of(page):
    text = page.path.read_text(encoding="utf-8")
    return json.loads(re.search(r'id="figures">(.*?)</script>', text, re.DOTALL)[1])


def test_every_figure_is_in_the_report_as_it_was_drawn(study):
    study.write()
    for folder in study.folders:
        for figure in (study.folder / "figures" / folder).glob("*.svg"):
            copied = study.output / "pages/figures" / folder / figure.name
            assert copied.read_bytes() == figure.read_bytes()
    (image,) = [one for one in study.page("pages/S0.html").all("img") if "decoder_power" in one["src"]]
    assert (image["loading"], image["width"], image["height"]) == ("lazy", "518", "317")
    assert SAE in unquote(image["src"])


@pytest.mark.parametrize(
    ("tokens", "variance", "warned"),
    [(0.0078, 0.989, True), (0.02, 0.9, False), (0.001, 0.4, False), (None, None, False)],
)
def test_a_few_tokens_that_hold_the_variance_are_warned_of(study, tokens, variance, warned):
    study.metrics["toy"][SITE][SAE] |= {"massive_share": tokens, "massive_variance_share": variance}
    study.write()
    said = f"0.78% of the tokens at {SITE} of toy hold 98.9% of the variance"
    for page in ("index.html", f"pages/models/toy/{SITE}/index.html"):
        assert (said in study.page(page).words()) == warned
    assert "Warnings" not in study.page("index.html").words() or warned


def test_the_chooser_knows_the_figures_of_all_dictionaries_and_why_others_are_missing(study):
    study.add_figure(f"toy/{SITE}/neurons", "neuron_sparsity", reason=NO_CLUSTER)
    page = study.write().page("pages/S2.html")
    known = figures_of(page)
    assert known["first"] == f"toy/{SITE}/{SAE}"
    assert known["figures"]["neuron_sparsity"] == {"of": "dictionary", "at": {f"toy/{SITE}/neurons": 0}}
    assert known["reasons"] == [NO_CLUSTER]
    assert known["figures"]["loss_recovered"] == {"of": "site", "at": {f"toy/{SITE}/together": [518, 317]}}
    options = [option["value"] for option in page.all("option")]
    both = [f"toy/{SITE}/neurons", f"toy/{SITE}/{SAE}"]
    assert options == [*both, "", *both]


def test_a_figure_that_is_not_applicable_is_stated_with_its_reason(study):
    study.add_figure(f"toy/{SITE}/neurons", "neuron_sparsity", reason=NO_CLUSTER)
    study.write()
    assert f"Not drawn for toy/{SITE}/neurons: {NO_CLUSTER}" in study.page("pages/S2.html").words()
    page = study.page(f"pages/models/toy/{SITE}/neurons.html")
    assert f"Not applicable: {NO_CLUSTER}" in page.words()


def test_every_catalogue_id_has_its_place_in_the_report_of_any_run(study):
    study.write()
    for entry in ENTRIES.values():
        page = study.page(f"pages/{entry.document}.html")
        assert entry.id in page.ids()
        assert " ".join(entry.published.split()) in page.words()
    assert f"Not applicable{ENTRIES['S2.F4'].absent}" in study.page("pages/S2.html").words()


def test_a_published_number_stands_beside_the_verdict_and_the_run_s_own_number(study):
    where = study.claims[0]["where"] | {"metric": "L0"}
    study.claims.append(
        study.claim(id="S0.T1", statement="Active", where=where, value=31.4, verdict="differs", published=30)
    )
    study.write()
    page = study.page("pages/S0.html")
    assert "Active30 ± 0.0231.4differs" in page.words()
    assert "This run's own numbers, beside the published ones; of other models, so no reproduction" in page.words()
    assert "31.26" in page.words()
    assert "not run" in study.page("pages/claims.html").words()
    shown = [one["class"] for one in study.page().all("span") if one.get("class", "").startswith("dot")]
    assert shown == ["dot reproduced", "dot close", "dot differs", "dot not-run", "dot differs", "dot not-run"]


def test_a_claim_that_is_close_is_counted_apart_and_shown_with_its_distance(study):
    where = study.claims[0]["where"] | {"metric": "L0"}
    close = {"where": where, "verdict": "close", "published": 30}
    study.claims.append(study.claim(id="S0.T1", value=31.4, distance=1.4, **close))
    study.claims.append(study.claim(id="S0.F1", value=28.0, distance=-2.0, **close))
    study.write()
    assert "31.4close +1.4" in study.page("pages/S0.html").words()
    assert "28close −2" in study.page("pages/claims.html").words()
    assert "2 close" in study.page("pages/claims.html").words()
    assert "claims close2" in study.page().words()


def test_options_name_the_dictionaries_that_have_them(study):
    page = study.write().page("pages/S2.html")
    assert f"With it: toy/{SITE}/{SAE}" in page.words()
    assert ENTRIES["S2.X3"].absent not in page.words()
    assert ENTRIES["S2.F9"].absent in page.words()


def test_names_and_numbers_from_outside_are_text_and_never_markup(tmp_path):
    study = RunFolder(tmp_path, model=HOSTILE.replace("/", ""), dictionary="<b onclick=x>")
    study.metrics[study.model][SITE]["neurons"]["<i>"] = "</table><script>"
    study.params["</pre><script>"] = "{{ 7 * 7 }}"
    study.claims = [study.claim(statement="<img onerror=x>", note="</td><script>")]
    study.add_sheet(3, ["<i>"])
    study.add_label(3, "</script><script>alert(1)</script>")
    study.add_figure(study.folders[1], "neuron_sparsity", reason="</script><b onclick=y>")
    study.write()
    for page in study.pages():
        assert not any("onclick" in attributes or "onerror" in attributes for _, attributes in page.elements)
        assert all("src" in script or script.get("type") == "application/json" for script in page.all("script"))
        assert not page.all("i")
    assert "</script" not in (study.output / "pages/static/search-index.js").read_text()
    assert "{{ 7 * 7 }}" in study.page("pages/provenance.html").text
    assert "<img onerror=x>" in study.page("pages/claims.html").text


def test_every_link_leads_somewhere_and_nothing_needs_a_network(tmp_path):
    study = RunFolder(tmp_path, dictionary="odd #1?%20 name")
    study.add_sheet(3, [" once"])
    study.write()
    for page in study.pages():
        for tag, key in (("a", "href"), ("img", "src"), ("script", "src"), ("link", "href")):
            for address in (attributes[key] for attributes in page.all(tag) if key in attributes):
                file, fragment = target(page, address)
                assert file.is_file(), f"{page.path}: {address}"
                assert not fragment or fragment in type(page)(file).ids(), f"{page.path}: {address}"
    for name, content in study.files().items():
        if name.endswith((".html", ".js", ".css", ".json")):
            assert not re.search(rb"https?://|@import|url\(|fetch\(|XMLHttpRequest", content), name


def test_addresses_in_the_search_index_lead_somewhere_too(study):
    study.add_sheet(3, [" once"])
    study.write()
    text = (study.output / "pages/static/search-index.js").read_text(encoding="utf-8")
    index = json.loads(text.removeprefix("window.polysemIndex = ").removesuffix(";\n"))
    addresses = [index["folders"][folder] + file for *_, folder, file in index["rows"]]
    assert f"sheets/toy/{SITE}/{SAE.replace('=', '%3D')}/3.html" in addresses
    for address in addresses:
        file, fragment = target(study.page(), address)
        assert file.is_file()
        assert not fragment or fragment in study.page(str(file.relative_to(study.output.resolve()))).ids()


def test_the_metrics_of_a_site_stand_side_by_side_and_sort_by_value(study):
    page = study.write().page(f"pages/models/toy/{SITE}/index.html")
    rows = [row["data-row"] for row in page.all("tr") if "data-row" in row]
    assert rows == ["neurons", SAE]
    assert [cell["data-value"] for cell in page.all("td") if "data-value" in cell] == ["4096", "31.256789", ""] * 2
    assert "4,096" in page.text and "31.26" in page.text
    assert "sortable" in {table.get("class") for table in page.all("table")}


def test_the_page_of_a_dictionary_tells_how_its_figures_were_made(study):
    page = study.write().of_dictionary()
    assert "rm results/figures/some.json; snakemake --cores all results/figures/some.json" in page.text
    for words in ("draw_figures", "polysem.figures.draw_figures", "abc", "frequency.nc", '"rare_frequency": 0.001'):
        assert words in page.text
    receipts = study.page("pages/provenance.html").text
    assert "0123456789ab" in receipts and "fedcba987654" in receipts and "numpy 2.4.6" in receipts


def test_losses_come_first_among_the_numbers_of_the_models(study):
    page = study.write().page()
    lines = [line.strip() for line in page.text.splitlines() if line.strip()]
    losses = [line for line in lines if "cross_entropy" in line or line.startswith("perplexity")]
    assert losses == ["cross_entropy2.25", "bigram_cross_entropy3.5", "unigram_cross_entropy5.5", "perplexity8.9"]


def test_a_dictionary_that_is_gone_from_the_run_is_gone_from_the_report(study):
    study.add_dictionary(f"toy/{SITE}/old", ["decoder_power"])
    assert "old" in study.write().page().words()
    study.folders.pop()
    study.write()
    assert not (study.output / f"pages/models/toy/{SITE}/old.html").exists()
    assert not (study.output / f"pages/figures/toy/{SITE}/old").exists()
    assert (study.output / f"sheets/toy/{SITE}/old/index.html").exists()


def broken(study, name):
    folder = study.folder
    if name == "figure":
        (folder / f"figures/toy/{SITE}/neurons/decoder_power.svg").unlink()
    elif name == "changed":
        (folder / f"figures/toy/{SITE}/neurons/decoder_power.svg").write_text("<svg/>")
    elif name == "receipt":
        (folder / f"figures/toy/{SITE}/neurons.json").write_text("[]")
    elif name == "table":
        (folder / f"tables/toy/{SITE}/neurons/frequency.nc").unlink()
    elif name == "sheets":
        (folder / f"report/sheets/toy/{SITE}/neurons.json").unlink()
    else:
        (folder / name).write_text("{")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("figure", "decoder_power.svg is missing; draw it again: snakemake --cores all --force"),
        ("changed", "decoder_power.svg is not what was written"),
        ("receipt", "is no receipt of figures"),
        ("table", "frequency.nc is missing; measure it first"),
        ("sheets", "the receipt of sheets, cannot be read"),
        ("metrics.json", "metrics.json cannot be read"),
        ("claims.json", "claims.json cannot be read"),
        ("eval.json", "eval.json cannot be read"),
    ],
)
def test_what_is_missing_or_broken_is_refused_by_name_and_the_old_report_stays(study, name, words):
    study.write()
    before = {path: content for path, content in study.files().items() if not path.startswith("sheets")}
    broken(study, name)
    with pytest.raises(InputError, match=re.escape(words)):
        study.call()
    assert {path: content for path, content in study.files().items() if not path.startswith("sheets")} == before


def test_a_figure_without_a_caption_is_refused(study):
    del study.captions["decoder_power"]
    with pytest.raises(InputError, match="figure 'decoder_power' has no caption"):
        study.write()


def test_a_job_that_makes_everything_again_is_told_to_with_force(study):
    job = Making(**study.making(keeps=False))
    assert job.command == "snakemake --cores all --force results/figures/some.json"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"verdict": "fine"}, "the verdict of S2.F1 is 'fine'"),
        ({"where": None}, "lacks where"),
        ({"id": None}, "lacks id"),
    ],
)
def test_a_claim_that_is_none_is_refused(study, changes, words):
    claim = study.claim(**changes)
    study.claims = [{key: value for key, value in claim.items() if value is not None or key == "value"}]
    with pytest.raises(InputError, match=words):
        study.write()


def test_a_caption_stands_beside_its_figure(study):
    study.captions["decoder_power"] = "Where ``features`` *point*. Source: document S0."
    page = study.write().page("pages/S0.html")
    assert "Where features point. Source: document S0." in page.words()
    assert "snakemake.wildcards" not in page.text


def test_the_same_run_gives_the_same_bytes(study):
    first = study.write().files()
    assert study.write().files() == first


def test_a_run_without_figures_or_numbers_still_has_a_report(study):
    study.folders, study.metrics, study.claims = [], {}, []
    study.write()
    assert "The ledger is empty." in study.page("pages/claims.html").words()
    assert not study.page("pages/S0.html").all("img")


def test_the_report_imports_neither_torch_nor_transformer_lens():
    program = (
        "import sys; import polysem.report.write_report;"
        "print(sorted({'torch', 'transformer_lens', 'transformers', 'snakemake'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert result.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"compare": "at_least", "tolerance": None, "published": 2997}, "≥ 2,997"),
        ({"compare": "at_most", "tolerance": None, "published": 3, "unit": "nat"}, "≤ 3 nat"),
        ({"compare": "equal", "tolerance": None, "published": "power_law"}, "power_law"),
        ({"published": 475, "unit": "feature", "tolerance": 0}, "475 ± 0"),
        ({"id": "S2.F1-one-sparse", "where": {}}, "0.921 ± 0.02"),
    ],
)
def test_a_published_number_is_shown_as_it_was_published(study, changes, words):
    study.claims = [study.claim(**changes)]
    for page in ("pages/S2.html", "pages/claims.html"):
        assert words in study.write().page(page).words()


def test_a_figure_of_a_site_is_shown_with_its_dictionaries_or_not_drawn_for_a_reason(study):
    page = f"pages/models/toy/{SITE}/index.html"
    assert [unquote(image["src"]).rsplit("/", 1)[1] for image in study.write().page(page).all("img")] == [
        "loss_recovered.svg"
    ]
    study.add_figure(f"toy/{SITE}/together", "kurtosis_against_random", reason=NO_CLUSTER)
    assert f"Not applicable: {NO_CLUSTER}" in study.write().page(page).words()
    assert f"Not drawn for toy/{SITE}, all dictionaries: {NO_CLUSTER}" in study.page("pages/S2.html").words()


def test_a_figure_of_a_model_is_shown_with_its_sites_and_in_its_chapter(study):
    page = "pages/models/toy/index.html"
    assert not study.write().page(page).all("img")
    study.folders.append("toy/together")
    study.add_figure("toy/together", "match_layers")
    study.add_figure("toy/together", "scales_by_layer", reason=NO_CLUSTER)
    written = study.write()
    assert [unquote(image["src"]) for image in written.page(page).all("img")] == [
        "../../figures/toy/together/match_layers.svg"
    ]
    assert f"Not applicable: {NO_CLUSTER}" in written.page(page).words()
    chapter = written.page("pages/S4.html")
    assert unquote(chapter.all("img")[0]["src"]) == "figures/toy/together/match_layers.svg"
    assert "models/toy/index.html" in [link.get("href") for link in chapter.all("a")]
    known = figures_of(chapter)["figures"]
    assert known["match_layers"]["of"] == "model"
    assert list(known["match_layers"]["at"]) == ["toy/together"]


def test_many_reasons_are_folded_away_and_few_are_not(study):
    for number in range(4):
        key = f"toy/{SITE}/sae-{number}"
        study.add_dictionary(key, ["decoder_power"])
        study.add_figure(key, "ultra_low_frequency", reason=f"only {number} features")
    assert not [one for one in study.write().page("pages/S0.html").all("details") if one.get("class") == "reasons"]
    page = study.page("pages/S2.html")
    assert [one for one in page.all("details") if one.get("class") == "reasons"]
    assert f"Not drawn for toy/{SITE}/sae-3: only 3 features" in page.words()


def test_the_chapter_and_the_model_lead_to_case_studies(study):
    receipt = study.folder / "report/case_studies/toy.json"
    receipt.parent.mkdir(parents=True)
    cases = [{"id": "x", "tag": HOSTILE, "is_neuron": neuron, "page": f"{neuron}.html"} for neuron in (False, True)]
    receipt.write_text(json.dumps({"cases": cases}))
    study.case_studies = [Place("toy")]
    study.write()
    for page in (study.page("pages/S1.html"), study.page("pages/models/toy/index.html")):
        assert "../case_studies/toy/index.html" in "".join(link.get("href", "") for link in page.all("a"))
    page = study.page("pages/S1.html")
    assert f"{HOSTILE} (neuron)" in page.words()
    assert "script>alert" not in page.path.read_text(encoding="utf-8")
