import json
from pathlib import Path

import jsonschema
import pytest

from polysem.params.reference import REFERENCE, SCHEMA, reference_text, schema_text
from polysem.params.spelling import read_yaml

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(("file", "text"), [(SCHEMA, schema_text), (REFERENCE, reference_text)])
def test_the_generated_file_is_in_step_with_the_schema(file, text):
    written = (ROOT / file).read_text(encoding="utf-8")
    assert written == text(), f"{file} is out of date; run: python -m polysem.params.reference"


PARAMS_FILES = ["params.yaml", *(f"presets/{path.name}" for path in sorted((ROOT / "presets").glob("*.yaml")))]


@pytest.mark.parametrize("file", PARAMS_FILES)
def test_the_editors_schema_accepts_every_params_file_of_the_repository(file):
    jsonschema.validate(read_yaml(ROOT / file).plain(), json.loads(schema_text()))


@pytest.mark.parametrize(
    ("old", "new"),
    [("expansion: 8", "expansion: 0"), ("architecture: topk", "architecture: topc"), ("k: 32", "kk: 32")],
)
def test_the_editors_schema_refuses_what_polysem_refuses(old, new, tmp_path):
    text = "corpora:\n  a: {source: images}\nmodels:\n  m: {source: classifier, corpus: a}\nsaes:\n  s:\n"
    text += "    architecture: topk\n    k: 32\n    expansion: 8\n"
    (tmp_path / "params.yaml").write_text(text)
    jsonschema.validate(read_yaml(tmp_path / "params.yaml").plain(), json.loads(schema_text()))
    (tmp_path / "params.yaml").write_text(text.replace(old, new))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(read_yaml(tmp_path / "params.yaml").plain(), json.loads(schema_text()))
