"""What the keys of a section mean: the texts below them in its source, for the reference and the JSON schema.

Pydantic's `use_attribute_docstrings` has the same, and reads the source of every section whenever one is imported: a
sixth of what a call of Snakemake with nothing to do takes, for texts that only the reference needs.
"""

import ast
import inspect
import textwrap
from functools import cache
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue


@cache
def meanings(section: type[BaseModel]) -> dict[str, str]:
    """By the name of a key: the text below it, in the section itself or the class that it has the key from."""
    found: dict[str, str] = {}
    for parent in reversed(section.__mro__):
        if issubclass(parent, BaseModel) and parent is not BaseModel:
            found |= _texts_below_keys(parent)
    return found


def _texts_below_keys(section: type[BaseModel]) -> dict[str, str]:
    (written,) = ast.parse(textwrap.dedent(inspect.getsource(section))).body
    assert isinstance(written, ast.ClassDef)
    found = {}
    for statement, below in zip(written.body, written.body[1:], strict=False):
        match statement, below:
            case ast.AnnAssign(target=ast.Name(id=key)), ast.Expr(value=ast.Constant(value=str(text))):
                found[key] = inspect.cleandoc(text)
    return found


class WithMeanings(GenerateJsonSchema):
    """The JSON schema of a section in which every key is described by its meaning."""

    def model_schema(self, schema: Any) -> JsonSchemaValue:
        """See `GenerateJsonSchema`."""
        found = super().model_schema(schema)
        for key, text in meanings(schema["cls"]).items():
            if key in found.get("properties", {}):
                found["properties"][key].setdefault("description", text)
        return found
