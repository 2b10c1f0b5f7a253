"""Results: one page of Markdown and one picture for each program, in `docs/benchmarks` if the run was a whole one, and
the numbers behind them as JSON in `target/peers/results`.
"""

import json
import subprocess
import sys
from pathlib import Path

from . import catalog, paths
from .spread import Spread, number, table
from .stage import Measured, Plan, Row, number_of

MIB = 1 << 20
# A percentile stands on so many samples beyond it, in each round.
BEYOND = 10
# The part of the machine that others may use until numbers are not worth keeping.
OTHERS_MOST = 0.02


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


def percentile(rounds: list[dict], name: str, part: float) -> str:
    """A cell with a percentile of latency, where there are enough samples for it and they are the server's."""
    if limited(rounds) or any(found["answered"] * (1 - part) < BEYOND for found in rounds):
        return cell(None)
    return cell(spread(rounds, "latency_us", name))


def limited(rounds: list[dict]) -> bool:
    """Whether the generator was at its end in one of them: the server can do more than they say."""
    return any(found["generator"]["bottleneck"] for found in rounds)


def rows_rate(rounds: list[dict], plan: Plan) -> Spread:
    """Rows per second."""
    return Spread.of([found["rate"] * plan.rows for found in rounds])


def results(measured: Measured, model: str, clients: int, plan: Plan) -> list[str]:
    """The table of one model and load: our daemon first, over HTTP as its peers, then the others, the fastest first."""
    head = ["server", "asked by", "rows/s", "replies a round", "p50 µs", "p99 µs", "server's CPU µs per request",
            "RSS MiB"]
    rows, notes = [], []
    for row, rounds in ranked(measured, model, clients):
        memory = spread(rounds, "server", "rss_bytes")
        rate = f"≥ {rows_rate(rounds, plan)}" if limited(rounds) else str(rows_rate(rounds, plan))
        replies = Spread.of([found["rate"] * found["seconds"] for found in rounds])
        rows.append([
            row.label, row.protocol, rate, f"{replies.least:.0f}", percentile(rounds, "p50", 0.5),
            percentile(rounds, "p99", 0.99), cell(spread(rounds, "server", "cpu_us_per_request")),
            "–" if memory is None else number(memory.median / MIB),
        ])
        if limited(rounds):
            why = next(found["generator"]["bottleneck"] for found in rounds if found["generator"]["bottleneck"])
            notes.append(f"{row.label}: the generator was at its end: {why.rstrip('.')}")
        if len(rounds) < plan.rounds:
            notes.append(f"{row.label}: {len(rounds)} of {plan.rounds} rounds")
    return [*table(head, rows), *(line for note in notes for line in ("", f"{note}."))]


def ranked(measured: Measured, model: str, clients: int) -> list[tuple[Row, list[dict]]]:
    """Who was measured so: ours in the order in which it is asked, then the others by rate."""
    found = [(row, measured.rounds[model, clients, row]) for row in measured.rows
             if measured.rounds.get((model, clients, row))]
    ours = [entry for entry in found if entry[0].ours]
    others = [entry for entry in found if not entry[0].ours]
    others.sort(key=lambda entry: -Spread.of([one["rate"] for one in entry[1]]).median)
    return ours + others


def groups(measured: Measured, model: str, plan: Plan) -> list[dict]:
    """The same as bars, one group for each number of clients, and whoever failed without any."""
    made = []
    for clients in plan.clients:
        bars = [rows_rate(rounds, plan).bar(row.label, row.ours, bar_note(rounds, plan))
                for row, rounds in ranked(measured, model, clients)]
        bars += [{"name": row.label, "value": None, "least": None, "most": None, "note": "failed", "emphasis": row.ours}
                 for row in measured.rows
                 if (model, clients, row) in measured.failed and not measured.rounds.get((model, clients, row))]
        if any(bar["value"] is not None for bar in bars):
            made.append({"name": number_of(clients), "bars": bars})
    return made


def bar_note(rounds: list[dict], plan: Plan) -> str:
    """What a bar does not say by its length."""
    notes = ["or more: the generator's limit"] if limited(rounds) else []
    if len(rounds) < plan.rounds:
        notes.append(f"{len(rounds)} of {plan.rounds} rounds")
    return ", ".join(notes)


def given(measured: Measured) -> list[str]:
    """What each server was given."""
    rows = {(row.title.partition(",")[0], row.peer.key): row for row in measured.rows}
    lines = [[name, row.peer.version(), row.peer.given()] for (name, _), row in rows.items()]
    return table(["server", "version", "what it was given"], lines)


def absent(measured: Measured) -> list[str]:
    """Who is not in the tables, and why."""
    lines = [f"- {name}: {why}" for name, why in {**measured.left_out, **catalog.ABSENT}.items()]
    return ["## Not measured", "", *lines, ""]


def ending(measured: Measured) -> list[str]:
    """How every page ends."""
    return ["## What each was given", "", *given(measured), "", *absent(measured)]


def others_busy(measured: Measured) -> str:
    """How much of the machine was used by what has no part in a measurement: the worst round, and the usual one."""
    shares = [found["others_busy"] for rounds in measured.rounds.values() for found in rounds
              if found.get("others_busy") is not None]
    if not shares:
        return "not known"
    found = Spread.of(shares)
    text = f"{100 * found.median:.1f} % of the machine in the median round, {100 * found.most:.1f} % in the worst"
    if found.median <= OTHERS_MOST:
        return text
    print(f"  others used {text}: do not keep these numbers", flush=True)
    return f"{text}: **do not keep these numbers**"


def write(name: str, lines: list[str], picture: dict, raw: object, loadgen: Path, folder: Path) -> None:
    """Writes the page and the picture into `folder`, and the numbers."""
    for where in (folder, paths.RESULTS):
        where.mkdir(parents=True, exist_ok=True)
    (paths.RESULTS / f"{name}.json").write_text(json.dumps(raw, indent=1) + "\n")
    drawing = paths.RESULTS / f"{name}-bars.json"
    drawing.write_text(json.dumps(picture, indent=1, ensure_ascii=False) + "\n")
    page, out = folder / f"{name}.md", folder / f"{name}.svg"
    page.write_text(paths.without_places("\n".join(lines).rstrip() + "\n"))
    print(f"wrote {page}")
    done = subprocess.run([str(loadgen), "plot", "--bars", str(drawing), "--out", str(out)],
                          capture_output=True, text=True, check=False)
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
