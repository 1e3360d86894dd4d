"""Errors of the params file, as sentences."""

import difflib
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from polysem.params.base import Section

TOO_LONG = {"string_too_long": "characters", "too_long": "entries"}
ALLOWED = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "string_type": "text",
    "string_unicode": "text in UTF-8",
    "list_type": "a list",
    "dict_type": "keys and values",
    "model_type": "keys and values",
    "model_attributes_type": "keys and values",
}
"""What is allowed, by Pydantic's name of the error, where its own message speaks of types of Python."""
IN_YAML = {"None": "null", "True": "true", "False": "false"}
SHOWN = 300
"""Characters of what was found that are repeated."""


def nearest(found: str, allowed: list[str]) -> str:
    """` (did you mean 'x'?)` for a likely misspelling, else nothing."""
    matches = difflib.get_close_matches(found, allowed, n=1, cutoff=0.5)
    return f" (did you mean {matches[0]!r}?)" if matches else ""


def explain(error: ValidationError, section: type[Section], where: str) -> str:
    """One sentence for the first problem: the key, what was found, what is allowed."""
    problem = min(error.errors(), key=lambda problem: problem["type"] != "extra_forbidden")
    *path, last = map(str, problem["loc"] or ("",))
    named = problem["type"] == "extra_forbidden" or not _is_type_name(last)
    location = [*(part for part in path if not _is_type_name(part)), *([last] if named and last else [])]
    key = ".".join([where, *location])
    found = problem["input"]
    if problem["type"] == "extra_forbidden":
        allowed = sorted(_section_at(section, location[:-1]).model_fields)
        return f"{key}: unknown key{nearest(location[-1], allowed)}; allowed here: {', '.join(allowed)}"
    if problem["type"] == "missing":
        return f"{key}: this key is missing"
    if problem["type"] == "value_error":
        return f"{key}: {problem['ctx']['error']}"
    if problem["type"] == "string_too_short":
        return f"{key}: the text is empty; write one, or leave the key out"
    if problem["type"] in TOO_LONG:
        count, most = len(found), problem["ctx"]["max_length"]
        return f"{key}: it has {count:,} {TOO_LONG[problem['type']]}, and {most:,} are allowed"
    message = ALLOWED.get(problem["type"], problem["msg"].removeprefix("Input should be "))
    if problem["type"] == "too_short":
        message = f"a list of {problem['ctx']['min_length']} or more"
    said = IN_YAML.get(repr(found), repr(found))
    return f"{key}: found {said if len(said) <= SHOWN else said[:SHOWN] + '…'}, allowed is {message}"


def _section_at(section: type[Section], path: list[str]) -> type[BaseModel]:
    current: type[BaseModel] = section
    for part in path:
        if part.isdigit():  # a place in a list of sections
            continue
        for candidate in models_in(current.model_fields[part].annotation):
            current = candidate
    return current


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """The Pydantic models among the types of an annotation."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in models_in(argument)]


def _is_type_name(part: str) -> bool:
    """Pydantic puts the branch of a union into the location of an error, which is no key of the user's."""
    return "[" in part or part in {"str", "int", "float", "bool", "list", "literal"}
