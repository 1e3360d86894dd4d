"""Throw-away repositories made from the working tree, and what they would run."""

import csv
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import forked
import warm_steps

from polysem.workflow.running import warm

ROOT = Path(__file__).resolve().parents[2]
PARTS = (
    ".dvc/config", ".dvc/.gitignore", ".dvcignore", ".gitignore", "Snakefile", "docs/results", "dvc.yaml", "labels",
    "params.yaml", "presets", "profiles", "pyproject.toml", "requirements.lock", "src", "workflow",
)  # fmt: skip
FEW_FIGURES = (
    "decoder_power", "frequency_histogram", "monosemanticity", "rank_frequency", "tag_activations",
    "training_frequencies", "loss_recovered", "recipes_compared", "match_layers", "rubric_scores", "steering_doses",
    "absorption_and_hedging",
)  # fmt: skip
"""Of dictionaries with and without labels and params, of sites, of models and of toys."""
OTHER_K = ("k: 8", "k: 6")
"""An edit of the params after which another SAE is trained at every site."""
TIMEOUT = 900
"""Seconds that a command may take."""
WITHOUT_WILDCARDS = ("check_claims", "collect_metrics", "collect_plots", "collect_provenance", "write_report")


@dataclass(frozen=True)
class Repository:
    """A folder with the workflow in it. Jobs are called as their logs: `train_sae/{model}/{site}/{sae}`."""

    folder: Path

    def __truediv__(self, path: str) -> Path:
        return self.folder / path

    def run(self, *command: str, fails: bool = False, **variables: str) -> subprocess.CompletedProcess[str]:
        """What a command does here; Snakemake and DVC with this Python are forked processes, and their steps, too."""
        env = environment(self.folder) | variables
        module, *arguments = command[2:] if command[:2] == (sys.executable, "-m") else ("",)
        if module in forked.COMMANDS and not any(name.startswith("PYTHON") for name in variables):
            done = forked.called(module, arguments, self.folder, {warm.FOLDER: warm_steps.folder()} | env, TIMEOUT)
        else:
            done = subprocess.run(command, cwd=self.folder, env=env, capture_output=True, text=True, timeout=TIMEOUT)
        assert (done.returncode != 0) == fails, f"{command} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        return done

    def snakemake(self, *arguments: str, fails: bool = False, **variables: str) -> str:
        done = self.run(sys.executable, "-m", "snakemake", *arguments, fails=fails, **variables)
        return done.stdout + done.stderr

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """A run of Snakemake in the background, in a session of its own, to be killed with `os.killpg`."""
        return subprocess.Popen(
            [sys.executable, "-m", "snakemake", *arguments],
            cwd=self.folder,
            env=environment(self.folder),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def dvc(self, *arguments: str, **variables: str) -> str:
        return self.run(sys.executable, "-m", "dvc", *arguments, **variables).stdout

    def git(self, *arguments: str) -> str:
        return self.run("git", *arguments).stdout

    def polysem(self, *arguments: str, fails: bool = False) -> str:
        done = self.run(sys.executable, "-m", "polysem", *arguments, fails=fails, PYTHONPATH="src")
        return done.stdout + done.stderr

    def plan(self) -> "Plan":
        """What a run would do, from `snakemake --summary`."""
        done = self.run(sys.executable, "-m", "snakemake", "--summary")
        rows = list(csv.DictReader(done.stdout.splitlines(), delimiter="\t"))
        assert rows, done.stdout + done.stderr
        jobs = [(job_of(row["rule"], row["output_file"]), row["plan"] == "update pending") for row in rows]
        return Plan({job for job, _ in jobs}, {job for job, pending in jobs if pending})

    def edit(self, path: str, old: str, new: str) -> None:
        text = (self / path).read_text()
        assert text.count(old) == 1, f"{path} holds {old!r} {text.count(old)} times"
        (self / path).write_text(text.replace(old, new))

    def commit(self, message: str) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)

    def digests(self, folder: str = "results") -> dict[str, str]:
        """sha256 of every file."""
        files = [file for file in (self / folder).rglob("*") if file.is_file()]
        return {str(file.relative_to(self.folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}

    @contextmanager
    def executed(self) -> Iterator[set[str]]:
        """The jobs that ran meanwhile, known by their logs; filled at the end of the block."""
        before, ran = self._logs(), set[str]()
        yield ran
        ran |= {job for job, time in self._logs().items() if before.get(job) != time}

    def _logs(self) -> dict[str, int]:
        logs = self / "logs"
        return {str(log.relative_to(logs).with_suffix("")): log.stat().st_mtime_ns for log in logs.rglob("*.log")}

    def copy(self, folder: Path) -> "Repository":
        """All files with their times, as `cp --archive` does."""
        return Repository(Path(shutil.copytree(self.folder, folder, symlinks=True)))

    def clone(self, folder: Path) -> "Repository":
        self.git("clone", "--quiet", str(self.folder), str(folder))
        return Repository(folder)


@dataclass(frozen=True)
class Plan:
    """All jobs of a study, and those that would run."""

    jobs: set[str]
    pending: set[str]

    def matching(self, *patterns: str) -> set[str]:
        """Jobs whose names match one of the patterns (`*` matches across slashes); every pattern must match some."""
        found = {pattern: {job for job in self.jobs if fnmatchcase(job, pattern)} for pattern in patterns}
        assert all(found.values()), [pattern for pattern, jobs in found.items() if not jobs]
        return set().union(*found.values())


def plant(folder: Path, params: str, few_figures: bool = False, and_figures: Iterable[str] = ()) -> Repository:
    """The working tree with another params file and nothing made, and with all figures or a few of them and these."""
    for part in PARTS:
        (folder / part).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(ROOT / part, folder / part)
    (folder / "params.yaml").write_text(params)
    if few_figures:
        leave_few_figures(folder / "src/polysem", and_figures)
    return Repository(folder)


def leave_few_figures(package: Path, and_figures: Iterable[str] = ()) -> None:
    """Remove the modules of all other figures from a package: drawing takes half of the time of a small study, and most
    tests of runs look at none."""
    for module in (package / "figures").glob("of_*/*.py"):
        if module.stem not in (*FEW_FIGURES, *and_figures, "__init__"):
            module.unlink()


def environment(folder: Path) -> dict[str, str]:
    """Settings of the user and of this checkout stay outside; the tools are those of the running Python."""
    ours = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "SNAKEMAKE", "DVC", "GIT"))
    }
    state = folder.parent / f"{folder.name}.state"
    return ours | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "Test",
        "GIT_AUTHOR_EMAIL": "test@example.org",
        "GIT_COMMITTER_NAME": "Test",
        "GIT_COMMITTER_EMAIL": "test@example.org",
        "DVC_NO_ANALYTICS": "1",
        "DVC_GLOBAL_CONFIG_DIR": str(state),
        "DVC_SYSTEM_CONFIG_DIR": str(state),
        "DVC_SITE_CACHE_DIR": str(state),
    }


def job_of(rule: str, output: str) -> str:
    """`train_sae/stories-1l/blocks.0.mlp.hook_post/l1-x4`, the name of the job's log."""
    if rule in WITHOUT_WILDCARDS:
        return rule
    path = Path(*Path(output).parts[2:])
    if rule in ("recover_features", "draw_toy_figures"):
        toy, sae = path.parts[0], path.stem
        return f"{rule}/{toy}" if rule == "draw_toy_figures" else f"{rule}/{toy}/{sae}"
    if Path(output).parts[1] == "figures":
        together = rule in ("draw_site_figures", "draw_model_figures")
        return f"{rule}/{path.parent if together else str(path).removesuffix('.json')}"
    if Path(output).parts[1] == "index":
        return f"{rule}/{path.parts[0].removesuffix('.json')}"
    if Path(output).parts[1:3] in (("report", "sheets"), ("report", "case_studies")):
        return f"{rule}/{Path(*Path(output).parts[3:]).as_posix().removesuffix('.json')}"
    if rule in ("measure_dictionary", "measure_neurons"):
        return f"{rule}/{str(path).removesuffix('.json')}"
    is_store = Path(output).parts[1] in ("tokens", "activations")
    return f"{rule}/{path.with_suffix('') if is_store else path.parent}"
