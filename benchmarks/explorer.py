"""How fast the explorer answers, and what it survives: `python benchmarks/explorer.py --results results`.

Everything goes through `polysem explore` as a user starts it, over connections of this machine; the clients share its
cores. Prints one table. `--parts` chooses some of:

- `start`: from the command to the first page and to the first answer.
- `search`: single searches, one after the other, of texts that were not asked before.
- `page`: pages of features; `try`: a text that grows by a letter, tried on a feature, as it is while somebody types.
- `load`: `--clients` at once, `--searches` of distinct texts in all, each client asking again when it has its answer;
  every answer is held against that to the same text asked alone of another server.
- `killed`: the same, with `kill -9` of the inference process when a third of the answers are there.
- `layers`: searches of 32 tokens in twelve layers with SAEs of 32,768 random features, of MLP neurons and of the
  residual stream (`benchmarks/explorer_study.py`); needs 7 GB of disk in `--folder`.
"""

import argparse
import asyncio
import hashlib
import os
import platform
import signal
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from explorer_server import Client, Served, address
from explorer_study import MODEL, study

from polysem.study.study import open_study

PARTS = ("start", "search", "page", "try", "load", "killed", "layers")
SINGLE = 50
"""Requests of which a median is taken."""
LAYERS, FEATURES = 12, 32_768
WORDS = """
the a one little big red blue old happy sad dog cat girl boy tree house river ball was is had saw went ran loved
to in on with and but then very her his mother father friend morning garden rain sun
"""


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    what: str
    found: str
    goal: str


@dataclass(frozen=True)
class Load:
    """What came of many clients."""

    seconds: Sequence[float]
    digests: dict[str, str]
    lost: int
    wall: float
    memory: list[dict[str, int]]
    """At a tenth of the searches, when all is warm, and at the end."""


def texts(count: int, words: tuple[int, int] = (3, 9), seed: int = 0) -> list[str]:
    """Distinct texts of some words."""
    draw, found, known = np.random.default_rng(seed), dict[str, None](), WORDS.split()
    while len(found) < count:
        found[" ".join(draw.choice(known, draw.integers(*words)))] = None
    return list(found)


def search_address(model: str, text: str) -> str:
    """A search as the first visit has it, with nothing hidden."""
    return address("/api/search", model=model, text=text, density=1)


async def loaded(served: Served, model: str, asked: Sequence[str], clients: int, kill: bool) -> Load:
    """Many clients, each with a connection of its own, that take the next text as soon as they have an answer."""
    waiting, seconds, digests, lost, memory = iter(asked), [], {}, 0, []
    begun = time.perf_counter()

    async def client() -> None:
        nonlocal lost
        connection = Client(served.host, served.port)
        for text in waiting:
            start = time.perf_counter()
            try:
                status, _, body = await connection.ask("GET", search_address(model, text))
            except (OSError, asyncio.IncompleteReadError):
                status, body = 0, b""
            seconds.append(time.perf_counter() - start)
            if status == 200:
                digests[text] = hashlib.sha256(body).hexdigest()
            else:
                lost += 1
            if len(seconds) == len(asked) // 10:
                memory.append(await asyncio.to_thread(served.memory))
            if kill and len(seconds) == len(asked) // 3:
                os.kill((await asyncio.to_thread(served.ready))["process"], signal.SIGKILL)
        await connection.close()

    await asyncio.gather(*(client() for _ in range(clients)))
    wall = time.perf_counter() - begun
    return Load(seconds, digests, lost, wall, [*memory, await asyncio.to_thread(served.memory)])


async def alone(served: Served, model: str, asked: Sequence[str]) -> dict[str, str]:
    """Digests of the answers to texts that are asked one after the other."""
    connection, found = Client(served.host, served.port), {}
    for text in asked:
        status, _, body = await connection.ask("GET", search_address(model, text))
        assert status == 200, body
        found[text] = hashlib.sha256(body).hexdigest()
    await connection.close()
    return found


def load_rows(results: Path, model: str, clients: int, searches: int, kill: bool, serial: dict[str, str]) -> list[Row]:
    """Lines about many clients; `serial` has the answers to texts asked alone, and gets those that it lacks."""
    asked = texts(searches)
    if missing := [text for text in asked if text not in serial]:
        with Served(results) as served:
            served.ready()
            serial |= asyncio.run(alone(served, model, missing))
    with Served(results) as served:
        served.ready()
        found = asyncio.run(loaded(served, model, asked, clients, kill))
        begins = served.health()["begins"]
    different = sum(serial[text] != digest for text, digest in found.digests.items())
    name = f"{clients} clients, {searches:,} searches" + (", kill −9 in the middle" if kill else "")
    growth = [f"{part} {100 * (after / found.memory[0][part] - 1):+.1f} %" for part, after in found.memory[-1].items()]
    rows = [
        Row(f"{name}: lost, different from asked alone", f"{found.lost}, {different}", "0, 0"),
        Row(f"{name}: median, p99, longest", quantiles(found.seconds), "p99 2 s"),
        Row(f"{name}: searches a second", f"{len(found.seconds) / found.wall:.0f}", ""),
    ]
    if kill:
        return [*rows, Row(f"{name}: inference processes", str(begins), "2")]
    return [*rows, Row(f"{name}: memory from a tenth to the end", ", ".join(growth), "below 5 %")]


def start_rows(results: Path, model: str) -> list[Row]:
    """Lines about the beginning."""
    with Served(results) as served:
        assert served.get("/")[0] == 200
        page = time.monotonic() - served.begun
        assert served.get("/api/search", model=model, text="red", density=1)[0] == 200
        answer = time.monotonic() - served.begun
    return [
        Row("start to the first page", f"{page:.2f} s", "1 s"),
        Row("start to the first answer", f"{answer:.2f} s", "8 s"),
    ]


async def timed(served: Served, addresses: Sequence[str]) -> list[float]:
    """Seconds of requests on one connection, one after the other."""
    connection, found = Client(served.host, served.port), []
    for one in addresses:
        start = time.perf_counter()
        status, _, body = await connection.ask("GET", one)
        assert status == 200, body
        found.append(time.perf_counter() - start)
    await connection.close()
    return found


def single_rows(results: Path, model: str, parts: Sequence[str]) -> list[Row]:
    """Lines about single requests."""
    site, held = next(iter(open_study(results)[model].items()))
    place, features = f"/{model}/{site}/{list(held)[-1]}", held[list(held)[-1]].features
    numbers = np.random.default_rng(0).permutation(features)[:SINGLE].tolist()
    growing = "the girl had a red ball and the dog loved it very much"
    asked = {
        "search": ([search_address(model, text) for text in texts(SINGLE + 5)], "one search", "50 ms"),
        "page": ([f"{place}/{number}" for number in numbers], "a feature page", "30 ms"),
        "try": (
            [address(f"{place}/{numbers[0]}", text=growing[:end]) for end in range(3, len(growing))],
            "a text tried while it is typed",
            "100 ms",
        ),
    }
    rows = []
    with Served(results) as served:
        served.ready()
        asyncio.run(timed(served, [search_address(model, "a")]))
        for part, (addresses, what, goal) in asked.items():
            if part in parts:
                found = asyncio.run(timed(served, addresses))[5:]
                rows.append(Row(f"{what}: median, p99, longest", quantiles(found), goal))
    return rows


def layer_rows(folder: Path, layers: int, features: int) -> Iterator[Row]:
    """Lines about many large dictionaries."""
    for kind, architecture, goal in (("neurons", "standard", "1 s"), ("residual", "topk", "0.5 s")):
        where = folder / f"{kind}-{layers}-{features}"
        results = where / "results"
        if not (results / "metrics.json").is_file():
            study(where, layers, features, kind, architecture)
        with Served(results) as served:
            served.ready()
            asked = [f"{number:03d} the quick brown fox jumps o" for number in range(SINGLE)]
            asyncio.run(timed(served, [search_address(MODEL, asked[0])]))
            found = asyncio.run(timed(served, [search_address(MODEL, text) for text in asked[1:20]]))
            memory = sum(served.memory().values()) / 1e9
        width = 3072 if kind == "neurons" else 768
        name = f"{layers} layers of {features:,} features, width {width:,}, 32 tokens ({architecture})"
        yield Row(f"{name}: median, p99, longest", quantiles(found), goal)
        yield Row(f"{name}: memory without mapped files", f"{memory:.1f} GB", "3 GB")


def quantiles(seconds: Sequence[float]) -> str:
    """Some seconds in words."""
    found = [*np.quantile(seconds, [0.5, 0.99]), max(seconds)]
    return ", ".join(f"{1000 * one:.0f} ms" if one < 1 else f"{one:.2f} s" for one in found)


@contextmanager
def folder_of(given: Path | None) -> Iterator[Path]:
    """A folder that was named, or one that is removed at the end."""
    if given is not None:
        yield given
        return
    with tempfile.TemporaryDirectory() as made:
        yield Path(made)


def machine() -> str:
    """What was measured on, in words."""
    told = dict(
        [part.strip() for part in line.partition(":")[::2]] for line in Path("/proc/cpuinfo").read_text().splitlines()
    )
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    return f"{told.get('model name', platform.machine())}, {len(os.sched_getaffinity(0))} cores; load before {load}"


def main(arguments: Sequence[str] | None = None) -> list[Row]:
    """Measure what was asked for, and print it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--results", type=Path, default=Path("results"), help="the results folder of a study")
    parser.add_argument("--model", help="a language model of it; the first one without it")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--searches", type=int, default=10_000)
    parser.add_argument("--layers", type=int, default=LAYERS)
    parser.add_argument("--features", type=int, default=FEATURES)
    parser.add_argument("--folder", type=Path, help="where the random study is made and kept; nowhere without it")
    given = parser.parse_args(arguments)
    print(machine())
    rows: list[Row] = []
    serial: dict[str, str] = {}
    if set(given.parts) - {"layers"}:
        there = open_study(given.results)
        model = given.model or next(name for name, one in there.items() if one.is_language_model)
    if "start" in given.parts:
        rows += start_rows(given.results, model)
    if {"search", "page", "try"} & set(given.parts):
        rows += single_rows(given.results, model, given.parts)
    for part in ("load", "killed"):
        if part in given.parts:
            rows += load_rows(given.results, model, given.clients, given.searches, part == "killed", serial)
    if "layers" in given.parts:
        with folder_of(given.folder) as folder:
            rows += layer_rows(folder, given.layers, given.features)
    lines = [f"| {one.what} | {one.found} | {one.goal} |" for one in rows]
    print("\n".join(["| what | measured | goal |", "|---|---|---|", *lines]))
    return rows


if __name__ == "__main__":
    main()
