"""Where the config of a local copy is: in its folder, or, for a GGUF file, below `.cache`, made of its header.

Reading a header takes seconds, and many checks ask for the config; so it is kept by the content of the file.
"""

import json
from pathlib import Path

from polysem.io.caches import FOLDER, place_text, read_cache, write_cache
from polysem.io.content import known_digest, text_digest
from polysem.io.files import expanded
from polysem.models.record import CONFIG
from polysem.params.models.imported import is_gguf
from polysem.workflow.running.code import code_digest

HEADERS = FOLDER / "headers"


def local_config(copy: str) -> Path:
    """The `config.json` of a local copy, which may not be there. InputError for a GGUF file that is none, or holds a
    model that is not read."""
    path = expanded(copy)
    if not is_gguf(copy) or not path.is_file():
        return path / CONFIG
    digest = text_digest(f"{known_digest(path)} {code_digest('polysem.models.gguf_config')}")
    values = read_cache(HEADERS / f"{digest}.json")
    if values is None:
        from polysem.io.gguf_files import open_gguf
        from polysem.models.gguf_config import config_values

        values = config_values(open_gguf(path))
        write_cache(HEADERS / f"{digest}.json", values)
    text = json.dumps(values, indent=2, sort_keys=True)
    place = HEADERS / text_digest(text) / CONFIG
    if not place.is_file() or place.read_text(encoding="utf-8") != text:
        place_text(place, text)
    return place


def described(copy: str) -> Path:
    """What an error calls the config of a local copy."""
    return expanded(copy) if is_gguf(copy) else expanded(copy) / CONFIG
