"""Polysemantic neurons and sparse autoencoders: every figure of four documents out of one DAG."""

import gc
import os

from polysem.workflow.running.loaded import install

install()

SUPERVISED = "POLYSEM_SUPERVISED"
"""Set by the workflow to its process id: a step ends when that process is gone. `1` stands for whatever process started
the step, which goes unnoticed if it dies while the step is still importing its modules."""
COMMAND = "POLYSEM_COMMAND"
"""Set by the workflow to what the shell runs: the environment of all steps, `; exec `, and the command of one."""

if int(os.environ.get(SUPERVISED, 0)):
    # What a step imports stays, and is not searched for cycles; `workflow.running.command` begins to search.
    gc.disable()
