"""The tool that makes small wrong edits; `make test` runs its smoke."""

import ast
from pathlib import Path

import pytest

pytest.importorskip("cosmic_ray", reason="needs benchmarks/mutants.txt, which `make mutants` installs")

from cosmic_ray.mutating import mutate_code
from mutants import FOLDERS, ROOT
from mutation.edits import EQUIVALENT, KINDS, equivalent, places, replaced, sample, statement
from mutation.operators import OWN

SOURCE = '''"""A module."""
LIMIT = 1e-9


def mean(x: "int | None", low=2) -> float:
    if x < LIMIT:
        x.append(3)
    return (
        x.sum()
        - x.mean(0)
    )


if __name__ == "__main__":
    mean(1)
'''


@pytest.mark.parametrize("kind", OWN)
def test_an_operator_makes_the_edits_that_it_shows(kind):
    for example in kind.examples():
        assert mutate_code(example.pre_mutation_code, kind(), example.occurrence) == example.post_mutation_code


def test_edits_are_made_of_code_and_not_of_annotations_or_command_lines(tmp_path):
    (tmp_path / "a.py").write_text(SOURCE)
    found = {edit.key[1:] for seed in range(30) for edit in sample(tmp_path, ["a.py"], 100, seed)}
    assert ("LIMIT = 1e-9", "LIMIT = 1e-08") in found
    assert ("if x < LIMIT:", "if x <= LIMIT:") in found
    assert ("x.append(3)", "pass") in found
    assert ("- x.mean(0)\n)", ")") in found
    assert {before for before, _ in found}.isdisjoint({"mean(1)", 'if __name__ == "__main__":'})
    assert not any("int & None" in after for _, after in found)


def test_the_same_seed_draws_the_same_edits_and_another_seed_others(tmp_path):
    (tmp_path / "a.py").write_text(SOURCE)
    first, again, other = ([edit.key for edit in sample(tmp_path, ["a.py"], 5, seed)] for seed in (1, 1, 2))
    assert first == again != other
    assert len(first) == 5


def test_every_edit_of_the_source_compiles_and_changes_it():
    files = [str(path.relative_to(ROOT)) for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
    assert sum(len(places((ROOT / file).read_text())) for file in files[::16]) > 300
    for edit in sample(ROOT, files[::16], 20, 0):
        ast.parse(edit.text)
        assert edit.text != (ROOT / edit.file).read_text()
        assert edit.before != edit.after


@pytest.mark.parametrize(
    ("line", "expected"),
    [(2, (2, 2, False)), (5, (5, 5, False)), (6, (6, 6, True)), (7, (7, 7, True)), (10, (8, 11, True))],
)
def test_an_edit_belongs_to_the_statement_around_it(line, expected):
    assert statement(SOURCE, line) == expected


def test_a_case_of_a_match_begins_with_its_pattern_and_ends_with_its_body():
    cases = (
        "        case 1:\n            return (\n                2\n            )\n        case _:\n            x += 1\n"
    )
    source = f"def f(x):\n    match x:\n{cases}"
    assert [statement(source, line) for line in (2, 3, 5, 8)] == [
        (2, 2, True),
        (3, 3, True),
        (4, 6, True),
        (8, 8, True),
    ]


def test_an_equivalent_edit_whose_line_is_gone_is_named(tmp_path):
    (tmp_path / "a.py").write_text(SOURCE)
    listed = tmp_path / "equivalent.toml"
    listed.write_text(
        '[[equivalent]]\nfile = "a.py"\nbefore = "LIMIT = 1e-9"\nafter = "LIMIT = 1e-10"\nreason = "never"\n'
    )
    assert equivalent(tmp_path, listed) == {("a.py", "LIMIT = 1e-9", "LIMIT = 1e-10"): "never"}
    assert replaced(tmp_path, "a.py", "LIMIT = 1e-9", "LIMIT = 1e-10").key in equivalent(tmp_path, listed)
    (tmp_path / "a.py").write_text(SOURCE.replace("1e-9", "1e-7"))
    with pytest.raises(ValueError, match=r"'LIMIT = 1e-9' of a.py, where no such line is"):
        equivalent(tmp_path, listed)


def test_the_listed_equivalents_are_of_the_source_and_have_reasons():
    assert all(reason for reason in equivalent(ROOT, EQUIVALENT).values())
    assert len(KINDS) > 30
    assert Path(EQUIVALENT).is_file()
