"""The first of the charts with which GraphPipe presented itself: seconds to write and to read a large request and a large
reply, in the encodings that model servers use.
"""

import functools
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from . import install, machine, paths, report
from .spread import Spread, seconds, table

NAME = "codec"
# The shapes of the original chart: a batch of images, and the last layer of a network without its head.
SHAPES = {"request": "128,224,224,3", "response": "128,7,7,512"}
STEPS = (("request", "serialise"), ("request", "deserialise"), ("response", "serialise"), ("response", "deserialise"))
LIMIT_S = 300
EXAMPLE = paths.BUILD / "release" / "examples" / "codec"
CARGO = ["cargo", "build", "--release", "--locked", "-p", "graphpipe-client", "--example", "codec"]


@dataclass(frozen=True)
class Encoding:
    """What is timed, and in which environment."""

    key: str
    title: str
    environment: str
    how: str
    packages: tuple[str, ...] = ()
    # Ours in one buffer, which is what the others do.
    meant: bool = False
    # What is written is only the head.
    head_only: bool = False

    def versions(self) -> str:
        """Of what does the work."""
        pinned = install.versions(self.environment) if self.environment else {}
        return ", ".join(f"{package} {pinned[package]}" for package in self.packages) or "this commit"


ENCODINGS = [
    Encoding("ujson", "JSON, ujson", "codec", "`tolist()` and text; text, lists and an array", ("ujson",)),
    Encoding("orjson", "JSON, orjson", "codec", "text from the array itself; text, lists and an array", ("orjson",)),
    Encoding("protobuf-floats", "protobuf, float_val", "codec", "PredictRequest, a number at a time; `make_ndarray`",
             ("protobuf", "tensorflow-serving-api")),
    Encoding("protobuf", "protobuf, make_tensor_proto", "codec", "PredictRequest, `tensor_content`; `make_ndarray`",
             ("protobuf", "tensorflow-serving-api")),
    Encoding("graphpipe", "Python graphpipe", "graphpipe", "FlatBuffers; the array in place", ("graphpipe", "flatbuffers")),
    Encoding("numpy-joined", "ours, Python, one buffer", "tools", "head and array copied together; the array in place",
             ("numpy",), meant=True),
    Encoding("numpy", "ours, Python", "tools", "the head, the array is sent from where it lies; the array in place",
             ("numpy",), head_only=True),
    Encoding("rust-joined", "ours, Rust, one buffer", "", "head and numbers copied together; the numbers in place",
             meant=True),
    Encoding("rust", "ours, Rust client", "", "the head, the numbers are sent from where they lie; the numbers in place",
             head_only=True),
]


class NotTimed(Exception):
    """Why there is no number."""


def run(loadgen: Path, repeats: int, core: int, only: list[str], folder: Path) -> None:
    """Times everything and writes the page."""
    if unknown := set(only) - {encoding.key for encoding in ENCODINGS}:
        sys.exit(f"no encoding is called {', '.join(sorted(unknown))}; there are {', '.join(one.key for one in ENCODINGS)}")
    found: dict[str, dict] = {}
    left_out: dict[str, str] = {}
    for encoding in ENCODINGS:
        if only and encoding.key not in only:
            continue
        try:
            found[encoding.key] = {kind: timed(encoding, kind, shape, repeats, core) for kind, shape in SHAPES.items()}
            print(f"  {encoding.key}: done", flush=True)
        except (NotTimed, install.NotInstalled) as error:
            print(f"  {encoding.key}: LEFT OUT: {error}", flush=True)
            left_out[encoding.title] = str(error)
    report.write(NAME, page(found, left_out, repeats, core), picture(found), found, loadgen, folder)


def timed(encoding: Encoding, kind: str, shape: str, repeats: int, core: int) -> dict:
    """The seconds of one encoding and kind of message."""
    if encoding.environment:
        install.install(encoding.environment)
        worker = paths.HERE / "codecs" / "worker.py"
        command = [str(install.python(encoding.environment)), "-B", str(worker), encoding.key, kind, shape, str(repeats)]
    else:
        command = [str(example()), str(repeats), shape, kind]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    try:
        done = subprocess.run(["taskset", "-c", str(core), *command], env=environment, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=LIMIT_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise NotTimed(f"took longer than {LIMIT_S} s") from error
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines()
        raise NotTimed(lines[-1] if lines else f"exit code {done.returncode}")
    said = json.loads(done.stdout.splitlines()[-1])
    if encoding.key == "rust-joined":
        said["serialise"] = said["joined"]
    return said


@functools.cache
def example() -> Path:
    """The Rust client's program as it is now: cargo does nothing if that is built already."""
    if shutil.which("cargo") is None:
        raise NotTimed("cargo is not there to build it")
    print(f"building {EXAMPLE.name}: {' '.join(CARGO)}", flush=True)
    done = subprocess.run(CARGO, cwd=paths.ROOT, env={**os.environ, "CARGO_TARGET_DIR": str(paths.BUILD)},
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NotTimed(f"{' '.join(CARGO)}: {done.stderr.strip().splitlines()[-1]}")
    return EXAMPLE


def page(found: dict[str, dict], left_out: dict[str, str], repeats: int, core: int) -> list[str]:
    """The page of Markdown."""
    lines = ["# Time to write and to read", "", "![time to write and to read](codec.svg)", ""]
    lines += machine.header({
        "core": str(core), "repetitions": f"{repeats}, each encoding in a process of its own; median (least–most)",
        "request": f"float32 [{SHAPES['request']}], 77.1 MB", "response": f"float32 [{SHAPES['response']}], 12.8 MB",
    })
    lines += [
        "Serialising: from a numpy array (in Rust, a slice) to bytes that can be sent. Deserialising: from the bytes of a",
        "message to such an array. *In place*: nothing is copied, so the time does not grow with the message. *Head only*:",
        "the numbers are not part of what is written, but sent from where they lie; compare *one buffer* with the others.",
        "",
    ]
    head = ["encoding", *(f"{kind}: {step}" for kind, step in STEPS), "bytes of the request"]
    rows = []
    for encoding in ENCODINGS:
        if encoding.key in found:
            cells = [", ".join([in_words(Spread.of(found[encoding.key][kind][step])), *notes(encoding, step)])
                     for kind, step in STEPS]
            rows.append([encoding.title, *cells, f"{found[encoding.key]['request']['bytes']:,}".replace(",", " ")])
    lines += [*table(head, rows), "", "## How", ""]
    lines += table(["encoding", "version", "writing; reading"],
                   [[one.title, one.versions(), one.how] for one in ENCODINGS if one.key in found])
    if left_out:
        lines += ["", "## Not measured", "", *(f"- {title}: {why}" for title, why in left_out.items())]
    return lines


def notes(encoding: Encoding, step: str) -> list[str]:
    """What is to be known about a number."""
    return ["head only"] if encoding.head_only and step == "serialise" else []


def in_words(found: Spread) -> str:
    """A cell, with the unit."""
    return f"{seconds(found.median)} ({seconds(found.least)}–{seconds(found.most)})"


def picture(found: dict[str, dict]) -> dict:
    """The bars."""
    groups = []
    for kind, step in STEPS:
        bars = [
            Spread.of([1e3 * each for each in found[one.key][kind][step]]).bar(one.title, one.meant, *notes(one, step))
            for one in ENCODINGS if one.key in found
        ]
        groups.append({"name": f"{step} a {kind}", "bars": bars})
    return {
        "title": "Time to write and to read: a request of 77 MB, a reply of 13 MB",
        "subtitle": "float32 [128,224,224,3] and [128,7,7,512]; shorter is better; "
        "head only: tensors are sent from where they lie",
        "unit": "milliseconds", "log": False, "groups": groups,
    }
