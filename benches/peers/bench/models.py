"""The models that all servers serve, and what ONNX Runtime itself makes of some rows: the reference for every answer.

Two of them are made here from a seed, because nothing is to be downloaded that is not in a registry of packages: their
weights mean nothing, their arithmetic is that of the real ones.
"""

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from . import paths

SEED = 20
# Old enough for every runtime here; the model in the repository has the same.
OPSET = 17
IR_VERSION = 8
RNG_ROWS = 7


@dataclass(frozen=True)
class Model:
    """A model with one input of float32 whose first dimension is rows, as that of every output."""

    name: str
    path: Path
    what: str

    @functools.cached_property
    def session(self) -> onnxruntime.InferenceSession:
        """The reference."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        return onnxruntime.InferenceSession(str(self.path), options, providers=["CPUExecutionProvider"])

    @property
    def input_name(self) -> str:
        """The name of its input."""
        return self.session.get_inputs()[0].name

    @property
    def row_shape(self) -> tuple[int, ...]:
        """The dimensions of one row."""
        return tuple(self.session.get_inputs()[0].shape[1:])

    @property
    def output_names(self) -> list[str]:
        """The names of its outputs, in its order."""
        return [output.name for output in self.session.get_outputs()]

    def shape(self, rows: int) -> str:
        """The input of a request as `graphpipe-loadgen` takes it: `image=1,64`."""
        return f"{self.input_name}={','.join(str(size) for size in (rows, *self.row_shape))}"

    def some_rows(self, rows: int, seed: int = 0) -> np.ndarray:
        """Rows of values below 1, as `graphpipe-loadgen` makes them; others for each seed."""
        return np.random.default_rng((RNG_ROWS, seed)).random((rows, *self.row_shape), dtype=np.float32)

    def run(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """What ONNX Runtime makes of them in this process."""
        return dict(zip(self.output_names, self.session.run(None, {self.input_name: rows})))


def digits() -> Model:
    """The sample model of the repository."""
    return Model("digits", paths.ROOT / "models" / "digits" / "digits.onnx", "64 → 64 → 10, two outputs")


def mlp() -> Model:
    """784 → 128 → 10: a small model, as servers are compared with most often."""
    sizes = (784, 128, 10)
    path = paths.PEERS / "models" / "mlp.onnx"
    save(path, *dense_layers(sizes), [sizes[0]], [sizes[-1]])
    return Model("mlp", path, " → ".join(map(str, sizes)))


def squeezenet() -> Model:
    """The shape of SqueezeNet 1.1 at 224 × 224: 1.2 million weights, 0.35 billion multiplications per image."""
    path = paths.PEERS / "models" / "squeezenet.onnx"
    save(path, *Squeezenet().made(), [3, 224, 224], [1000])
    return Model("squeezenet", path, "as SqueezeNet 1.1 without softmax, [3,224,224] → 1000")


def dense_layers(sizes: tuple[int, ...]) -> tuple[list, list]:
    """Nodes and weights of fully connected layers from `x` to `y`."""
    random = np.random.default_rng(SEED)
    nodes, weights, last = [], [], "x"
    for index, (before, after) in enumerate(zip(sizes, sizes[1:])):
        weights.append(weight(random, f"w{index}", (before, after), before))
        weights.append(weight(random, f"b{index}", (after,), after))
        final = index == len(sizes) - 2
        out = "y" if final else f"h{index}"
        nodes.append(helper.make_node("Gemm", [last, f"w{index}", f"b{index}"], [out if final else f"g{index}"]))
        if not final:
            nodes.append(helper.make_node("Relu", [f"g{index}"], [out]))
        last = out
    return nodes, weights


class Squeezenet:
    """Builds the convolutional model, layer by layer."""

    # Squeeze, expand; a pooling before the second and the fourth fire of each pair.
    FIRES = ((16, 64), (16, 64), "pool", (32, 128), (32, 128), "pool", (48, 192), (48, 192), (64, 256), (64, 256))

    def __init__(self) -> None:
        self.random = np.random.default_rng(SEED)
        self.nodes: list = []
        self.weights: list = []

    def made(self) -> tuple[list, list]:
        """Nodes and weights from `x` to `y`."""
        last, channels = self.pool(self.convolution("x", 3, 64, 3, stride=2)), 64
        for fire in self.FIRES:
            if fire == "pool":
                last = self.pool(last)
                continue
            squeeze, expand = fire
            squeezed = self.convolution(last, channels, squeeze, 1)
            wide = self.convolution(squeezed, squeeze, expand, 3, pad=1)
            last = self.node("Concat", [self.convolution(squeezed, squeeze, expand, 1), wide], axis=1)
            channels = 2 * expand
        last = self.node("GlobalAveragePool", [self.convolution(last, channels, 1000, 1)])
        # Without the softmax that often ends it: a thousand numbers around a thousandth could not be told apart.
        self.nodes.append(helper.make_node("Flatten", [last], ["y"]))
        return self.nodes, self.weights

    def node(self, kind: str, inputs: list[str], **attributes) -> str:
        """Adds a node; the name of its output."""
        out = f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [out], **attributes))
        return out

    def convolution(self, last: str, before: int, after: int, size: int, stride: int = 1, pad: int = 0) -> str:
        """A convolution and what makes it not linear."""
        name = f"{len(self.weights)}"
        self.weights.append(weight(self.random, f"w{name}", (after, before, size, size), before * size * size))
        self.weights.append(weight(self.random, f"b{name}", (after,), after))
        made = self.node("Conv", [last, f"w{name}", f"b{name}"], strides=[stride] * 2, pads=[pad] * 4)
        return self.node("Relu", [made])

    def pool(self, last: str) -> str:
        """Halves width and height."""
        return self.node("MaxPool", [last], kernel_shape=[3, 3], strides=[2, 2])


def weight(random: np.random.Generator, name: str, shape: tuple[int, ...], fan_in: int):
    """A weight whose layer neither swells nor fades."""
    values = random.normal(0, (2 / fan_in) ** 0.5, shape).astype(np.float32)
    return numpy_helper.from_array(values, name)


def save(path: Path, nodes: list, weights: list, row: list[int], out: list[int]) -> None:
    """Writes a model from `x` of [N, row] to `y` of [N, out]."""
    graph = helper.make_graph(
        nodes, path.stem,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", *row])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", *out])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(model, full_check=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Whole or not there: an interrupted run must not leave half a model.
    begun = path.with_suffix(".begun")
    onnx.save(model, begun)
    begun.rename(path)


MODELS = {"digits": digits, "mlp": mlp, "squeezenet": squeezenet}
