"""Servers as processes: started on one core, watched until they answer, ended on every way out.

A server may start others, and some leave its process group. This process adopts all of them when their parents end
(`PR_SET_CHILD_SUBREAPER`), so that none can be lost. Only processes that were started here are ever ended.
"""

import atexit
import contextlib
import ctypes
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from . import listening, paths

PR_SET_CHILD_SUBREAPER = 36
# From SIGTERM to SIGKILL.
GRACE_S = 5.0
READY_S = 60.0
POLL_S = 0.05
# What of a log is shown when a server fails.
TAIL_LINES = 15
ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
# Below are the ports of well-known services.
LEAST_PORT = 10000


class Failed(Exception):
    """A server that does not start, or does not answer rightly; in words that can stand in a table."""


class Process:
    """A server that was started. Use it in a `with`: it is ended at its end."""

    def __init__(self, name: str, command: list[str], environment: dict[str, str], core: int, folder: Path) -> None:
        paths.LOGS.mkdir(parents=True, exist_ok=True)
        self.name = name
        self.log = paths.LOGS / f"{name}.log"
        self.groups: set[int] = set()
        # A signal that ended this program between the start and the entry in the list would leave the server behind.
        with self.log.open("wb") as log, signals_wait():
            self.child = subprocess.Popen(
                ["taskset", "-c", str(core), *command], cwd=folder, env={**os.environ, **environment},
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )
            RUNNING.append(self)
            self.know_group(self.pid)

    @property
    def pid(self) -> int:
        """The first of its processes: taskset becomes what it starts."""
        return self.child.pid

    def wait_until_nothing(self, hinders: Callable[[], str]) -> None:
        """Returns when `hinders` is empty, and fails if that takes too long, the server ends, or others could reach it."""
        deadline = time.monotonic() + READY_S
        while why := hinders():
            if self.child.poll() is not None:
                raise self.failed(f"ended with {self.child.returncode} before it answered")
            if time.monotonic() > deadline:
                raise self.failed(f"did not answer within {READY_S:.0f} s: {why}")
            time.sleep(POLL_S)
        if places := listening.beyond_loopback([self.pid, *descendants(self.pid)]):
            raise self.failed(f"listens on {', '.join(places)}, not on 127.0.0.1 alone")

    def pause(self) -> None:
        """Stops it and all that it has started, until `resume`: an idle server takes time, too."""
        for pid in (self.pid, *descendants(self.pid)):
            if fields := stat_of(pid):
                self.know_group(int(fields[2]))
        for group in self.groups:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, signal.SIGSTOP)

    def resume(self) -> None:
        """Lets it run again."""
        for group in self.groups:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, signal.SIGCONT)

    def know_group(self, group: int) -> None:
        """Remembers a process group, and lets the warden remember it."""
        if group not in self.groups:
            self.groups.add(group)
            tell_warden("+", group)

    def failed(self, why: str) -> Failed:
        """An error for the table; the end of the log is printed for whoever wants to repair it."""
        lines = [line for line in self.log.read_text(errors="replace").splitlines() if line.strip()]
        print(f"  {self.name}: {why}; {self.log} ends:", flush=True)
        for line in lines[-TAIL_LINES:]:
            print(f"    {line}", flush=True)
        return Failed(why)

    def stop(self) -> None:
        """Asks it to end, and ends it and all that it has started."""
        if self not in RUNNING:
            return
        RUNNING.remove(self)
        self.resume()
        started = descendants(self.pid)
        with contextlib.suppress(ProcessLookupError):
            self.child.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.child.wait(GRACE_S)
        # What remains of the group, and what has left it.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        for pid in started:
            # Its parent is one of them, or has ended and left it to this process; else the number is somebody else's by now.
            if parent_of(pid) in (os.getpid(), *started):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self.child.wait()
        reap()
        for group in self.groups:
            tell_warden("-", group)

    def __enter__(self) -> "Process":
        return self

    def __exit__(self, *_) -> None:
        self.stop()


RUNNING: list[Process] = []
# The process of warden.py, once there is one.
WARDEN: list[subprocess.Popen] = []


def guard() -> None:
    """Makes sure that nothing outlives this program."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    # In a session of its own: Ctrl-C is not for it.
    WARDEN.append(subprocess.Popen([sys.executable, "-B", str(Path(__file__).with_name("warden.py"))], text=True,
                                   stdin=subprocess.PIPE, start_new_session=True))
    atexit.register(stop_all)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _: sys.exit(128 + received))


def tell_warden(what: str, group: int) -> None:
    """Says that a process group has begun (`+`) or ended (`-`)."""
    for warden in WARDEN:
        # If somebody has ended it, servers are still ended by this program.
        with contextlib.suppress(BrokenPipeError):
            print(f"{what}{group}", file=warden.stdin, flush=True)


def stop_all() -> None:
    """Ends every server, the last one first."""
    while RUNNING:
        RUNNING[-1].stop()


def reap() -> None:
    """Takes leave of adopted processes that have ended. Those of `RUNNING` are waited for by whoever stops them."""
    ours = {process.pid for process in RUNNING}
    for pid in children().get(os.getpid(), []):
        if pid not in ours and state_of(pid) == "Z":
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)


def descendants(pid: int) -> list[int]:
    """All processes below one."""
    below, found, rest = children(), [], [pid]
    while rest:
        next_ones = below.get(rest.pop(), [])
        found += next_ones
        rest += next_ones
    return found


def children() -> dict[int, list[int]]:
    """The processes below each process."""
    below: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (parent := parent_of(int(entry))):
            below.setdefault(parent, []).append(int(entry))
    return below


def parent_of(pid: int) -> int | None:
    """The parent of a process, if there is such a process."""
    fields = stat_of(pid)
    return int(fields[1]) if fields else None


def state_of(pid: int) -> str | None:
    """`R`, `S`, `Z`, …"""
    fields = stat_of(pid)
    return fields[0] if fields else None


def stat_of(pid: int) -> list[str]:
    """What the kernel says of a process, behind its name, which may hold anything."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


@contextlib.contextmanager
def signals_wait() -> Iterator[None]:
    """Keeps back the signals that end this program. A mask would not do: threads of libraries take them, too."""
    came: list[int] = []
    handlers = {number: signal.signal(number, lambda received, _: came.append(received)) for number in ENDING}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for number in came:
            signal.raise_signal(number)


def free_ports(count: int) -> tuple[int, ...]:
    """Different ports of 127.0.0.1 that nobody has at the moment, and that the system gives to nobody by itself."""
    first, last = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    ports = [port for port in range(LEAST_PORT, 1 << 16) if not first <= port <= last]
    random.shuffle(ports)
    found = []
    # All are held until the last one is found.
    with contextlib.ExitStack() as held:
        for port in ports:
            probe = held.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                found.append(port)
            if len(found) == count:
                return tuple(found)
    raise Failed("there are no free ports")
