"""What people call features, as their files say now: others may write while the server runs."""

from pathlib import Path
from typing import Any

from polysem.io.errors import InputError
from polysem.layout.annotations import labels_in
from polysem.study.dictionary import Dictionary
from polysem.study.study import Study

State = tuple[tuple[int, int], ...]


class Labels:
    """Labels by dictionary, read again when their files changed: a file that is written is renamed into its folder, so
    that the folder has another date."""

    def __init__(self) -> None:
        self._read: dict[str, tuple[State, dict[int, str]]] = {}

    def of(self, dictionary: Dictionary) -> dict[int, str]:
        """What features of a dictionary are called. InputError, with the file named, where that cannot be read."""
        results, place = dictionary.site.results, dictionary.place
        state = tuple(state_of(Path(results.root).parent / path) for path in (place.labels, place.notes))
        if self._read.get(place.path, ((), {}))[0] != state:
            said = results.annotations(place)
            receipt = results.bring(place.tables_receipt) if said.notes else Path()
            self._read[place.path] = (state, labels_in(said.about(receipt)))
        return self._read[place.path][1]

    def put_into(self, study: Study, answer: dict[str, Any]) -> None:
        """Name the features among the results of a search; a note says whose names cannot be read."""
        unread: dict[str, str] = {}
        for result in answer["results"]:
            site = study[result["model"]].get(result["site"])
            if site is not None and result["dictionary"] in site:  # one that was added is in none
                dictionary = site[result["dictionary"]]
                try:
                    result["label"] = self.of(dictionary).get(result["feature"])
                except InputError as error:
                    unread[dictionary.place.path] = str(error)
        answer["notes"] += [f"labels of {path} are not shown: {said}" for path, said in unread.items()]


def state_of(file: Path) -> tuple[int, int]:
    """Date and size of a file or folder; zeros if there is none."""
    try:
        found = file.stat()
        return found.st_mtime_ns, found.st_size
    except OSError:
        return 0, 0
