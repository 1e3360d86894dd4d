"""`polysem diff`: two results folders, two revisions."""

import hashlib
import json
import os
import re
import subprocess

import pytest

from polysem.cli import main
from polysem.io.errors import InputError
from polysem.workflow.commands.differences import Line, Pair, differences
from polysem.workflow.commands.sides import Side, read_side

SVG = '<svg xmlns="http://www.w3.org/2000/svg"><title>{}</title></svg>'
PARAMS = """\
corpora: {stories: {source: generated, train_documents: 40, eval_documents: 20}}
models:
  toy:
    source: trained
    corpus: stories
    sites: [blocks.0.mlp.hook_post]
    architecture: {layers: 1, d_model: 32, heads: 2, d_mlp: 64, activation: relu, vocabulary: 512}
    training: {tokens: 60000, batch_tokens: 2048}
    activations: {train_tokens: 8192, eval_tokens: 4096}
saes: {}
"""


def results(folder, metrics, figures=(), params=None, claims=()):
    """A results folder with `{dictionary path: {figure: content}}`; a content of None was not applicable."""
    folder.mkdir(parents=True)
    (folder / "metrics.json").write_text(json.dumps(metrics))
    (folder / "claims.json").write_text(json.dumps(list(claims)))
    if params is not None:
        (folder / "report/pages").mkdir(parents=True)
        (folder / "report/pages/params.json").write_text(json.dumps(params))
    for key, drawn in dict(figures).items():
        said = {}
        for name, text in drawn.items():
            file = folder / f"figures/{key}/{name}.svg"
            file.parent.mkdir(parents=True, exist_ok=True)
            if text is not None:
                file.write_text(SVG.format(text))
            digest = None if text is None else hashlib.sha256(SVG.format(text).encode()).hexdigest()
            said[name] = {"not_applicable": "no cluster"} if text is None else {"sha256": digest}
        (folder / f"figures/{key}.json").write_text(json.dumps({"artifacts": said}))
    return folder


@pytest.fixture
def two(tmp_path):
    before = results(
        tmp_path / "before",
        {
            "toy": {
                "model": {"loss": 2.0},
                "site": {"neurons": {"L0": 10.0}, "l1": {"L0": 4.0, "law": "power", "same": 1}},
            }
        },
        {"toy/site/l1": {"power": "old", "equal": "x", "cluster": None}, "toy/site/gone": {"power": "p"}},
        {"saes": {"l1": {"l1": 2, "seed": 0}}},
        [
            {"id": "S2.F1", "statement": "dense", "verdict": "differs"},
            {"id": "S2.F4", "statement": "alike", "verdict": "close", "distance": 0.03},
            {"id": "S2.F6", "statement": "together", "verdict": "close", "distance": -2.0},
        ],
    )
    after = results(
        tmp_path / "after",
        {
            "toy": {
                "model": {"loss": 1.5},
                "site": {"l1": {"L0": 5.0, "law": "exponential", "same": 1, "new": 3}, "topk": {}},
            }
        },
        {"toy/site/l1": {"power": "new", "equal": "x", "cluster": "c"}},
        {"saes": {"l1": {"l1": 3, "seed": 0}}},
        [
            {"id": "S2.F1", "statement": "dense", "verdict": "reproduced"},
            {"id": "S2.F4", "statement": "alike", "verdict": "close", "distance": -0.01},
            {"id": "S2.F6", "statement": "together", "verdict": "close", "distance": -2.0},
        ],
    )
    return before, after


def test_what_differs_between_two_folders_is_found_and_nothing_else(two):
    found = differences(*(read_side(str(side)) for side in two))
    assert found.params == [Line("saes.l1.l1", "2", "3", "+1 (+50 %)")]
    assert found.metrics == {
        "toy": [Line("loss", "2", "1.5", "−0.5 (−25 %)")],
        "toy/site/l1": [
            Line("L0", "4", "5", "+1 (+25 %)"),
            Line("law", "power", "exponential"),
            Line("new", "–", "3"),
        ],
    }
    assert found.same_metrics == 1
    assert (found.only_before, found.only_after) == (["toy/site/neurons"], ["toy/site/topk"])
    assert found.verdicts == [
        Line("S2.F1 dense", "differs", "reproduced"),
        Line("S2.F4 alike", "close (+0.03)", "close (-0.01)"),
    ]
    before, after = (side / "figures/toy/site" for side in two)
    assert found.figures == [
        Pair("toy/site/gone", "power", f"only in {two[0]}", before / "gone/power.svg", None),
        Pair("toy/site/l1", "cluster", f"only in {two[1]}", None, after / "l1/cluster.svg"),
        Pair("toy/site/l1", "power", "changed", before / "l1/power.svg", after / "l1/power.svg"),
    ]
    assert found.same_figures == 1


def test_figures_of_a_version_that_listed_them_under_another_key_are_compared(two):
    wanted = differences(*map(read_side, map(str, two)))
    receipts = [*two[0].glob("figures/*/*/*.json")]
    for receipt in receipts:
        receipt.write_text(json.dumps({"figures": json.loads(receipt.read_text())["artifacts"]}))
    found = differences(*map(read_side, map(str, two)))
    assert receipts and found.figures == wanted.figures and found.same_figures == wanted.same_figures


def test_a_folder_does_not_differ_from_itself(two, capsys):
    assert main(["diff", str(two[0]), str(two[0])]) == 0
    assert "Nothing that can be compared differs." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("old", "new", "change"),
    [(0.0, 2.0, "+2"), (-2.0, -1.0, "+1 (+50 %)"), (1.0, "x", ""), (None, 2.0, ""), (1.0, float("nan"), "")],
)
def test_a_change_has_a_sign_and_a_share_of_what_was(old, new, change):
    sides = [Side("x", {}, {"m": {"model": {"n": value}}}, {}, {}) for value in (old, new)]
    assert [line.change for lines in differences(*sides).metrics.values() for line in lines] == [change]


def test_the_page_shows_the_figures_side_by_side_and_needs_no_network(two, tmp_path, capsys):
    page = tmp_path / "out/page.html"
    assert main(["diff", *map(str, two), "--html", str(page), "--markdown", str(tmp_path / "out/text.md")]) == 0
    assert capsys.readouterr().out == ""
    text = page.read_text()
    addresses = re.findall(r'<img[^>]* src="([^"]+)"', text)
    assert len(addresses) == 4
    titles = [re.search("<title>(.*)</title>", (page.parent / address).read_text())[1] for address in addresses]
    assert titles == ["p", "c", "old", "new"]
    assert "http" not in text and "No such figure." in text
    markdown = (tmp_path / "out/text.md").read_text()
    assert "| L0 | 4 | 5 | +1 (+25 %) |" in markdown
    assert "- toy/site/l1: cluster (only in" in markdown and "power (changed)" in markdown


def test_a_page_written_again_keeps_no_figure_of_the_last_one_and_removes_nothing_else(two, tmp_path):
    page = tmp_path / "page.html"
    main(["diff", *map(str, two), "--html", str(page)])
    main(["diff", str(two[0]), str(two[0]), "--html", str(page)])
    assert not list(tmp_path.glob("page_figures/**/*.svg"))
    (tmp_path / "page_figures").mkdir()
    (tmp_path / "page_figures/mine.txt").write_text("keep")
    assert main(["diff", *map(str, two), "--html", str(page)]) == 1
    assert (tmp_path / "page_figures/mine.txt").read_text() == "keep"


def test_names_are_text_in_the_page_and_in_markdown(tmp_path, capsys):
    one = results(tmp_path / "<b>", {"m": {"s": {"<i>|x": {"n|`": 1}}}})
    other = results(tmp_path / "other", {"m": {"s": {"<i>|x": {"n|`": 2}}}})
    page = tmp_path / "page.html"
    assert main(["diff", str(one), str(other), "--html", str(page)]) == 0
    assert "<i>" not in page.read_text() and "<b>" not in page.read_text()
    assert "| n\\|\\` | 1 | 2 |" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["nowhere", "--upload-pack=x"])
def test_what_is_neither_folder_nor_revision_is_refused(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="neither a results folder nor a revision"):
        read_side(name)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("metrics.json", "[]"),
        ("metrics.json", '{"a": {"b": 3}}'),
        ("metrics.json", '{"a": {"model": []}}'),
        ("metrics.json", '{"a": {"b": {"c": 3}}}'),
        ("metrics.json", "\udcff"),
        ("metrics.json", "[" * 100_000),
        ("claims.json", '{"id": 1}'),
        ("claims.json", "3"),
        ("report/pages/params.json", "[]"),
        ("figures/toy/site/l1.json", "[]"),
        ("figures/toy/site/l1.json", '{"artifacts": {"power": 3}}'),
        ("figures/toy/site/l1.json", '{"figures": {"power": 3}}'),
    ],
)
def test_json_that_no_run_wrote_is_a_sentence(two, capsys, file, content):
    (two[1] / file).write_bytes(content.encode("utf-8", "surrogateescape"))
    assert main(["diff", *map(str, two)]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"error: {two[1] / file} is ") and "name the results of a run" in said
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize("option", ["--html", "--markdown"])
@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("folder", "{option}: folder is a folder; name a file"),
        ("file/page.html", "{option}: file is no folder, so nothing can be written below it"),
        ("/proc/page.html", "could not be read or written (No such file or directory); name another path"),
        ("x" * 300, "could not be read or written (File name too long); name another path"),
    ],
)
def test_a_path_that_no_file_can_have_is_a_sentence(two, tmp_path, monkeypatch, capsys, option, path, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    assert main(["diff", *map(str, two), option, path]) == 1
    found = capsys.readouterr().err
    assert found.startswith("error: ") and said.format(option=option) in found
    assert not list(tmp_path.glob("*.partial")) and not (tmp_path / "folder_figures").exists()


def test_a_file_in_the_place_of_the_figures_is_kept(two, tmp_path, capsys):
    (tmp_path / "page_figures").write_text("mine")
    assert main(["diff", *map(str, two), "--html", str(tmp_path / "page.html")]) == 1
    assert "page_figures is no folder for figures; remove it, or name another --html" in capsys.readouterr().err
    assert (tmp_path / "page_figures").read_text() == "mine"


def test_a_folder_without_metrics_is_refused(tmp_path):
    with pytest.raises(InputError, match="without metrics"):
        read_side(str(tmp_path))


@pytest.fixture
def history(tmp_path, monkeypatch):
    """A git repository with two runs of which only params and metrics are kept."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.chdir(tmp_path)
    identity = ["-c", "user.name=T", "-c", "user.email=t@example.org"]
    subprocess.run(["git", "init", "--quiet", "."], check=True)
    for tokens, loss in ((60000, 3.0), (90000, 2.5)):
        (tmp_path / "params.yaml").write_text(PARAMS.replace("60000", str(tokens)))
        (tmp_path / "results").mkdir(exist_ok=True)
        (tmp_path / "results/metrics.json").write_text(json.dumps({"toy": {"model": {"loss": loss}}}))
        subprocess.run(["git", "add", "--all"], check=True)
        subprocess.run(["git", *identity, "commit", "--quiet", "--message", "Run"], check=True)
    return tmp_path


def test_two_revisions_differ_in_params_and_metrics_and_missing_figures_are_named(history, capsys):
    assert main(["diff", "HEAD~1", "HEAD"]) == 0
    text = capsys.readouterr().out
    assert "| models.toy.training.tokens | 60,000 | 90,000 |" in text
    assert "| loss | 3 | 2.5 | −0.5 (−16.7 %) |" in text
    assert "HEAD~1 has no results/figures in dvc.lock" in text.replace("\\", "")


def test_a_revision_and_the_folder_as_it_is_can_be_compared(history, capsys):
    (history / "results/metrics.json").write_text(json.dumps({"toy": {"model": {"loss": 2.0}}}))
    assert main(["diff", "HEAD", "results"]) == 0
    assert "| loss | 2.5 | 2 | −0.5 (−20 %) |" in capsys.readouterr().out


def test_params_that_this_version_does_not_know_are_left_out_and_said_to_be(history, capsys):
    (history / "params.yaml").write_text(PARAMS + "plots: {}\n")
    identity = ["-c", "user.name=T", "-c", "user.email=t@example.org"]
    subprocess.run(["git", *identity, "commit", "--quiet", "--all", "--message", "Old key"], check=True)
    assert main(["diff", "HEAD~1", "HEAD"]) == 0
    assert "params.yaml of HEAD does not fit this version of polysem" in capsys.readouterr().out


@pytest.mark.parametrize("lock", ["[]", "stages: 3", "<<<<<<< HEAD\n\t: {"])
def test_a_lock_file_that_dvc_did_not_write_is_a_sentence(history, capsys, lock):
    (history / "dvc.lock").write_text(lock)
    identity = ["-c", "user.name=T", "-c", "user.email=t@example.org"]
    subprocess.run(["git", "add", "dvc.lock"], check=True)
    subprocess.run(["git", *identity, "commit", "--quiet", "--message", "Lock"], check=True)
    assert main(["diff", "HEAD~1", "HEAD"]) == 1
    assert "error: HEAD:dvc.lock is no lock file of DVC" in capsys.readouterr().err


@pytest.mark.workflow
def test_figures_of_two_revisions_come_from_the_cache_of_dvc(repository):
    folder = "stories-1l/blocks.0.mlp.hook_post/l1-x4"
    figure = repository / f"results/figures/{folder}/frequency_histogram.svg"
    before = figure.read_text()
    figure.write_text(SVG.format("another"))
    receipt = repository / f"results/figures/{folder}.json"
    content = json.loads(receipt.read_text())
    content["artifacts"]["frequency_histogram"]["sha256"] = hashlib.sha256(figure.read_bytes()).hexdigest()
    receipt.write_text(json.dumps(content))
    repository.dvc("commit", "--force")
    repository.commit("Another figure")
    text = repository.polysem("diff", "HEAD~1", "HEAD", "--html", "page.html").replace("\\", "")
    assert f"- {folder}: frequency_histogram (changed)" in text
    assert "## Not compared" not in text
    kept = {side: repository / f"page_figures/{side}/{folder}/frequency_histogram.svg" for side in "ab"}
    assert (kept["a"].read_text(), kept["b"].read_text()) == (before, SVG.format("another"))


@pytest.mark.workflow
def test_figures_that_are_not_in_the_cache_are_named_with_the_command_that_gets_them(finished, tmp_path):
    fresh = finished.clone(tmp_path / "fresh")
    text = fresh.polysem("diff", "HEAD", "HEAD").replace("\\", "")
    assert "The files of results/figures of HEAD are not in the cache of DVC here" in text
    command = re.search("`(dvc fetch --all-commits results/figures)`", text)[1]
    fresh.dvc(*command.split()[1:])
    assert "## Not compared" not in fresh.polysem("diff", "HEAD", "HEAD")
