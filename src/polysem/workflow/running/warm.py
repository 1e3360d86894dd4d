"""Warm processes: they have the libraries of some steps imported, and become a job by a fork.

Half of a small job is importing torch and transformer_lens. So a run on one machine starts a process for each of
`LIBRARIES`, which imports what it names, and nothing of this package. `python -m polysem step NAME …` hands its
arguments, environment and open files to it and waits for the exit status. The fork goes on as the step that was asked
for, as if it had just been started: it imports our modules itself, so a source that was edited counts at once.

A process that is not ready yet, or has more than one thread, takes no jobs: these start as they do without it.
"""

import gc
import importlib
import json
import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

FOLDER = "POLYSEM_WARM"
"""Set by the workflow: the folder of the sockets."""
SUPERVISED = "POLYSEM_SUPERVISED"
"""See `workflow.running.command`: a fork ends with the process that it came from."""
READING = ("h5py", "pydantic.main", "pydantic.validate_call_decorator")
"""What every step reads its options and single numbers with."""
LIBRARIES: Mapping[str, tuple[Sequence[str], Sequence[str]]] = {
    "torch": (
        (
            *("import_classifier", "randomise_model", "extract_activations", "train_model", "train_classifier"),
            *("train_sae", "import_sae", "measure_dictionary", "measure_tables", "recover_features"),
            *("explain_features", "index_features", "tokenize_corpus"),
        ),
        (
            *("torch", "transformer_lens.model_bridge", "xarray", "netCDF4", "zarr", "pyarrow", *READING),
            *("safetensors.torch", "scipy.special", "scipy.stats", "sklearn.linear_model", "tokenizers"),
        ),
    ),
    "matplotlib": (
        (
            *("draw_figures", "draw_site_figures", "draw_model_figures", "draw_toy_figures"),
            *("collect_metrics", "collect_plots", "write_sheets", "write_case_studies", "write_report"),
        ),
        (
            *("matplotlib.figure", "matplotlib.backends.backend_svg", "xarray", "netCDF4", "tokenizers"),
            *("jinja2", *READING),
        ),
    ),
}
"""By the name of a process: the steps that it becomes, and the libraries that it imports."""
NO_THREADS = {"JE_ARROW_MALLOC_CONF": "background_thread:false"}
"""Keeps Arrow's allocator from starting a thread when it is loaded."""
LEAST = 4
"""Steps from which on a warm process is worth its imports."""
HEAD, STATUS = 8, 2
"""Bytes of the length of what is asked, and of an exit status."""
PATIENCE = 0.2
"""Seconds after which a warm process looks whether the run that it belongs to is still there."""


@dataclass(frozen=True)
class Job:
    """What a process needs to go on as a step: it has `files` as standard input, output and error."""

    arguments: list[str]
    environment: dict[str, str]
    folder: str
    files: list[int]


def handed_over(arguments: Sequence[str]) -> int | None:
    """The exit status of a step that a warm process ran; None if none takes it, so that it has to run here.

    `arguments` are those of `polysem step`, its name first. The step ends when this process does.
    """
    folder = os.environ.get(FOLDER)
    name = next((name for name, (steps, _) in LIBRARIES.items() if arguments[:1] and arguments[0] in steps), None)
    if not folder or name is None:
        return None
    asked = socket.socket(socket.AF_UNIX)
    try:
        asked.connect(str(_socket(Path(folder), name)))
    except OSError:
        return None
    with asked:
        said = json.dumps([list(arguments), dict(os.environ), str(Path.cwd())]).encode()
        socket.send_fds(asked, [len(said).to_bytes(HEAD, "little")], [0, 1, 2])
        asked.sendall(said)
        status = asked.recv(STATUS)
    if len(status) < STATUS:
        print("error: the process that ran this step is gone, with all that it had not written yet", file=sys.stderr)
        return 1
    return int.from_bytes(status, "little")


def wait_for_job(name: str, folder: Path, run: int) -> list[str]:
    """Import libraries and wait for jobs as long as the process `run`, which started this one, is there.

    Returns in each fork, as the job: with the arguments of `polysem step`.
    """
    for library in LIBRARIES[name][1]:
        importlib.import_module(library)
    if len(list(Path("/proc/self/task").iterdir())) > 1:  # in a fork, locks that other threads hold stay locked
        sys.exit(f"{name}: a library started a thread when it was imported, so jobs start without a warm process")
    gc.collect()
    gc.freeze()
    with socket.socket(socket.AF_UNIX) as listening:
        place = _socket(folder, name)
        listening.bind(str(place.with_suffix(".new")))
        listening.listen(64)
        place.with_suffix(".new").rename(place)
        job = _forks(listening, run)
    if job is None:
        shutil.rmtree(folder, ignore_errors=True)
        sys.exit()
    _become(job)
    return job.arguments


def start(steps: Iterable[str], environment: Mapping[str, str], *, gpu: bool) -> None:
    """Start those of the processes that at least `LEAST` of a run's steps can be handed to; they end with this process.

    Their environment is that of the jobs. They import side by side with the first jobs. Whoever has processes for
    several runs names their folder in the environment, and none are started. Where steps use a GPU, those
    that have torch start without: a fork cannot use CUDA if the process that it came from has so much as looked for it.
    """
    wanted = list(steps)
    names = [name for name, (taken, _) in LIBRARIES.items() if sum(step in taken for step in wanted) >= LEAST]
    names = [name for name in names if not (gpu and name == "torch")]
    if sys.platform != "linux" or not names or os.environ.get(FOLDER):
        return
    folder = Path(tempfile.mkdtemp(prefix="polysem-"))
    os.environ[FOLDER] = str(folder)
    for name in names:
        with (folder / f"{name}.log").open("wb") as log:
            subprocess.Popen(
                [sys.executable, "-m", "polysem", "warm", name, str(folder), str(os.getpid())],
                env={**os.environ, **environment, **NO_THREADS},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,  # Ctrl-C reaches who asked, whose end is that of the job
            )


def _socket(folder: Path, name: str) -> Path:
    return folder / f"{name}.socket"


def _forks(listening: socket.socket, run: int) -> Job | None:
    """Fork for every job that somebody asks for, and tell its exit status; returns the job in the forks, and None when
    the run is over."""
    selector = selectors.DefaultSelector()
    selector.register(listening, selectors.EVENT_READ)
    running: dict[socket.socket, tuple[int, int]] = {}  # process and its descriptor, by who asked
    while os.getppid() == run:
        for key, _ in selector.select(PATIENCE):
            if key.fileobj is listening:
                asking = listening.accept()[0]
                job = _received(asking)
                if job is None:
                    asking.close()
                elif process := os.fork():
                    for file in job.files:
                        os.close(file)
                    running[asking] = process, os.pidfd_open(process)
                    selector.register(asking, selectors.EVENT_READ, asking)
                    selector.register(running[asking][1], selectors.EVENT_READ, asking)
                else:
                    selector.close()
                    for other, (_, ended) in running.items():
                        other.close()
                        os.close(ended)
                    asking.detach()  # stays open as long as the job: who asked is told of its end, not of the server's
                    return job
            elif key.data in running:
                asking = key.data
                process, ended = running.pop(asking)
                if key.fileobj is asking:  # who asked is gone
                    os.kill(process, signal.SIGKILL)
                status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
                selector.unregister(asking)
                selector.unregister(ended)
                os.close(ended)
                _tell(asking, status if status >= 0 else 128 - status)
    for process, _ in running.values():
        os.kill(process, signal.SIGKILL)
    return None


def _received(asking: socket.socket) -> Job | None:
    """What somebody asks for; None if it does not come to an end."""
    asking.settimeout(PATIENCE * 10)
    try:
        head, files, _, _ = socket.recv_fds(asking, HEAD, 3)
        missing = int.from_bytes(head, "little")
        said = bytearray()
        while len(said) < missing:
            part = asking.recv(missing - len(said))
            if not part:
                raise OSError
            said += part
    except OSError:
        return None
    asking.settimeout(None)
    arguments, environment, folder = json.loads(said)
    return Job(arguments, environment, folder, files)


def _tell(asking: socket.socket, status: int) -> None:
    with asking, suppress(OSError):
        asking.sendall(status.to_bytes(STATUS, "little"))


def _become(job: Job) -> None:
    """Take the place of the process that asked."""
    for place, file in enumerate(job.files):
        os.dup2(file, place)
        os.close(file)
    os.chdir(job.folder)
    os.environ.clear()
    os.environ.update(job.environment)
    del os.environ[FOLDER]
    if SUPERVISED in os.environ:
        os.environ[SUPERVISED] = "1"
    gc.unfreeze()
