"""Every command and every line of Python that the README shows, run in the order and as it stands there, but for the port
and the socket, which belong to the daemon of the tests."""

import os
import re
import subprocess
import sys

from daemon import ROOT

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# The oldest flatbuffers package may need it; who follows the README has the newest.
SHIM = f"import sys; sys.path.insert(0, {str(ROOT / 'tests/compat')!r}); import imp_shim; del sys.path[0]\n"


def run(command, folder):
    """Runs it there; returns what it printed."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def run_python(block, folder):
    """Runs a block, and compares what it prints with what the comments beside its prints say."""
    wanted = re.findall(r"^print\(.*#\s*(.*)$", block, re.MULTILINE)
    assert run([sys.executable, "-c", SHIM + block], folder).splitlines() == wanted


def test_the_examples_of_the_readme_work_in_their_order(daemon, tmp_path):
    # A folder that looks like the project to who only reads models.
    (tmp_path / "models").symlink_to(ROOT / "models")
    curls, pythons = 0, 0
    for language, block in BLOCK.findall((ROOT / "README.md").read_text()):
        block = block.replace("127.0.0.1:9000", f"127.0.0.1:{daemon.port}")
        block = block.replace("$XDG_RUNTIME_DIR/graphpiped.sock", str(daemon.socket))
        if language == "python":
            run_python(block, tmp_path)
            pythons += 1
        for line in block.splitlines() if language == "sh" else ():
            if line.startswith("curl "):
                run(["bash", "-c", line.replace("curl", "curl --fail --silent --show-error --max-time 60", 1)], tmp_path)
                curls += 1
    assert curls >= 3
    assert pythons >= 3
