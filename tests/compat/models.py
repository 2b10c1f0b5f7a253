"""The ONNX models of the compatibility tests, written at test time; none of them is ever committed.

Every model is small enough to be read here, and takes exactly the types and shapes that its name says. What the right
answers are is not said here: ONNX Runtime, in the process of the tests, says it.
"""

from pathlib import Path

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper, save

# ONNX Runtime 1.24 and later read both.
OPSET = 17
IR_VERSION = 8

# GraphPipe's twelve element types: name, NumPy's type, ONNX's type.
TYPES = {
    "uint8": (np.uint8, TensorProto.UINT8),
    "int8": (np.int8, TensorProto.INT8),
    "uint16": (np.uint16, TensorProto.UINT16),
    "int16": (np.int16, TensorProto.INT16),
    "uint32": (np.uint32, TensorProto.UINT32),
    "int32": (np.int32, TensorProto.INT32),
    "uint64": (np.uint64, TensorProto.UINT64),
    "int64": (np.int64, TensorProto.INT64),
    "float16": (np.float16, TensorProto.FLOAT16),
    "float32": (np.float32, TensorProto.FLOAT),
    "float64": (np.float64, TensorProto.DOUBLE),
    "string": (np.object_, TensorProto.STRING),
}


def value(name, onnx_type, dims):
    """An input or output. A dimension is a number, a name, or None for any size."""
    return helper.make_tensor_value_info(name, onnx_type, dims)


def model(path, nodes, inputs, outputs, weights=()):
    """Checks a graph and writes it."""
    graph = helper.make_graph(nodes, path.stem, inputs, outputs, initializer=list(weights))
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    checker.check_model(proto)
    save(proto, str(path))


def write_typed(folder, name, onnx_type):
    """For one element type: a table through unchanged, a single element through unchanged, two tables joined."""
    model(
        folder / f"table_{name}.onnx",
        [helper.make_node("Identity", ["x"], ["y"])],
        [value("x", onnx_type, ["n", 3])],
        [value("y", onnx_type, ["n", 3])],
    )
    model(
        folder / f"single_{name}.onnx",
        [helper.make_node("Identity", ["x"], ["y"])],
        [value("x", onnx_type, [])],
        [value("y", onnx_type, [])],
    )
    model(
        folder / f"join_{name}.onnx",
        [
            helper.make_node("Concat", ["upper", "lower"], ["joined"], axis=0),
            helper.make_node("Identity", ["lower"], ["kept"]),
        ],
        [value("upper", onnx_type, ["n", "k"]), value("lower", onnx_type, ["m", "k"])],
        [value("joined", onnx_type, ["rows", "k"]), value("kept", onnx_type, ["m", "k"])],
    )


def write_linear(folder):
    """A layer with real weights: floating-point sums, whose last bit depends on the order of the additions."""
    random = np.random.default_rng(20180703)
    weights = [
        numpy_helper.from_array(random.standard_normal((8, 4), np.float32), "weights"),
        numpy_helper.from_array(random.standard_normal(4, np.float32), "bias"),
    ]
    model(
        folder / "linear.onnx",
        [
            helper.make_node("MatMul", ["x", "weights"], ["product"]),
            helper.make_node("Add", ["product", "bias"], ["sum"]),
            helper.make_node("Softmax", ["sum"], ["y"], axis=1),
        ],
        [value("x", TensorProto.FLOAT, ["n", 8])],
        [value("y", TensorProto.FLOAT, ["n", 4])],
        weights,
    )


def write_mixed(folder):
    """Two inputs and two outputs of different types."""
    model(
        folder / "mixed.onnx",
        [
            helper.make_node("Cast", ["counts"], ["as_float"], to=TensorProto.FLOAT),
            helper.make_node("Mul", ["prices", "as_float"], ["costs"]),
            helper.make_node("ReduceSum", ["counts"], ["total"], keepdims=0),
        ],
        [value("prices", TensorProto.FLOAT, ["n"]), value("counts", TensorProto.INT64, ["n"])],
        [value("costs", TensorProto.FLOAT, ["n"]), value("total", TensorProto.INT64, [])],
    )


def write_image(folder):
    """Pictures from rows of pixels to planes of colours: 602 112 bytes each, in and out."""
    model(
        folder / "image.onnx",
        [helper.make_node("Transpose", ["pixels"], ["planes"], perm=[0, 3, 1, 2])],
        [value("pixels", TensorProto.FLOAT, ["n", 224, 224, 3])],
        [value("planes", TensorProto.FLOAT, ["n", 3, 224, 224])],
    )


def write_reshape(folder):
    """A model that fails while it runs, for shapes that its signature allows."""
    three = numpy_helper.from_array(np.array([-1, 3], np.int64), "three")
    model(
        folder / "reshape.onnx",
        [helper.make_node("Reshape", ["x", "three"], ["y"])],
        [value("x", TensorProto.FLOAT, ["n"])],
        [value("y", TensorProto.FLOAT, [None, 3])],
        [three],
    )


def write_all(folder):
    """Writes every model; returns the path of each by its name."""
    folder = Path(folder)
    for name, (_, onnx_type) in TYPES.items():
        write_typed(folder, name, onnx_type)
    write_linear(folder)
    write_mixed(folder)
    write_image(folder)
    write_reshape(folder)
    return {path.stem: path for path in sorted(folder.glob("*.onnx"))}
