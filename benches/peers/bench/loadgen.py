"""`graphpipe-loadgen` as this program uses it: one server, one load, one round, one result."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from .ask import TOLERANCE, Target
from .models import Model
from .process import Failed

# The form of its results that is read here.
FORMAT = 1
# On top of warm-up and duration: starting, and replies that are slow to come.
PATIENCE_S = 60
# What senders use over the loopback interface: the pacing of bbr, which some machines have, halves large messages there.
CONGESTION = "cubic"
# What it exits with if it measured, and with that if something was not as it should be, which its result says.
CLEAN, NOT_CLEAN = 0, 2


@dataclass(frozen=True)
class Load:
    """How a server is asked."""

    clients: int
    rows: int
    seconds: float
    warmup: float
    seed: int


@dataclass(frozen=True)
class Generator:
    """The program, and the core that it has."""

    binary: Path
    core: int

    def command(self, target: Target, model: Model, load: Load, server_pid: int, out: Path) -> list[str]:
        """The command line of a round."""
        command = [
            str(self.binary), target.address, "--protocol", target.protocol, "--model", model.name,
            "--clients", str(load.clients), "--pipeline", "1", "--threads", "1", "--rounds", "1",
            "--duration", f"{load.seconds}s", "--warmup", f"{load.warmup}s", "--timeout", f"{PATIENCE_S}s",
            "--seed", str(load.seed), "--shape", model.shape(load.rows), "--dtype", f"{model.input_name}=float32",
            "--rows", str(load.rows), "--server-pid", str(server_pid), "--json", str(out),
        ]
        if not target.address.startswith("unix:"):
            command += ["--congestion", CONGESTION]
        if target.protocol != "raw":
            command += ["--verify", "first", "--tolerance", str(TOLERANCE)]
        elif not target.batches:
            # Raw bytes have to be equal to the last bit, which another batch need not give.
            command += ["--verify", "first"]
        return command

    def round(self, target: Target, model: Model, load: Load, server_pid: int, out: Path) -> dict:
        """Measures once: the round of its result, and how busy others were."""
        out.parent.mkdir(parents=True, exist_ok=True)
        out.unlink(missing_ok=True)
        command = self.command(target, model, load, server_pid, out)
        limit = load.seconds + load.warmup + 2 * PATIENCE_S
        try:
            done = subprocess.run(["taskset", "-c", str(self.core), *command], stdin=subprocess.DEVNULL,
                                  capture_output=True, text=True, timeout=limit, check=False)
        except subprocess.TimeoutExpired as error:
            raise Failed(f"graphpipe-loadgen did not end within {limit:.0f} s") from error
        if done.returncode not in (CLEAN, NOT_CLEAN) or not out.is_file():
            raise Failed(f"graphpipe-loadgen: {last_line(done.stderr)}")
        report = json.loads(out.read_text())
        if report["format"] != FORMAT:
            sys.exit(f"graphpipe-loadgen writes results of format {report['format']}, and {FORMAT} is read here")
        (measured,) = report["points"][0]["rounds"]
        if measured["errors"]:
            kinds = ", ".join(f"{count} × {kind}" for kind, count in measured["errors"].items())
            text = next(iter(measured["error_texts"].values()), "")
            raise Failed(f"errors under load of {load.clients} clients: {kinds}: {text}"[:300])
        if not measured["answered"]:
            raise Failed(f"no answer within {load.seconds} s under load of {load.clients} clients")
        if done.returncode == NOT_CLEAN and not measured["generator"]["bottleneck"]:
            raise Failed(f"graphpipe-loadgen: {last_line(done.stderr)}")
        measured["others_busy"] = report["machine"]["others_busy"]
        if measured["server"] and not measured["server"]["cores"]:
            # Whoever answers takes time: its processes could not be read, and count among the others.
            measured["server"] = measured["others_busy"] = None
        return measured


def last_line(text: str) -> str:
    """What a program said in the end."""
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"
