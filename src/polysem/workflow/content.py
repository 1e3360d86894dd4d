"""Digests of files from outside of the workflow, which decide by content whether a job runs again."""

import hashlib
import json
from pathlib import Path
from tempfile import NamedTemporaryFile

MEMORY = Path(".cache/digests.json")


def content_digest(files: list[Path]) -> str:
    """sha256 over names and contents. What was hashed before is looked up by path, size, time and inode."""
    memory: dict[str, str] = json.loads(MEMORY.read_text(encoding="utf-8")) if MEMORY.exists() else {}
    known = len(memory)
    digest = hashlib.sha256()
    for file in sorted(files):
        status = file.stat()
        key = f"{file.resolve()}:{status.st_size}:{status.st_mtime_ns}:{status.st_ctime_ns}:{status.st_ino}"
        if key not in memory:
            with file.open("rb") as stream:
                memory[key] = hashlib.file_digest(stream, "sha256").hexdigest()
        digest.update(f"{file.name}\0{memory[key]}\0".encode())
    if len(memory) > known:
        MEMORY.parent.mkdir(exist_ok=True)
        with NamedTemporaryFile("w", dir=MEMORY.parent, delete=False) as fresh:  # another dry run may do the same now
            fresh.write(json.dumps(memory, indent=1))
        Path(fresh.name).replace(MEMORY)
    return digest.hexdigest()[:16]


def text_digest(text: str) -> str:
    """The start of the sha256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]
