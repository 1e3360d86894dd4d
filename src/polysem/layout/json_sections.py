"""Files that people write and git keeps: a JSON object each, read with one clear sentence for what is wrong with it."""

import json
import re
import unicodedata
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, Field, StrictStr, ValidationError

from polysem.io.errors import InputError
from polysem.params.base import Section
from polysem.params.explain import explain

ENDING = ".json"
Read = TypeVar("Read", bound=Section)


def storable(text: str) -> str:
    """The text without blanks around it, with one spelling of letters that have several."""
    return unicodedata.normalize("NFC", text.strip())


def written_text(text: str) -> str:
    """The same of a text that says something; ValueError for an empty one."""
    if not (stored := storable(text)):
        raise ValueError("the text is empty; write one")
    return stored


def sha256(text: str) -> str:
    """The same; ValueError for what is no digest."""
    if not re.fullmatch("[0-9a-f]{64}", text):
        raise ValueError(f"{text[:80]!r} is no sha256, which has 64 digits and letters from a to f")
    return text


Name = Annotated[StrictStr, Field(max_length=1_000), AfterValidator(written_text)]
Prose = Annotated[StrictStr, Field(max_length=20_000), AfterValidator(storable)]


def json_files(folder: Path) -> list[Path]:
    """The files in a folder that end in `.json`, hidden ones aside, sorted; none if there is no folder."""
    if not folder.is_dir():
        return []
    return sorted(file for file in folder.iterdir() if file.suffix == ENDING and not file.name.startswith("."))


def read_section(file: Path, section: type[Read], kind: str, expected: str, largest: int) -> Read:
    """What a file holds. `kind` is what such a file is called, "note"; `expected` is a sentence about its form.

    Raises InputError, naming file and line or key, for a link, a file of more than `largest` bytes, and for one that
    is no such section.
    """
    if file.is_symlink():
        raise InputError(f"{file} is a link; {kind}s are files of their own, put the file itself there")
    if (size := file.stat().st_size) > largest:
        raise InputError(f"{file} has {size:,} bytes; a {kind} has at most {largest:,}")
    try:
        found = json.loads(file.read_text(encoding="utf-8-sig"), object_pairs_hook=_once_each, parse_constant=_refused)
    except UnicodeDecodeError as error:
        raise InputError(f"{file} is not UTF-8 (byte {error.start}); convert it, for example with iconv") from None
    except json.JSONDecodeError as error:
        raise InputError(f"{file}, line {error.lineno}: {error.msg}; {expected}") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{file}: {error}; {expected}") from None
    if not isinstance(found, dict):
        raise InputError(f"{file} holds {type(found).__name__}; {expected}")
    return validated(section, found, str(file))


def validated(section: type[Read], values: dict[str, Any], where: str) -> Read:
    """The section that has these values. InputError with the first key that is wrong; `where` stands in front."""
    try:
        return section.model_validate(values)
    except ValidationError as error:
        raise InputError(f"{where}, {explain(error, section, '').lstrip('.: ')}") from None


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(name for name in names if names.count(name) > 1)!r} stands there twice")
    return found


def _refused(constant: str) -> None:
    raise ValueError(f"{constant} is no value of JSON")
