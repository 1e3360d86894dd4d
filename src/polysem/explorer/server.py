"""The running server: one socket, one event loop, and an end in which nobody waits for long."""

import asyncio
import socket
import sys

import uvicorn

from polysem.explorer.app import create_app
from polysem.explorer.explorer import Explorer
from polysem.io.errors import InputError

IDLE_SECONDS = 30
"""How long a connection may stay open without a request."""


def serve(explorer: Explorer, host: str, port: int) -> int:
    """Answer until the user ends it (Ctrl-C); the exit status. InputError if the port cannot be had."""
    listening = bound(host, port)
    address = listening.getsockname()
    shown = f"[{address[0]}]" if ":" in address[0] else address[0]
    if explorer.is_open:
        print(
            f"warning: the server listens at {host}: whoever reaches this machine can search, and write notes as "
            f"{explorer.author}; leave out --host to keep it to yourself",
            file=sys.stderr,
        )
    print(f"polysem explores {explorer.study.name} at http://{shown}:{address[1]}/ (Ctrl-C ends it)", flush=True)
    config = uvicorn.Config(
        create_app(explorer),
        http="h11",
        ws="none",
        lifespan="on",
        log_level="warning",
        access_log=False,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=2,
        server_header=False,
    )
    asyncio.run(uvicorn.Server(config).serve(sockets=[listening]))
    return 0


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens; InputError, with what to do, if it cannot."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(1024)
    except (OSError, OverflowError) as error:
        raise InputError(
            f"the server cannot listen at {host}, port {port} ({error}); give another --port, or --port 0 for any"
        ) from None
    return listening
