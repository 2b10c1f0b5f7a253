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

WHOLE_MODELS = "digits,mlp"
MODELS = {"digits", "mlp", "squeezenet"}
WARM_UP_S = 0.3
REPEATS = 5
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
    charts = options.program == "charts"
    folder = results_folder(options)
    try:
        if options.program == "peers":
            install_all(quiet=True)
            chosen = plan("1,16,64", 3, 1, 0.8)
            peers.run(binary(options.daemon), generator, chosen, options.models.split(","), options.only, folder)
        if options.program in ("charts", "codec"):
            codec.run(generator.binary, options.repeats, options.server_core, options.only, folder)
        if options.program in ("charts", "throughput"):
            throughput.run(binary(options.daemon), generator, plan("1,5", 3, 4, 2.5), options.only, folder)
    except KeyboardInterrupt:
        sys.exit(130)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", nargs="?", choices=PROGRAMS, default="peers", help="default: peers")
    parser.add_argument("--daemon", type=Path, default=paths.BUILD / "release" / "graphpiped", help="our daemon")
    parser.add_argument("--loadgen", type=Path, default=paths.BUILD / "release" / "graphpipe-loadgen")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="only these servers, or encodings")
    parser.add_argument("--models", default=WHOLE_MODELS, metavar="NAME,…",
                        help="of the table of peers; default: %(default)s")
    parser.add_argument("--clients", metavar="N,N,…", help="default: 1,16,64, and 1,5 for throughput")
    parser.add_argument("--rounds", type=int, metavar="N", help="default: 3")
    parser.add_argument("--seconds", type=float, metavar="N",
                        help="of each round, at least; default: 0.8, and 2.5 for throughput")
    parser.add_argument("--warmup", type=float, default=WARM_UP_S, metavar="N",
                        help="seconds before each; default: %(default)s")
    parser.add_argument("--rows", type=int, metavar="N", help="of each request; default: 1, and 4 for throughput")
    parser.add_argument("--repeats", type=int, default=REPEATS, metavar="N",
                        help="of each encoding; default: %(default)s")
    parser.add_argument("--seed", type=int, default=20, metavar="N", help="of the order and of values; default: %(default)s")
    parser.add_argument("--server-core", type=int, default=0, metavar="N", help="default: %(default)s")
    parser.add_argument("--client-core", type=int, default=1, metavar="N", help="default: %(default)s")
    options = parser.parse_args()
    if options.only and options.program not in ("peers", "codec", "throughput"):
        parser.error(f"--only is for peers, codec and throughput, not for {options.program}")
    if unknown := set(options.models.split(",")) - MODELS:
        parser.error(f"no model of the table of peers is called {', '.join(sorted(unknown))}")
    return options


def results_folder(options: argparse.Namespace) -> Path:
    """Where pages and pictures go: those of a run that is not a whole one must not stand where all look."""
    whole = not options.only and all(
        getattr(options, name) == default
        for name, default in (("models", WHOLE_MODELS), ("clients", None), ("rounds", None), ("seconds", None),
                              ("rows", None), ("warmup", WARM_UP_S), ("repeats", REPEATS))
    )
    return paths.DOCS if whole else paths.RESULTS


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
