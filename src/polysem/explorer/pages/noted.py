"""U3: all stars, labels and comments of the study as lists."""

import shlex
from collections import Counter
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from polysem.explorer.pages.rendering import rendered
from polysem.explorer.pages.shown import Shown, feature_address
from polysem.io.errors import InputError
from polysem.layout.annotations import FeatureAnnotations
from polysem.layout.place import Place

LISTS = {"all": "all", "starred": "starred", "labelled": "labelled", "commented": "commented"}


@dataclass(frozen=True)
class Row:
    """A feature that somebody said something of."""

    place: Place
    feature: int
    address: str
    said: FeatureAnnotations

    def authors(self, what: str) -> set[str]:
        """Who starred, labelled or commented it; of `all`, who did any of these."""
        by = {
            "starred": set(self.said.starred_by),
            "labelled": {label.author for label in self.said.labels},
            "commented": {author for author, _ in self.said.comments},
        }
        return set().union(*by.values()) if what == "all" else by[what]


async def notes_page(request: Request) -> Response:
    """The list; `what` and `author` in the address narrow it."""
    what, author = request.query_params.get("what", "all"), request.query_params.get("author", "")
    if what not in LISTS:
        raise InputError(f"there is no list {what!r}; there are: {', '.join(LISTS)}")
    return rendered(request, "noted.html.j2", **await run_in_threadpool(_listed, request.state.shown, what, author))


def _listed(shown: Shown, what: str, author: str) -> dict[str, Any]:
    rows, others = [], 0
    for dictionary in shown.all_dictionaries():
        for feature, own in dictionary.said.items():
            others += len(own.others)
            if own.is_there:
                rows.append(Row(dictionary.place, feature, feature_address(dictionary.place, feature), own))
    counts = Counter(name for row in rows for name in row.authors(what))

    def address(**changed: str) -> str:
        wanted = {"what": what, "author": author} | changed
        said = {name: value for name, value in wanted.items() if value not in ("", "all")}
        return "/notes" + (f"?{urlencode(said)}" if said else "")

    command = ["polysem", "notes", "export", "FOLDER"] + (["--author", author] if author else [])
    return {
        "rows": [row for row in rows if (names := row.authors(what)) and (not author or author in names)],
        "others": others,
        "lists": {name: (words, address(what=name)) for name, words in LISTS.items()},
        "what": what,
        "chosen": author,
        "authors": [(name, counts[name], address(author=name)) for name in sorted(counts)],
        "everybody": address(author=""),
        "command": shlex.join(command),
    }
