"""The table of peers: small models, one row a request, because there it shows what a server itself costs."""

import time
from pathlib import Path

from . import install, machine, models, paths, report, stage
from .loadgen import CONGESTION, Generator
from .stage import Measured, Plan, number_of

NAME = "peers"


def run(daemon: Path, generator: Generator, plan: Plan, model_names: list[str], only: list[str], folder: Path) -> None:
    """Measures everything and writes the page."""
    measured, began = Measured(), time.monotonic()
    peers = stage.installed(stage.chosen(only, daemon), measured)
    served = [models.MODELS[name]() for name in model_names]
    for model in served:
        stage.measure(peers, model, plan, generator, measured)
    took = time.monotonic() - began
    report.write(NAME, page(measured, plan, served, daemon, generator, took), picture(measured, plan, served),
                 report.flat(measured), generator.binary, folder)


def page(
    measured: Measured, plan: Plan, served: list[models.Model], daemon: Path, generator: Generator, took: float
) -> list[str]:
    """The page of Markdown."""
    lines = ["# Side by side with other servers", "", "![rows per second](peers.svg)", ""]
    lines += machine.header(circumstances(measured, plan, daemon, generator, took))
    lines += [
        f"Closed loop: a client sends when it has its reply. Each request is {rows_of(plan)}. Compare HTTP with HTTP: our",
        "daemon's own frames over TCP and Unix sockets stand beside it to show what they add. Every server's answers were",
        "compared with ONNX Runtime's in process before it was measured. How this is done, and why numbers may differ:",
        "`benches/peers/README.md`.",
        "",
    ]
    for model in served:
        lines += [f"## {model.name}: {model.what}", ""]
        for clients in plan.clients:
            lines += [f"{number_of(clients)}:", ""]
            lines += [*report.results(measured, model.name, clients, plan), ""]
    return lines + report.ending(measured)


def circumstances(measured: Measured, plan: Plan, daemon: Path, generator: Generator, took: float) -> dict[str, str]:
    """What the header says besides the machine."""
    return {
        "daemon": f"{machine.said([str(daemon), '--version'])}, {generator.binary.name} "
        f"{machine.said([str(generator.binary), '--version']).rpartition(' ')[2]}",
        "arithmetic": runtimes(measured),
        "cores": f"the server that is measured on core {plan.server_core}, the generator on core {generator.core}; the "
        "other servers stand still meanwhile (SIGSTOP)",
        "rounds": f"{plan.rounds} of {plan.seconds:g} s (of slow servers up to {stage.LONGEST_S:g} s, for {stage.REPLIES} "
        f"replies; the table has the fewest of a round) after {plan.warmup:g} s of warm-up, interleaved, each in another "
        f"order (seed {plan.seed}); median (least–most); {took / 60:.1f} minutes in all",
        "TCP congestion control": f"{CONGESTION} for requests (set by the generator), {machine.congestion()} for replies "
        "(the system's)",
        "percentiles": f"where {report.BEYOND} samples of each round are beyond them",
        "other processes": report.others_busy(measured),
    }


def runtimes(measured: Measured) -> str:
    """Which version did the arithmetic."""
    found: dict[str, list[str]] = {}
    for row in measured.rows:
        version = own_runtime() if row.ours else install.versions(row.peer.environment)["onnxruntime"]
        names = found.setdefault(version, [])
        if row.peer.title not in names:
            names.append(row.peer.title)
    if len(found) == 1:
        return f"ONNX Runtime {next(iter(found))} with one thread everywhere"
    parts = "; ".join(f"{version} in {', '.join(names)}" for version, names in found.items())
    return f"ONNX Runtime with one thread; {parts}"


def own_runtime() -> str:
    """The version of the library that our daemon loads, as its file is called."""
    found = [file.name.removeprefix("libonnxruntime.so.") for file in paths.ONNXRUNTIME.glob("libonnxruntime.so.*.*")]
    return found[0] if found else "an unknown version"


def rows_of(plan: Plan) -> str:
    """In words."""
    return "one row" if plan.rows == 1 else f"{plan.rows} rows"


def picture(measured: Measured, plan: Plan, served: list[models.Model]) -> dict:
    """The bars of the first model."""
    return {
        "title": f"Rows per second, model {served[0].name}: {rows_of(plan)} a request, one core",
        "subtitle": f"{runtimes(measured)}; median, least and most of {plan.rounds} rounds",
        "unit": "rows per second", "log": False, "groups": report.groups(measured, served[0].name, plan),
    }
