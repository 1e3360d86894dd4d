"""What polysem survives: `python benchmarks/robustness.py [campaign …] [--smoke] [--scratch FOLDER]`.

A campaign is a module of `benchmarks/campaigns` with a `TITLE` and `cases(scratch, smoke)`, which yields each case as
soon as it is known. Without a name all of them run. Prints what failed, the counts of docs/robustness.md and the time;
the exit status is 1 if a case failed. `--smoke` takes a few cases of each, as the tests do.
"""

import argparse
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests/workflow")]  # the throw-away repositories are those of the tests
SHARED = {"case", "small_study"}
CAMPAIGNS = sorted(module.name for module in iter_modules([str(HERE / "campaigns")]) if module.name not in SHARED)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("campaign", nargs="*", choices=[[], *CAMPAIGNS], default=[], metavar="campaign")
    parser.add_argument("--smoke", action="store_true", help="a few cases of each campaign")
    parser.add_argument("--scratch", type=Path, help="an empty folder to work in; a temporary one without it")
    options = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory() as temporary:
        for name in options.campaign or CAMPAIGNS:
            folder = (options.scratch or Path(temporary)) / name
            folder.mkdir(parents=True)
            failed += run(import_module(f"campaigns.{name}"), folder, options.smoke)
    return 1 if failed else 0


def run(campaign, folder, smoke):
    """Number of failed cases."""
    begun, counts = time.perf_counter(), {}
    for case in campaign.cases(folder, smoke):
        well, all_of_kind = counts.get(case.kind, (0, 0))
        counts[case.kind] = (well + (not case.problem), all_of_kind + 1)
        if case.problem:
            print(f"FAILED {case.kind}, {case.name}: {case.problem}", flush=True)
    print(f"{campaign.TITLE} ({time.perf_counter() - begun:.0f} s)")
    for kind, (well, all_of_kind) in counts.items():
        print(f"  {kind}: {well} of {all_of_kind}", flush=True)
    return sum(all_of_kind - well for well, all_of_kind in counts.values())


if __name__ == "__main__":
    sys.exit(main())
