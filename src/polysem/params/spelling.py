"""YAML read so that every value keeps the text it was written as: ids are spelled from it, never from a float."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from polysem.io.errors import InputError

ID_TEXT = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.+-")


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


def read_yaml(path: Path) -> Spelled:
    """Read a YAML 1.2 file; InputError if it is missing, empty, no YAML, or names a key twice."""
    yaml = YAML(typ="safe", pure=True)
    try:
        text = path.read_text(encoding="utf-8")
        node = yaml.compose(text)
        spelled = None if node is None else _spelled(node, SafeConstructor(loader=yaml), path)
    except FileNotFoundError:
        raise InputError(f"{path} is missing; copy one from presets/ or pass --configfile") from None
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        raise InputError(f"{path} is no YAML file in UTF-8: {error}") from error
    if spelled is None:
        raise InputError(f"{path} is empty; copy one from presets/")
    return spelled


def _spelled(node: Node, constructor: SafeConstructor, path: Path) -> Spelled:
    if isinstance(node, MappingNode):
        entries: dict[Any, Spelled] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, ScalarNode):
                raise InputError(f"{path}, line {key_node.start_mark.line + 1}: a key must be a plain word")
            key = constructor.construct_object(key_node)
            if key in entries:
                raise InputError(f"{path}, line {key_node.start_mark.line + 1}: the key {key!r} stands there twice")
            entries[key] = _spelled(value_node, constructor, path)
        return Spelled(entries)
    if isinstance(node, SequenceNode):
        return Spelled([_spelled(item, constructor, path) for item in node.value])
    assert isinstance(node, ScalarNode)
    return Spelled(constructor.construct_object(node), _id_text(node.value))


def _id_text(text: str) -> str:
    return "".join(character if character in ID_TEXT else "-" for character in text)
