"""Params files that no person writes by hand, but that a generator, a merge or a stranger may."""

import time
from pathlib import Path

import pytest

from polysem.io.errors import InputError
from polysem.params.study import load_study

LEVELS = "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 10) if before else 'x'}]\n"
    for name, before in zip("abcdefghi", " abcdefgh", strict=True)
    for before in [before.strip()]
)
"""Ten lines that stand for a hundred million values."""
STUDY = """
corpora: {c: {source: generated}, d: {source: images}}
models: {m: {source: classifier, corpus: d, hidden: [8]}}
"""


@pytest.fixture
def refused(tmp_path):
    def words(text: str) -> str:
        (tmp_path / "params.yaml").write_text(text, encoding="utf-8")
        with pytest.raises(InputError) as caught:
            load_study(tmp_path / "params.yaml")
        assert "\n" not in str(caught.value)
        return str(caught.value)

    return words


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (LEVELS, "more than 200,000 values, aliases written out"),
        ("corpora: &a\n  b: *a\n", "line 1: an alias stands inside of what it is an alias of"),
        ("corpora: {a: &a [1, *a]}", "an alias stands inside of what it is an alias of"),
        ("corpora: " + "[" * 5000, "nested too deeply; a params file has at most 20 levels"),
        ("corpora: " + "[" * 30 + "]" * 30, "line 1: values are nested too deeply"),
        ("".join(" " * level + "a:\n" for level in range(1500)), "nested too deeply"),
        ("x: &x {a: 1}\ncorpora: {b: {<<: *x}}", "line 2: merge keys (<<) are not supported; write the keys out"),
        ("corpora: {a: {source: !!int abc}}", "line 1: 'abc' cannot be read as what it looks like"),
        ("corpora: {a: {seed: " + "9" * 5000 + "}}", "'9999999999999999999999999999999999999999…' cannot be read"),
        ("corpora: {a: {seed: 2001-13-45}}", "'2001-13-45' cannot be read as what it looks like: month must be"),
        ("? !!seq a\n: b", "a key must be a plain word"),
        ("a: 1\n---\nb: 1", "is no YAML file in UTF-8: line 2, column 1: but found another document"),
        ("__use_yte__: true\n__definitions__: [import os]", "unknown key '__use_yte__'"),
    ],
    ids=[
        "bomb", "alias of its parent", "alias in its list", "open brackets", "brackets", "indents", "merge key",
        "no number", "long number", "no date", "tagged key", "two documents", "template",
    ],
)  # fmt: skip
def test_yaml_that_would_hang_or_break_is_one_sentence(refused, text, said):
    began = time.process_time()
    assert said in refused(text)
    assert time.process_time() - began < 30


def test_a_file_of_many_megabytes_is_not_parsed(refused):
    assert "a params file has at most 16,777,216" in refused("# " + "x" * (17 << 20))


def test_an_alias_that_is_no_trick_is_read(tmp_path):
    text = STUDY + "saes:\n  a: &a {architecture: topk, k: 3, tokens: 2000}\n  b: *a\n"
    (tmp_path / "params.yaml").write_text(text)
    study = load_study(tmp_path / "params.yaml")
    assert study.saes["a"].recipe == study.saes["b"].recipe


def test_a_grid_of_a_million_saes_is_refused_at_once(refused):
    numbers = ", ".join(map(str, range(1000)))
    recipe = f"saes: {{a: {{architecture: topk, k: [{numbers}], seed: [{numbers}]}}}}"
    assert "saes.a: its lists span 1,000,000 SAEs; a recipe spans at most 10,000" in refused(STUDY + recipe)


RECIPE = "{architecture: topk, k: 3, tokens: 2000}"
ENTRIES = {
    "corpora": ("c: {source: generated}", "{source: generated}"),
    "models": ("m: {source: classifier", "{source: classifier, corpus: d, hidden: [8]}"),
    "saes": ("a: {architecture", RECIPE),
    "toys": ("t: {saes", "{saes: [a]}"),
}
"""Per kind of name: where an entry stands in the text below, and what another one holds."""
ALL = STUDY + f"saes: {{a: {RECIPE}}}\ntoys: {{t: {{saes: [a], neurons: 8, features: 16}}}}\n"


def beside(kind: str, name: str) -> str:
    """The study with one more entry of a kind."""
    first, content = ENTRIES[kind]
    assert ALL.count(first) == 1
    return ALL.replace(first, f"{name}: {content}, {first}")


@pytest.mark.parametrize("kind", ENTRIES)
@pytest.mark.parametrize("ending", ["json", "partial", "nc", "zarr", "html", "csv", "svg", "JSON"])
def test_a_name_that_is_a_file_of_the_layout_is_refused(refused, kind, ending):
    name = f"{ENTRIES[kind][0].partition(':')[0]}.{ending}"
    said = refused(beside(kind, name))
    assert f"{kind}: the name {name!r} ends in '.{ending}'" in said
    assert name.replace(".", "-") in said


@pytest.mark.parametrize("kind", ENTRIES)
def test_two_names_that_differ_in_case_alone_are_refused(refused, kind):
    name = ENTRIES[kind][0].partition(":")[0]
    assert f"{kind}: {name.upper()!r} and {name!r} differ in case alone" in refused(beside(kind, name.upper()))


@pytest.mark.parametrize("kind", ENTRIES)
@pytest.mark.parametrize("name", ["neurons", "together", "index", "Index"])
def test_names_of_the_layout_itself_are_taken(refused, kind, name):
    assert f"the name {name!r} is not allowed" in refused(beside(kind, name))


def test_a_toy_is_not_called_as_a_model_in_capitals(refused):
    assert "toys.M: a model is called 'm', which differs in case alone" in refused(ALL.replace("t: {saes", "M: {saes"))


@pytest.mark.parametrize("name", ["gpt-neo-1.3B", "pythia-1.4b", "l1.5", "TinyStories-656K", "a.jsonx"])
def test_names_with_dots_that_are_no_files_are_allowed(tmp_path, name):
    for kind in ENTRIES:
        (tmp_path / "params.yaml").write_text(beside(kind, name))
        load_study(tmp_path / "params.yaml")


def test_a_name_that_no_file_system_takes_is_refused(refused):
    assert "has 201 characters, and folders are called so; 200 are allowed" in refused(beside("saes", "a" * 201))
    grid = "{architecture: topk, k: [3, 4], tokens: [2000, 3000], weight_decay: [0.1, 0.2], learning_rate: [1e-3, 2e-3]}"
    said = refused(beside("saes", "a" * 150).replace(RECIPE, grid, 1))
    assert "saes.aaa" in said and "characters, and folders are called so" in said


def test_the_colliding_recipes_are_refused_before_anything_is_made(tmp_path: Path, refused):
    recipes = "saes: {a: %s, a.json: %s, a.partial: %s}" % ((RECIPE,) * 3)
    assert "the name 'a.json' ends in '.json'" in refused(STUDY + recipes)
