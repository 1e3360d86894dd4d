"""Params files that no person writes by hand: what is refused is in `benchmarks/campaigns/bad_input.py`."""

import pytest
from campaigns import bad_input

from polysem.params.study import load_study

CASES = [(kind, name) for kind, inputs in bad_input.CHECKED.items() for name in inputs]


@pytest.mark.parametrize(("kind", "name"), CASES, ids=[f"{kind}, {name}" for kind, name in CASES])
def test_a_bad_input_is_one_sentence_before_anything_runs(tmp_path, kind, name):
    bad_input.refused(tmp_path, bad_input.CHECKED[kind][name])


def test_an_alias_that_is_no_trick_is_read(tmp_path):
    text = f"{bad_input.CORPORA}{bad_input.MODELS}saes:\n  a: &a {{{bad_input.RECIPE}}}\n  b: *a\n"
    (tmp_path / "params.yaml").write_text(text)
    study = load_study(tmp_path / "params.yaml")
    assert study.saes["a"].recipe == study.saes["b"].recipe


@pytest.mark.parametrize("name", ["gpt-neo-1.3B", "pythia-1.4b", "l1.5", "TinyStories-656K", "a.jsonx"])
@pytest.mark.parametrize("kind", bad_input.ENTRIES)
def test_names_with_dots_that_are_no_files_are_allowed(tmp_path, kind, name):
    (tmp_path / "params.yaml").write_text(bad_input.beside(kind, name))
    load_study(tmp_path / "params.yaml")
