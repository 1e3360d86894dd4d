"""The report as a whole: what it shows, what it refuses, what it leaves behind."""

import json
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

from polysem.io.errors import InputError
from polysem.report.write_report import write_report

CAPTIONS = Path(__file__).parents[2] / "workflow" / "report"
SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 518.4 316.8"><title>{}</title></svg>'
HOSTILE = "<script>alert('1')&amp;\"#?%"


class Page(HTMLParser):
    """Elements with their attributes, and all text."""

    def __init__(self, path: Path):
        super().__init__()
        self.elements, self.text = [], ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


class Study:
    """A run of two dictionaries in a folder; what is asked of the report can be changed before it is written."""

    def __init__(self, folder: Path, model: str = "toy", dictionary: str = "l1-x8_l1=3e-4_seed=0"):
        self.folder, self.output = folder, folder / "report"
        self.expected = [
            f"{model}/blocks.0.mlp.hook_post/{name}/{figure}.svg"
            for name in ("neurons", dictionary)
            for figure in ("ultra_low_frequency", "decoder_power", "frequency_histogram")
        ]
        for relative in self.expected:
            self.add_figure(relative)
        site = {name: {"L0": 31.256789, "tail_law": None, "features": 4096} for name in ("neurons", dictionary)}
        losses = {"perplexity": 8.9, "unigram_cross_entropy": 5.5, "bigram_cross_entropy": 3.5, "cross_entropy": 2.25}
        self.metrics = {model: {"blocks.0.mlp.hook_post": site, "model": losses}}
        receipt = {"store": "eval.zarr", "sha256": "0123456789abcdef" * 4, "code": "fedcba9876543210"}
        self.receipt = receipt | {"versions": {"numpy": "2.4.6"}, "device": dictionary, "params": {"dtype": "float16"}}
        self.params = {"models": {model: {"source": "trained"}}}

    def add_figure(self, relative: str):
        path = self.folder / "figures" / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(SVG.format(len(relative)))

    def write(self) -> Page:
        (self.folder / "metrics.json").write_text(json.dumps(self.metrics))
        (self.folder / "eval.json").write_text(json.dumps(self.receipt))
        write_report(
            figures=self.folder / "figures",
            metrics=self.folder / "metrics.json",
            receipts=[self.folder / "eval.json"],
            captions=CAPTIONS,
            output=self.output,
            params=self.params,
            expected=self.expected,
        )
        return Page(self.output / "index.html")


@pytest.fixture
def study(tmp_path):
    return Study(tmp_path)


def test_every_expected_figure_is_shown_once_in_the_order_of_the_catalogue(study):
    page = study.write()
    images = page.all("img")
    names = [Path(unquote(image["src"])).stem for image in images]
    assert names == ["frequency_histogram"] * 2 + ["decoder_power"] * 2 + ["ultra_low_frequency"] * 2
    assert {unquote(image["src"]).removeprefix("figures/") for image in images} == set(study.expected)
    for image in images:
        relative = unquote(image["src"])
        assert (study.output / relative).read_bytes() == (study.folder / relative).read_bytes()
        assert (image["loading"], image["width"], image["height"]) == ("lazy", "518", "317")
    assert [article["id"] for article in page.all("article")] == ["S0.F1", "S0.F3a", "S2.F3"]
    assert "How polysemantic can one neuron be?" in page.text and "Neuron embeddings" not in page.text


def test_a_figure_of_all_dictionaries_is_shown_and_is_no_choice(study):
    choices = study.write().all("option")
    study.expected.append("toy/blocks.0.mlp.hook_post/loss_recovered.svg")
    study.add_figure(study.expected[-1])
    page = study.write()
    assert page.all("option") == choices
    (figure,) = [each for each in page.all("figure") if each["data-dictionary"].endswith("/all dictionaries")]
    assert figure["data-dictionary"].startswith("toy/blocks.0.mlp.hook_post/")
    assert "S2.T1" in [article["id"] for article in page.all("article")]


def test_the_dictionaries_can_be_chosen(study):
    page = study.write()
    chosen = [option["value"] for option in page.all("option")]
    assert chosen == ["", "toy/blocks.0.mlp.hook_post/neurons", "toy/blocks.0.mlp.hook_post/l1-x8_l1=3e-4_seed=0"]
    assert {figure["data-dictionary"] for figure in page.all("figure")} == set(chosen[1:])


def test_names_and_numbers_from_outside_are_text_and_never_markup(tmp_path):
    study = Study(tmp_path, model=HOSTILE.replace("/", ""), dictionary="<b onclick=x>")
    study.metrics[study.expected[0].split("/")[0]]["blocks.0.mlp.hook_post"]["neurons"]["<i>"] = "</table><script>"
    study.params["</pre><script>"] = "{{ 7 * 7 }}"
    page = study.write()
    assert len(page.all("script")) == 1
    assert not page.all("b onclick=x") and not any("onclick" in attributes for _, attributes in page.elements)
    assert not page.all("i")
    assert "{{ 7 * 7 }}" in page.text and "</table><script>" in page.text
    assert HOSTILE in page.text
    assert all((study.output / unquote(image["src"])).is_file() for image in page.all("img"))


def test_a_figure_lying_around_is_not_shown_and_one_of_an_earlier_report_is_removed(study):
    study.add_figure("toy/blocks.0.mlp.hook_post/old/decoder_power.svg")
    study.expected.append("toy/blocks.0.mlp.hook_post/old/decoder_power.svg")
    assert "old" in study.write().text
    study.expected.pop()
    assert "old" not in {Path(image["src"]).parent.name for image in study.write().all("img")}
    assert not (study.output / "figures/toy/blocks.0.mlp.hook_post/old").exists()


def test_a_missing_figure_is_refused_by_name_and_the_old_report_stays(study):
    study.write()
    before = (study.output / "index.html").read_bytes()
    (study.folder / "figures" / study.expected[3]).unlink()
    with pytest.raises(InputError, match=study.expected[3]):
        study.write()
    assert (study.output / "index.html").read_bytes() == before


@pytest.mark.parametrize("relative", ["../../metrics.json", "toy/decoder_power.svg", "toy/site/../decoder_power.svg"])
def test_a_path_that_is_no_figure_of_a_dictionary_is_refused(study, relative):
    study.add_figure(relative)
    study.expected.append(relative)
    with pytest.raises(InputError, match=r"expected model/site/dictionary/figure\.svg"):
        study.write()


def test_a_figure_without_a_module_is_refused(study):
    study.add_figure("toy/blocks.0.mlp.hook_post/neurons/decoder_powr.svg")
    study.expected.append("toy/blocks.0.mlp.hook_post/neurons/decoder_powr.svg")
    with pytest.raises(InputError, match="did you mean 'decoder_power'"):
        study.write()


def test_the_metrics_of_a_site_stand_side_by_side_and_losses_come_first(study):
    page = study.write()
    lines = [line.strip() for line in page.text.splitlines() if line.strip()]
    assert "metricneuronsl1-x8_l1=3e-4_seed=0" in lines
    assert "L031.2631.26" in lines and "features4,0964,096" in lines and "tail_law––" in lines
    losses = [line for line in lines if "cross_entropy" in line or line.startswith("perplexity")]
    assert losses == ["cross_entropy2.25", "bigram_cross_entropy3.5", "unigram_cross_entropy5.5", "perplexity8.9"]


def test_provenance_has_commands_receipts_and_params(study):
    page = study.write()
    source = f"{(study.folder / 'figures').as_posix()}/{study.expected[1]}"
    assert f"snakemake --cores all --force {source}" in page.text
    assert "0123456789ab" in page.text and "fedcba987654" in page.text and "numpy 2.4.6" in page.text
    assert '"source": "trained"' in page.text


def test_the_page_needs_no_network_and_every_link_leads_somewhere(study):
    page = study.write()
    ids = {attributes["id"] for _, attributes in page.elements if "id" in attributes}
    for tag, key in (("a", "href"), ("img", "src"), ("script", "src"), ("link", "href")):
        for address in (attributes[key] for attributes in page.all(tag) if key in attributes):
            assert address[1:] in ids if address.startswith("#") else (study.output / unquote(address)).is_file()
    assert "http" not in (study.output / "index.html").read_text()


def test_captions_leave_out_what_is_meant_for_the_report_of_snakemake(study):
    page = study.write()
    assert "snakemake.wildcards" not in page.text
    assert 'Source: document S0, section "Feature frequency".' in " ".join(page.text.split())


def test_the_same_run_gives_the_same_bytes(study):
    study.write()
    first = (study.output / "index.html").read_bytes()
    study.write()
    assert (study.output / "index.html").read_bytes() == first


@pytest.mark.parametrize("text", ["[1, 2]", "{", ""])
def test_metrics_or_receipts_that_are_no_json_object_are_refused(study, text):
    study.write()
    for name in ("metrics.json", "eval.json"):
        folder = study.folder
        before = (folder / name).read_text()
        (folder / name).write_text(text)
        with pytest.raises(InputError, match=name):
            write_report(
                folder / "figures",
                folder / "metrics.json",
                [folder / "eval.json"],
                CAPTIONS,
                study.output,
                {},
                study.expected,
            )
        (folder / name).write_text(before)


def test_a_run_without_figures_or_numbers_still_has_a_report(study):
    study.expected, study.metrics = [], {}
    page = study.write()
    assert not page.all("img") and "Parameters of the run" in page.text


def test_the_report_imports_neither_torch_nor_transformer_lens():
    program = (
        "import sys; import polysem.report.write_report; from polysem.figures.registry import find_figure;"
        "find_figure('decoder_power');"
        "print(sorted({'torch', 'transformer_lens', 'transformers', 'snakemake'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert result.stdout.strip() == "[]"
