"""What the tables of a room can read, and the sentence for one that reads something else.

The tables of a dictionary read of their own dictionary, and of those it is held against: the neurons of its site, and
the same dictionary of a random-model control. A model has no store, and a site no weights, but those of the places in a
scope.
"""

from polysem.io.errors import InputError
from polysem.params.explain import nearest
from polysem.tables.contract import ROOMS, TABLE
from polysem.tables.sources import PASSES, SCOPES, SOURCES, VALUES, scoped
from polysem.workflow.declarations import modules_of

OF_DICTIONARY = ("weights", "history")
"""Sources that only a dictionary has."""
OF_SITE = (*OF_DICTIONARY, "store", "training store")
"""Those that a model itself does not have."""
OF_MODEL = ("explanations",)
"""Those that a model alone has: they are made of the tables of its dictionaries."""
VALUES_OF_MODEL = ("sites", "series", "proxies", "case_studies", "scores")
"""Words of `VALUES` that are of all sites of a model; the others are of one."""
BESIDE = ("neurons", "control")
"""Scopes of single dictionaries, which tables of a dictionary read."""
SCOPES_OF = {
    "dictionary": BESIDE,
    "site": tuple(scope for scope in SCOPES if scope not in (*BESIDE, "controls")),
    "model": ("relatives", "reseeded", "controls"),
}
"""The scopes that the tables of each room can name."""
SITES = ("targets",)
"""Scopes of sites; the others are of dictionaries."""


def require_reads(room: str, name: str, module: str, reads: tuple[str, ...]) -> None:
    """InputError, with what is allowed, for something in `READS` that the table `name` of a room cannot read."""
    allowed = readable(room, name)
    for read in reads:
        if read not in allowed:
            raise InputError(f"READS of {module}: {_problem(room, name, read)}{_near(read, allowed)}; {_allowed(room)}")


def readable(room: str, name: str) -> list[str]:
    """All that the table `name` of a room can read."""
    tables = [f"{TABLE}{table}" for table in modules_of(ROOMS[room]) if table != name]
    return [*_plain(room), *tables, *(f"{scope}:{what}" for scope in SCOPES_OF[room] for what in _of_scope(scope))]


def _plain(room: str) -> list[str]:
    """What is no table, of the place itself."""
    if room == "dictionary":
        return [*(source for source in SOURCES if source not in OF_MODEL), *PASSES]
    lacks = (*OF_DICTIONARY, *OF_MODEL) if room == "site" else OF_SITE
    return [*(source for source in SOURCES if source not in lacks), *(VALUES if room == "site" else VALUES_OF_MODEL)]


def _of_scope(scope: str) -> list[str]:
    """What is read of each place of a scope; a history is read of a table's own dictionary alone."""
    room, lacks = ("site", OF_DICTIONARY) if scope in SITES else ("dictionary", ("history",))
    lacks = (*lacks, *OF_MODEL)
    return [
        *(source for source in SOURCES if source not in lacks),
        *(f"{TABLE}{table}" for table in modules_of(ROOMS[room])),
    ]


def _problem(room: str, name: str, read: str) -> str:
    scope, what = scoped(read)
    table = what.removeprefix(TABLE) if what.startswith(TABLE) else ""
    if table == name and not scope:
        return f"the table {name} reads itself"
    if homes := [home for home in ROOMS if table in modules_of(ROOMS[home])]:
        of_what = f" as {read!r}" if scope else ""
        return f"{table} is a table of a {homes[0]}, and a table of a {room} cannot read it{of_what}"
    return f"a table of a {room} cannot read {read!r}"


def _near(read: str, allowed: list[str]) -> str:
    """The nearest name, but for a table that there is: it is not misspelled."""
    what = scoped(read)[1].removeprefix(TABLE)
    return "" if any(what in modules_of(package) for package in ROOMS.values()) else nearest(read, allowed)


def _allowed(room: str) -> str:
    scopes = ", ".join(f"{scope}:" for scope in SCOPES_OF[room])
    words = f"; with {scopes} in front, a source or a table of each of several" if scopes else ""
    return f"it can read {', '.join(_plain(room))}, and {TABLE}NAME, another table of its {room}{words}"
