"""What pages say of rounds whose outcome is known, and the parts around servers that need none.

    target/peers/tools/bin/python -m unittest discover -s benches/peers/tests
"""

import contextlib
import io
import os
import socket
import sys
import unittest
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench import listening, process, report, stage  # noqa: E402
from bench.ask import Target  # noqa: E402
from bench.catalog import Peer  # noqa: E402
from bench.loadgen import Load  # noqa: E402
from bench.stage import Entry, Measured, Plan, Row  # noqa: E402

PLAN = Plan(clients=(1,), rounds=2, rows=1, seconds=1, warmup=0, seed=1, server_core=0)
ROW = Row("Peer", Peer("peer", "Peer", lambda place: None, environment="flask"), "raw")


def one(answered: int, bottleneck: str | None = None) -> dict:
    """A round of a second."""
    return {
        "seconds": 1.0, "answered": answered, "rate": float(answered), "latency_us": {"p50": 5.0, "p99": 9.0},
        "generator": {"bottleneck": bottleneck}, "server": {"cpu_us_per_request": 3.0, "rss_bytes": 1 << 20},
    }


def table(rounds: list[dict]) -> tuple[list[str], list[str]]:
    """The cells of the only row, and what stands below."""
    measured = Measured(rounds={("m", 1, ROW): rounds}, rows={ROW: None})
    lines = report.results(measured, "m", 1, PLAN)
    return [cell.strip() for cell in lines[2].strip("|").split("|")], lines[3:]


class Pages(unittest.TestCase):
    """Tables and bars."""

    def test_a_percentile_with_fewer_than_ten_samples_beyond_it_in_any_round_is_a_dash(self) -> None:
        self.assertEqual(table([one(1000), one(1000)])[0][4:6], ["5.00 (5.00–5.00)", "9.00 (9.00–9.00)"])
        self.assertEqual(table([one(1000), one(999)])[0][4:6], ["5.00 (5.00–5.00)", "–"])
        self.assertEqual(table([one(1000), one(19)])[0][4:6], ["–", "–"])

    def test_the_generators_own_limit_is_not_the_servers_rate_or_latency(self) -> None:
        cells, below = table([one(1000), one(1000, "no core was left.")])
        self.assertEqual(cells[2], "≥ 1000 (1000–1000)")
        self.assertEqual(cells[4:7], ["–", "–", "3.00 (3.00–3.00)"])
        self.assertEqual(below, ["", "Peer: the generator was at its end: no core was left."])
        self.assertIn("or more", report.bar_note([one(1, "x")] * 2, PLAN))

    def test_fewer_rounds_than_planned_are_counted(self) -> None:
        self.assertEqual(table([one(1000)])[1], ["", "Peer: 1 of 2 rounds."])
        self.assertEqual(report.bar_note([one(1000)], PLAN), "1 of 2 rounds")

    def test_who_failed_in_every_round_is_a_bar_without_a_value(self) -> None:
        other = Row("Other", ROW.peer, "raw")
        measured = Measured(rounds={("m", 1, other): [one(5)] * 2}, rows={ROW: None, other: None}, failed={("m", 1, ROW)})
        (group,) = report.groups(measured, "m", PLAN)
        self.assertEqual([(bar["name"], bar["value"]) for bar in group["bars"]], [("Other", 5.0), ("Peer", None)])


class Turns(unittest.TestCase):
    """Rounds of several loads."""

    def test_a_failure_ends_only_the_load_under_which_it_came(self) -> None:
        loads = []

        def ask(target: Target, model: SimpleNamespace, load: Load, *_) -> dict:
            loads.append((load.clients, load.seed))
            if load.clients == 5 and load.seed == 2:
                raise process.Failed("no more")
            return one(10)

        plan, measured = replace(PLAN, clients=(1, 5), rounds=3), Measured(rows={ROW: None})
        server = SimpleNamespace(pid=0, name="peer", pause=lambda: None, resume=lambda: None)
        entry = Entry(ROW, Target("http://127.0.0.1:1", "raw"), server, rate=10.0)
        with contextlib.redirect_stdout(io.StringIO()):
            stage.take_turns([entry], SimpleNamespace(name="m"), plan, SimpleNamespace(round=ask), measured)
        self.assertEqual(loads, [(1, 1), (5, 1), (1, 2), (5, 2), (1, 3)])
        self.assertEqual(len(measured.rounds["m", 1, ROW]), 3)
        self.assertEqual(len(measured.rounds["m", 5, ROW]), 1)
        self.assertEqual(measured.left_out, {"Peer, m, 5 clients, round 2": "no more"})

    def test_slow_servers_have_longer_rounds_up_to_a_limit(self) -> None:
        server = SimpleNamespace()
        for rate, seconds in ((1000.0, 1), (10.0, 2), (0.5, stage.LONGEST_S), (0.0, stage.LONGEST_S)):
            self.assertEqual(Entry(ROW, Target("", "raw"), server, rate).seconds(PLAN), seconds)


class Places(unittest.TestCase):
    """Ports and addresses."""

    def test_only_what_listens_beyond_loopback_is_named(self) -> None:
        with socket.create_server(("127.0.0.1", 0)), socket.create_server(("::1", 0), family=socket.AF_INET6):
            self.assertEqual(listening.beyond_loopback([os.getpid()]), [])
            with mock.patch.object(listening, "is_loopback", return_value=False):
                self.assertEqual(len(listening.beyond_loopback([os.getpid()])), 2, "both are seen")
                self.assertEqual(listening.beyond_loopback([]), [])

    def test_addresses_are_read_as_the_kernel_writes_them(self) -> None:
        # As in proc_pid_net(5) on a little-endian machine: 127.0.0.1, any, ::1, and 127.0.0.1 within IPv6.
        for text, loopback in (("0100007F", True), ("00000000", False), ("0" * 24 + "01000000", True), ("0" * 32, False),
                               ("0" * 16 + "FFFF00000100007F", True)):
            with self.subTest(text):
                self.assertEqual(listening.is_loopback(listening.parsed(text)), loopback)

    def test_free_ports_are_different_and_not_of_the_systems_own_range(self) -> None:
        first, last = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
        ports = process.free_ports(6)
        self.assertEqual(len(set(ports)), 6)
        self.assertFalse([port for port in ports if first <= port <= last])


if __name__ == "__main__":
    unittest.main()
