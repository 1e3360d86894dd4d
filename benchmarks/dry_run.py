"""What Snakemake needs to plan a large study: `python benchmarks/dry_run.py [folder …]`.

Plans the models of the default study with 250 seeds of one recipe, 1,000 SAEs at four sites, and prints jobs and
seconds (medians). Each folder is a checkout with nothing made; several are planned in turn, to compare them. Without
one it is this one.
"""

import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ruamel.yaml import YAML

ROUNDS = 3
HERE = Path(__file__).resolve().parents[1]


def large_study(path):
    yaml = YAML()
    study = yaml.load(HERE / "params.yaml")
    recipe = {"architecture": "relu", "l1": 2, "models": ["stories-1l", "stories-2l"], "seed": list(range(250))}
    study["saes"] = {"many": recipe}
    del study["toys"], study["case_studies"]  # which name SAEs
    yaml.dump(study, path)


def plan(folder, params):
    """Number of jobs and seconds."""
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--quiet", "progress", "--configfile", str(params)]
    begun = time.perf_counter()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    seconds = time.perf_counter() - begun
    return int(re.findall(r"^ *total +(\d+)", done.stdout + done.stderr, re.MULTILINE)[-1]), seconds


if __name__ == "__main__":
    folders = [Path(folder) for folder in sys.argv[1:]] or [HERE]
    with tempfile.TemporaryDirectory() as scratch:
        params = Path(scratch) / "params.yaml"
        large_study(params)
        rounds = [[plan(folder, params) for folder in folders] for _ in range(ROUNDS)]
    for folder, plans in zip(folders, zip(*rounds, strict=True), strict=True):
        print(f"{folder}: {plans[0][0]:,} jobs, {statistics.median(seconds for _, seconds in plans):.1f} s")
