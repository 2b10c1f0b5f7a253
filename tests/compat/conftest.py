"""What all compatibility tests share: one daemon that serves every model, and ONNX Runtime in this process."""

import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

import imp_shim  # noqa: F401 - before the first module that imports flatbuffers
import models as model_files
from daemon import ROOT, Daemon

# The values of a run are drawn from this; printed with every report.
SEED = 4711


def pytest_configure(config):
    """The original client is as old as it is, and flatbuffers says so at each of its calls."""
    config.addinivalue_line("filterwarnings", "ignore:numElems is deprecated")
    config.addinivalue_line("filterwarnings", "ignore:the imp module is deprecated")


def pytest_report_header(config):
    """What the report begins with."""
    return f"flatbuffers {version('flatbuffers')}, onnxruntime {onnxruntime.__version__}, seed {SEED}"


@pytest.fixture(scope="session")
def folder():
    """A folder with a short path: the path of a Unix socket has at most 107 bytes."""
    path = Path(tempfile.mkdtemp(prefix="graphpiped-"))
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="session")
def models(folder):
    """The path of each model by its name. The first is the default model of the daemon."""
    paths = {"digits": ROOT / "models/digits/digits.onnx"}
    assert paths["digits"].is_file()
    paths.update(model_files.write_all(folder))
    return paths


@pytest.fixture(scope="session")
def daemon(models, folder):
    """The daemon. Stopped at the end, when it must have had nothing to complain about."""
    running = Daemon(models, folder)
    yield running
    code = running.stop()
    log = "".join(running.log)
    assert code == 0, f"the daemon ended with {code}:\n{log}"
    complaints = [line for line in running.log if "WARN" in line or "ERROR" in line or "panicked" in line]
    assert not complaints, "".join(complaints)
    assert not running.socket.exists(), "the Unix socket was left behind"


@pytest.fixture(scope="session")
def expected(models):
    """What ONNX Runtime answers in this process: `expected(model, inputs, outputs=None)`."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    sessions = {}

    def run(model, inputs, outputs=None):
        if model not in sessions:
            sessions[model] = onnxruntime.InferenceSession(
                str(models[model]), options, providers=["CPUExecutionProvider"]
            )
        return sessions[model].run(outputs, inputs)

    return run


@pytest.fixture
def random(request):
    """A generator of its own for each test, so that the tests may run in any order."""
    return np.random.default_rng([SEED, *request.node.name.encode()])
