"""The JSON schema of `params.yaml` and its reference table, generated from the typed sections.

`python -m polysem.params.reference` writes both; a test keeps them in step.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from polysem.io.atomic import write_text
from polysem.numerics.devices import DEVICES
from polysem.params.addons import own_modules_of
from polysem.params.analysis import Analysis
from polysem.params.base import NAME, Section
from polysem.params.case_studies import CaseStudies
from polysem.params.explain import models_in
from polysem.params.kinds import is_list
from polysem.params.meanings import WithMeanings, meanings
from polysem.params.proxies import DEFAULT_PROXIES
from polysem.params.recipes.pretrained import FORMATS, PretrainedSae
from polysem.params.sheets import Sheets
from polysem.params.study import KINDS, kinds, section_class
from polysem.params.toys import Toy

SCHEMA = Path("docs/params.schema.json")
REFERENCE = Path("docs/params.md")
DEVICE = (
    "`auto`, the default: a GPU where a step finds one that torch can use (CUDA), else the CPU. `cpu`, `cuda`: this "
    "one; a step that finds no GPU under `cuda` ends with a sentence. Each step resolves it on the machine on which "
    "it runs, and receipts say what it was. docs/cluster.md has more, of clusters and of Macs."
)


def schema_text() -> str:
    """The JSON schema (draft 2020-12) of a params file, for completion and checks in editors."""
    definitions: dict[str, Any] = {}
    properties: dict[str, Any] = {}
    for key in KINDS:
        choices = []
        for kind in _own_kinds(key):
            schema = _schema(section_class(key, kind), ref_template="#/$defs/{model}")
            definitions |= schema.pop("$defs", {})
            if key == "saes":
                _allow_grids(section_class(key, kind), schema)
            definitions[schema["title"]] = schema
            choices.append({"$ref": f"#/$defs/{schema['title']}"})
        if key == "saes":
            schema = _schema(PretrainedSae, ref_template="#/$defs/{model}")
            definitions[schema["title"]] = schema
            choices.append({"$ref": f"#/$defs/{schema['title']}"})
        properties[key] = {
            "type": "object",
            "patternProperties": {f"^{NAME.pattern}$": {"anyOf": choices}},
            "additionalProperties": False,
        }
    properties["toys"] = {
        "type": "object",
        "patternProperties": {f"^{NAME.pattern}$": _schema(Toy)},
        "additionalProperties": False,
    }
    properties["device"] = {"enum": [*DEVICES], "default": "auto", "description": DEVICE}
    properties["analysis"] = _schema(Analysis)
    properties["sheets"] = _schema(Sheets)
    properties["case_studies"] = _schema(CaseStudies)
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "polysem params",
        "type": "object",
        "properties": properties,
        "required": ["corpora", "models"],
        "additionalProperties": False,
        "$defs": dict(sorted(definitions.items())),
    }
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


def _own_kinds(key: str) -> list[str]:
    """The kinds that this package itself has: others are documented where they come from."""
    own = own_modules_of(KINDS[key].package)
    return [kind for kind in kinds(key) if kind in own]


def _schema(section: type[BaseModel], **options: Any) -> dict[str, Any]:
    """The schema of a section, of the formats of published SAEs those of this package itself."""
    schema = section.model_json_schema(schema_generator=WithMeanings, **options)
    if section is PretrainedSae:
        schema["properties"]["format"]["enum"] = list(own_modules_of(FORMATS))
    return schema


def _allow_grids(section: type[Section], schema: dict[str, Any]) -> None:
    """In a recipe every value that is no list itself may be a list, which spans a grid."""
    for key, value in schema["properties"].items():
        if key == "architecture" or is_list(section, key):
            continue
        scalar = {name: value.pop(name) for name in list(value) if name not in {"default", "description", "title"}}
        value["anyOf"] = [scalar, {"type": "array", "items": scalar, "minItems": 1}]


def reference_text() -> str:
    """The reference of all keys, as Markdown."""
    lines = [
        "# Keys of params.yaml",
        "",
        "Generated from the typed schema by `python -m polysem.params.reference`; do not edit.",
        "In a recipe under `saes`, a list in place of a value spans a grid; every other list is a list.",
    ]
    lines += ["", "## device: where steps compute", "", DEVICE]
    titles = {
        "corpora": "corpora: text or images with a train and an eval split",
        "models": "models: what is studied",
        "saes": "saes: recipes of sparse autoencoders",
        "explainers": "explainers: language models that explain features",
    }
    for key, title in titles.items():
        lines += ["", f"## {title}"]
        for kind in _own_kinds(key):
            section = section_class(key, kind)
            lines += ["", f"### {KINDS[key].tag}: {kind}", "", *_paragraph(section), "", *_table(section)]
        lines += _proxies() if key == "corpora" else []
        if key == "saes":
            lines += ["", "### source: pretrained", "", *_paragraph(PretrainedSae), "", *_table(PretrainedSae)]
    lines += ["", "## toys: activations made of known features", "", *_paragraph(Toy), "", *_table(Toy)]
    lines += ["", "## analysis: thresholds of tables and figures", "", *_paragraph(Analysis), "", *_table(Analysis)]
    lines += ["", "## sheets: which features get a page", "", *_paragraph(Sheets), "", *_table(Sheets)]
    lines += ["", "## case_studies: which features get a page with all that was measured", "", *_paragraph(CaseStudies)]
    lines += ["", *_table(CaseStudies)]
    return "\n".join(lines) + "\n"


def _proxies() -> list[str]:
    # In a block of code, as html.parser of some Pythons stumbles over `<!` in a table; MkDocs parses pages with it.
    lines = [f"  {name}: '{expression.replace(chr(39), 2 * chr(39))}'" for name, expression in DEFAULT_PROXIES.items()]
    return [
        "",
        "### proxies",
        "",
        "Regular expressions of Python. Give `proxies` to have others in their place; in YAML, single quotes keep",
        "backslashes as they are. Every expression runs over every document: repetitions inside repetitions, as in",
        "`(a+)+b`, can take longer than anybody waits; the step stops after ten seconds on a document and names both.",
        "These are the default; their time grows like the text.",
        "",
        "```yaml",
        "proxies:",
        *lines,
        "```",
    ]


def _paragraph(section: type[BaseModel]) -> list[str]:
    return [" ".join((section.__doc__ or "").split())]


def _table(section: type[BaseModel]) -> list[str]:
    rows = ["| key | type | default | meaning |", "|---|---|---|---|"]
    return rows + [
        f"| `{key}` | {kind} | {default} | {meaning} |" for key, kind, default, meaning in _rows(section, "")
    ]


def _rows(section: type[BaseModel], prefix: str) -> Iterator[tuple[str, str, str, str]]:
    for name, field in section.model_fields.items():
        inner = models_in(field.annotation)
        if inner:
            yield from _rows(inner[0], f"{prefix}{name}.")
        else:
            meaning = " ".join(meanings(section).get(name, "").split()).replace("|", "\\|")
            yield f"{prefix}{name}", _type(section, name), _default(field), meaning


def _default(field: FieldInfo) -> str:
    if field.default is PydanticUndefined:
        return "required"
    if isinstance(field.default, dict):
        return ", ".join(f"`{name}`" for name in field.default)
    return f"`{json.dumps(field.default, ensure_ascii=False)}`".replace("|", "\\|")


def _type(section: type[BaseModel], name: str) -> str:
    schema = _schema(section)["properties"][name]
    return " or ".join(_spell(option) for option in schema.get("anyOf", [schema]))


def _spell(schema: dict[str, Any]) -> str:
    if "enum" in schema or "const" in schema:
        values = schema.get("enum", [schema.get("const")])
        return ", ".join(f"`{value}`" for value in values)
    if schema.get("type") == "array":
        return f"list of {_spell(schema.get('items', {}))}"
    if schema.get("type") == "object" and "additionalProperties" in schema:
        return f"names with a {_spell(schema['additionalProperties'])} each"
    text = {"null": "null"}.get(schema.get("type", ""), schema.get("type", "any"))
    low = next((f"{sign} {_number(schema[key])}" for key, sign in _LOW if key in schema), "")
    high = next((f"{sign} {_number(schema[key])}" for key, sign in _HIGH if key in schema), "")
    return " ".join(part for part in (text, low, high) if part)


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,g}"


_LOW = (("minimum", "≥"), ("exclusiveMinimum", ">"))
_HIGH = (("maximum", "≤"), ("exclusiveMaximum", "<"))


def write_reference() -> None:
    """Write both files below the current folder, which is the repository's."""
    write_text(SCHEMA, schema_text())
    write_text(REFERENCE, reference_text())


if __name__ == "__main__":
    write_reference()
