"""Feature sheets of a whole dictionary: `python benchmarks/sheets.py [--features 4096] [--keep FOLDER]`.

Writes the tables of a made-up dictionary (`synthetic_tables`), then a sheet for every feature, on one core. Prints the
time in all and per sheet, that of copying the same bytes file by file, and the size.
"""

import argparse
import shutil
import tempfile
import time
from pathlib import Path

from synthetic_tables import tokenizer, write_tables

from polysem.layout.place import Place
from polysem.params.analysis import Analysis
from polysem.params.sheets import Sheets
from polysem.report.write_sheets import write_sheets


def copied(source, target):
    target.mkdir()
    for file in source.iterdir():
        (target / file.name).write_bytes(file.read_bytes())


def timed(function, *arguments, **named):
    """Seconds, and seconds of CPU time: other work on the machine lengthens the first alone."""
    begun, used = time.perf_counter(), time.process_time()
    function(*arguments, **named)
    return time.perf_counter() - begun, time.process_time() - used


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--features", type=int, default=4096)
    parser.add_argument("--keep", type=Path, help="leave the sheets in this folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        tables, output = Path(scratch) / "tables/m/s/random", Path(scratch) / "sheets/m/s/random"
        write_tables(tables, options.features)
        tokenizer(Path(scratch) / "tokenizer.json")
        place = Place("m", "s", "random")
        choice = Sheets(all=True).choice(*place.names, Analysis())
        places = {"tables": tables, "labels": Path("labels/none.csv"), "output": output}
        seconds, used = timed(
            write_sheets, place, **places, params=choice, saes=[], tokenizer=Path(scratch) / "tokenizer.json"
        )
        size = sum(file.stat().st_size for file in output.iterdir())
        each = 1000 * used / options.features
        print(f"{options.features:,} sheets: {seconds:.1f} s, {used:.1f} s of CPU time, {each:.1f} ms each")
        seconds, used = timed(copied, output, Path(scratch) / "copy")
        print(f"copying them: {seconds:.1f} s, {used:.1f} s of CPU time; {size / 1e6:,.0f} MB")
        if options.keep:
            shutil.copytree(output, options.keep)
