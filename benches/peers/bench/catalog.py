"""Who takes part: for each server the environment that it is installed in, how it is started, how it is asked, and what
it was given. What is said here is what the tables say.

All serve one model with one thread of ONNX Runtime on one core, and write no log for each request.
"""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from . import install, paths
from .ask import Target
from .models import Model

# What a server is told to put together: at most so many requests, waiting at most so long for them.
BATCH_MAX = 64
BATCH_WAIT_MS = 1.0
# Threads of the servers that give each connection one: as many as there are clients, at most.
CONNECTIONS_MAX = 64
BODY_BYTES_MAX = 256 << 20


@dataclass(frozen=True)
class Place:
    """Where and with what one server is started."""

    model: Model
    ports: tuple[int, ...]
    folder: Path
    batch_max: int
    batch_wait_ms: float
    python: str = ""

    @property
    def port(self) -> int:
        """Where it answers inferences; the others are for what it insists on besides."""
        return self.ports[0]

    def environment(self) -> dict[str, str]:
        """What `servers/peer.py` reads."""
        return {
            "PEER_MODEL_NAME": self.model.name,
            "PEER_MODEL_PATH": str(self.model.path),
            "PEER_PORT": str(self.port),
            "PEER_BATCH_MAX": str(self.batch_max),
            "PEER_BATCH_WAIT_MS": str(self.batch_wait_ms),
            "PYTHONPATH": str(paths.SERVERS),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUNBUFFERED": "1",
            # What a server leaves behind when it is ended lies with all else that is ours.
            "TMPDIR": str(self.folder),
        }

    def server(self, name: str) -> str:
        """The path of a file in `servers`."""
        return str(paths.SERVERS / name)

    def url(self, path: str = "") -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}{path}"


@dataclass(frozen=True)
class Launch:
    """A command, what it is told beside `Place.environment`, and where the server will answer, by the name of the row."""

    command: list[str]
    targets: dict[str, Target]
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Peer:
    """A server with one setting."""

    key: str
    title: str
    launch: Callable[[Place], Launch]
    environment: str | None = None
    package: str = ""
    settings: str = ""
    # How it puts requests together; empty: it does not.
    batching: str = ""
    # What is said of it then.
    unbatched: str = "no batching"
    # What the package carries, where that is not what is measured.
    carries: str = ""
    # Whether it stands beside the same server without batching.
    second: bool = False

    def version(self) -> str:
        """The version of what is measured; of our own daemon, the header says it."""
        if not self.environment:
            return "see above"
        pinned = install.versions(self.environment)[self.package]
        return f"{self.carries} in {self.package} {pinned}" if self.carries else pinned

    def given(self) -> str:
        """What it was given, in words."""
        return f"{self.settings}; {f'batching: {self.batching}' if self.batching else self.unbatched}"

    def alone(self) -> "Peer":
        """The same without batching."""
        return replace(self, batching="")

    def place(self, model: Model, ports: tuple[int, ...], folder: Path) -> Place:
        """What it is started with."""
        wanted = (BATCH_MAX, BATCH_WAIT_MS) if self.batching else (1, 0.0)
        python = str(install.python(self.environment)) if self.environment else ""
        return Place(model, ports, folder, *wanted, python)


def graphpiped(daemon: Path) -> Peer:
    """Our own daemon: one process, asked in three ways."""

    def launch(place: Place) -> Launch:
        socket = place.folder / "graphpiped.sock"
        batching = ["--max-batch", str(place.batch_max)] if place.batch_max > 1 else ["--batch", "off"]
        command = [
            str(daemon), "serve", "--model", f"{place.model.name}={place.model.path}", "--intra-threads", "1",
            "--instances", "1", "--io-threads", "1", "--listen", f"tcp://127.0.0.1:{place.port}",
            "--listen", f"unix:{socket}", "--log", "warn", "--onnxruntime", str(paths.ONNXRUNTIME), *batching,
        ]
        tcp = f"127.0.0.1:{place.port}"
        return Launch(command, {
            "graphpiped, HTTP": Target(f"http://{tcp}/models/{place.model.name}", "graphpipe-http"),
            "graphpiped, TCP": Target(f"tcp://{tcp}", "native"),
            "graphpiped, UDS": Target(f"unix:{socket}", "native"),
        })

    settings = "one reactor and one instance, both on the one core"
    return Peer("graphpiped", "graphpiped", launch, settings=settings, batching=AT_ONCE)


def flask(place: Place) -> Launch:
    """JSON + Python."""
    command = [
        place.python, "-m", "gunicorn", "--bind", f"127.0.0.1:{place.port}", "--workers", "1", "--worker-class", "gthread",
        "--threads", str(CONNECTIONS_MAX), "--keep-alive", "60", "--timeout", "0", "--worker-tmp-dir", "/dev/shm",
        "--no-control-socket", "flask_json:app",
    ]
    return Launch(command, {"Flask + ujson": Target(place.url(), "tfs-json")})


def mosec(place: Place) -> Launch:
    """mosec, raw bodies."""
    command = [
        place.python, place.server("mosec_raw.py"), "--address", "127.0.0.1", "--port", str(place.port),
        "--timeout", "60000", "--log-level", "warning", "--max-request-size", str(BODY_BYTES_MAX),
        "--path", str(place.folder / "mosec"),
    ]
    return Launch(command, {"mosec": Target(place.url("/inference"), "raw", place.batch_max > 1)})


def litserve(place: Place) -> Launch:
    """LitServe, JSON."""
    return Launch([place.python, place.server("litserve_json.py")], {"LitServe": Target(place.url(), "tfs-json")})


def kserve(place: Place) -> Launch:
    """KServe's Python server."""
    return Launch([place.python, place.server("kserve_oip.py")], {"KServe": Target(place.url(), "oip-binary")})


def mlserver(place: Place) -> Launch:
    """MLServer in one process."""
    batching = {"max_batch_size": place.batch_max, "max_batch_time": place.batch_wait_ms / 1000}
    write(place.folder / "settings.json", {
        "host": "127.0.0.1", "http_port": place.port, "parallel_workers": 0, "debug": False,
        "metrics_endpoint": None, "grpc_port": place.ports[1],
    })
    inputs = [{"name": place.model.input_name, "datatype": "FP32", "shape": [-1, *place.model.row_shape]}]
    write(place.folder / "model-settings.json", {
        "name": place.model.name, "implementation": "mlserver_onnx.OnnxRuntime", "inputs": inputs,
        **(batching if place.batch_max > 1 else {}),
    })
    command = [place.python, str(Path(place.python).with_name("mlserver")), "start", str(place.folder)]
    return Launch(command, {"MLServer": Target(place.url(), "oip-json")})


def triton(place: Place) -> Launch:
    """Triton's own server and its Python backend, without the layer of nvidia-pytriton in between."""
    packages = next((install.environment("pytriton") / "lib").glob("python3*")) / "site-packages"
    home = packages / "pytriton" / "tritonserver"
    backends, repository = place.folder / "backends", place.folder / "models"
    shutil.copytree(home / "backends", backends)
    stub = home / "python_backend_stubs" / packages.parent.name.removeprefix("python")
    # Its libraries are found from where it lies.
    (backends / "python" / "triton_python_backend_stub").symlink_to(stub / "triton_python_backend_stub")
    model = repository / place.model.name
    (model / "1").mkdir(parents=True)
    shutil.copy(paths.SERVERS / "triton_model.py", model / "1" / "model.py")
    # Its backend does not look at PYTHONPATH.
    shutil.copy(paths.SERVERS / "peer.py", model / "1")
    (model / "config.pbtxt").write_text(triton_config(place))
    command = [
        str(home / "bin" / "tritonserver"), "--model-repository", str(repository), "--backend-directory", str(backends),
        "--http-address", "127.0.0.1", "--http-port", str(place.port), "--allow-grpc", "false", "--allow-metrics", "false",
        "--log-info", "false",
        "--backend-config", f"python,shm-region-prefix-name={place.folder.name}-{place.port}",
    ]
    libraries = f"{base_libraries(place.python)}:{packages / 'nvidia_pytriton.libs'}"
    environment = {"LD_LIBRARY_PATH": libraries, "PATH": f"{Path(place.python).parent}:/usr/bin:/bin"}
    return Launch(command, {"Triton": Target(place.url(), "oip-binary")}, environment)


def triton_config(place: Place) -> str:
    """The model's config.pbtxt. A delay of 0 batches what waits anyhow."""
    kinds = {"tensor(float)": "TYPE_FP32", "tensor(int64)": "TYPE_INT64"}

    def listed(tensors: list) -> str:
        return ", ".join(
            f'{{ name: "{io.name}" data_type: {kinds[io.type]} dims: {list(io.shape[1:]) or [1]}'
            + ("" if io.shape[1:] else " reshape: { shape: [] }") + " }"
            for io in tensors
        )

    session = place.model.session
    rows_max = max(place.batch_max, BATCH_MAX)
    batching = "dynamic_batching { max_queue_delay_microseconds: 0 }" if place.batch_max > 1 else ""
    return (
        f'backend: "python"\nmax_batch_size: {rows_max}\n'
        f"input [ {listed(session.get_inputs())} ]\noutput [ {listed(session.get_outputs())} ]\n"
        f"instance_group [ {{ count: 1 kind: KIND_CPU }} ]\n{batching}\n"
    )


def torchserve(place: Place) -> Launch:
    """TorchServe with one worker; its archive is a folder."""
    store = place.folder / "store"
    (store / place.model.name / "MAR-INF").mkdir(parents=True)
    shutil.copy(paths.SERVERS / "torchserve_handler.py", store / place.model.name)
    shutil.copy(paths.SERVERS / "peer.py", store / place.model.name)
    write(store / place.model.name / "MAR-INF" / "MANIFEST.json", {
        "runtime": "python", "archiverVersion": "0.12.0",
        "model": {"modelName": place.model.name, "modelVersion": "1.0", "handler": "torchserve_handler:handle"},
    })
    settings = {
        "minWorkers": 1, "maxWorkers": 1, "batchSize": place.batch_max,
        "maxBatchDelay": max(1, int(place.batch_wait_ms)), "responseTimeout": 60, "defaultVersion": True,
        "marName": place.model.name,
    }
    management, metrics, grpc_inference, grpc_management, worker = place.ports[1:6]
    (place.folder / "config.properties").write_text("\n".join([
        f"inference_address={place.url()}", f"management_address=http://127.0.0.1:{management}",
        f"metrics_address=http://127.0.0.1:{metrics}", "disable_token_authorization=true", "disable_system_metrics=true",
        "enable_envvars_config=false", "install_py_dep_per_model=false", f"max_request_size={BODY_BYTES_MAX}",
        f"max_response_size={BODY_BYTES_MAX}", "job_queue_size=1000", f"model_store={store}",
        f"grpc_inference_port={grpc_inference}", f"grpc_management_port={grpc_management}", f"initial_worker_port={worker}",
        f"load_models={place.model.name}", f"models={json.dumps({place.model.name: {'1.0': settings}})}",
    ]) + "\n")
    log = place.folder / "log4j2.xml"
    log.write_text(QUIET_LOG4J)
    debian = install.debian_environment(install.environment("torchserve"))
    # As its launcher in Python does it, which ends without Java when it is ended.
    packages = next((install.environment("torchserve") / "lib").glob("python3*")) / "site-packages"
    command = [
        "java", f"-Dmodel_server_home={packages}", f"-Dlog4j.configurationFile={log.as_uri()}", "-Xmx1g",
        f"-Djava.io.tmpdir={place.folder}", "-cp", f".:{packages / 'ts' / 'frontend'}/*", "org.pytorch.serve.ModelServer",
        "--python", place.python, "-f", str(place.folder / "config.properties"), "-s", str(store), "--disable-token-auth",
    ]
    environment = {
        "LD_LIBRARY_PATH": debian["LD_LIBRARY_PATH"], "PYTHONPATH": f"{paths.SERVERS}:{debian['PYTHONPATH']}",
        "LOG_LOCATION": str(place.folder), "METRICS_LOCATION": str(place.folder),
        "PATH": f"{Path(place.python).parent}:/usr/bin:/bin",
    }
    target = Target(place.url(f"/predictions/{place.model.name}"), "raw", place.batch_max > 1)
    return Launch(command, {"TorchServe": target}, environment)


QUIET_LOG4J = """<?xml version="1.0" encoding="UTF-8"?>
<Configuration status="WARN">
  <Appenders><Console name="out" target="SYSTEM_OUT"><PatternLayout pattern="%d %p %c - %m%n"/></Console></Appenders>
  <Loggers><Root level="warn"><AppenderRef ref="out"/></Root></Loggers>
</Configuration>
"""


def graphpipe_python(place: Place) -> Launch:
    """The original package behind the standard library's server."""
    command = [place.python, place.server("graphpipe_http.py")]
    return Launch(command, {"Python graphpipe": Target(place.url(), "graphpipe-http")})


def base_libraries(python: str) -> Path:
    """Where the shared library of a virtual environment's Python is."""
    home = next(line for line in (Path(python).parent.parent / "pyvenv.cfg").read_text().splitlines()
                if line.startswith("home"))
    return Path(home.partition("=")[2].strip()).parent / "lib"


def write(path: Path, value: dict) -> None:
    """Writes JSON."""
    path.write_text(json.dumps(value, indent=2))


WAITING = f"up to {BATCH_MAX} requests, the first waits up to {BATCH_WAIT_MS:g} ms"
AT_ONCE = f"up to {BATCH_MAX} requests, none waits for others"
NEVER = "it cannot batch"
ONE = "1 worker"
PEERS = [
    Peer("triton", "Triton", triton, "pytriton", "nvidia-pytriton", "its Python backend, 1 instance", AT_ONCE,
         carries="2.51.0"),
    Peer("mosec", "mosec", mosec, "mosec", "mosec", ONE),
    Peer("mosec-batching", "mosec", mosec, "mosec", "mosec", ONE, WAITING, second=True),
    Peer("torchserve", "TorchServe", torchserve, "torchserve", "torchserve", ONE),
    Peer("torchserve-batching", "TorchServe", torchserve, "torchserve", "torchserve", ONE, WAITING, second=True),
    Peer("graphpipe-python", "Python graphpipe", graphpipe_python, "graphpipe", "graphpipe",
         "http.server, a thread for each connection", unbatched=NEVER),
    Peer("kserve", "KServe", kserve, "kserve", "kserve", ONE, unbatched="it cannot batch in one process"),
    Peer("mlserver", "MLServer", mlserver, "mlserver", "mlserver", "all in one process"),
    Peer("mlserver-batching", "MLServer", mlserver, "mlserver", "mlserver", "all in one process", WAITING, second=True),
    Peer("litserve", "LitServe", litserve, "litserve", "litserve", ONE),
    Peer("litserve-batching", "LitServe", litserve, "litserve", "litserve", ONE, WAITING, second=True),
    Peer("flask", "Flask + ujson", flask, "flask", "Flask", f"gunicorn, 1 worker of {CONNECTIONS_MAX} threads",
         unbatched=NEVER),
]

# Servers that one would expect beside these, and why they are not: nothing is left out in silence.
ABSENT = {
    "TensorFlow Serving": "comes from a package source of its own, and as an image; in no public registry of packages",
    "Triton with its ONNX Runtime backend": "is only in NVIDIA's images; here it has its Python backend",
    "OpenVINO Model Server": "comes as an image and as archives; in no public registry of packages",
    "GraphPipe's own servers in Go": "need TensorFlow 1 or Caffe2 of their time; only its Python package can be installed",
}
