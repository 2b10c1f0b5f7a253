"""Servers on stage: all that take part are started, checked, measured in interleaved rounds, and ended. Who cannot take
part is remembered with the reason.
"""

import contextlib
import random
import shutil
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from . import ask, catalog, install, paths
from .ask import Target
from .catalog import Peer
from .loadgen import Generator, Load
from .models import Model
from .process import Failed, Process, free_port

# What an inference and what else a server insists on may need.
PORTS = 6
# Of every server, once, before the first round.
WARM_UP_S = 1.0


@dataclass(frozen=True)
class Row:
    """What one line of a table is about: a server with its setting, asked in one way."""

    title: str
    peer: Peer
    protocol: str

    @property
    def label(self) -> str:
        """Its name in pictures: settings only where there are two of them."""
        return f"{self.title}, batching" if self.peer.second else self.title


@dataclass
class Measured:
    """All rounds of all rows, and who is not among them."""

    rounds: dict[tuple[str, int, Row], list[dict]] = field(default_factory=dict)
    rows: dict[Row, None] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    def leave_out(self, name: str, why: str) -> None:
        """Says it, and remembers it; the first reason counts."""
        print(f"  {name}: LEFT OUT: {why}", flush=True)
        self.left_out.setdefault(name, why)


@dataclass(frozen=True)
class Plan:
    """How all are measured."""

    clients: tuple[int, ...]
    rounds: int
    rows: int
    seconds: float
    warmup: float
    seed: int
    server_core: int


@dataclass(frozen=True)
class Entry:
    """A row whose server runs."""

    row: Row
    target: Target
    process: Process


def installed(peers: list[Peer], measured: Measured) -> list[Peer]:
    """Those of them that could be installed."""
    there = []
    for peer in peers:
        try:
            if peer.environment is not None:
                install.install(peer.environment)
            there.append(peer)
        except install.NotInstalled as error:
            measured.leave_out(peer.title, f"cannot be installed: {error}")
    return there


def measure(peers: list[Peer], model: Model, plan: Plan, generator: Generator, measured: Measured) -> None:
    """Measures all of them with one model."""
    entries: list[Entry] = []
    processes: list[Process] = []
    try:
        for peer in peers:
            try:
                began = started(peer, model, plan, processes, measured)
                warm_up(began[0], model, plan, generator)
                entries += began
            except (Failed, OSError) as error:
                measured.leave_out(f"{peer.title}, {model.name} ({peer.given()})", str(error))
        take_turns(entries, model, plan, generator, measured)
    finally:
        for process in reversed(processes):
            process.stop()


def started(peer: Peer, model: Model, plan: Plan, processes: list[Process], measured: Measured) -> list[Entry]:
    """Starts a server, waits for it, and checks what it answers."""
    name = f"{peer.key}-{model.name}"
    folder = paths.SCRATCH / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    place = peer.place(model, tuple(free_port() for _ in range(PORTS)), folder)
    launch = peer.launch(place)
    began = time.monotonic()
    process = Process(name, launch.command, {**place.environment(), **launch.environment}, plan.server_core, folder)
    processes.append(process)
    first = next(iter(launch.targets.values()))
    process.wait_until(lambda: ask.ready(first, model))
    print(f"  {name}: answers after {time.monotonic() - began:.1f} s", flush=True)
    entries = []
    for title, target in launch.targets.items():
        try:
            for rows in sorted({1, plan.rows}):
                ask.check(target, model, rows)
        except Failed as error:
            raise process.failed(f"{title}: {error}") from error
        row = Row(title, peer, target.protocol)
        measured.rows[row] = None
        entries.append(Entry(row, target, process))
    return entries


def warm_up(entry: Entry, model: Model, plan: Plan, generator: Generator) -> None:
    """Asks for a second without looking: what compiles while it runs, Java above all, begins like everybody else."""
    load = Load(sorted(plan.clients)[len(plan.clients) // 2], plan.rows, WARM_UP_S, 0, plan.seed)
    # What goes wrong here does so again where it is looked at.
    with contextlib.suppress(Failed):
        generator.round(entry.target, model, load, entry.process.pid, result_file(entry, load.clients))


def take_turns(entries: list[Entry], model: Model, plan: Plan, generator: Generator, measured: Measured) -> None:
    """Every server once per round and load, each time in another order: what happens to the machine happens to all."""
    order = random.Random(plan.seed)
    for number in range(plan.rounds):
        for clients in plan.clients:
            for entry in order.sample(entries, len(entries)):
                name = f"{entry.row.label}, {model.name}"
                if name in measured.left_out:
                    continue
                load = Load(clients, plan.rows, plan.seconds, plan.warmup, plan.seed + number)
                try:
                    found = generator.round(entry.target, model, load, entry.process.pid, result_file(entry, clients))
                except Failed as error:
                    measured.leave_out(name, str(error))
                    continue
                measured.rounds.setdefault((model.name, clients, entry.row), []).append(found)
        print(f"  {model.name}: round {number + 1} of {plan.rounds} is done", flush=True)


def result_file(entry: Entry, clients: int) -> Path:
    """Where `graphpipe-loadgen` writes; the last round stays there."""
    return paths.RESULTS / f"{entry.process.name}-{entry.target.protocol}-{clients}.json"


def chosen(names: list[str], daemon: Path) -> list[Peer]:
    """Our own daemon and its peers; of them the named ones, if any are."""
    everybody = [catalog.graphpiped(daemon), *catalog.PEERS]
    unknown = set(names) - {peer.key for peer in everybody}
    if unknown:
        sys.exit(f"nobody is called {', '.join(sorted(unknown))}; there are {', '.join(peer.key for peer in everybody)}")
    return [peer for peer in everybody if not names or peer.key in names]
