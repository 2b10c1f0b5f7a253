"""Installs what public registries have, each into a folder of its own under `target/peers`, and nothing else anywhere.

A folder carries a stamp of what was asked for; while that is the same, nothing is done. Only the standard library is
used here, because this is what makes everything else.
"""

import functools
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from . import paths

# The Debian package that TorchServe needs beside PyPI's, and what of its dependencies PyPI has given already.
DEBIAN_PACKAGE = "python3-torch"
DEBIAN_LEFT_OUT = ("python3-", "libtorch-test", "proj-data", "gdal-data", "mysql-common")
DEBIAN_LIBRARIES = ("usr/lib/x86_64-linux-gnu", "usr/lib", "lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu/blas",
                    "usr/lib/x86_64-linux-gnu/lapack", "usr/lib/ogdi/4.1")


class NotInstalled(Exception):
    """Why something is not there, in words that can stand in a table."""


def environment(name: str) -> Path:
    """The folder of a virtual environment."""
    return paths.PEERS / name


def python(name: str) -> Path:
    """The interpreter of a virtual environment."""
    return environment(name) / "bin" / "python"


def names() -> list[str]:
    """All there is to install."""
    return sorted(file.stem for file in paths.REQUIREMENTS.glob("*.txt"))


@functools.cache
def versions(name: str) -> dict[str, str]:
    """The packages of an environment, as its requirements pin them."""
    lines = (paths.REQUIREMENTS / f"{name}.txt").read_text().splitlines()
    pairs = (line.split("==") for line in lines if "==" in line and not line.startswith("#"))
    return {package.strip(): version.strip() for package, version in pairs}


def install(name: str) -> Path:
    """Makes the environment, unless it is there as it should be."""
    requirements = paths.REQUIREMENTS / f"{name}.txt"
    if not requirements.is_file():
        raise NotInstalled(f"there is no {requirements.relative_to(paths.ROOT)}")
    wanted = hashlib.sha256(f"{sys.version}\n{requirements.read_text()}".encode()).hexdigest()
    folder, stamp = environment(name), environment(name) / "stamp"
    if stamp.is_file() and stamp.read_text() == wanted:
        return folder
    print(f"installing {name} into {folder}", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    said([sys.executable, "-m", "venv", str(folder)])
    said([str(python(name)), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps",
          "-r", str(requirements)])
    if name == "torchserve":
        add_debian(folder)
    stamp.write_text(wanted)
    return folder


def add_debian(folder: Path) -> None:
    """Unpacks Debian's PyTorch and the libraries that it needs below `folder`, so that the system stays as it is."""
    for program in ("apt-get", "dpkg-deb", "java"):
        if shutil.which(program) is None:
            raise NotInstalled(f"needs {program}; on Debian 12: apt-get install openjdk-17-jre-headless")
    plan = said(["apt-get", "install", "--simulate", "--no-install-recommends", DEBIAN_PACKAGE])
    planned = [line.split()[1] for line in plan.splitlines() if line.startswith("Inst ")]
    wanted = [name for name in planned if name == DEBIAN_PACKAGE or not name.startswith(DEBIAN_LEFT_OUT)]
    if DEBIAN_PACKAGE not in wanted:
        wanted.append(DEBIAN_PACKAGE)
    packages, root = folder / "debian-packages", folder / "debian"
    packages.mkdir()
    said(["apt-get", "download", "--quiet", *wanted, "python3-astunparse"], packages)
    for package in sorted(packages.glob("*.deb")):
        said(["dpkg-deb", "--extract", str(package), str(root)])
    shutil.rmtree(packages)
    shutil.rmtree(root / "usr" / "share", ignore_errors=True)


def debian_environment(folder: Path) -> dict[str, str]:
    """What makes Debian's PyTorch be found where [`add_debian`] has put it."""
    root = folder / "debian"
    return {
        "LD_LIBRARY_PATH": ":".join(str(root / library) for library in DEBIAN_LIBRARIES),
        "PYTHONPATH": str(root / "usr" / "lib" / "python3" / "dist-packages"),
    }


def said(command: list[str], folder: Path | None = None) -> str:
    """Runs a program; what it wrote, or why there is nothing."""
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    except OSError as error:
        raise NotInstalled(f"{command[0]}: {error.strerror}") from error
    if done.returncode != 0:
        lines = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        why = lines[-1] if lines else f"exit code {done.returncode}"
        raise NotInstalled(f"{' '.join(command[:4])} …: {why}")
    return done.stdout
