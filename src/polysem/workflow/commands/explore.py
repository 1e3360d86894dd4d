"""`polysem explore`: a finished study in a browser, where people ask the model itself."""

import argparse
import getpass
import ipaddress
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from polysem.io.errors import InputError
from polysem.io.files import expanded

if TYPE_CHECKING:
    from polysem.study.additions import Addition

LOOPBACK = "127.0.0.1"
PORT = 8070
LAST_PORT = 65_535


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    add = parser.add_argument
    add("results", metavar="RESULTS", nargs="?", type=Path, default=Path(), help="a results folder, or its repository")
    add(
        "--host", default=LOOPBACK, help="the address to listen at; others reach this machine at any but a loopback one"
    )
    add("--port", type=int, default=PORT, help="the port to listen at; 0 for any that is free")
    add("--author", help="who writes the notes; without it the name that this machine knows you by")
    add(
        "--add",
        metavar="SAE",
        help="an SAE of anyone, a folder or a file of weights, to show beside those of the study",
    )
    add("--format", help="whose files --add has; without it that is found by reading")
    add("--model", help="the model of the study that --add was trained on, where its files do not say so")
    add("--site", help="the site that --add was trained on, where its files do not say so")


def command(options: argparse.Namespace) -> int:
    """Serve a finished study to a browser: search, feature pages, notes."""
    from polysem.explorer.explorer import Current, Explorer
    from polysem.explorer.inference.client import Inference
    from polysem.explorer.inference.jobs import Start
    from polysem.explorer.server import serve
    from polysem.study.study import open_study
    from polysem.workflow import home_cache

    if options.add is None and (given := [key for key in ("format", "model", "site") if getattr(options, key)]):
        raise InputError(f"--{given[0]} says something of an SAE that is added; name it as --add")
    if not 0 <= options.port <= LAST_PORT:
        raise InputError(f"--port: found {options.port}; allowed are 0, for any that is free, to {LAST_PORT}")
    study = open_study(options.results)
    home_cache.provide()
    added = () if options.add is None else (addition(options),)
    start = Start(results=study.results.root, threads=len(os.sched_getaffinity(0)), added=added)
    names, is_open = names_of(options.host)
    author = options.author or getpass.getuser()
    current = Current(study)
    explorer = Explorer(current, Inference(start, current.stamp), author, hosts=names, is_open=is_open)
    return serve(explorer, options.host, options.port)


def addition(options: argparse.Namespace) -> "Addition":
    """The SAE that is added. InputError for a path that is not there."""
    from polysem.study.additions import Addition

    path = expanded(options.add)
    if not path.exists():
        raise InputError(f"--add: there is no {path}; name the folder of an SAE, or its file of weights")
    return Addition(path=str(path), format=options.format, model=options.model, site=options.site)


def names_of(host: str) -> tuple[frozenset[str], bool]:
    """Names under which browsers may call a server that listens at a host, and whether it is reached from elsewhere."""
    try:
        is_open = not ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_open = host != "localhost"
    found = {"localhost", host.lower()} | ({socket.gethostname().lower()} if is_open else set())
    return frozenset(found), is_open
