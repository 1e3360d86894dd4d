"""Notes in Python and on the console: features that people starred, labelled or commented."""

import html
import json
import shutil
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

import polysem
from polysem.cli import main
from polysem.layout.annotations import weights_of
from polysem.layout.notes import write_note
from polysem.layout.place import Place

SITE = "blocks.0.mlp.hook_post"
SAE = Place("stories-1l", SITE, "topk-x4")
HOSTILE = "</title><script>alert(1)</script><img src=x onerror=alert(1)>\u202e{{ 7 * 7 }}\x1b[31m"
pytestmark = pytest.mark.workflow


@pytest.fixture
def noted(results):
    """Writes a note on a feature beside the results; the weights are those of the run, or of another training."""

    def write(feature: int, author: str = "Ada", place: Place = SAE, other: bool = False, **said):
        weights = weights_of(results / place.tables_receipt.removeprefix("results/"))
        return write_note(place, feature, author, "f" * 64 if other else weights, root=results.parent, **said)

    return write


class Page(HTMLParser):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags, self.links, self.text = [], [], ""
        self.feed(path.read_text())

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [value for key, value in attrs if key in ("href", "src")]
        assert not any(key.startswith("on") for key, _ in attrs)

    def handle_data(self, data):
        self.text += data


def test_notes_are_those_of_the_weights_that_are_there(results, noted):
    noted(9, star=True, label="dogs", note="big ones", comment="see 7")
    noted(9, "Björn", star=True)
    noted(9, other=True, label="cats", comment="of old")
    noted(7, other=True, star=True)
    noted(3, place=SAE.of("neurons"), comment="a neuron")
    study = polysem.open(results)
    feature = study["stories-1l"][SITE]["topk-x4"].feature(9)
    assert feature.label == "dogs" and feature.starred
    assert [(note.author, note.star, [one.text for one in note.comments]) for note in feature.notes] == [
        ("Ada", True, ["see 7"]),
        ("Björn", True, []),
    ]
    assert [note.label for note in feature.notes_on_other_trainings] == ["cats"]
    assert not study["stories-1l"][SITE]["topk-x4"].feature(7).starred
    table = study.notes
    assert list(table.feature) == [3, 7, 9, 9, 9] and list(table.current) == [True, False, True, False, True]
    assert table.dtypes[["feature", "star", "current"]].astype(str).tolist() == ["int64", "bool", "boolean"]
    assert table.comments[0][0][1] == "a neuron" and list(table.dictionary[:2]) == ["neurons", "topk-x4"]
    assert [*study.starred.author] == ["Ada", "Björn"] and set(study.starred.feature) == {9}
    again = study["stories-1l"][SITE]["topk-x4"].new_sheet(9)
    assert "★" in again and "see 7" in again and "Of another training: 1 note" in again


def test_a_study_without_notes_has_an_empty_table_of_the_same_columns(results, noted):
    empty = polysem.open(results).notes
    noted(3, star=True)
    full = polysem.open(results).notes
    assert len(empty) == 0 and list(empty.columns) == list(full.columns) and (empty.dtypes == full.dtypes).all()


def test_which_training_notes_are_about_is_not_known_without_tables(results, noted):
    noted(3, star=True)
    (results / SAE.tables_receipt.removeprefix("results/")).unlink()
    study = polysem.open(results)
    assert study.notes.current.isna().all() and len(study.starred) == 0


def test_the_list_is_printed_and_filtered_and_obeys_no_text(results, noted, capsys):
    noted(9, star=True, label="dogs", comment=HOSTILE)
    noted(12, "Björn", star=True, label="Cats")
    noted(13, "Björn", label="a label alone")
    noted(14, other=True, star=True, label="birds")

    def said(*options: str) -> str:
        assert main(["notes", "--results", str(results), *options]) == 0
        return capsys.readouterr().out

    everything = said()
    assert everything.startswith(f"{SAE.path}\n      9  ★ Ada  dogs\n         Ada, ") and "\x1b" not in everything
    assert "\\x1b[31m" in everything and "\\u202e" in everything
    assert "     14\n         of another training (ffffffff): ★ birds Ada\n" in everything
    assert everything.endswith("\n3 features\n") and "a label alone" not in everything
    assert said("--author", "Björn").endswith("     12  ★ Björn  Cats\n1 feature\n")
    assert said("--label", "CAT").endswith("     12  ★ Björn  Cats\n1 feature\n")
    assert said("--model", "digits") == "0 features\n"
    assert main(["notes", "--results", str(results), "--model", "digit"]) == 1
    assert "did you mean 'digits'" in capsys.readouterr().err


def test_an_exported_list_opens_from_disk_and_holds_nothing_but_text(results, noted, tmp_path, capsys):
    for author in ("Ada", HOSTILE):
        noted(9, author, star=True, label=HOSTILE, note=HOSTILE, comment=HOSTILE)
    noted(3, place=SAE.of("neurons"), comment=HOSTILE)
    noted(14, other=True, star=True, label=HOSTILE)
    noted(0, place=Place("digits", "layers.0.hook_post", "neurons"), star=True)
    folder = tmp_path / "given" / "away"
    assert main(["notes", "--results", str(results), "export", str(folder)]) == 0
    assert capsys.readouterr().out == f"written: {folder}\n"
    shutil.move(folder, tmp_path / "elsewhere")
    folder = tmp_path / "elsewhere"
    pages = sorted(folder.rglob("*.html"))
    names = [page.relative_to(folder).as_posix() for page in pages]
    digits = "sheets/digits/layers.0.hook_post/neurons/0.html"
    assert names == ["index.html", digits, f"sheets/stories-1l/{SITE}/neurons/3.html", f"sheets/{SAE.path}/9.html"]
    for path in pages:
        page = Page(path)
        assert page.tags.count("script") == 1 and page.links.count("x") == 0
        assert "\u202e" not in path.read_text() and "\x1b" not in path.read_text()
        for link in page.links:
            if not link.startswith(("data:image/png;base64,", "#")):
                assert (path.parent / unquote(link.partition("#")[0])).resolve().is_relative_to(folder.resolve())
                assert (path.parent / unquote(link.partition("#")[0])).is_file(), (path, link)
    sheet = Page(folder / f"sheets/{SAE.path}/9.html")
    assert sheet.text.count("<script>alert(1)</script>") == 9 and "{{ 7 * 7 }}" in sheet.text
    index = Page(folder / "index.html")
    assert index.text.count("<script>alert(1)</script>") >= 5 and "of another training" in index.text
    assert "Notes: 4 features" in index.text


def test_an_export_overwrites_nothing_and_leaves_nothing_behind(results, noted, tmp_path, capsys):
    noted(9, star=True)
    there = tmp_path / "there"
    there.mkdir()
    (there / "mine.txt").write_text("mine")
    assert main(["notes", "--results", str(results), "export", str(there)]) == 1
    assert "is there already; remove it or name another folder" in capsys.readouterr().err
    assert main(["notes", "--results", str(results), "export", str(tmp_path / "new"), "--author", "Zoe"]) == 1
    assert "nobody starred or commented such a feature" in capsys.readouterr().err
    shutil.rmtree(results / "index")
    (results / f"tables/{SAE.path}/logits.nc").write_bytes(b"no table")
    assert main(["notes", "--results", str(results), "export", str(tmp_path / "new")]) == 1
    assert "logits.nc" in capsys.readouterr().err
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("new")]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["topk-x4", "9", "--star"], "'topk-x4' is no dictionary; name it as model/site/dictionary"),
        ([f"stories-1l/{SITE}/topk", "9", "--star"], "did you mean 'topk-x4'"),
        ([SAE.path, "256", "--star"], "has no feature 256; it has 0 … 255"),
        ([SAE.path, "9"], "say what to note: --star, --label, --note or --comment"),
        ([SAE.path, "9", "--note", "big ones"], "there is a note, and no label that it is about"),
        ([SAE.path, "9", "--comment", ""], "comments.0.text: the text is empty"),
    ],
)
def test_what_cannot_be_noted_is_refused(results, capsys, options, problem):
    assert main(["notes", "add", *options, "--author", "Ada", "--results", str(results)]) == 1
    assert problem in capsys.readouterr().err
    assert not list(results.parent.glob("labels/**/*.json"))


def test_a_note_is_added_with_the_weights_that_the_tables_are_of(results, capsys):
    for options in (["--star"], ["--label", "dogs"], ["--no-star", "--comment", "on second thoughts"]):
        assert main(["notes", "add", SAE.path, "9", "--author", "Ada", "--results", str(results), *options]) == 0
    said = json.loads("{" + capsys.readouterr().out.rpartition("\n{")[2])
    assert (said["star"], said["label"], len(said["comments"])) == (False, "dogs", 1)
    sae = results / f"saes/{SAE.path}/sae_weights.safetensors"
    from polysem.io.content import file_digest

    assert said["weights"] == file_digest(sae)
    assert polysem.open(results)["stories-1l"][SITE]["topk-x4"].feature(9).label == "dogs"


def test_notes_of_a_revision_are_those_that_git_has(copied, inside, noted):
    inside(copied)
    weights = weights_of(copied / SAE.tables_receipt)
    write_note(SAE, 7, "Ada", weights, star=True, label="names", root=copied.folder)
    copied.commit("A star")
    write_note(SAE, 7, "Ada", weights, label="places", root=copied.folder)
    features = {
        revision: polysem.open(".", revision=revision)["stories-1l"][SITE]["topk-x4"].feature(7)
        for revision in ("HEAD~1", "HEAD")
    }
    assert not features["HEAD~1"].starred and features["HEAD~1"].label == ""
    assert features["HEAD"].starred and features["HEAD"].label == "names"


def test_a_notebook_shows_stars_and_comments_as_text(results, noted):
    noted(9, HOSTILE, star=True, label=HOSTILE, comment=HOSTILE)
    shutil.rmtree(results / f"report/sheets/{SAE.path}")
    framed = polysem.open(results)["stories-1l"][SITE]["topk-x4"].feature(9)._repr_html_()
    assert framed.count("<") == 2
    page = html.unescape(framed)
    assert "★" in page and "<script" not in page and "<img src=x" not in page and "&lt;script" in page
