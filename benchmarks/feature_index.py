"""The index of features: `python benchmarks/feature_index.py [--features 32768] [--results results --of A/B/C]`.

Makes the tables of a made-up dictionary in a temporary folder (`synthetic_tables`), or copies those of a dictionary of
a finished study, and indexes them with the step of the workflow. Prints how long that takes and how large the index is;
how long it takes to open, beside a file for each variable (`np.load` with `mmap_mode`); to read a row, beside the
tables by h5py and by xarray; to make the page of a random feature, from the index, from one that is not in the system's
memory, and from the tables; and to search for a token. All in one process; times are medians.
"""

import argparse
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from synthetic_tables import tokenizer, write_tables

from polysem.index.feature_index import FeatureIndex
from polysem.index.index_features import index_features
from polysem.index.stored_rows import ARRAYS
from polysem.index.token_search import find
from polysem.io.atomic import write_json
from polysem.io.content import file_digest
from polysem.io.folders import receipt_of
from polysem.io.tables import read_table
from polysem.layout.place import Place
from polysem.params.analysis import Analysis
from polysem.params.sheets import Sheets
from polysem.report.sheet_page import sheet_page
from polysem.report.sheet_tables import NAMES, read_rows

TOGETHER = 24
"""Dictionaries of a study of twelve layers with two each."""


def made_up(root, features):
    place = Place("m", "s", "random", root)
    tables = Path(place.tables)
    names = write_tables(tables, features)
    artifacts = {name: {"file": f"{name}.nc", "sha256": file_digest(tables / f"{name}.nc")} for name in names}
    write_json(receipt_of(tables), {"artifacts": artifacts})
    tokenizer(Path(place.tokenizer))
    return place


def copied(root, results, named):
    source, place = Place.named(named.split("/"), results), Place.named(named.split("/"), root)
    shutil.copytree(source.tables, place.tables)
    shutil.copyfile(source.tables_receipt, place.tables_receipt)
    Path(place.tokenizer).parent.mkdir(parents=True)
    shutil.copyfile(source.tokenizer, place.tokenizer)
    return place


def timed(function, *values):
    """What it took for each of some values: seconds, and seconds of CPU time, which other work on the machine does not
    lengthen."""
    spent = []
    for value in values:
        begun, used = time.perf_counter(), time.process_time()
        function(value)
        spent.append((time.perf_counter() - begun, time.process_time() - used))
    return np.array(spent)


def told(what, spent):
    (median, used), late = np.median(spent, axis=0), np.quantile(spent[:, 0], 0.95)
    rounds = f", 95 % within {1000 * late:.2f} ms ({len(spent)} times)" if len(spent) > 1 else ""
    print(f"{what:58} {1000 * median:9.2f} ms, {1000 * used:9.2f} ms of CPU time{rounds}", flush=True)


def size_of(*paths):
    files = [file for path in paths for file in (path.rglob("*") if path.is_dir() else [path])]
    return f"{sum(file.stat().st_size for file in files if file.is_file()) / 1e6:,.1f} MB"


def a_file_each(index, folder):
    """Every variable as a file of its own; a function that opens them all, and one that reads a row of each."""
    folder.mkdir()
    files = []
    for table in index.tables:
        for name, variable in index.variables(table).items():
            files.append((folder / f"{table}.{name}.npy", variable.axis is not None))
            values = index.column(table, name)
            np.save(files[-1][0], values.astype(str) if values.dtype == object else values)
    opened = {}

    def open_all(_):
        opened.update((file, np.load(file, mmap_mode="r" if of_features else None)) for file, of_features in files)

    return open_all, lambda feature: [np.array(opened[file][feature]) for file, of_features in files if of_features]


def forget(path):
    """Let the system drop what it keeps of a file."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def measure(place, pages):
    tables, folder = Path(place.tables), Path(place.feature_index)
    step = {"tokenizer": Path(place.tokenizer), "code": "", "root": place.root}
    told("making the index", timed(lambda _: index_features(place.model, [place.names[1:]], **step), 0))
    told("again, with nothing to do", timed(lambda _: index_features(place.model, [place.names[1:]], **step), 0))
    index = FeatureIndex(folder)
    count = sum(len(index.variables(table)) for table in index.tables)
    print(f"{index.features:,} features, {count} variables; tables {size_of(tables)}, rows {size_of(folder)}, search "
          f"{size_of(Path(place.token_search))}")  # fmt: skip

    few = range(20)
    open_all, row_of_files = a_file_each(index, tables.parent / "files")
    told("opening", timed(lambda _: FeatureIndex(folder), *few))
    told("opening and reading a value", timed(lambda _: FeatureIndex(folder).column("frequency", "frequency")[0], *few))
    told(f"opening {TOGETHER}", timed(lambda _: [FeatureIndex(folder) for _ in range(TOGETHER)], *few))
    told("opening a file for each variable", timed(open_all, *few))

    random = np.random.default_rng(0).integers(0, index.features, pages).tolist()
    told("a row of all tables", timed(lambda feature: copies(index.rows(feature)), *random))
    told("  from a file for each variable", timed(row_of_files, *random))
    told("  of the tables of a sheet, by h5py", timed(lambda feature: read_rows(tables, [feature]), *random[:10]))
    told("  by xarray", timed(lambda feature: by_xarray(tables, feature), *random[:5]))
    told("the frequencies of all features", timed(lambda _: index.column("frequency", "frequency").copy(), *few))

    choice = Sheets().choice(*place.names, Analysis())

    def page(feature, **more):
        return sheet_page(place, tables, feature, [], "labels", choice, tokenizer=Path(place.tokenizer), **more)

    indexes = {place.dictionary: index}
    told("the first page, with the tokenizer", timed(lambda feature: page(feature, indexes=indexes), random[0]))
    told("a page", timed(lambda feature: page(feature, indexes=indexes), *random))
    told("  of an index that is not in memory", timed_cold(page, place, random[:20]))
    told("  from the tables", timed(page, *random[:10]))
    if any(page(feature) != page(feature, indexes=indexes) for feature in random[:3]):
        raise AssertionError("the page from the index is another one")
    search = Path(place.token_search)
    words = sorted({token for each in find(search, "e", 200) for token in each.tokens})[:50]
    told("a search for a token", timed(lambda word: find(search, word), *words))
    letters = statistics.median(len(page(feature, indexes=indexes)) for feature in random)
    print(f"median size of a page: {letters:,.0f} letters")


def copies(rows):
    return [values.copy() for row in rows.values() for values in row.arrays.values()]


def by_xarray(tables, feature):
    return [read_table(tables / f"{name}.nc", features=[feature]) for name in NAMES]


def timed_cold(page, place, features):
    spent = []
    for feature in features:
        forget(Path(place.feature_index) / ARRAYS)
        spent.append(timed(lambda each: page(each, indexes={place.dictionary: opened(place)}), feature)[0])
    return np.array(spent)


def opened(place):
    return FeatureIndex(Path(place.feature_index))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--features", type=int, default=32_768)
    parser.add_argument("--pages", type=int, default=200)
    parser.add_argument("--results", default="results", help="folder of the results of a finished study")
    parser.add_argument("--of", metavar="MODEL/SITE/NAME", help="a dictionary of it, of a language model")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        measure(copied(scratch, options.results, options.of) if options.of else made_up(scratch, options.features),
                options.pages)  # fmt: skip
