"""The second of the charts with which GraphPipe presented itself: rows per second, end to end, of a convolutional model
that is asked with large requests by one client and by five.

Batching is off everywhere: such a request is a batch already.
"""

import os
import time
from pathlib import Path

from . import machine, models, peers, report, stage
from .loadgen import Generator
from .spread import Spread
from .stage import Measured, Plan, number_of

NAME = "throughput"
MODEL = "squeezenet"


def run(daemon: Path, generator: Generator, plan: Plan, only: list[str], folder: Path) -> None:
    """Measures everything and writes the page."""
    measured, began = Measured(), time.monotonic()
    wanted = [peer.alone() for peer in stage.chosen(only, daemon) if not peer.second]
    there = stage.installed(wanted, measured)
    model = models.MODELS[MODEL]()
    stage.measure(there, model, plan, generator, measured)
    floor = bare(model, plan.rows, plan.server_core)
    took = time.monotonic() - began
    report.write(NAME, page(measured, plan, model, floor, daemon, generator, took), picture(measured, plan, floor),
                 report.flat(measured), generator.binary, folder)


def bare(model: models.Model, rows: int, core: int, runs: int = 5) -> list[float]:
    """Rows per second of ONNX Runtime alone, in this process, on the servers' core: what no server can exceed."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        sent = model.some_rows(rows)
        model.run(sent)
        rates = []
        for _ in range(runs):
            began = time.perf_counter()
            model.run(sent)
            rates.append(rows / (time.perf_counter() - began))
        return rates
    finally:
        os.sched_setaffinity(0, before)


def page(
    measured: Measured, plan: Plan, model: models.Model, floor: list[float], daemon: Path, generator: Generator, took: float
) -> list[str]:
    """The page of Markdown."""
    size = plan.rows * model.some_rows(1).nbytes
    alone = Spread.of(floor)
    lines = ["# End to end: rows per second", "", "![rows per second](throughput.svg)", ""]
    lines += machine.header({
        **peers.circumstances(measured, plan, daemon, generator, took),
        "model": f"{model.what}, seeded weights",
        "requests": f"{plan.rows} images of float32, {size / 1e6:.1f} MB as bytes; batching is off",
    })
    lines += [
        f"ONNX Runtime alone, in process, on the servers' core: {alone} rows/s. What a server does besides takes time",
        "from it on the same core.",
        "",
    ]
    for clients in plan.clients:
        lines += [f"## {number_of(clients)}", ""]
        lines += [*report.results(measured, model.name, clients, plan), ""]
    return lines + report.ending(measured)


def picture(measured: Measured, plan: Plan, floor: list[float]) -> dict:
    """The bars."""
    groups = report.groups(measured, MODEL, plan)
    for group in groups:
        group["bars"].append(Spread.of(floor).bar("ONNX Runtime alone, in process"))
    return {
        "title": f"Rows per second, {plan.rows} images of 224 × 224 a request, one core",
        "subtitle": f"as SqueezeNet 1.1; {peers.runtimes(measured)}; "
        f"median, least and most of {plan.rounds} rounds",
        "unit": "rows per second", "log": False, "groups": groups,
    }
