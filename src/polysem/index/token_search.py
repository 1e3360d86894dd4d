"""Finding features by the tokens that they are most active on: a full-text index of a model in one file of SQLite.

Labels are not in it: people change them at any time, and the index is made by the workflow, which would have to run
before a new one is found.
"""

import json
import re
import sqlite3
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from polysem.index.full_text import ENGINE, require_full_text
from polysem.index.stored_rows import AGAIN
from polysem.index.top_tokens import by_count
from polysem.io.errors import InputError
from polysem.models.signs import sign_of

FORMAT = 1
MOST_WORDS = 64
"""Words of a query; a feature has about twenty top examples."""
SEPARATORS = ("Cc", "Z")
"""Categories of Unicode that stand between words: control characters and blanks."""
SCHEMA = f"""
PRAGMA page_size = 4096;
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA user_version = {FORMAT};
CREATE TABLE dictionaries (id INTEGER PRIMARY KEY, site TEXT NOT NULL, dictionary TEXT NOT NULL);
CREATE UNIQUE INDEX names ON dictionaries (site, dictionary);
CREATE TABLE features (
    id INTEGER PRIMARY KEY,
    dictionary INTEGER NOT NULL,
    feature INTEGER NOT NULL,
    frequency REAL NOT NULL,
    tokens TEXT NOT NULL,
    UNIQUE (dictionary, feature)
);
CREATE VIRTUAL TABLE words USING {ENGINE}(
    tokens, content = '', tokenize = "unicode61 remove_diacritics 0 categories 'L* M* N* P* S* Cf Cn Co'"
);
"""
FIND = """
SELECT site, dictionaries.dictionary, feature, tokens, frequency
FROM (SELECT rowid AS id, bm25(words) AS score FROM words WHERE words MATCH ? ORDER BY score, id LIMIT ?)
JOIN features USING (id) JOIN dictionaries ON dictionaries.id = features.dictionary
ORDER BY score, features.id
"""
LOOK_UP = """
SELECT feature, tokens FROM features JOIN dictionaries ON dictionaries.id = features.dictionary
WHERE site = ? AND dictionaries.dictionary = ? AND feature IN (SELECT value FROM json_each(?))
"""


class Found(NamedTuple):
    """A feature with the tokens that its top examples are about, most frequent first."""

    site: str
    dictionary: str
    feature: int
    tokens: tuple[str, ...]
    frequency: float


class Row(NamedTuple):
    """What is written of a feature: the tokens of its top examples as they come."""

    feature: int
    frequency: float
    tokens: Sequence[str]


def write_token_search(path: Path, dictionaries: Iterable[tuple[str, str, Iterable[Row]]]) -> None:
    """Write the file; of each dictionary its site, its name and its features. The same rows give the same bytes.

    Every word of a token can be found, and every run of letters and digits in it: `append` in `.append(`. A feature
    counts as being more about a word the more of its top examples have it. InputError if this Python's SQLite has no
    full-text search.
    """
    require_full_text()
    scratch = path.with_name(f"{path.name}.scratch")
    with closing(sqlite3.connect(scratch, isolation_level=None)) as base:
        base.executescript(SCHEMA)
        base.execute("BEGIN")
        for number, (site, dictionary, rows) in enumerate(dictionaries):
            base.execute("INSERT INTO dictionaries VALUES (?, ?, ?)", (number, site, dictionary))
            for row in rows:
                tokens = json.dumps(by_count(row.tokens))
                inserted = base.execute(
                    "INSERT INTO features (dictionary, feature, frequency, tokens) VALUES (?, ?, ?, ?)",
                    (number, row.feature, row.frequency, tokens),
                )
                words = " ".join(word for token in row.tokens for word in words_of(token))
                base.execute("INSERT INTO words (rowid, tokens) VALUES (?, ?)", (inserted.lastrowid, words))
        base.execute("COMMIT")
        base.execute("INSERT INTO words (words) VALUES ('optimize')")
        base.execute("VACUUM INTO ?", (str(path),))
    scratch.unlink()


def find(path: Path, words: str, limit: int = 25) -> list[Found]:
    """Features whose top examples have all words of a text, the last of which may be the start of one.

    `path` is `Place.token_search`. Features with the whole words come first; of these, those with the words in more of
    their examples. The text is what it says: no character has a meaning of its own, and large and small letters are the
    same. InputError for more than `MOST_WORDS` words, for a file that is missing, damaged or of another version, and if
    this Python's SQLite has no full-text search.
    """
    wanted = list(dict.fromkeys(words_in(words)))
    if len(wanted) > MOST_WORDS:
        raise InputError(f"the search has {len(wanted)} words, at most {MOST_WORDS} can be looked for; leave some out")
    if not wanted or limit < 1:
        return []
    exact = " ".join(map(_quoted, wanted))
    with _opened(path) as base:
        found = dict.fromkeys(_found(base, exact, limit))
        if len(found) < limit:
            found |= dict.fromkeys(_found(base, f"{exact} *", limit))
    return list(found)[:limit]


def tokens_of(path: Path, site: str, dictionary: str, features: Iterable[int]) -> dict[int, tuple[str, ...]]:
    """The tokens that the top examples of some features of a dictionary are about, most frequent first, by feature;
    those of features that there are not are missing. InputError as `find` raises it for the file."""
    with _opened(path) as base:
        rows = base.execute(LOOK_UP, (site, dictionary, json.dumps([int(feature) for feature in features])))
        return {feature: tuple(json.loads(tokens)) for feature, tokens in rows}


@lru_cache(maxsize=262_144)
def words_of(token: str) -> tuple[str, ...]:
    """The words by which a token can be found: its own, and runs of letters and digits in these; of blanks and control
    characters alone, the signs by which pages show them."""
    whole = words_in(token) or words_in("".join(sign_of(letter) or "" for letter in token))
    parts = [part for word in whole for part in re.findall(r"[^\W_]+", word) if part != word]
    return (*whole, *parts)


def words_in(text: str) -> list[str]:
    """The parts of a text between blanks and control characters. What is no character becomes a question mark."""
    known = text.encode("utf-8", errors="replace").decode("utf-8")
    spaced = (" " if unicodedata.category(each).startswith(SEPARATORS) else each for each in known)
    return [word for word in "".join(spaced).split(" ") if word]


def _quoted(word: str) -> str:
    doubled = word.replace('"', '""')
    return f'"{doubled}"'


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """The file, which nobody may change: nothing is locked, and no file is written beside it."""
    if not path.is_file():
        raise InputError(f"there is no index of tokens {path}; {AGAIN}")
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as base:
            (form,) = base.execute("PRAGMA user_version").fetchone()
            if form != FORMAT:
                raise InputError(f"{path} has format {form}, expected {FORMAT}: another version wrote it; {AGAIN}")
            yield base
    except sqlite3.Error as error:
        require_full_text()
        raise InputError(f"{path} cannot be searched ({error}); delete it and its receipt, and {AGAIN}") from error


def _found(base: sqlite3.Connection, query: str, limit: int) -> Iterator[Found]:
    for site, dictionary, feature, tokens, frequency in base.execute(FIND, (query, limit)):
        yield Found(site, dictionary, feature, tuple(json.loads(tokens)), frequency)
