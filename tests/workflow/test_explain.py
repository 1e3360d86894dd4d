"""`polysem explain`: from a figure back to the data."""

import subprocess
import sys

import pytest
from repository import environment

from polysem.cli import main
from polysem.io.errors import InputError
from polysem.workflow.provenance.records import read_record

FOLDER = "stories-1l/blocks.0.mlp.hook_post"
STEPS = [
    "draw_figures", "measure_dictionary", "train_sae", "extract_activations", "tokenize_corpus", "train_tokenizer",
    "train_model", "record_model", "make_corpus",
]  # fmt: skip


def steps(text):
    """The rules in the order in which they are told, and what each step was said to read."""
    return [line.split()[1].rstrip(",") for line in text.splitlines() if line.startswith("   rule ")]


@pytest.mark.parametrize(
    "content", ["[]", '{"artifacts": []}', '{"artifacts": {"power": 3}}', '{"artifacts": {"power": {}}}']
)
def test_a_receipt_that_no_run_wrote_is_a_sentence(tmp_path, monkeypatch, capsys, content):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results/figures/toy/site").mkdir(parents=True)
    (tmp_path / "results/figures/toy/site/l1.json").write_text(content)
    assert main(["explain", "toy/site/l1/power"]) == 1
    assert "error: the receipt results/figures/toy/site/l1.json is not what a run writes" in capsys.readouterr().err


@pytest.mark.workflow
def test_the_chain_of_a_figure_ends_at_the_corpus(repository):
    text = repository.polysem("explain", f"{FOLDER}/l1-x4/decoder_power")
    rules = steps(text)
    assert set(STEPS) <= set(rules)
    assert rules[0] == "draw_figures" and rules[-1] == "make_corpus"
    words = " ".join(text.split())
    assert "The figure decoder_power shows the tables alignment, frequency." in words
    assert "rare_frequency = 0.001" in words
    assert "params (saes.l1-x4):" in words and "l1 = 0.5" in words
    assert "params (models.stories-1l):" in words and "params (corpora.stories):" in words
    receipt = f"results/figures/{FOLDER}/l1-x4.json"
    assert f"again: rm {receipt}; snakemake --cores all {receipt}" in words
    assert "one_sparse" not in words.partition("2. ")[0]
    assert "topk-x4" not in words and "rank_frequency.nc" not in words
    assert "No record" not in words


@pytest.mark.workflow
def test_every_job_is_told_after_all_that_was_made_from_it(repository):
    text = repository.polysem("explain", f"{FOLDER}/l1-x4/decoder_power")
    number = 0
    for line in text.splitlines():
        head = line.split(".")[0]
        number = int(head) if head.isdigit() else number
        for used in (int(part.split(")")[0]) for part in line.split(" (")[1:] if part.split(")")[0].isdigit()):
            assert used > number


@pytest.mark.workflow
def test_a_figure_is_found_by_its_path_in_the_results_and_in_the_report(repository):
    name = f"{FOLDER}/neurons/frequency_histogram"
    wanted = repository.polysem("explain", name)
    assert "train_sae" not in steps(wanted)
    for path in (
        f"results/figures/{name}.svg",
        f"results/report/pages/figures/{name}.svg",
        str(repository / f"results/figures/{name}.svg"),
    ):
        assert repository.polysem("explain", path) == wanted


@pytest.mark.workflow
def test_a_figure_of_a_site_follows_all_its_dictionaries(repository):
    text = " ".join(repository.polysem("explain", f"{FOLDER}/loss_recovered").split())
    assert f"results/tables/{FOLDER}/fidelity.nc" in text
    for name in ("neurons", "l1-x4", "topk-x4"):
        assert f"results/tables/{FOLDER}/{name}.json" in text


@pytest.mark.workflow
def test_an_unknown_figure_is_refused_with_the_nearest(repository):
    for name, words in (
        (f"{FOLDER}/l1-x4/decoder_powr", "did you mean 'decoder_power'?"),
        (f"{FOLDER}/l1-x5/decoder_power", f"did you mean '{FOLDER}/l1-x4'?"),
        ("decoder_power", "expected model/site/dictionary/figure"),
    ):
        assert words in repository.polysem("explain", name, fails=True)


@pytest.mark.workflow
def test_a_clone_explains_after_a_pull_and_says_what_to_do_before(clone, finished, tmp_path):
    name = f"{FOLDER}/l1-x4/decoder_power"
    assert clone.polysem("explain", name) == finished.polysem("explain", name)
    bare = finished.clone(tmp_path / "bare")
    assert "there are none; run `snakemake --cores all`" in bare.polysem("explain", name, fails=True)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """One job with a very long output path, run by Snakemake itself."""
    folder = tmp_path_factory.mktemp("tiny")
    (folder / "Snakefile").write_text(
        f"rule make_it:\n    output: '{LONG}'\n    log: 'logs/make_it.log'\n"
        "    params: code='0123456789abcdef', spec='{\"seed\": 0, \"params\": {\"k\": 3}}', folder='results'\n"
        "    shell: 'true python -m polysem step measure_dictionary; touch {output}'\n"
    )
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--quiet", "all"]
    subprocess.run(command, cwd=folder, env=environment(folder), check=True, capture_output=True)
    return folder


LONG = f"results/{'a' * 120}/{'b' * 120}.nc"


@pytest.mark.workflow
def test_the_record_of_a_long_path_is_found_and_read(tiny, monkeypatch):
    monkeypatch.chdir(tiny)
    record = read_record(LONG)
    assert (record.rule, record.module, record.log) == (
        "make_it",
        "polysem.tables.measure_dictionary",
        "logs/make_it.log",
    )
    assert record.params == {"seed": 0, "params": {"k": 3}}
    assert record.digests == ("0123456789abcdef",)
    assert read_record("results/other.nc") is None


@pytest.mark.workflow
def test_a_record_of_another_format_is_refused(tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tiny)
    (file,) = [path for path in (tiny / ".snakemake/metadata").rglob("*") if path.is_file()]
    copy = tmp_path / file.relative_to(tiny / ".snakemake")
    copy.parent.mkdir(parents=True)
    copy.write_text(file.read_text().replace('"record_format_version": 6', '"record_format_version": 7'))
    with pytest.raises(InputError, match="another version of Snakemake wrote it"):
        read_record(LONG, tmp_path)
