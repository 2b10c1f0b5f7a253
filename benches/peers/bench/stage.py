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
from .process import Failed, Process, free_ports

# Rounds of slow servers are so long that they give so many replies, if that does not take longer than this.
REPLIES, LONGEST_S = 20, 8.0
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
    def ours(self) -> bool:
        """Whether it is our own daemon."""
        return self.peer.environment is None

    @property
    def label(self) -> str:
        """Its name in pictures: settings only where there are two of them."""
        return f"{self.title}, batching" if self.peer.second else self.title


@dataclass
class Measured:
    """All rounds of all rows, and who is not among them."""

    rounds: dict[tuple[str, int, Row], list[dict]] = field(default_factory=dict)
    # Who has failed under which load; it is not asked so again.
    failed: set[tuple[str, int, Row]] = field(default_factory=set)
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


@dataclass
class Entry:
    """A row whose server runs."""

    row: Row
    target: Target
    process: Process
    # Replies per second while it was warmed up; none at all if one takes longer than that.
    rate: float = 0.0

    def seconds(self, plan: Plan) -> float:
        """How long its rounds are."""
        wanted = REPLIES / self.rate if self.rate else LONGEST_S
        return max(plan.seconds, min(wanted, LONGEST_S))


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
                warm_up(began, model, plan, generator)
                entries += began
            except (Failed, OSError) as error:
                measured.leave_out(f"{peer.title}, {model.name} ({peer.given()})", str(error))
            # While one is measured or started, all others stand still.
            if processes:
                processes[-1].pause()
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
    place = peer.place(model, free_ports(PORTS), folder)
    launch = peer.launch(place)
    began = time.monotonic()
    process = Process(name, launch.command, {**place.environment(), **launch.environment}, plan.server_core, folder)
    processes.append(process)
    first = next(iter(launch.targets.values()))
    process.wait_until_nothing(lambda: ask.why_not_ready(first, model))
    print(f"  {name}: answers after {time.monotonic() - began:.1f} s", flush=True)
    entries = []
    for title, target in launch.targets.items():
        try:
            ask.check(target, model, 1, at_once=1)
            ask.check(target, model, plan.rows, at_once=max(place.batch_max, *plan.clients))
        except Failed as error:
            raise process.failed(f"{title}: {error}") from error
        row = Row(title, peer, target.protocol)
        measured.rows[row] = None
        entries.append(Entry(row, target, process))
    return entries


def warm_up(entries: list[Entry], model: Model, plan: Plan, generator: Generator) -> None:
    """Asks for a second without looking: what compiles while it runs, Java above all, begins like everybody else. How fast
    it was says how long its rounds have to be.
    """
    for entry in entries:
        load = Load(sorted(plan.clients)[len(plan.clients) // 2], plan.rows, WARM_UP_S, 0, plan.seed)
        # What goes wrong here does so again where it is looked at; a request that takes longer is no answer yet.
        with contextlib.suppress(Failed):
            entry.rate = asked(entry, model, load, generator)["rate"]


def take_turns(entries: list[Entry], model: Model, plan: Plan, generator: Generator, measured: Measured) -> None:
    """Every server once per round and load, each time in another order: what happens to the machine happens to all."""
    order = random.Random(plan.seed)
    for number in range(plan.rounds):
        for clients in plan.clients:
            for entry in order.sample(entries, len(entries)):
                key = (model.name, clients, entry.row)
                if key in measured.failed:
                    continue
                load = Load(clients, plan.rows, entry.seconds(plan), plan.warmup, plan.seed + number)
                entry.process.resume()
                try:
                    measured.rounds.setdefault(key, []).append(asked(entry, model, load, generator))
                except Failed as error:
                    measured.failed.add(key)
                    name = f"{entry.row.label}, {model.name}, {number_of(clients)}, round {number + 1}"
                    measured.leave_out(name, str(error))
                entry.process.pause()
        print(f"  {model.name}: round {number + 1} of {plan.rounds} is done", flush=True)


def asked(entry: Entry, model: Model, load: Load, generator: Generator) -> dict:
    """One round; its file stays until the next one."""
    name = f"{entry.process.name}-{entry.target.protocol}-{entry.target.transport}-{load.clients}.json"
    return generator.round(entry.target, model, load, entry.process.pid, paths.RESULTS / name)


def number_of(clients: int) -> str:
    """In words."""
    return f"{clients} client{'' if clients == 1 else 's'}"


def chosen(names: list[str], daemon: Path) -> list[Peer]:
    """Our own daemon and its peers; of them the named ones, if any are."""
    everybody = [catalog.graphpiped(daemon), *catalog.PEERS]
    unknown = set(names) - {peer.key for peer in everybody}
    if unknown:
        sys.exit(f"nobody is called {', '.join(sorted(unknown))}; there are {', '.join(peer.key for peer in everybody)}")
    return [peer for peer in everybody if not names or peer.key in names]
