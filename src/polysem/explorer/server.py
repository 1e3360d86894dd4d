"""The running server: one socket, one event loop, and an end in which nobody waits for long."""

import asyncio
import socket
import sys
from contextlib import suppress

import uvicorn

from polysem.explorer.added import described
from polysem.explorer.app import create_app
from polysem.explorer.explorer import Explorer
from polysem.io.errors import InputError

IDLE_SECONDS = 30
"""How long a connection may stay open without a request."""


def serve(explorer: Explorer, host: str, port: int) -> int:
    """Answer until the user ends it (Ctrl-C); the exit status. InputError if the port cannot be had, and for an SAE
    that cannot be added."""
    listening = bound(host, port)
    with suppress(KeyboardInterrupt):
        asyncio.run(_serve(explorer, listening))
    return 0


async def _serve(explorer: Explorer, listening: socket.socket) -> None:
    host, port, *_ = listening.getsockname()
    if explorer.is_open:
        print(
            f"warning: the server listens at {host}: whoever reaches this machine can search, and write notes as "
            f"{explorer.author}; leave out --host to keep it to yourself",
            file=sys.stderr,
        )
    await explorer.inference.start()
    try:
        if explorer.inference.adds:
            await explorer.inference.begun()
            print("\n".join(described(one) for one in explorer.inference.added))
        shown = f"[{host}]" if ":" in host else host
        print(f"polysem explores {explorer.study.name} at http://{shown}:{port}/ (Ctrl-C ends it)", flush=True)
        config = uvicorn.Config(
            create_app(explorer),
            http="h11",
            ws="none",
            log_level="warning",
            access_log=False,
            timeout_keep_alive=IDLE_SECONDS,
            timeout_graceful_shutdown=2,
            server_header=False,
        )
        await uvicorn.Server(config).serve(sockets=[listening])
    finally:
        await explorer.inference.stop()


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens; InputError, with what to do, if it cannot."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        # asyncio sends small pieces at once only over sockets that say they are TCP: 40 ms of each answer.
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(1024)
    except (OSError, OverflowError) as error:
        raise InputError(
            f"the server cannot listen at {host}, port {port} ({error}); give another --port, or --port 0 for any"
        ) from None
    return listening
