"""What polysem survives: `python benchmarks/robustness.py [campaign …] [--smoke] [--scratch FOLDER]`.

A campaign is a module of `benchmarks/campaigns` with a `TITLE` and `cases(scratch, smoke)`, which yields each case as
soon as it is known. Without a name all of them run; several run side by side, each in a process of its own. Prints
what failed, the counts of docs/robustness.md and the time; the exit status is 1 if a case failed. `--smoke` takes a
few cases of each, as the tests do.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests/workflow")]  # the throw-away repositories are those of the tests
CAMPAIGNS = ("kills", "full_disk", "stale", "bad_input", "hostile_files")
"""Those that take longest first."""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("campaign", nargs="*", choices=[[], *CAMPAIGNS], default=[], metavar="campaign")
    parser.add_argument("--smoke", action="store_true", help="a few cases of each campaign")
    parser.add_argument("--scratch", type=Path, help="an empty folder to work in; a temporary one without it")
    options = parser.parse_args()
    chosen = options.campaign or CAMPAIGNS
    if len(chosen) > 1:
        return side_by_side(chosen, options)
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.scratch or Path(temporary)) / chosen[0]
        folder.mkdir(parents=True)
        return 1 if run(import_module(f"campaigns.{chosen[0]}"), folder, options.smoke) else 0


def side_by_side(names, options):
    """1 if one of the campaigns failed; each prints its lines when it ends."""
    begun = time.perf_counter()
    more = ["--smoke"] * options.smoke + (["--scratch", str(options.scratch)] if options.scratch else [])

    def one(name):
        done = subprocess.run([sys.executable, __file__, name, *more], stdout=subprocess.PIPE, text=True)
        print(done.stdout, end="", flush=True)
        return done.returncode

    with ThreadPoolExecutor(os.cpu_count()) as workers:
        failed = any(list(workers.map(one, names)))
    print(f"all of it: {time.perf_counter() - begun:.0f} s")
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
