"""Scores on rubric sheets, checked before any job starts."""

from pathlib import Path

import pytest
from rubric_case import MODEL, RubricCase, given, put, scores_of

from polysem.io.errors import InputError
from polysem.layout.place import Place
from polysem.params.study import Study, load_study
from polysem.workflow.checks import rubric_scores
from polysem.workflow.contracts import contracts, modules
from polysem.workflow.tables import Tables, told

PARAMS = """
corpora:
  stories: {{source: generated}}
  images: {{source: images}}
models:
  toy:
    source: trained
    corpus: stories
    sites: [blocks.0.mlp.hook_post, blocks.1.mlp.hook_post]
    context_length: 16
    architecture: {{layers: 2, d_model: 8, heads: 1, d_mlp: 16, activation: relu, vocabulary: 300}}
    training: {{tokens: 1000, batch_tokens: 100}}
    activations: {{train_tokens: 8192, eval_tokens: 1000}}
  digits: {{source: classifier, corpus: images, hidden: [16]}}
saes:
  topk-x4: {{architecture: topk, k: 4, expansion: 4}}
analysis: {{rubric_features: {features}}}
"""
ITEM, SHEET = "0123456789abcdef", "0" * 64
GOOD = scores_of("Ada", SHEET, given(ITEM, 1, 2, 3, 3))


@pytest.fixture
def study(tmp_path, monkeypatch) -> Study:
    monkeypatch.chdir(tmp_path)
    return loaded()


def loaded(features: int = 8) -> Study:
    Path("params.yaml").write_text(PARAMS.format(features=features))
    return load_study(Path("params.yaml"))


def test_scores_reach_the_table_of_their_model_as_they_were_when_the_run_began(study):
    put(Path(), "ada.json", GOOD)
    tables, contract = Tables(study), contracts("model")["rubric"]
    (module,) = modules("model", "rubric")
    said = tables.stated(contract, module, Place(MODEL))
    assert said["values"]["scores"] == [GOOD]
    put(Path(), "bo.json", GOOD | {"author": "Bo"})
    assert tables.stated(contract, module, Place(MODEL)) == said
    assert len(Tables(study).stated(contract, module, Place(MODEL))["values"]["scores"]) == 2
    Path("labels/digits/rubric").mkdir(parents=True)
    Path("labels/digits/rubric/ada.json").write_text("{")
    assert tables.stated(contract, module, Place("digits"))["values"]["scores"] == []
    assert Tables(loaded(features=0)).stated(contract, module, Place(MODEL))["values"]["scores"] == []
    assert "scores" not in told({"stated": said}) and "rubric_features" in told({"stated": said})


def test_a_file_that_holds_no_scores_stops_the_run(study):
    put(Path(), "ada.json", GOOD)
    rubric_scores.check(study)
    put(Path(), "ada.json", GOOD | {"scores": [given(ITEM, 9, 0, 0, 0)]})
    with pytest.raises(InputError, match=r"labels/toy/rubric/ada\.json, scores\.0\.confidence: found 9"):
        rubric_scores.check(study)


def test_an_item_that_the_sheet_of_the_last_run_does_not_have_stops_the_run(study):
    table = RubricCase(Path("results")).write()
    put(Path(), "ada.json", GOOD)
    rubric_scores.check(study)
    put(Path(), "ada.json", GOOD | {"sheet": table.attrs["sheet"]})
    with pytest.raises(InputError, match=f"Ada scores the item {ITEM}, and the rubric sheet of toy has none"):
        rubric_scores.check(study)


def test_scores_that_nobody_reads_are_named(study):
    assert rubric_scores.unread_scores(study) == []
    put(Path(), "ada.json", GOOD)
    put(Path(), ".hidden", "")
    assert rubric_scores.unread_scores(study) == []
    for name in ("toys", "digits", "somewhere-else"):
        Path(f"labels/{name}/rubric").mkdir(parents=True)
    put(Path(), "ada.json.txt", "{}")
    said = rubric_scores.unread_scores(study)
    assert [one.split()[0] for one in said] == [
        "labels/digits/rubric", "labels/toy/rubric/ada.json.txt", "labels/toys/rubric",
    ]  # fmt: skip
    assert "is of no language model" in said[0] and "end in .json" in said[1] and "did you mean 'toy'?" in said[2]
    assert "analysis.rubric_features is 0, so nobody reads the scores in labels/toy/rubric" in " ".join(
        rubric_scores.unread_scores(loaded(features=0))
    )
