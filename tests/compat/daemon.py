"""Starts the daemon for the tests, and stops it. Knows nothing of models or messages."""

import os
import re
import signal
import subprocess
import threading
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# Long enough for a loaded machine; reached only when something is broken.
START_SECONDS_MAX = 60
STOP_SECONDS_MAX = 30


def binary():
    """The daemon under test."""
    path = Path(os.environ.get("GRAPHPIPED", ROOT / "target/debug/graphpiped"))
    assert path.is_file(), f"{path} is not there: run `make test`, which builds it, or name another one in GRAPHPIPED"
    return path


def onnxruntime():
    """The library that `make runtime` fetched."""
    path = ROOT / "runtime/onnxruntime/libonnxruntime.so"
    assert path.exists(), f"{path} is not there: run `make runtime`"
    return path


class Daemon:
    """A running daemon, its addresses and its log."""

    def __init__(self, models, folder):
        self.socket = Path(folder) / "graphpiped.sock"
        self.log = []
        self.port = None
        self._listening = threading.Event()
        command = [binary(), "serve", "--listen", "tcp://127.0.0.1:0", "--listen", f"unix:{self.socket}"]
        # One thread per run, as in the sessions that compute the expected values.
        command += ["--onnxruntime", onnxruntime(), "--intra-threads", "1"]
        for name, path in models.items():
            command += ["--model", f"{name}={path}"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()
        self._listening.wait(START_SECONDS_MAX)
        assert self.port, "the daemon did not say where it listens:\n" + "".join(self.log)

    def _read_log(self):
        for line in self.process.stdout:
            self.log.append(line)
            address = re.search(r"listening.*tcp://127\.0\.0\.1:(\d+)", line)
            if address:
                self.port = int(address.group(1))
            if self.port and self.socket.exists():
                self._listening.set()
        self._listening.set()

    def url(self, model=None):
        """Where HTTP clients ask for a model; the default one without a name."""
        return f"http://127.0.0.1:{self.port}/" + (f"models/{model}" if model else "")

    def stop(self):
        """Asks the daemon to finish; returns its exit code."""
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(STOP_SECONDS_MAX)
        finally:
            self.process.kill()
        self._reader.join()
        return code
