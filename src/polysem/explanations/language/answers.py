"""Answers of language models, kept by what was asked of whom, so that they are there again without a network.

A file of JSON lines, to which each answer is added as it comes: who is killed loses none. It is no output of a rule, so
Snakemake never removes it, and lies with the tables, so DVC keeps it with the results.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polysem.io.content import text_digest
from polysem.io.errors import InputError


@dataclass(frozen=True)
class Reply:
    """What a model answered, and the tokens of question and answer together."""

    text: str
    tokens: int


def question_digest(whom: dict[str, Any], messages: list[dict[str, str]]) -> str:
    """What an answer is kept by: the model with its settings, and all that is said to it."""
    return text_digest(json.dumps([whom, messages], sort_keys=True, ensure_ascii=False))


class Answers:
    """The answers that are kept in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, Reply] = {}
        try:
            lines = path.read_bytes().split(b"\n")
        except FileNotFoundError:
            lines = []
        except OSError as error:
            raise InputError(f"the answers in {path} cannot be read ({error})") from error
        for line in lines:
            try:
                kept = json.loads(line)
                self._known[kept["question"]] = Reply(str(kept["answer"]), int(kept["tokens"]))
            except (ValueError, LookupError, TypeError):
                continue  # an empty line, or one that was being written when the process was killed

    def __len__(self) -> int:
        """How many there are."""
        return len(self._known)

    def get(self, question: str) -> Reply | None:
        """The answer to a question, by its digest."""
        return self._known.get(question)

    def keep(self, question: str, reply: Reply, whom: str) -> None:
        """Add an answer to the file at once."""
        kept = {"question": question, "by": whom, "answer": reply.text, "tokens": reply.tokens}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("ab") as file:  # a line of its own, even behind one that was torn
            torn = file.tell() > 0 and not self._ends_with_a_line()
            file.write(b"\n" * torn + json.dumps(kept, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self._known[question] = reply

    def _ends_with_a_line(self) -> bool:
        with self._path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) == b"\n"
