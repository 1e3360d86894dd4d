"""The quick preset on a Slurm of one node, this machine: `python benchmarks/slurm.py`.

Prints submissions and seconds, those of a run without Slurm beside them, and whether both made the same bytes; status 1
if not. Needs what `tests/workflow/one_node.py` says, and the extra `cluster`.
"""

import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/workflow"))

import one_node
from repository import ROOT, Repository, environment, plant

PROFILE = ("--workflow-profile", "profiles/slurm", "--cores", "2")
VOLATILE = ("provenance.json", "pages/provenance", "index.html", ".snakemake_timestamp")
"""What tells when and how jobs ran."""


def run(repository: Repository, variables: dict[str, str], *options: str) -> tuple[float, str]:
    """Seconds of a run, and what it said."""
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", *options],
        cwd=repository.folder,
        env=environment(repository.folder) | one_node.plugin_environment(variables),
        capture_output=True,
        text=True,
    )
    if done.returncode:
        sys.exit(f"error: the run ended with {done.returncode}:\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
    return time.monotonic() - begun, done.stdout + done.stderr


def contents(repository: Repository) -> dict[str, str]:
    return {name: digest for name, digest in repository.digests().items() if not any(part in name for part in VOLATILE)}


if __name__ == "__main__":
    if reason := one_node.lacking():
        sys.exit(f"error: {reason}")
    quick = (ROOT / "presets/quick.yaml").read_text()
    with tempfile.TemporaryDirectory(prefix="slurm-") as scratch:
        there, here = (plant(Path(scratch) / name, quick) for name in ("there", "here"))
        with one_node.one_node(Path(scratch) / "node") as variables:
            seconds, said = run(there, variables, *PROFILE)
            again = run(there, variables, "--cores", "2")[1]
        alone, _ = run(here, {"PATH": one_node.PATH}, "--cores", "2")
        submissions = len(re.findall("has been submitted with SLURM jobid", said))
        first, second = contents(there), contents(here)
        others = sorted(name for name in first.keys() | second.keys() if first.get(name) != second.get(name))
        print(f"Slurm: {submissions} submissions, {seconds:.0f} s; without: {alone:.0f} s; {len(first)} files")
        print(f"other bytes: {', '.join(others) or 'none'}")
        print("a run without Slurm behind it has", "nothing" if "Nothing to be done" in again else "something", "to do")
        sys.exit(bool(others) or "Nothing to be done" not in again)
