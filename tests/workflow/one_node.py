"""Slurm with one node, this machine: `with one_node(folder) as variables`.

All is below the folder but a link to it, where Slurm's commands look for their configuration. It needs the Debian
packages slurm-wlm and munge, and root, as slurmd makes control groups. `python tests/workflow/one_node.py command …`
runs a command beside it.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol")
PATH = f"{os.environ['PATH']}{os.pathsep}/usr/sbin{os.pathsep}/sbin"
LINK = Path("/etc/slurm/slurm.conf")
"""Where commands look that know no `SLURM_CONF`, as those that the executor plugin starts in a job."""
PLUGINS = Path(sys.prefix) / "cluster"
"""Where `make test` puts the executor plugin, so that no other call of Snakemake imports it."""
MEMORY_GROUPS = Path("/sys/fs/cgroup/memory")
SLURM = """\
ClusterName=onenode
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={control}
SlurmdPort={daemon}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge.socket
MpiDefault=none
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/cgroup
TaskPlugin=task/cgroup
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerParameters=sched_min_interval=1000000,bf_interval=5
KillWait=5
ReturnToService=2
NodeName={host} NodeAddr=127.0.0.1 CPUs={cores} RealMemory={memory} State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""
GROUPS = """\
CgroupPlugin=cgroup/v1
CgroupAutomount=no
ConstrainRAMSpace=yes
ConstrainCores=no
"""


def lacking() -> str:
    """What this machine lacks, or ''."""
    if find_spec("snakemake_executor_plugin_slurm") is None and not PLUGINS.is_dir():
        return "the extra cluster is not installed (`make .venv/cluster`)"
    absent = [name for name in PROGRAMS if shutil.which(name, path=PATH) is None]
    if absent:
        return f"no {', '.join(absent)}; Debian has them in slurm-wlm and munge"
    if os.geteuid():
        return "slurmd makes control groups, which only root may"
    if LINK.exists() and not LINK.is_symlink():
        return "this machine belongs to a cluster already"
    if LINK.exists() and subprocess.run(["scontrol", "ping"], capture_output=True).returncode == 0:
        return "another Slurm of one node runs here"
    if not (MEMORY_GROUPS / "memory.limit_in_bytes").exists() or not os.access(MEMORY_GROUPS, os.W_OK):
        return f"{MEMORY_GROUPS} cannot be written: no control groups of version 1"
    return ""


@contextmanager
def one_node(folder: Path) -> Iterator[dict[str, str]]:
    """The environment of commands that speak to it; all is ended behind the block, jobs first."""
    folder.mkdir(parents=True)
    folder.chmod(0o755)
    host = socket.gethostname().partition(".")[0]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20 - 512
    values = {"folder": folder, "host": host, "control": free_port(), "daemon": free_port(), "memory": memory}
    (folder / "slurm.conf").write_text(SLURM.format(cores=os.cpu_count(), **values))
    (folder / "cgroup.conf").write_text(GROUPS)
    (folder / "munge.key").write_bytes(os.urandom(128))
    (folder / "munge.key").chmod(0o600)
    for name in ("state", "spool"):
        (folder / name).mkdir()
    variables = os.environ | {"SLURM_CONF": str(folder / "slurm.conf"), "PATH": PATH, "PYTHONPATH": str(PLUGINS)}
    with ExitStack() as ending:
        LINK.unlink(missing_ok=True)  # of one that was killed
        LINK.symlink_to(folder / "slurm.conf")
        ending.callback(LINK.unlink)
        munge = [
            "munged",
            "--foreground",
            "--force",
            f"--key-file={folder}/munge.key",
            f"--socket={folder}/munge.socket",
        ]
        munge += [
            f"--pid-file={folder}/munge.pid",
            f"--log-file={folder}/munge.log",
            f"--seed-file={folder}/munge.seed",
        ]
        daemons = (munge, ["slurmctld", "-D", "-c"], ["slurmd", "-D", "-N", host])
        for daemon in daemons:
            log = ending.enter_context((folder / f"{daemon[0]}.out").open("wb"))
            process = subprocess.Popen(daemon, env=variables, stdout=log, stderr=log, cwd=folder)
            ending.callback(end, process)
            if daemon is munge:
                wait_for((folder / "munge.socket").exists, folder)
        ready = ["sinfo", "--noheader", "--format=%t"]
        wait_for(lambda: subprocess.run(ready, env=variables, capture_output=True).stdout.strip() == b"idle", folder)
        ending.callback(cancel_all, variables)
        yield variables


def plugin_environment(variables: dict[str, str]) -> dict[str, str]:
    """What a call of Snakemake needs to find the plugin and Slurm."""
    return {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{variables['PATH']}", "PYTHONPATH": str(PLUGINS)}


def cancel_all(variables: dict[str, str]) -> None:
    """End all jobs, and wait until they are gone."""
    subprocess.run(["scancel", "--full", "--user=root"], env=variables, capture_output=True)
    asked = ["squeue", "--noheader", "--format=%i"]
    end = time.monotonic() + 20
    while subprocess.run(asked, env=variables, capture_output=True).stdout.strip() and time.monotonic() < end:
        time.sleep(0.2)


def end(process: subprocess.Popen[bytes]) -> None:
    """Ask a process to end, and wait for it."""
    process.terminate()
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def wait_for(condition, folder: Path, seconds: float = 30) -> None:
    """Wait; RuntimeError with what the daemons said if it takes longer."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            said = "\n".join(file.read_text()[-2000:] for file in folder.glob("*.log"))
            raise RuntimeError(f"Slurm does not start:\n{said}")
        time.sleep(0.1)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


if __name__ == "__main__":
    if reason := lacking():
        sys.exit(f"error: {reason}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is ended all the same
    with (
        tempfile.TemporaryDirectory(prefix="one-node-") as scratch,
        one_node(Path(scratch) / "slurm") as environment,
        subprocess.Popen(sys.argv[1:], env=environment) as command,
    ):
        try:
            sys.exit(command.wait())
        finally:
            command.terminate()
