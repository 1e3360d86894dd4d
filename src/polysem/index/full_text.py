"""Whether the SQLite of this Python can search texts: the index of tokens is made and read by it."""

import sqlite3
from contextlib import closing

from polysem.io.errors import InputError

ENGINE = "fts5"


def require_full_text() -> str:
    """The version of SQLite; InputError, with what to do, if it has no full-text search. Nothing is written."""
    with closing(sqlite3.connect(":memory:")) as base:
        try:
            base.execute(f"CREATE VIRTUAL TABLE words USING {ENGINE}(tokens)")
        except sqlite3.OperationalError as error:
            raise InputError(
                f"the SQLite of this Python ({sqlite3.sqlite_version}) makes no full-text index ({error}); use a "
                "Python whose SQLite has FTS5, as those of python.org and of distributions have"
            ) from error
    return sqlite3.sqlite_version
