"""Whether the tests see small wrong edits: `python benchmarks/mutants.py [--seed 0] [--count 300] [--jobs 2] [file …]`.

Draws edits of tables, saes and numerics with a seed, makes each in a copy of the tree and runs the tests that reach its
line, those that take least time first, until one fails. Prints each edit as it is known; `--report` writes all of them
as JSON; the exit status is 1 if more than `--at-most` of those that change something are not seen. `--smoke` takes a
few edits of one file, and looks whether one is reported when the test that sees it is left out.
"""

import argparse
import hashlib
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported: each process has one core

from mutation import running
from mutation.edits import Edit, equivalent, replaced, sample, statement

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ["src/polysem/tables", "src/polysem/saes", "src/polysem/numerics"]
TESTS = ["tests/tables", "tests/saes", "tests/numerics", "tests/explanations"]
CACHE = ROOT / ".cache/mutants"
SAID = "{state}: {file}:{line} ({by})\n  - {before}\n  + {after}"
SECONDS, SECONDS_OF_OTHERS = 30.0, 5.0
"""Of CPU, that the tests that run an edit's line may take, and others of the same files, if nothing fails."""
MEASURING = 1200
"""Seconds of CPU after which a file of tests is given up that does not end while it is measured."""
SMOKE = ("src/polysem/saes/penalties.py", "tests/saes/test_penalties.py")
SHARP = ("EPSILON = 1e-9", "EPSILON = 1e-08", "test_a_billionth_is_added_under_the_root_and_under_the_fraction")
"""An edit of the smoke and the one test that sees it."""


class Reach:
    """Which tests run which lines, measured once for each file of tests and state of the source."""

    def __init__(self, root: Path, test_files: list[str], workers: running.Workers, blind: str = "") -> None:
        """`blind` is the name of a test that is left out."""
        self._seconds: dict[str, float] = {}
        self._lines: dict[str, dict[int, set[str]]] = {}
        shared = _digest(sorted([*(root / "src/polysem").rglob("*.py"), *(root / "tests").rglob("conftest.py")]))
        places = {file: CACHE / f"{shared}-{_digest([root / file])}.json" for file in test_files}
        tasks = [
            (file, partial(running.measured, test_file=file, folders=FOLDERS), MEASURING)
            for file, place in places.items()
            if not place.exists()
        ]
        for one in workers.results(tasks):
            said = "measured" if one.found else "stopped" if one.stopped else "died:"
            print(f"{said} {one.name}, {one.seconds_of_cpu:.0f} s of CPU", file=sys.stderr, flush=True)
            if one.found:
                places[one.name].parent.mkdir(parents=True, exist_ok=True)
                places[one.name].write_text(json.dumps(one.found))
        for place in filter(Path.exists, places.values()):
            found = json.loads(place.read_text())
            self._seconds |= {test: seconds for test, seconds in found["seconds"].items() if _function(test) != blind}
            for file, lines in found["lines"].items():
                for line, names in lines.items():
                    self._lines.setdefault(file, {}).setdefault(int(line), set()).update(names)

    def tests(self, root: Path, edit: Edit) -> tuple[list[str], float]:
        """Tests that may see an edit, in the order in which they are to run, and what they take without it in
        seconds of CPU.

        First those that run the lines of the statement; one outside of functions runs once, at import, so for it all
        that run the file. Then the others of the same files of tests, which may have what the first of them computed.
        """
        lines = self._lines.get(edit.file, {})
        first, last, inside = statement((root / edit.file).read_text(), edit.line)
        direct = set().union(*(names for line, names in lines.items() if first <= line <= last or not inside))
        direct &= self._seconds.keys()
        files = {test.split("::")[0] for test in direct}
        others = {test for test in self._seconds if test.split("::")[0] in files} - direct
        chosen: list[str] = []
        total = 0.0
        for some, most in ((direct, SECONDS), (others, SECONDS_OF_OTHERS)):
            used = 0.0
            for test in sorted(some, key=self._cost):
                if used + self._seconds[test] < most or not chosen:
                    chosen.append(test)
                    used += self._seconds[test]
            total += used
        return chosen, total

    def _cost(self, test: str) -> tuple[float, str]:
        return self._seconds[test], test


def _function(test: str) -> str:
    return test.split("::")[-1].split("[")[0]


def _digest(paths: list[Path]) -> str:
    found = hashlib.sha256()
    for path in paths:
        found.update(str(path).encode() + b"\0" + path.read_bytes())
    return found.hexdigest()[:16]


def judged(edits: Iterable[Edit], reach: Reach, workers: running.Workers) -> Iterator[dict]:
    """What became of each edit, in the order in which that is known: seen, survived, timeout or equivalent."""
    listed = equivalent(ROOT)

    def tasks() -> Iterator[running.Task]:
        for edit in edits:
            said = {"file": edit.file, "line": edit.line, "before": edit.before, "after": edit.after}
            tests, seconds = reach.tests(ROOT, edit)
            if reason := listed.get(edit.key) or listed.get((edit.file, edit.before, "*")):
                done.append(said | {"state": "equivalent", "by": reason})
            elif not tests:
                done.append(said | {"state": "survived", "by": "no test runs this line"})
            else:
                work = partial(running.seen, file=edit.file, text=edit.text, tests=tests)
                yield said, work, round(60 + 6 * seconds)

    done: list[dict] = []
    for one in workers.results(tasks()):
        state = "timeout" if one.stopped else "survived" if one.found == "" else "seen"
        by = one.found or ("the process of the tests died" if state == "seen" else f"{one.seconds_of_cpu:.0f} s of CPU")
        yield one.name | {"state": state, "by": by, "seconds_of_cpu": round(one.seconds_of_cpu, 2)}
    yield from done


def smoke(workers: running.Workers) -> int:
    """0 if the tests of a file see some edits of it, and one of them no more when the test that sees it is left out."""
    file, test_file = SMOKE
    before, after, test = SHARP
    sharp = replaced(ROOT, file, before, after)
    overlooked = [
        one
        for one in judged([*sample(ROOT, [file], 3, 0), sharp], Reach(ROOT, [test_file], workers), workers)
        if one["state"] == "survived"
    ]
    (blind,) = judged([sharp], Reach(ROOT, [test_file], workers, test), workers)
    for one in overlooked:
        print(SAID.format(**one))
    if blind["state"] != "survived":
        print(f"without {test} the edit {after!r} is {blind['state']}, by {blind['by']}; it has to survive there")
    return 1 if overlooked or blind["state"] != "survived" else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", help="files of the source to edit; without one those of three folders")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--report", type=Path, help="where to write all edits as JSON")
    parser.add_argument("--at-most", type=float, default=0.05, help="share of edits that may be overlooked")
    parser.add_argument("--smoke", action="store_true", help="a few edits of one file, in seconds")
    options = parser.parse_args()
    begun = time.perf_counter()
    every = [str(path.relative_to(ROOT)) for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
    test_files = [
        str(path.relative_to(ROOT)) for folder in TESTS for path in sorted((ROOT / folder).rglob("test_*.py"))
    ]
    with tempfile.TemporaryDirectory(prefix="mutants-") as scratch:
        trees = [running.copied(ROOT, Path(scratch, str(job))) for job in range(options.jobs)]
        if options.smoke:
            return smoke(running.Workers(trees, running.LIGHT))
        workers = running.Workers(trees)
        edits = sample(ROOT, options.files or every, options.count, options.seed)
        results = []
        for result in judged(edits, Reach(ROOT, test_files, workers), workers):
            results.append(result)
            print(SAID.format(**result), flush=True)
            if options.report:
                options.report.write_text(json.dumps(results, indent=1))
    counts = {
        state: sum(one["state"] == state for one in results) for state in ("seen", "timeout", "survived", "equivalent")
    }
    real = len(results) - counts["equivalent"]
    share = counts["survived"] / max(1, real)
    used = sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(
        f"seed {options.seed}: {real} edits, {counts}, {share:.1%} not seen, "
        f"{time.perf_counter() - begun:.0f} s, {used:.0f} s of CPU"
    )
    return 1 if share > options.at_most else 0


if __name__ == "__main__":
    sys.exit(main())
