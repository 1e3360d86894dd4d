"""Tokens, labels, comments, names and texts are data: whatever they hold, nothing of it runs."""

import json
from pathlib import Path

import pytest

import polysem
from polysem.io.content import file_digest
from polysem.layout.annotations import weights_of
from polysem.layout.notes import write_note

from .conftest import SAE, expect, open_by

TEXTS = ("</script></textarea></title><script>window.ran = 1</script>", '"\'><img src=x onerror="window.ran = 1">')
SCRIPT = "".join(TEXTS)
"""Longer than what the model reads at once."""
OVERRIDE = "abc\u202edef"
WRONG = """() => [
  ...(window.ran ? ["something ran"] : []),
  ...[...document.scripts].filter((each) => !each.src.startsWith(location.origin + "/static/")),
  ...[...document.images].filter((each) => each.getAttribute("src") === "x"),
  ...[...document.querySelectorAll("*")].filter((each) => each.getAttributeNames().some((one) => one.startsWith("on"))),
].map(String)"""


def nothing_ran(page) -> bool:
    return not page.evaluate(WRONG)


@pytest.fixture(scope="module")
def hostile(finished, tmp_path_factory):
    """A study one of whose most frequent tokens is a script, with notes by somebody who means no good."""
    repository = finished.copy(tmp_path_factory.mktemp("hostile") / "repository")
    dictionary = polysem.open(repository / "results")["stories-1l"]["blocks.0.mlp.hook_post"]["topk-x4"]
    rename_a_token(repository / "results/models/stories-1l", dictionary.table("examples")["token"].to_numpy())
    weights = weights_of(Path(dictionary.place.tables_receipt))
    said = {"star": True, "label": SCRIPT, "note": SCRIPT, "comment": f"{SCRIPT} {OVERRIDE}"}
    write_note(dictionary.place, 7, SCRIPT, weights, **said, root=repository.folder)
    return repository


def rename_a_token(model, shown):
    """Make the token that examples show most often, of those that no other is merged from, a script."""
    path, record = model / "tokenizer.json", model / "model.json"
    tokenizer = json.loads(path.read_text())
    vocabulary, merges = tokenizer["model"]["vocab"], tokenizer["model"]["merges"]
    parts = {part for pair in merges for part in pair}
    last = {"".join(pair): pair for pair in merges if "".join(pair) not in parts}
    name = max(last, key=lambda each: int((shown == vocabulary[each]).sum()))
    merges.remove(last[name])
    vocabulary[SCRIPT.replace(" ", "Ġ")] = vocabulary.pop(name)
    path.write_text(json.dumps(tokenizer))
    said = json.loads(record.read_text())
    said["files"]["tokenizer.json"] = file_digest(path)
    record.write_text(json.dumps(said))


@pytest.fixture(scope="module")
def address(hostile):
    with open_by(hostile, "Ada") as found:
        yield found


def test_hostile_tokens_and_notes_run_nothing(page, address):
    for place in (f"{SAE}/7", SAE, "/notes", f"/?text={'the girl'}&density=1", f"{SAE}/7?text=a"):
        page.goto(f"{address}{place}")
        assert nothing_ran(page)
    page.goto(f"{address}{SAE}/7")
    expect(page.locator(".labels .label")).to_contain_text("<script>window.ran = 1</script>")
    assert "\u202e" not in page.content() and "RLO" in page.locator(".comments").inner_text()
    page.goto(f"{address}{SAE}?sort=frequency")
    assert "window.ran" in page.locator("tbody").inner_text()


@pytest.mark.parametrize("text", TEXTS)
def test_a_hostile_text_runs_nothing_wherever_it_is_shown(page, address, text):
    page.goto(address)
    page.get_by_label("A text").fill(text)
    page.get_by_label("A text").press("Enter")
    expect(page.locator("[data-say]")).to_be_visible()
    assert nothing_ran(page)
    page.reload()
    assert nothing_ran(page)
    expect(page.get_by_label("A text")).to_have_value(text)
    page.goto(f"{address}{SAE}/7")
    page.get_by_role("textbox", name="Text 1").fill(text)
    expect(page.locator(".strongest, .tries .error")).to_be_visible()
    assert nothing_ran(page)
    page.reload()
    assert nothing_ran(page)


def test_an_address_that_names_what_is_not_there_runs_nothing(page, address):
    answer = page.request.get(f"{address}/%3Cscript%3Ewindow.ran=1%3C%2Fscript%3E/x/y")
    assert answer.status == 404 and "<script>window" not in answer.text() and "&lt;script&gt;" in answer.text()
