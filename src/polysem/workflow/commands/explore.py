"""`polysem explore`: a finished study in a browser, where people ask the model itself."""

import argparse
import getpass
import ipaddress
import socket
from pathlib import Path

LOOPBACK = "127.0.0.1"
PORT = 8070


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("results", metavar="RESULTS", nargs="?", type=Path, default=Path(), help="a results folder, or the folder of a repository; this one without it")  # fmt: skip
    parser.add_argument("--host", default=LOOPBACK, help="the address to listen at; others than this machine can reach anything but a loopback one")  # fmt: skip
    parser.add_argument("--port", type=int, default=PORT, help="the port to listen at; 0 for any that is free")
    parser.add_argument("--author", help="who writes the notes; the name that this machine knows you by without it")


def command(options: argparse.Namespace) -> int:
    """Serve a finished study to a browser: search, feature pages, notes."""
    from polysem.explorer.explorer import Explorer
    from polysem.explorer.inference.client import Inference
    from polysem.explorer.server import serve
    from polysem.study.study import open_study

    study = open_study(options.results)
    names, is_open = names_of(options.host)
    explorer = Explorer(study, Inference(), options.author or getpass.getuser(), hosts=names, is_open=is_open)
    return serve(explorer, options.host, options.port)


def names_of(host: str) -> tuple[frozenset[str], bool]:
    """Names under which browsers may call a server that listens at a host, and whether it is reached from elsewhere."""
    try:
        is_open = not ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_open = host != "localhost"
    found = {"localhost", host.lower()} | ({socket.gethostname().lower()} if is_open else set())
    return frozenset(found), is_open
