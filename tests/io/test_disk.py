"""Disks that are full or may not be written to. A limit on the size of files stands for a full disk: what writes them
gets the same kind of error from the system, in the same places."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from polysem.io.atomic import write_text
from polysem.io.disk import disk_problem
from polysem.io.errors import InputError

WRITERS = {
    "table": """
from polysem.io.tables import write_table
import numpy as np, xarray as xr
x = xr.Dataset({"a": (("i", "j"), np.ones((900, 300)), {"long_name": "a", "units": "1"})})
write = lambda: write_table(Path("out"), x)""",
    "store": """
from polysem.io.stores import create_array, written_store
import numpy as np
def write():
    with written_store(Path("out"), attributes={}, params={}, code="", device="cpu") as group:
        array = create_array(group, "x", (9000, 30), "float64", ("token", "neuron"), compressed=False)
        array[:] = np.ones((9000, 30))""",
    "checkpoint": """
from polysem.training.checkpoints import Checkpoint
import torch
checkpoint = Checkpoint("out")
write = lambda: checkpoint.save({"a": torch.ones(300_000)})""",
    "safetensors": """
from polysem.io.atomic import written
from safetensors.torch import save_file
import torch
def write():
    with written(Path("out")) as partial:
        save_file({"a": torch.ones(300_000)}, partial)""",
    "parquet": """
from polysem.io.atomic import written
import numpy as np, pyarrow as pa, pyarrow.parquet as pq
def write():
    with written(Path("out")) as partial:
        pq.write_table(pa.table({"a": np.random.default_rng(0).random(300_000)}), partial)""",
    "folder": """
from polysem.io.folders import written_folder
def write():
    with written_folder(Path("out")) as (folder, receipt):
        (folder / "a.svg").write_text("x" * 1_000_000)""",
    "text": """
from polysem.io.atomic import write_text
write = lambda: write_text(Path("out"), "x" * 1_000_000)""",
}
"""How each form of artifact is written."""
SCRIPT = """
import resource, signal, sys
from pathlib import Path
{writer}
from polysem.io.errors import InputError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
try:
    write()
except InputError as error:
    print(error)
"""


@pytest.mark.parametrize("form", WRITERS)
def test_a_file_that_does_not_fit_is_named_and_nothing_is_left(tmp_path, form):
    script = SCRIPT.format(writer=WRITERS[form])
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    named = ".cache/checkpoints/" if form == "checkpoint" else "out"
    assert done.stdout.startswith(named) and " could not be written: it" in done.stdout
    assert "run again: what is finished stays" in done.stdout
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_to_is_named(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match=r"out could not be written .Permission denied.; make its folder writable"):
        write_text(tmp_path / "out", "")


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device"),
        OSError(122, "Disk quota exceeded"),
        RuntimeError("[enforce fail at inline_container.cc:858] . PytorchStreamWriter failed writing file data/0"),
        RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)"),
        OSError("[Errno 28] Error writing bytes to file. Detail: [errno 28] No space left on device"),
    ],
)
def test_a_full_disk_is_known_by_whatever_words_a_library_has(error):
    assert disk_problem(error, Path("a/b")).startswith(
        "a/b could not be written: its disk is full, or your share of it"
    )


def test_other_errors_are_no_matter_of_the_disk():
    for error in (ValueError("x"), FileNotFoundError(2, "No such file", "a"), RuntimeError("out of memory")):
        assert disk_problem(error, Path("a")) == ""
