"""What a process loaded of the package, on a scratch package that goes by the name of this one."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import polysem
from polysem.workflow.running.code import named_digest

SOURCE = Path(polysem.__file__).parents[1]
RUNNER = "polysem.workflow.running.command"
INSTALL = "from polysem.workflow.running import loaded; loaded.install()"
STEP = ("-m", "polysem", "step", "step", "--output", "results/x")


@pytest.fixture
def package(tmp_path):
    """A copy of the package with one more step, which imports one module at once and another one late."""
    folder = tmp_path / "src/polysem"
    shutil.copytree(SOURCE / "polysem", folder, ignore=shutil.ignore_patterns("__pycache__"))
    with (folder / "workflow/running/steps.py").open("a") as steps:
        steps.write("\nSTEPS['step'] = 'polysem.step'\n")
    (folder / "early.py").write_text("VALUE = 1\n")
    (folder / "late.py").write_text("VALUE = 1\n")
    (folder / "unnamed.py").write_text("VALUE = 1\n")
    (folder / "step.py").write_text(
        "from importlib import import_module\n"
        "from pathlib import Path\n"
        "from polysem.io.atomic import write_text\n"
        "from polysem import early\n"
        "def step(output: Path, wait: Path | None = None, by_name: str = '') -> None:\n"
        "    '''Write two numbers.'''\n"
        "    if wait:\n"
        "        edited, text = wait.read_text().split('|')\n"
        "        Path(edited).write_text(text)\n"
        "    from polysem import late\n"
        "    if by_name:\n"
        "        import_module(by_name)\n"
        "    write_text(output, f'{early.VALUE} {late.VALUE}')\n"
    )
    return folder


def digest(package):
    script = f"from polysem.workflow.running.code import named_digest; print(named_digest('polysem.step', '{RUNNER}'))"
    return call(package, "-c", script).stdout.strip()


def call(package, *arguments):
    ours = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment = ours | {"PYTHONPATH": str(package.parent), "POLYSEM_COMMAND": "export A=1; exec a command"}
    return subprocess.run([sys.executable, *arguments], cwd=package.parents[1], env=environment,
                          capture_output=True, text=True)  # fmt: skip


def call_while_edited(package, module):
    """The step edits a module after it has imported `early`, and before it imports `late`."""
    wait = package.parents[1] / "wait"
    wait.write_text(f"{package / module}.py|VALUE = 2\n")
    return call(package, *STEP, "--code", digest(package), "--wait", str(wait))


def test_a_step_runs_with_the_code_that_its_rule_saw_and_seals_its_output(package):
    done = call(package, *STEP, "--code", digest(package), "--log", "logs/a.log")
    assert done.returncode == 0, done.stderr
    folder = package.parents[1]
    assert (folder / "results/x").read_text() == "1 1"
    seal = json.loads((folder / ".snakemake/metadata/seals/a.json").read_text())
    assert seal["outputs"].keys() == {"results/x"}
    assert seal["command"] == hashlib.sha256(b"a command").hexdigest()[:16]


@pytest.mark.parametrize("module", ["early", "step", "late"])
def test_a_step_refuses_before_it_writes_if_its_code_is_another(package, module):
    stated = digest(package)
    file = package / f"{module}.py"
    file.write_text(f"{file.read_text()}\nMORE = 1\n")
    done = call(package, *STEP, "--code", stated, "--log", "logs/a.log")
    assert (done.returncode, done.stderr) == (
        1, "error: the code of polysem.step changed since the run began; run again, and the job starts from what is "
        "there then\n")  # fmt: skip
    assert not (package.parents[1] / "results").exists()


def test_a_comment_is_no_other_code(package):
    stated = digest(package)
    (package / "early.py").write_text("# a comment\nVALUE = 1\n")
    assert call(package, *STEP, "--code", stated).returncode == 0


def test_a_module_that_changes_before_it_is_imported_late_is_refused(package):
    done = call_while_edited(package, "late")
    assert done.stderr.startswith("error: polysem.late changed since the run began")
    assert not (package.parents[1] / "results").exists()


def test_a_module_that_changes_after_it_was_loaded_does_no_harm(package):
    done = call_while_edited(package, "early")
    assert done.returncode == 0, done.stderr
    assert (package.parents[1] / "results/x").read_text() == "1 1"


def test_a_module_found_by_a_name_that_the_rule_does_not_know_is_refused(package):
    arguments = ("--code", digest(package), "--by_name", "polysem.unnamed")
    done = call(package, *STEP, *arguments)
    assert "polysem.unnamed is used, but the digest of polysem.step does not cover it" in done.stderr


def test_a_source_that_is_put_back_while_it_is_imported_is_noticed(package):
    """The module puts itself back as soon as it runs, so the file is right whenever anybody looks."""
    stated, file = digest(package), package / "early.py"
    right = file.read_text()
    file.write_text(f"from pathlib import Path\nPath(__file__).write_text({right!r})\nVALUE = 2\n")
    done = call(package, *STEP, "--code", stated)
    assert file.read_text() == right
    assert done.stderr.startswith("error: polysem.early changed since the run began")
    assert not (package.parents[1] / "results").exists()


def test_compiled_code_fits_its_source_by_content(package):
    """Python alone takes a source of the same size and second for the one that it compiled."""
    file, script = package / "early.py", f"{INSTALL}; import polysem.early; print(polysem.early.VALUE)"
    assert call(package, "-c", script).stdout == "1\n"
    status = file.stat()
    file.write_text("VALUE = 2\n")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert call(package, "-c", script).stdout == "2\n"
    assert list((package / "__pycache__").glob("early.*.pyc"))


OUTSIDE = """
import os, sys, time
from pathlib import Path
from polysem.io.atomic import write_text
from polysem.workflow.running.command import run
def step(output: Path, then: str = "") -> None:
    "Read a file, which changes meanwhile."
    text = Path("texts/a.txt").read_text()
    if then:
        Path("texts/a.txt").write_text(then)
    write_text(output, text)
run(step)
"""


@pytest.mark.parametrize("then", ["", "other text", "text"])
def test_files_from_outside_are_what_the_rule_saw_until_the_output_is_there(tmp_path, then):
    import json

    from polysem.io.content import content_digest

    (tmp_path / "texts").mkdir()
    (tmp_path / "texts/a.txt").write_text("text")
    (tmp_path / "step.py").write_text(OUTSIDE)
    stated = {"digest": content_digest([tmp_path / "texts/a.txt"]), "paths": ["texts/*.txt"]}
    command = [sys.executable, "step.py", "--output", "x", "--outside", json.dumps(stated), "--then", then]
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    if then:  # even the same text: what was read in between is not known
        assert done.stderr == "error: texts/a.txt changed while it was read; run again, and the job starts from " \
            "what is there then\n"  # fmt: skip
    assert (tmp_path / "x").exists() == (not then)
    (tmp_path / "texts/b.txt").write_text("one more")
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.stderr.startswith("error: texts/*.txt changed since the run began")


def test_the_digest_with_its_modules_is_one_word():
    assert (
        named_digest("polysem.io.errors", "polysem.training.order").partition(":")[2]
        == "polysem.io.errors,polysem.training.order"
    )
