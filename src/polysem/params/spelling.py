"""YAML read so that every value keeps the text it was written as: ids are spelled from it, never from a float."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from polysem.io.errors import InputError

ID_TEXT = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.+-")
DEEPEST = 20
"""Levels of nesting; the schema has five."""
VALUES = 200_000
"""Values of a file, those behind an alias counted wherever it stands: a study of a thousand SAEs has a tenth."""
BYTES = 16 << 20
MERGE = "tag:yaml.org,2002:merge"


@dataclass(frozen=True)
class Spelled:
    """A value of a YAML file: a dict or list of further ones, or a scalar with its text."""

    value: Any
    text: str = ""

    def plain(self) -> Any:
        """The value without the texts."""
        if isinstance(self.value, dict):
            return {key: item.plain() for key, item in self.value.items()}
        if isinstance(self.value, list):
            return [item.plain() for item in self.value]
        return self.value


def read_yaml(path: Path, remedy: str = "copy one from presets/ or pass --configfile") -> Spelled:
    """Read a YAML 1.2 file; InputError if it is missing, empty, no YAML, names a key twice, or uses what a params file
    has no need of: merge keys, aliases of what they stand in, thousands of levels or of copies."""
    yaml = YAML(typ="safe", pure=True)
    try:
        if path.is_file() and (size := path.stat().st_size) > BYTES:
            raise InputError(f"{path} has {size:,} bytes; a params file has at most {BYTES:,}")
        node = yaml.compose(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path} is missing; {remedy}") from None
    except RecursionError:
        raise InputError(f"{path} is nested too deeply; a params file has at most {DEEPEST} levels") from None
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        raise InputError(f"{path} is no YAML file in UTF-8: {_told(error)}") from error
    if node is None:
        raise InputError(f"{path} is empty; {remedy}")
    return _Reader(path, SafeConstructor(loader=yaml)).spelled(node)


@dataclass
class _Reader:
    """Turns the nodes of a file into values, and keeps count."""

    path: Path
    constructor: SafeConstructor
    above: list[int] = field(default_factory=list)
    """Identities of the nodes that the current one stands in."""
    values: int = 0

    def spelled(self, node: Node) -> Spelled:
        """A node and all below it."""
        if id(node) in self.above:
            raise self.error(node, "an alias stands inside of what it is an alias of; write the values out")
        if len(self.above) == DEEPEST:
            raise self.error(node, f"values are nested too deeply; a params file has at most {DEEPEST} levels")
        self.values += 1
        if self.values > VALUES:
            raise self.error(
                node, f"the file holds more than {VALUES:,} values, aliases written out; a params file has fewer"
            )
        if isinstance(node, ScalarNode):
            return Spelled(self.scalar(node), _id_text(node.value))
        self.above.append(id(node))
        try:
            if isinstance(node, SequenceNode):
                return Spelled([self.spelled(item) for item in node.value])
            assert isinstance(node, MappingNode)
            return self.mapping(node)
        finally:
            self.above.pop()

    def mapping(self, node: MappingNode) -> Spelled:
        """Keys and values; every key once."""
        entries: dict[Any, Spelled] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, ScalarNode):
                raise self.error(key_node, "a key must be a plain word")
            if key_node.tag == MERGE:
                raise self.error(key_node, "merge keys (<<) are not supported; write the keys out")
            key = self.scalar(key_node)
            if not isinstance(key, str | int | float | bool | None):
                raise self.error(key_node, "a key must be a plain word")
            if key in entries:
                raise self.error(key_node, f"the key {key!r} stands there twice")
            entries[key] = self.spelled(value_node)
        return Spelled(entries)

    def scalar(self, node: ScalarNode) -> Any:
        """The value of a word, a number or a text."""
        try:
            return self.constructor.construct_object(node)
        except (ValueError, TypeError, YAMLError) as error:
            problem = getattr(error, "problem", None) or error
            raise self.error(
                node, f"{_shortened(node.value)!r} cannot be read as what it looks like: {problem}"
            ) from error

    def error(self, node: Node, problem: str) -> InputError:
        """What is wrong, with the line."""
        return InputError(f"{self.path}, line {node.start_mark.line + 1}: {problem}")


def _told(error: Exception) -> str:
    """What a parser found, in one line."""
    mark = getattr(error, "problem_mark", None)
    problem = " ".join(str(getattr(error, "problem", None) or error).split())
    return problem if mark is None else f"line {mark.line + 1}, column {mark.column + 1}: {problem}"


def _shortened(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:40]}…"


def _id_text(text: str) -> str:
    return "".join(character if character in ID_TEXT else "-" for character in text)
