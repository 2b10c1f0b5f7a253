"""Times one encoding in a process of its own, so that no encoding is measured in the memory that another has left.

    worker.py ENCODING request|response N,N,… REPEATS

Prints one line of JSON: the bytes of the message, and the seconds of each repetition. Serialising is from a numpy array of
float32 to bytes that can be sent, deserialising from such bytes to a numpy array. One run of each is not counted, and what
comes out of it is compared with what went in. Each encoding imports what it needs, because none has an environment with
all of them.
"""

import gc
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

SEED = 20


def main() -> None:
    """Times what the command line says."""
    name, kind, shape, repeats = sys.argv[1:]
    write, read = ENCODINGS[name](kind)
    size = tuple(int(part) for part in shape.split(","))
    array = np.random.default_rng(SEED).random(size, dtype=np.float32)
    message = write(array)
    found = read(message)
    if found.shape != array.shape or not np.allclose(found, array):
        sys.exit(f"{name}: what is read is not what was written")
    del found
    sizes = [len(part) for part in message] if isinstance(message, list) else [len(message)]
    serialise = timed(lambda: write(array), int(repeats))
    deserialise = timed(lambda: read(message), int(repeats))
    print(json.dumps({"bytes": sum(sizes), "serialise": serialise, "deserialise": deserialise}))


def timed(work: Callable[[], object], repeats: int) -> list[float]:
    """The seconds of each repetition; taking apart what has come out is not part of them."""
    seconds = []
    gc.disable()
    for _ in range(repeats):
        began = time.perf_counter()
        made = work()
        seconds.append(time.perf_counter() - began)
        del made
    return seconds


Codec = tuple[Callable, Callable]


def ujson_lists(kind: str) -> Codec:
    """Nested lists as text, by ujson."""
    import ujson

    key = KEYS[kind]
    return (
        lambda array: ujson.dumps({key: array.tolist()}).encode(),
        lambda message: np.array(ujson.loads(message)[key], dtype=np.float32),
    )


def orjson_arrays(kind: str) -> Codec:
    """Nested lists as text, by orjson, which reads numpy's arrays without making lists of them."""
    import orjson

    key = KEYS[kind]
    return (
        lambda array: orjson.dumps({key: array}, option=orjson.OPT_SERIALIZE_NUMPY),
        lambda message: np.array(orjson.loads(message)[key], dtype=np.float32),
    )


def protobuf(kind: str, fill: Callable) -> Codec:
    """TensorFlow Serving's messages, filled by `fill`, and read as its clients do."""
    import tensorflow
    from tensorflow_serving.apis import predict_pb2

    message_type = predict_pb2.PredictRequest if kind == "request" else predict_pb2.PredictResponse
    key = KEYS[kind]

    def write(array: np.ndarray) -> bytes:
        message = message_type()
        fill(getattr(message, key)["x"], array, tensorflow)
        return message.SerializeToString()

    def read(message: bytes) -> np.ndarray:
        return tensorflow.make_ndarray(getattr(message_type.FromString(message), key)["x"])

    return write, read


def protobuf_content(kind: str) -> Codec:
    """`make_tensor_proto`, as every example has it: the numbers as one string of bytes (`tensor_content`)."""
    return protobuf(kind, lambda proto, array, tensorflow: proto.CopyFrom(tensorflow.make_tensor_proto(array)))


def protobuf_floats(kind: str) -> Codec:
    """The numbers as a list of numbers (`float_val`), without TensorFlow's help."""

    def fill(proto, array: np.ndarray, tensorflow) -> None:
        proto.dtype = tensorflow.float32.as_datatype_enum
        for size in array.shape:
            proto.tensor_shape.dim.add().size = size
        proto.float_val.extend(array.ravel().tolist())

    return protobuf(kind, fill)


def graphpipe_original(kind: str) -> Codec:
    """The original Python package."""
    from graphpipe import convert

    if kind == "request":
        return (
            lambda array: convert.serialize_infer_request(convert.InferReq(None, [array], None, None)),
            lambda message: convert.deserialize_request(message).input_tensors[0],
        )
    return (
        lambda array: convert.serialize_infer_response([array]),
        lambda message: convert.deserialize_infer_response(message)[0][0],
    )


def numpy_parts(kind: str) -> Codec:
    """This project's encoding over numpy: the head, and the array from where it lies."""
    wire = own_wire()
    write, read = (
        (wire.write_infer_request, wire.read_infer_request) if kind == "request"
        else (wire.write_infer_response, wire.read_infer_response)
    )
    # What arrives is one message, however it was sent.
    whole: dict[int, bytes] = {}

    def read_parts(parts: list) -> np.ndarray:
        if id(parts) not in whole:
            whole[id(parts)] = b"".join(parts)
        return read(whole[id(parts)])[0]

    return lambda array: write([array]), read_parts


def numpy_joined(kind: str) -> Codec:
    """The same, put together into one buffer."""
    wire = own_wire()
    if kind == "request":
        return lambda array: b"".join(wire.write_infer_request([array])), lambda message: wire.read_infer_request(message)[0]
    return lambda array: b"".join(wire.write_infer_response([array])), lambda message: wire.read_infer_response(message)[0]


def own_wire():
    """The module beside the driver."""
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    from bench import wire

    return wire


KEYS = {"request": "inputs", "response": "outputs"}
ENCODINGS = {
    "ujson": ujson_lists, "orjson": orjson_arrays, "protobuf": protobuf_content, "protobuf-floats": protobuf_floats,
    "graphpipe": graphpipe_original, "numpy": numpy_parts, "numpy-joined": numpy_joined,
}

if __name__ == "__main__":
    main()
