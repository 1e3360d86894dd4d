"""`sheets:` and the labels, checked before any job starts."""

from pathlib import Path

import pytest

from polysem.io.errors import InputError
from polysem.layout.place import Place
from polysem.params.study import load_study
from polysem.workflow.artifacts import with_sheets
from polysem.workflow.checks import feature_numbers

PARAMS = """
corpora:
  images: {source: images}
models:
  digits: {source: classifier, corpus: images, hidden: [16]}
saes:
  topk-x4: {architecture: topk, k: 4, expansion: 4}
"""
DICTIONARY = "digits/layers.0.hook_post/topk-x4"


def loaded(folder, sheets):
    path = folder / "params.yaml"
    path.write_text(f"{PARAMS}sheets: {sheets}\n")
    return load_study(path)


def test_the_listed_features_of_a_dictionary_and_of_the_neurons_reach_its_sheets(tmp_path):
    neurons = "digits/layers.0.hook_post/neurons"
    study = loaded(tmp_path, f"{{polysemantic: 3, listed: {{{DICTIONARY}: [63, 0], {neurons}: [15]}}}}")
    feature_numbers.check(study)
    choice = study.sheets.choice("digits", "layers.0.hook_post", "topk-x4", study.analysis)
    assert (choice.listed, choice.listed_neurons, choice.polysemantic) == ([63, 0], [15], 3)
    assert study.sheets.choice("digits", "layers.0.hook_post", "neurons", study.analysis).listed == [15]
    assert study.values()["sheets"]["random"] == 10


def sheets_of(study, site):
    return [place.dictionary for place in with_sheets(study, site)]


def test_a_grid_has_sheets_of_its_first_sae_of_labelled_and_of_listed_ones(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    site = Place("digits", "layers.0.hook_post")
    listed = "{listed: {digits/layers.0.hook_post/topk-x4_k=4_seed=2: [1]}}"
    given = {"{}": [], listed: ["topk-x4_k=4_seed=2"]}
    firsts = ["neurons", "topk-x4_k=4_seed=0"]
    grid = PARAMS.replace("k: 4, expansion: 4", "k: [4, 8], seed: [0, 1, 2], expansion: 4")
    grid += "  other: {architecture: relu, l1: 1}\n"
    for sheets, more in given.items():
        (tmp_path / "params.yaml").write_text(f"{grid}sheets: {sheets}\n")
        study = load_study(tmp_path / "params.yaml")
        assert sheets_of(study, site) == [*firsts, *more, "other"]
    label = Path(site.of("topk-x4_k=8_seed=1").labels)
    label.parent.mkdir(parents=True)
    label.write_text("feature,label,author,note\n")
    assert sheets_of(study, site) == [*firsts, *more, "topk-x4_k=8_seed=1", "other"]
    for sheets in ("{saes: all}", "{all: true}"):
        (tmp_path / "params.yaml").write_text(f"{grid}sheets: {sheets}\n")
        study = load_study(tmp_path / "params.yaml")
        assert sheets_of(study, site) == study.dictionaries_of(*site.names)


@pytest.mark.parametrize(
    ("sheets", "problem"),
    [
        ("{listed: {digits/layers.0.hook_post/topk-x8: [1]}}", f"did you mean '{DICTIONARY}'"),
        ("{listed: {topk-x4: [1]}}", "its keys are model/site/dictionary: digits/layers.0.hook_post/neurons, "),
        (f"{{listed: {{{DICTIONARY}: [-1]}}}}", "greater than or equal to 0"),
        (f"{{listed: {{{DICTIONARY}: 3}}}}", "sheets.listed"),
        ("{randon: 3}", "did you mean 'random'"),
    ],
)
def test_a_mistake_in_the_choice_is_refused_by_name(tmp_path, sheets, problem):
    with pytest.raises(InputError, match=problem):
        loaded(tmp_path, sheets)


@pytest.mark.parametrize(("dictionary", "last"), [("topk-x4", 63), ("neurons", 15)])
def test_a_listed_feature_beyond_the_last_is_refused_before_any_job(tmp_path, dictionary, last):
    study = loaded(tmp_path, f"{{listed: {{digits/layers.0.hook_post/{dictionary}: [{last + 1}]}}}}")
    with pytest.raises(InputError, match=f"{dictionary} has the features 0 … {last}, and no {last + 1}"):
        feature_numbers.check(study)


def test_a_label_of_a_feature_beyond_the_last_is_refused_before_any_job(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "labels" / f"{DICTIONARY}.csv"
    file.parent.mkdir(parents=True)
    file.write_text("feature,label,author,note\n63,last,Ada,\n")
    study = loaded(tmp_path, "{}")
    feature_numbers.check(study)
    file.write_text("feature,label,author,note\n64,none,Ada,\n")
    with pytest.raises(InputError, match=r"topk-x4\.csv, line 2: there is no feature 64"):
        feature_numbers.check(study)


def test_labels_that_nobody_reads_are_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model, site, dictionary = DICTIONARY.split("/")
    files = [
        f"labels/{model}/{site}/{dictionary}.csv",
        f"labels/{model}x/{site}/{dictionary}.csv",
        f"labels/{model}/{site}/unknown.csv",
        "labels/another/studys/thing.csv",
    ]
    for file in [tmp_path / name for name in files]:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("feature,label,author,note\n")
    said = feature_numbers.unread_labels(loaded(tmp_path, "{}"))
    assert [each.split()[0] for each in said] == sorted(files[1:3])
    assert f"(did you mean {files[0]!r}?)" in " ".join(said)
