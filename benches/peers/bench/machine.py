"""What stands above every table: the command, the machine, the commit, and what else one needs to judge numbers."""

import os
import platform
import re
import subprocess
import sys
from pathlib import Path

from . import paths


def header(lines: dict[str, str]) -> list[str]:
    """The lines that all tables share, and more."""
    shared = {
        "machine": f"{processor()}, {platform.system()} {platform.release()} {platform.machine()}, "
        f"{os.cpu_count()} cores, {memory()}",
        "commit": commit(),
    }
    return [f"`{command()}`", "", *(f"- {name}: {text}" for name, text in {**shared, **lines}.items()), ""]


def command() -> str:
    """The command line; of programs, where they lie does not matter."""
    words = [re.sub(r"(^|=)/.*/", r"\1", word) for word in sys.argv[1:]]
    return " ".join(["python3", "benches/peers/run.py", *words])


def processor() -> str:
    """The processor's name."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "unknown processor"


def memory() -> str:
    """All of it."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemTotal:"):
            return f"{int(line.split()[1]) / (1 << 20):.1f} GiB"
    return "unknown memory"


def congestion() -> str:
    """The system's TCP congestion control; it is not changed."""
    try:
        return Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip()
    except OSError:
        return "unknown"


def commit() -> str:
    """What is measured, and whether it is what the commit says."""
    head = said(["git", "rev-parse", "--short=12", "HEAD"])
    # What is written by runs like this one is no change.
    changed = said(["git", "status", "--porcelain", "--", ".", f":(exclude){paths.DOCS.relative_to(paths.ROOT)}"])
    return f"{head} with changes" if changed and head != UNKNOWN else head


UNKNOWN = "unknown"


def said(command: list[str]) -> str:
    """The one line that a program says."""
    try:
        done = subprocess.run(command, cwd=paths.ROOT, capture_output=True, text=True, check=False)
    except OSError:
        return UNKNOWN
    return done.stdout.strip() if done.returncode == 0 else UNKNOWN
