#!/usr/bin/env python3
"""Fetches ONNX Runtime's shared library, for the project's runtime folder.

The library is taken out of the wheel that Microsoft publishes on PyPI. pip does the download, so whatever index,
proxy or certificate is configured for pip is used here too; nothing is installed into any Python environment. The
wheel's SHA-256 is pinned below and checked by pip before anything is unpacked. The library links no Python, so the
Python that runs this script may have any version.

    python3 backends/fetch_runtime.py [FOLDER]

FOLDER is runtime/onnxruntime in the project by default. A folder that already holds this version is left alone.
"""

import argparse
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

VERSION = "1.32.0"
# The wheels for CPython 3.11 carry the same library as those for any other Python; one of each architecture is enough.
SHA256 = {
    "x86_64": "5a34fc4dfeb5a7b4a74c95dcba1e773d722abda720b474edf1b0c419dc6d163d",
    "aarch64": "2303372a85299b6757b0e11e1cbf13e410ddf7e10c37f4b37e99d1c90e7daf7c",
}
# glibc versions that a wheel may ask for; pip takes the one that fits.
GLIBC_MINORS = (17, 27, 28)
LIBRARY = f"libonnxruntime.so.{VERSION}"
# The names by which programs ask for it.
LINKS = ("libonnxruntime.so", "libonnxruntime.so.1")
STAMP = ".complete"


class Failure(Exception):
    """Something the person at the keyboard has to know; shown without a traceback."""


def main() -> int:
    project = Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=project / "runtime" / "onnxruntime")
    folder = parser.parse_args().folder.absolute()
    try:
        fetch(folder)
    except (Failure, OSError) as error:
        print(f"fetch_runtime: {error}", file=sys.stderr)
        return 1
    return 0


def fetch(folder: Path) -> None:
    machine = platform.machine()
    if sys.platform != "linux" or machine not in SHA256:
        raise Failure(
            f"there is no ONNX Runtime wheel for {sys.platform} on {machine} here, only for Linux on "
            f"{' and '.join(SHA256)}; set ORT_DYLIB_PATH to a libonnxruntime.so (1.24 or newer) of your own"
        )
    stamp = f"onnxruntime {VERSION} {SHA256[machine]}\n"
    if is_complete(folder, stamp):
        say(f"ONNX Runtime {VERSION} is in {folder} already")
        return
    refuse_what_is_not_ours(folder)

    folder.parent.mkdir(parents=True, exist_ok=True)
    # Beside the destination, so that the last step is a rename within one file system.
    with tempfile.TemporaryDirectory(prefix=".onnxruntime-", dir=folder.parent) as scratch_name:
        scratch = Path(scratch_name)
        say(f"fetching ONNX Runtime {VERSION} for {machine} from PyPI (about 28 MB)")
        wheel = download(machine, scratch)
        fresh = scratch / "fresh"
        unpack(wheel, fresh)
        (fresh / STAMP).write_text(stamp, encoding="ascii")
        install(fresh, folder, scratch / "old", stamp)
    say(f"ONNX Runtime {VERSION} is in {folder}")


def is_complete(folder: Path, stamp: str) -> bool:
    try:
        written = (folder / STAMP).read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return False
    return written == stamp and all((folder / name).is_file() for name in (LIBRARY, *LINKS))


def refuse_what_is_not_ours(folder: Path) -> None:
    """The folder is replaced as a whole, so it has to be one that this script made, or an empty one."""
    if not folder.exists() and not folder.is_symlink():
        return
    if folder.is_symlink() or not folder.is_dir():
        raise Failure(f"{folder} is not a folder; name another one or move it away")
    if any(folder.iterdir()) and not (folder / STAMP).is_file():
        raise Failure(f"{folder} holds files that this script has not put there; name another folder or move them away")


def download(machine: str, scratch: Path) -> Path:
    """Has pip download the wheel and compare its hash; returns where it lies."""
    wanted = scratch / "requirements.txt"
    wanted.write_text(f"onnxruntime=={VERSION} --hash=sha256:{SHA256[machine]}\n", encoding="ascii")
    wheels = scratch / "wheels"
    command = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--require-hashes", "--no-deps"]
    command += ["--only-binary=:all:", "--implementation=cp", "--python-version=3.11", "--abi=cp311"]
    command += [f"--platform=manylinux_2_{minor}_{machine}" for minor in GLIBC_MINORS]
    command += [f"--dest={wheels}", f"--requirement={wanted}"]

    if subprocess.run([*command[:3], "--version"], capture_output=True, check=False).returncode != 0:
        raise Failure(f"{sys.executable} has no pip; install it (Debian: apt-get install python3-pip) and try again")
    if subprocess.run(command, stdout=sys.stderr, check=False).returncode != 0:
        raise Failure(
            f"pip could not download and check onnxruntime {VERSION} (its own words are above); "
            "it uses the index and proxy that `python3 -m pip config list` shows"
        )
    found = sorted(wheels.glob("onnxruntime-*.whl"))
    if len(found) != 1:
        raise Failure(f"pip reported success, but there are {len(found)} wheels in {wheels}")
    return found[0]


def unpack(wheel: Path, fresh: Path) -> None:
    """Takes the one library out of the wheel and gives it its usual names."""
    fresh.mkdir()
    try:
        with zipfile.ZipFile(wheel) as archive:
            with archive.open(f"onnxruntime/capi/{LIBRARY}") as packed, open(fresh / LIBRARY, "wb") as unpacked:
                shutil.copyfileobj(packed, unpacked, 1 << 20)
    except (KeyError, zipfile.BadZipFile) as error:
        raise Failure(f"{wheel.name} is not the wheel it should be: {error}") from error
    (fresh / LIBRARY).chmod(0o755)
    for name in LINKS:
        (fresh / name).symlink_to(LIBRARY)


def install(fresh: Path, folder: Path, old: Path, stamp: str) -> None:
    """Puts the finished folder in its place with one rename; a daemon that has the old one open keeps it."""
    if folder.exists():
        os.rename(folder, old)
    try:
        os.rename(fresh, folder)
    except OSError:
        # Somebody else fetched at the same time and was first, or the destination cannot be written.
        if not is_complete(folder, stamp):
            raise


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
