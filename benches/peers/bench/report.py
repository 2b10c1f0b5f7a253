"""Results into `docs/benchmarks`: one page of Markdown and one picture for each program, and the numbers behind them as
JSON in `target/peers/results`.
"""

import json
import subprocess
import sys
from pathlib import Path

from . import catalog, paths
from .spread import Spread, number, table
from .stage import Measured, Plan, Row

MIB = 1 << 20


def spread(rounds: list[dict], *path: str) -> Spread | None:
    """One number of each round, found by its path."""
    values = []
    for one in rounds:
        found = one
        for key in path:
            found = found.get(key) if isinstance(found, dict) else None
        if found is not None:
            values.append(found)
    return Spread.of(values) if values else None


def cell(found: Spread | None) -> str:
    """A cell of a table."""
    return "–" if found is None else str(found)


def results(measured: Measured, model: str, clients: int, plan: Plan) -> list[str]:
    """The table of one model and load: our daemon first, over HTTP as its peers, then the others, the fastest first."""
    head = ["server", "asked by", "rows/s", "p50 µs", "p99 µs", "server's CPU µs per request", "RSS MiB"]
    rows = []
    for row, rounds in ranked(measured, model, clients):
        rate = spread([{"rows": found["rate"] * plan.rows} for found in rounds], "rows")
        memory = spread(rounds, "server", "rss_bytes")
        rows.append([
            row.label, row.protocol, cell(rate), cell(spread(rounds, "latency_us", "p50")),
            cell(spread(rounds, "latency_us", "p99")), cell(spread(rounds, "server", "cpu_us_per_request")),
            "–" if memory is None else number(memory.median / MIB),
        ])
    return table(head, rows)


def ranked(measured: Measured, model: str, clients: int) -> list[tuple[Row, list[dict]]]:
    """Who was measured so: ours in the order in which it is asked, then the others by rate."""
    found = [(row, measured.rounds[model, clients, row]) for row in measured.rows
             if (model, clients, row) in measured.rounds]
    ours = [entry for entry in found if entry[0].peer.environment is None]
    others = [entry for entry in found if entry[0].peer.environment is not None]
    others.sort(key=lambda entry: -Spread.of([one["rate"] for one in entry[1]]).median)
    return ours + others


def bars(measured: Measured, model: str, clients: int, plan: Plan) -> list[dict]:
    """The same as bars."""
    return [
        Spread.of([found["rate"] * plan.rows for found in rounds]).bar(row.label, row.peer.environment is None)
        for row, rounds in ranked(measured, model, clients)
    ]


def given(measured: Measured) -> list[str]:
    """What each server was given."""
    rows = {(row.title.partition(",")[0], row.peer.key): row for row in measured.rows}
    lines = [[name, row.peer.version(), row.peer.given()] for (name, _), row in rows.items()]
    return table(["server", "version", "what it was given"], lines)


def absent(measured: Measured) -> list[str]:
    """Who is not in the tables, and why."""
    lines = [f"- {name}: {why}" for name, why in {**measured.left_out, **catalog.ABSENT}.items()]
    return ["## Not measured", "", *lines, ""]


def others_busy(measured: Measured) -> str:
    """How much of the machine was used by what has no part in a measurement: the worst round, and the usual one."""
    shares = [found["others_busy"] for rounds in measured.rounds.values() for found in rounds
              if found.get("others_busy") is not None]
    if not shares:
        return "not known"
    found = Spread.of(shares)
    return f"{100 * found.median:.1f} % of the machine in the median round, {100 * found.most:.1f} % in the worst"


def write(name: str, lines: list[str], picture: dict, raw: object, loadgen: Path) -> None:
    """Writes the page, the picture and the numbers."""
    paths.DOCS.mkdir(parents=True, exist_ok=True)
    paths.RESULTS.mkdir(parents=True, exist_ok=True)
    (paths.RESULTS / f"{name}.json").write_text(json.dumps(raw, indent=1) + "\n")
    drawing = paths.RESULTS / f"{name}-bars.json"
    drawing.write_text(json.dumps(picture, indent=1, ensure_ascii=False) + "\n")
    out = paths.DOCS / f"{name}.svg"
    done = subprocess.run([str(loadgen), "plot", "--bars", str(drawing), "--out", str(out)],
                          capture_output=True, text=True, check=False)
    page = paths.DOCS / f"{name}.md"
    page.write_text("\n".join(lines).rstrip() + "\n")
    print(f"wrote {page}")
    if done.returncode != 0:
        sys.exit(f"the picture was not drawn: {done.stderr.strip()}")
    print(f"wrote {out}")


def flat(measured: Measured) -> list[dict]:
    """All rounds, for whoever wants to calculate."""
    return [
        {"model": model, "clients": clients, "server": row.label, "settings": row.peer.given(), "protocol": row.protocol,
         "rounds": [{key: value for key, value in found.items() if key != "histogram"} for found in rounds]}
        for (model, clients, row), rounds in measured.rounds.items()
    ]
