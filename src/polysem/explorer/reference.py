"""docs/http.md: the JSON addresses of the explorer, from the schema that it answers with.

`python -m polysem.explorer.reference` writes the page; a test keeps it in step.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from polysem.explorer.api import ADDRESSES
from polysem.explorer.api.schema import described
from polysem.io.atomic import write_text

PAGE = Path("docs/http.md")
HEAD = """\
# HTTP

`polysem explore` answers programs below `/api`, in JSON. Generated from what checks the questions by
`python -m polysem.explorer.reference`; do not edit. `/api/schema` has the same as OpenAPI 3.1.

```
$ polysem explore --port 8070 &
$ curl -s --get http://127.0.0.1:8070/api/search --data-urlencode 'text=red ball' -d model=stories-1l -d density=1
$ curl -s http://127.0.0.1:8070/api/activations -H 'Content-Type: application/json' \\
    -d '{"place": "stories-1l/blocks.0.mlp.hook_post/neurons", "features": [3, 0], "texts": ["red", "blue ball"]}'
```
A list in an address is named once for each of its members: `sites=a&sites=b`. What cannot be answered is
`{"error": "…"}`, one sentence, with one of these statuses:

"""
AFTER_ERRORS = """
`Host` must be the server's own name, and pages of other sites get nothing; [explorer.md](explorer.md) is about the
pages, and [design.md](design.md#the-explorer) says what is checked.
"""
SCHEMA = "/api/schema"
LOW = {"minimum": "≥", "exclusiveMinimum": ">"}
HIGH = {"maximum": "≤", "exclusiveMaximum": "<"}


def reference_text() -> str:
    """The whole page as Markdown."""
    schema = described()
    components = schema["components"]["schemas"]
    lines = [HEAD + "| status | when |", "|---|---|", *_statuses(schema), AFTER_ERRORS]
    for path, (method, _) in ADDRESSES.items():
        lines += [f"## {method} {path}", ""]
        if path == SCHEMA:
            lines += ["This page for programs: the schema of all addresses as OpenAPI 3.1.", ""]
        else:
            lines += [*_address(schema["paths"][path][method.lower()], components), ""]
    lines += ["## What answers are made of", ""]
    used = [name for name in components if name not in {*_bodies(schema), "Refusal"}]
    for name in used:
        about = components[name].get("description", "").partition("\n\n")[0]
        lines += [f"### {name}", "", " ".join(about.split()), "", *_answered(components[name]), ""]
    return "\n".join(lines).rstrip() + "\n"


def _statuses(schema: dict[str, Any]) -> Iterator[str]:
    yield "| 200 | The answer. |"
    responses = next(iter(schema["paths"].values()))["get"]["responses"]
    said = {status: one["description"] for status, one in responses.items() if status != "200"}
    said["405"] = "The address is asked with another method; the header `Allow` has the right one."
    said["500"] = "Something is wrong with the explorer itself; the sentence is what its inference process said."
    yield from (f"| {status} | {said[status]} |" for status in sorted(said))


def _address(asked: dict[str, Any], components: dict[str, Any]) -> Iterator[str]:
    yield asked["summary"]
    if parameters := asked.get("parameters"):
        yield from ("", "| parameter | type | default | what it is |", "|---|---|---|---|")
        for one in parameters:
            words = "A part of the address." if one["in"] == "path" else _cell(one["description"])
            default = "required" if one["required"] else _default(one["schema"])
            yield f"| `{one['name']}` | {_spelled(one['schema'])} | {default} | {words} |"
    if brought := asked.get("requestBody"):
        yield from ("", "It takes a JSON object:", "")
        yield from _given(components[_name(_content(brought))])
    answer = _name(_content(asked["responses"]["200"]))
    yield from ("", f"Answer: [`{answer}`](#{answer.lower()}).")


def _given(component: dict[str, Any]) -> Iterator[str]:
    """The fields of what a request brings."""
    yield from ("| field | type | default | what it is |", "|---|---|---|---|")
    for name, schema in component["properties"].items():
        default = "required" if name in component.get("required", ()) else _default(schema)
        yield f"| `{name}` | {_spelled(schema)} | {default} | {_cell(schema.get('description', ''))} |"


def _answered(component: dict[str, Any]) -> Iterator[str]:
    """The fields of what is answered; all of them are there."""
    yield from ("| field | type | what it is |", "|---|---|---|")
    for name, schema in component["properties"].items():
        yield f"| `{name}` | {_spelled(schema)} | {_cell(schema.get('description', ''))} |"


def _bodies(schema: dict[str, Any]) -> Iterator[str]:
    for methods in schema["paths"].values():
        for asked in methods.values():
            if brought := asked.get("requestBody"):
                yield _name(_content(brought))


def _content(part: dict[str, Any]) -> dict[str, Any]:
    """The schema of what is sent or answered, which is JSON."""
    (content,) = part["content"].values()
    return dict(content["schema"])


def _name(schema: dict[str, Any]) -> str:
    return str(schema["$ref"]).rpartition("/")[2]


def _default(schema: dict[str, Any]) -> str:
    return f"`{json.dumps(schema['default'], ensure_ascii=False)}`" if "default" in schema else "–"


def _spelled(schema: dict[str, Any]) -> str:
    """A type in words."""
    if "$ref" in schema:
        return f"[{_name(schema)}](#{_name(schema).lower()})"
    if "anyOf" in schema:
        return " or ".join(_spelled(one) for one in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(f"`{one}`" for one in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_spelled(schema.get('items', {}))}"
    if isinstance(schema.get("additionalProperties"), dict):
        return f"by name: {_spelled(schema['additionalProperties'])}"
    bounds = [f"{sign} {schema[key]}" for side in (LOW, HIGH) for key, sign in side.items() if key in schema]
    return " ".join([schema.get("type", "any"), *bounds])


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    write_text(PAGE, reference_text())
