"""Polysemantic neurons and sparse autoencoders: every figure of five documents out of one DAG."""

import gc
import os

if "POLYSEM_SUPERVISED" in os.environ:
    # A step of the workflow: what it imports stays, and is not searched for cycles. `io.command.run` begins with that.
    gc.disable()
