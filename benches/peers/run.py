#!/usr/bin/env python3
"""Measures the daemon side by side with other servers, and makes the two charts with which GraphPipe presented itself.

    python3 benches/peers/run.py                  installs what is missing, then the table of peers
    python3 benches/peers/run.py charts           both charts
    python3 benches/peers/run.py --help

README.md, beside this file, says what is measured and how.
"""

import argparse
import os
import shutil
import sys
from pathlib import Path

sys.dont_write_bytecode = True

from bench import install, paths, process  # noqa: E402

PROGRAMS = ("peers", "charts", "codec", "throughput", "install")


def main() -> None:
    """Does what the command line says."""
    options = arguments()
    if options.program == "install":
        install_all()
        return
    in_own_environment()
    process.guard()
    # Only now: these need what was installed.
    from bench import codec, peers, throughput
    from bench.loadgen import Generator
    from bench.stage import Plan

    def plan(clients: str, rounds: int, rows: int, seconds: float) -> Plan:
        return Plan(
            tuple(int(number) for number in (options.clients or clients).split(",")), options.rounds or rounds,
            options.rows or rows, options.seconds or seconds, options.warmup, options.seed, options.server_core,
        )

    generator = Generator(binary(options.loadgen), options.client_core)
    # Names of encodings are none of servers: `charts` takes all of both.
    charts = options.program == "charts"
    try:
        if options.program == "peers":
            install_all(quiet=True)
            chosen = plan("1,16,64", 3, 1, 0.9)
            peers.run(binary(options.daemon), generator, chosen, options.models.split(","), options.only)
        if options.program in ("charts", "codec"):
            codec.run(generator.binary, options.repeats, options.server_core, [] if charts else options.only)
        if options.program in ("charts", "throughput"):
            throughput.run(binary(options.daemon), generator, plan("1,5", 3, 8, 3.0), [] if charts else options.only)
    except KeyboardInterrupt:
        sys.exit(130)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", nargs="?", choices=PROGRAMS, default="peers", help="default: peers")
    parser.add_argument("--daemon", type=Path, default=paths.BUILD / "release" / "graphpiped", help="our daemon")
    parser.add_argument("--loadgen", type=Path, default=paths.BUILD / "release" / "graphpipe-loadgen")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="only these servers, or encodings")
    parser.add_argument("--models", default="digits,mlp", help="of the table of peers; default: %(default)s")
    parser.add_argument("--clients", metavar="N,N,…", help="default: 1,16,64, and 1,5 for throughput")
    parser.add_argument("--rounds", type=int, metavar="N", help="default: 3")
    parser.add_argument("--seconds", type=float, metavar="N", help="of each round; default: 0.9, and 3 for throughput")
    parser.add_argument("--warmup", type=float, default=0.3, metavar="N", help="seconds before each; default: %(default)s")
    parser.add_argument("--rows", type=int, metavar="N", help="of each request; default: 1, and 8 for throughput")
    parser.add_argument("--repeats", type=int, default=5, metavar="N", help="of each encoding; default: %(default)s")
    parser.add_argument("--seed", type=int, default=20, metavar="N", help="of the order and of values; default: %(default)s")
    parser.add_argument("--server-core", type=int, default=0, metavar="N", help="default: %(default)s")
    parser.add_argument("--client-core", type=int, default=1, metavar="N", help="default: %(default)s")
    return parser.parse_args()


def binary(path: Path) -> Path:
    """A program of ours, which has to be there."""
    if not path.is_file():
        sys.exit(f"{path} is not there; cargo build --release --locked, or say where it is (--help)")
    return path.resolve()


def install_all(quiet: bool = False) -> None:
    """Installs everything; what cannot be installed is said, and the rest goes on."""
    for name in install.names():
        try:
            folder = install.install(name)
            if not quiet:
                print(f"{name}: {folder}")
        except install.NotInstalled as error:
            print(f"{name}: NOT INSTALLED: {error}", flush=True)


def in_own_environment() -> None:
    """Goes on in the environment with ONNX Runtime, numpy and onnx, which is made if it is not there."""
    if shutil.which("taskset") is None:
        sys.exit("taskset is not there; it is in util-linux")
    try:
        folder = install.install("tools")
    except install.NotInstalled as error:
        sys.exit(f"the program's own environment cannot be installed: {error}")
    if Path(sys.prefix).resolve() != folder.resolve():
        program = str(install.python("tools"))
        os.execv(program, [program, str(Path(__file__).resolve()), *sys.argv[1:]])


if __name__ == "__main__":
    main()
