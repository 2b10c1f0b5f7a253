"""The table of peers: small models, one row a request, because there it shows what a server itself costs."""

import time
from pathlib import Path

from . import install, machine, models, paths, report, stage
from .loadgen import CONGESTION, Generator
from .stage import Measured, Plan

NAME = "peers"


def run(daemon: Path, generator: Generator, plan: Plan, model_names: list[str], only: list[str]) -> None:
    """Measures everything and writes the page."""
    measured, began = Measured(), time.monotonic()
    peers = stage.installed(stage.chosen(only, daemon), measured)
    served = [models.MODELS[name]() for name in model_names]
    for model in served:
        stage.measure(peers, model, plan, generator, measured)
    took = time.monotonic() - began
    report.write(NAME, page(measured, plan, served, daemon, generator, took), picture(measured, plan, served),
                 report.flat(measured), generator.binary)


def page(
    measured: Measured, plan: Plan, served: list[models.Model], daemon: Path, generator: Generator, took: float
) -> list[str]:
    """The page of Markdown."""
    lines = ["# Side by side with other servers", "", "![requests per second](peers.svg)", ""]
    lines += machine.header(circumstances(measured, plan, daemon, generator, took))
    lines += [
        "Closed loop: a client sends when it has its reply. Each request is one row. Compare HTTP with HTTP: our daemon's",
        "own frames over TCP and Unix sockets stand beside it to show what they add. Every server's answers were compared",
        "with ONNX Runtime's in process before it was measured. How this is done, and why numbers may differ:",
        "`benches/peers/README.md`.",
        "",
    ]
    for model in served:
        lines += [f"## {model.name}: {model.what}", ""]
        for clients in plan.clients:
            lines += [f"{clients} client{'' if clients == 1 else 's'}:", ""]
            lines += [*report.results(measured, model.name, clients, plan), ""]
    lines += ["## What each was given", "", *report.given(measured), ""]
    lines += report.absent(measured)
    return lines


def circumstances(measured: Measured, plan: Plan, daemon: Path, generator: Generator, took: float) -> dict[str, str]:
    """What the header says besides the machine."""
    return {
        "daemon": f"{machine.said([str(daemon), '--version'])}, {generator.binary.name} "
        f"{machine.said([str(generator.binary), '--version']).rpartition(' ')[2]}",
        "ONNX Runtime": f"one thread; {install.versions('tools')['onnxruntime']} in the peers, {own_runtime()} in ours",
        "cores": f"every server alone on core {plan.server_core}, the generator on core {generator.core}",
        "rounds": f"{plan.rounds} of {plan.seconds:g} s after {plan.warmup:g} s of warm-up, interleaved, each in another "
        f"order (seed {plan.seed}); median (least–most); {took / 60:.1f} minutes in all",
        "TCP congestion control": f"{CONGESTION} for requests (set by the generator), {machine.congestion()} for replies "
        "(the system's)",
        "other processes, idle peers included": report.others_busy(measured),
    }


def own_runtime() -> str:
    """The version of the library that our daemon loads, as its file is called."""
    found = [file.name.removeprefix("libonnxruntime.so.") for file in paths.ONNXRUNTIME.glob("libonnxruntime.so.*.*")]
    return found[0] if found else "an unknown version"


def picture(measured: Measured, plan: Plan, served: list[models.Model]) -> dict:
    """The bars: the first model, one group for each number of clients."""
    model = served[0].name
    groups = [
        {"name": f"{clients} client{'' if clients == 1 else 's'}", "bars": report.bars(measured, model, clients, plan)}
        for clients in plan.clients
    ]
    version = install.versions("tools")["onnxruntime"]
    return {
        "title": f"Requests per second, model {model}: one row a request, one core",
        "subtitle": f"ONNX Runtime {version} with one thread everywhere; median, least and most of {plan.rounds} rounds",
        "unit": "requests per second", "log": True, "groups": [group for group in groups if group["bars"]],
    }
