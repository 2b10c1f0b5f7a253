#!/usr/bin/env python3
"""Makes the small models that the tests of the whole run: each tells by its numbers whether a row came back to whom it belongs.

    python3 -m venv VENV && VENV/bin/pip install onnx==1.23.2 numpy && VENV/bin/python make.py

The files are written beside this script and are committed: the tests need no Python.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HERE = Path(__file__).resolve().parent
# Old enough for ONNX Runtime 1.24.
OPSET = 21
IR_VERSION = 10
FLOAT = TensorProto.FLOAT
INT64 = TensorProto.INT64


def tensor(name, dtype, dims):
    return helper.make_tensor_value_info(name, dtype, dims)


def node(op, inputs, outputs, **attributes):
    return helper.make_node(op, inputs.split(), outputs.split(), **attributes)


def constant(name, values, dtype):
    return numpy_helper.from_array(np.array(values, dtype=dtype), name)


def save(name, nodes, inputs, outputs, initializers):
    graph = helper.make_graph(nodes, name, inputs, outputs, list(initializers))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(model)
    onnx.save(model, HERE / f"{name}.onnx")


ROWS = [tensor("x", FLOAT, ["N", "T"])]
DOUBLED = [tensor("y", FLOAT, ["N", "T"])]
# y = 2x + 1.
DOUBLE = [node("Mul", "x two", "xx"), node("Add", "xx one", "y")]
NUMBERS = [constant("two", 2, np.float32), constant("one", 1, np.float32)]

# Rows of any length, each number for itself.
save("double", DOUBLE, ROWS, DOUBLED, NUMBERS)

# Rows of one size in two inputs, and two outputs: whoever mixes up columns is seen.
save(
    "sums",
    [node("Add", "a b", "sum"), node("Sub", "a b", "difference")],
    [tensor("a", FLOAT, ["N", 16]), tensor("b", FLOAT, ["N", 16])],
    [tensor("sum", FLOAT, ["N", 16]), tensor("difference", FLOAT, ["N", 16])],
    [],
)


def work():
    """The body of a loop: a product of two matrices of zeros, which nobody can know before."""
    return helper.make_graph(
        [
            node("MatMul", "matrix weights", "product"),
            node("Identity", "condition", "goes_on"),
        ],
        "work",
        [tensor("turn", INT64, []), tensor("condition", TensorProto.BOOL, []), tensor("matrix", FLOAT, [128, 128])],
        [tensor("goes_on", TensorProto.BOOL, []), tensor("product", FLOAT, [128, 128])],
    )


# y = 2x + 1 + 0, where the nought is the result of `turns` products of matrices, some hundredths of a millisecond each.
SLOWLY = [
    node("ConstantOfShape", "sides", "zeros", value=constant("zero", [0], np.float32)),
    node("ConstantOfShape", "sides", "weights", value=constant("weight", [0.5], np.float32)),
    node("Loop", "turns yes zeros", "matrix", body=work()),
    node("ReduceMax", "matrix", "nought", keepdims=0),
    node("Mul", "x two", "xx"),
    node("Add", "xx one", "xx1"),
    node("Add", "xx1 nought", "y"),
]
SIDES = [constant("sides", [128, 128], np.int64), constant("yes", True, np.bool_)]

# A row takes as many turns as its first number says.
save(
    "patient",
    [
        node("Gather", "x first", "wishes", axis=1),
        node("ReduceSum", "wishes", "wish", keepdims=0),
        node("Cast", "wish", "turns", to=INT64),
        *SLOWLY,
    ],
    ROWS,
    DOUBLED,
    [*NUMBERS, *SIDES, constant("first", 0, np.int64)],
)

# Every row takes 60 turns.
save(
    "laborious",
    [
        node("Shape", "x", "rows", start=0, end=1),
        node("Mul", "rows sixty", "turns"),
        *SLOWLY,
    ],
    [tensor("x", FLOAT, ["N", 4])],
    [tensor("y", FLOAT, ["N", 4])],
    [*NUMBERS, *SIDES, constant("sixty", [60], np.int64)],
)

# A table of 16 numbers; whoever asks for a seventeenth makes the whole run fail.
save(
    "lookup",
    [node("Gather", "table ids", "y")],
    [tensor("ids", INT64, ["N", 4])],
    [tensor("y", FLOAT, ["N", 4])],
    [constant("table", [number * number for number in range(16)], np.float32)],
)

# Forgets rows that begin with a thousand or more, which no trial with small numbers shows.
save(
    "forgetful",
    [
        node("Gather", "x first", "begin", axis=1),
        node("Less", "begin thousand", "kept"),
        node("Compress", "x kept", "x2", axis=0),
        node("Mul", "x2 two", "xx"),
        node("Add", "xx one", "y"),
    ],
    [tensor("x", FLOAT, ["N", 4])],
    [tensor("y", FLOAT, ["N", 4])],
    [*NUMBERS, constant("first", 0, np.int64), constant("thousand", 1000, np.float32)],
)

# Divides the least of all whole numbers by minus one if there are five rows, which no processor can, and which ends the process:
# five rows together are tried when a model is opened.
save(
    "alone",
    [
        node("Shape", "x", "rows", start=0, end=1),
        node("Sub", "rows six", "divisor"),
        node("Div", "least divisor", "quotient"),
        node("Mul", "quotient zero", "whole_nought"),
        node("Cast", "whole_nought", "nought", to=FLOAT),
        node("Mul", "x two", "xx"),
        node("Add", "xx one", "xx1"),
        node("Add", "xx1 nought", "y"),
    ],
    ROWS,
    DOUBLED,
    [
        *NUMBERS,
        constant("six", [6], np.int64),
        constant("least", [-(2**63)], np.int64),
        constant("zero", [0], np.int64),
    ],
)
