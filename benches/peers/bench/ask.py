"""Asks a server once, in its own protocol, and compares what it answers with ONNX Runtime in this process: nobody is
measured who answers wrongly. Nothing here is fast, and nothing here measures.
"""

import http.client
import json
import socket
import urllib.parse
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from . import wire
from .models import Model
from .process import Failed

TIMEOUT_S = 60
# Another order of additions, as batches have it, changes the last bits: far less than one row differs from another.
TOLERANCE = 1e-3
# By how much more than that answers to different requests have to differ.
APART = 10
# Of so many times as many as there have to be.
SEEDS = 4
OIP_TYPES = {np.dtype("<f4"): "FP32", np.dtype("<i8"): "INT64"}


class NotYet(Exception):
    """The server does not listen, or says that it is not ready."""


@dataclass(frozen=True)
class Target:
    """Where a server is asked, and how: what `graphpipe-loadgen` is given."""

    address: str
    protocol: str
    # Whether requests may be put together, so that the last bits of an answer depend on others.
    batches: bool = False

    @property
    def transport(self) -> str:
        """`http`, `tcp` or `unix`."""
        return self.address.partition(":")[0]


Answer = dict[str, np.ndarray]


def check(target: Target, model: Model, rows: int, at_once: int) -> None:
    """Fails if an answer is not what ONNX Runtime says: to one request alone, and to so many different ones at a time."""
    sent, wanted = told_apart(model, rows, at_once)
    compare(asked(target, model, sent[0]), wanted[0])
    with ThreadPoolExecutor(at_once) as threads:
        for found, right in zip(threads.map(lambda each: asked(target, model, each), sent), wanted, strict=True):
            compare(found, right)


def told_apart(model: Model, rows: int, count: int) -> tuple[list[np.ndarray], list[Answer]]:
    """Requests, and right answers of which none could be taken for another: else nothing would be checked."""
    sent, answers = [], []
    for seed in range(SEEDS * count):
        request = model.some_rows(rows, seed)
        answer = model.run(request)
        if all(any(np.abs(answer[name] - other[name]).max() > APART * TOLERANCE for name in other) for other in answers):
            sent.append(request)
            answers.append(answer)
        if len(sent) == count:
            return sent, answers
    raise Failed(f"the model answers different requests alike: of {SEEDS * count} there are not {count} to be told apart")


def asked(target: Target, model: Model, sent: np.ndarray) -> Answer:
    """The answer to one request. A server may answer anything, so anything may go wrong while it is read."""
    try:
        return PROTOCOLS[target.protocol](target, model, sent)
    except Exception as error:
        raise Failed(f"its answer cannot be read: {type(error).__name__}: {error}"[:300]) from error


def compare(found: Answer, wanted: Answer) -> None:
    """Fails if an answer is not the right one."""
    for name, output in wanted.items():
        if name not in found:
            raise Failed(f"its answer is without {name!r}")
        # Triton has no outputs that are one number a row: it says [n, 1] for [n].
        if found[name].shape not in (output.shape, (*output.shape, 1)):
            raise Failed(f"{name!r} has the shape {found[name].shape}, not {output.shape}")
        if not np.allclose(found[name].reshape(output.shape), output, rtol=TOLERANCE, atol=TOLERANCE):
            raise Failed(f"{name!r} is wrong by {np.abs(found[name].reshape(output.shape) - output).max():g}")


def why_not_ready(target: Target, model: Model) -> str:
    """Why it does not answer inferences yet; empty if it does, whatever it says: that is looked at later."""
    try:
        PROTOCOLS[target.protocol](target, model, model.some_rows(1))
    except (OSError, http.client.HTTPException, NotYet) as error:
        return str(error) or type(error).__name__
    except Exception:
        return ""
    return ""


def post(target: Target, path: str, body: bytes, headers: dict[str, str]) -> tuple[bytes, http.client.HTTPMessage]:
    """One POST; the path of the target goes before `path`."""
    url = urllib.parse.urlsplit(target.address)
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=TIMEOUT_S)
    try:
        connection.request("POST", url.path if url.path not in ("", "/") else path, body, headers)
        reply = connection.getresponse()
        said = reply.read()
    finally:
        connection.close()
    # Models that are not loaded yet are unknown, unavailable or an internal error, as each server sees it.
    if reply.status == 404 or reply.status >= 500:
        raise NotYet(f"status {reply.status}: {said[:200]!r}")
    if reply.status != 200:
        raise ValueError(f"status {reply.status}: {said[:200]!r}")
    return said, reply.headers


def oip_binary(target: Target, model: Model, rows: np.ndarray) -> dict[str, np.ndarray]:
    """The Open Inference Protocol with binary tensors."""
    tensor = {"name": model.input_name, "shape": list(rows.shape), "datatype": "FP32",
              "parameters": {"binary_data_size": rows.nbytes}}
    head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    headers = {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": str(len(head))}
    body, said = post(target, f"/v2/models/{model.name}/infer", head + rows.tobytes(), headers)
    at = int(said.get("Inference-Header-Content-Length") or len(body))
    found = {}
    for tensor in json.loads(body[:at])["outputs"]:
        size = tensor.get("parameters", {}).get("binary_data_size")
        if size is None:
            found[tensor["name"]] = np.array(tensor["data"]).reshape(tensor["shape"])
            continue
        dtype = next(dtype for dtype, name in OIP_TYPES.items() if name == tensor["datatype"])
        found[tensor["name"]] = np.frombuffer(body[at : at + size], dtype).reshape(tensor["shape"])
        at += size
    return found


def oip_json(target: Target, model: Model, rows: np.ndarray) -> dict[str, np.ndarray]:
    """The Open Inference Protocol with tensors as JSON."""
    tensor = {"name": model.input_name, "shape": list(rows.shape), "datatype": "FP32", "data": rows.ravel().tolist()}
    headers = {"Content-Type": "application/json"}
    body, _ = post(target, f"/v2/models/{model.name}/infer", json.dumps({"inputs": [tensor]}).encode(), headers)
    return {tensor["name"]: np.array(tensor["data"]).reshape(tensor["shape"]) for tensor in json.loads(body)["outputs"]}


def tfs_json(target: Target, model: Model, rows: np.ndarray) -> dict[str, np.ndarray]:
    """TensorFlow Serving's REST API, columns."""
    body = json.dumps({"inputs": {model.input_name: rows.tolist()}}).encode()
    said, _ = post(target, f"/v1/models/{model.name}:predict", body, {"Content-Type": "application/json"})
    outputs = json.loads(said)["outputs"]
    if not isinstance(outputs, dict):
        outputs = {model.output_names[0]: outputs}
    return {name: np.array(output) for name, output in outputs.items()}


def raw(target: Target, model: Model, rows: np.ndarray) -> dict[str, np.ndarray]:
    """The bytes of the input for those of all outputs, as the servers here do it."""
    body, _ = post(target, "/", rows.tobytes(), {"Content-Type": "application/octet-stream"})
    found, at = {}, 0
    for name, like in model.run(rows).items():
        found[name] = np.frombuffer(body[at : at + like.nbytes], like.dtype).reshape(like.shape)
        at += like.nbytes
    if at != len(body):
        raise ValueError(f"{len(body)} bytes, not {at}")
    return found


def graphpipe_http(target: Target, model: Model, rows: np.ndarray) -> dict[str, np.ndarray]:
    """GraphPipe over HTTP, as every client of it has asked since 2018."""
    message = b"".join(wire.write_infer_request([rows]))
    body, _ = post(target, "/", message, {"Content-Type": "application/octet-stream"})
    return dict(zip(model.output_names, wire.read_infer_response(body), strict=True))


def native(target: Target, model: Model, rows: np.ndarray) -> dict[str, np.ndarray]:
    """GraphPipe in frames, over TCP or a Unix socket."""
    parts = wire.write_frame(wire.write_infer_request([rows], model.name), 1)
    with connected(target.address) as stream, stream.makefile("rb") as reader:
        stream.sendall(b"".join(parts))
        length, _, _ = wire.read_frame(reader.read(wire.FRAME_BYTES))
        return dict(zip(model.output_names, wire.read_infer_response(reader.read(length)), strict=True))


def connected(address: str) -> socket.socket:
    """A connection to `tcp://HOST:PORT` or `unix:PATH`."""
    if address.startswith("unix:"):
        stream = socket.socket(socket.AF_UNIX)
        stream.settimeout(TIMEOUT_S)
        stream.connect(address.removeprefix("unix:"))
        return stream
    url = urllib.parse.urlsplit(address)
    return socket.create_connection((url.hostname, url.port), TIMEOUT_S)


PROTOCOLS = {
    "oip-binary": oip_binary, "oip-json": oip_json, "tfs-json": tfs_json, "raw": raw,
    "graphpipe-http": graphpipe_http, "native": native,
}
