#!/usr/bin/env python3
"""Makes the small models that the tests of the ONNX backend run.

    python3 -m venv VENV && VENV/bin/pip install onnx==1.23.2 numpy && VENV/bin/python make.py

The files are written beside this script and are committed: the tests need no Python.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HERE = Path(__file__).resolve().parent
# Old enough for ONNX Runtime 1.24, new enough that Identity takes every type.
OPSET = 21
IR_VERSION = 10

TYPES = {
    "uint8": TensorProto.UINT8,
    "int8": TensorProto.INT8,
    "uint16": TensorProto.UINT16,
    "int16": TensorProto.INT16,
    "uint32": TensorProto.UINT32,
    "int32": TensorProto.INT32,
    "uint64": TensorProto.UINT64,
    "int64": TensorProto.INT64,
    "float16": TensorProto.FLOAT16,
    "float32": TensorProto.FLOAT,
    "float64": TensorProto.DOUBLE,
    "string": TensorProto.STRING,
    "bool": TensorProto.BOOL,
    "bfloat16": TensorProto.BFLOAT16,
}
FLOAT = TensorProto.FLOAT
INT64 = TensorProto.INT64


def tensor(name, dtype, dims):
    return helper.make_tensor_value_info(name, dtype, dims)


def save(name, nodes, inputs, outputs, initializers=(), check=True, **options):
    graph = helper.make_graph(nodes, name, inputs, outputs, list(initializers))
    opsets = [helper.make_opsetid("", OPSET)] + [helper.make_opsetid(node.domain, 1) for node in nodes if node.domain]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
    if check:
        onnx.checker.check_model(model)
    onnx.save(model, HERE / f"{name}.onnx", **options)


def node(op, inputs, outputs, **attributes):
    return helper.make_node(op, inputs.split(), outputs.split(), **attributes)


def constant(name, values, dtype):
    return numpy_helper.from_array(np.array(values, dtype=dtype), name)


for name, dtype in TYPES.items():
    # No shape at all, which the checker dislikes and ONNX Runtime likes: any rank is taken, 0 among them.
    save(f"identity_{name}", [node("Identity", "x", "y")], [tensor("x", dtype, None)], [tensor("y", dtype, None)],
         check=False)

# One row per request, and a fixed shape within it.
save("double", [node("Add", "x x", "y")], [tensor("x", FLOAT, ["N", 4])], [tensor("y", FLOAT, ["N", 4])])

# Two inputs and two outputs with symbols, of two types.
save(
    "two_by_two",
    [node("Add", "a b", "sum"), node("Mul", "a b", "product"), node("Cast", "product", "whole", to=INT64)],
    [tensor("a", FLOAT, ["N", "K"]), tensor("b", FLOAT, ["N", "K"])],
    [tensor("sum", FLOAT, ["N", "K"]), tensor("whole", INT64, ["N", "K"])],
)

save("scalar", [node("Neg", "x", "y")], [tensor("x", FLOAT, [])], [tensor("y", FLOAT, [])])

# Two rows in one: it fails where there is one too many.
save(
    "pairs",
    [node("Reshape", "x shape", "y")],
    [tensor("x", FLOAT, ["N", 4])],
    [tensor("y", FLOAT, ["M", 8])],
    [constant("shape", [-1, 8], np.int64)],
)

save("fixed", [node("Relu", "x", "y")], [tensor("x", FLOAT, [2, 3])], [tensor("y", FLOAT, [2, 3])])

# A window larger than what it is moved over: the sizes that follow from it are below nothing.
save(
    "no_room",
    [node("MaxPool", "x", "y", kernel_shape=[9, 9])],
    [tensor("x", FLOAT, ["N", 1, 4, 4])],
    [tensor("y", FLOAT, None)],
    check=False,
)

save(
    "string_twice",
    [node("StringConcat", "x x", "y")],
    [tensor("x", TensorProto.STRING, ["N"])],
    [tensor("y", TensorProto.STRING, ["N"])],
)

# It declares rows of the input's number, and gives twice as many.
save(
    "wrong_symbol",
    [node("Concat", "x x", "twice", axis=0), node("Neg", "x", "once")],
    [tensor("x", FLOAT, ["N", 2])],
    [tensor("twice", FLOAT, ["N", 2]), tensor("once", FLOAT, ["N", 2])],
    check=False,
)

# How many columns the output has depends on the values of the input.
save(
    "nonzero",
    [node("NonZero", "x", "where")],
    [tensor("x", FLOAT, ["N"])],
    [tensor("where", INT64, [1, "found"])],
)

# The first element of however many: what it costs shows whether the rest was touched.
save(
    "first",
    [node("Slice", "x starts ends", "y")],
    [tensor("x", FLOAT, ["N"])],
    [tensor("y", FLOAT, [1])],
    [constant("starts", [0], np.int64), constant("ends", [1], np.int64)],
)

# Outputs that no node computes: one is the input itself, one is a weight.
save(
    "passthrough",
    [node("Neg", "x", "negative")],
    [tensor("x", FLOAT, ["N"])],
    [tensor("x", FLOAT, ["N"]), tensor("weight", FLOAT, [3]), tensor("negative", FLOAT, ["N"])],
    [constant("weight", [1, 2, 3], np.float32)],
)

# Outputs that do not depend on the input: one that the optimiser may compute once and for all, and a constant.
save(
    "constant",
    [
        node("Neg", "x", "y"),
        node("Add", "weight weight", "folded"),
        node("Constant", "", "constant", value=constant("value", [7, 8], np.float32)),
    ],
    [tensor("x", FLOAT, ["N"])],
    [tensor("y", FLOAT, ["N"]), tensor("folded", FLOAT, [3]), tensor("constant", FLOAT, [2])],
    [constant("weight", [1, 2, 3], np.float32)],
)

# Three outputs of the same numbers, of which one would do.
save(
    "same_numbers",
    [node("Neg", "x", "a"), node("Identity", "a", "b"), node("Reshape", "a flat", "c")],
    [tensor("x", FLOAT, ["N", 2])],
    [tensor("a", FLOAT, ["N", 2]), tensor("b", FLOAT, ["N", 2]), tensor("c", FLOAT, ["M"])],
    [constant("flat", [-1], np.int64)],
)

# A sequence among the outputs, as scikit-learn's converter makes it;
# a model that gives nothing else; and one that takes one.
sequence = helper.make_tensor_sequence_value_info("all", FLOAT, None)
save("sequence", [node("Neg", "x", "y"), node("SequenceConstruct", "x y", "all")], [tensor("x", FLOAT, ["N"])],
     [sequence, tensor("y", FLOAT, ["N"])])
save("only_sequence", [node("SequenceConstruct", "x x", "all")], [tensor("x", FLOAT, ["N"])], [sequence])
save("sequence_input", [node("SequenceLength", "all", "y")], [sequence], [tensor("y", INT64, [])])

# It runs, and fails on some values: Gather refuses an index that is out of range.
save(
    "gather",
    [node("Gather", "table index", "y")],
    [tensor("index", INT64, ["N"])],
    [tensor("y", FLOAT, ["N"])],
    [constant("table", [10, 20, 30], np.float32)],
)

# The weights lie in a file beside the model, which the writer refuses to replace.
(HERE / "external.weights").unlink(missing_ok=True)
save(
    "external",
    [node("Add", "x weight", "y")],
    [tensor("x", FLOAT, ["N", 64])],
    [tensor("y", FLOAT, ["N", 64])],
    [constant("weight", np.arange(64), np.float32)],
    save_as_external_data=True,
    location="external.weights",
    size_threshold=0,
)

# A sound file that asks for what no runtime has.
save(
    "unknown_operator",
    [helper.make_node("NoSuchOperator", ["x"], ["y"], domain="example.invalid")],
    [tensor("x", FLOAT, ["N"])],
    [tensor("y", FLOAT, ["N"])],
    check=False,
)

# As many dimensions as the protocol has, and one more.
for rank in (16, 17):
    dims = ["N"] + [1] * (rank - 1)
    save(f"rank{rank}", [node("Identity", "x", "y")], [tensor("x", FLOAT, dims)], [tensor("y", FLOAT, dims)])

# Models whose rows are put together, or must not be. All of them look as if they could be: the first axis is N
# everywhere, unless the line says otherwise.
IMAGE = [tensor("x", FLOAT, ["N", 4])]
SCORES = [tensor("y", FLOAT, ["N", 4])]
RANDOM = np.random.default_rng(20)


def weight(name, *dims):
    return constant(name, RANDOM.uniform(-1, 1, dims), np.float32)


# Two layers: each row for itself.
save(
    "rows_mlp",
    [
        node("Gemm", "x w1 b1", "h1"),
        node("Relu", "h1", "h2"),
        node("MatMul", "h2 w2", "h3"),
        node("Softmax", "h3", "y", axis=-1),
    ],
    [tensor("x", FLOAT, ["N", 64])],
    [tensor("y", FLOAT, ["N", 10])],
    [weight("w1", 64, 32), weight("b1", 32), weight("w2", 32, 10)],
)

# Half of it in 16-bit floats, and whole in 64-bit ones.
for name, dtype, number in [("float16", TensorProto.FLOAT16, np.float16), ("float64", TensorProto.DOUBLE, np.float64)]:
    weights = numpy_helper.from_array(RANDOM.uniform(-1, 1, (64, 10)).astype(number), "w")
    save(f"rows_{name}", [node("MatMul", "x w", "h"), node("Tanh", "h", "y")],
         [tensor("x", dtype, ["N", 64])], [tensor("y", dtype, ["N", 10])], [weights])

# Rows without what they have in common: the mean is one of all rows.
save("rows_centred", [node("ReduceMean", "x axes", "m", keepdims=1), node("Sub", "x m", "y")], IMAGE, SCORES,
     [constant("axes", [0], np.int64)])

# The same in its commonest disguise: BatchNormalization as it is in training, in operators that every runtime has.
save(
    "rows_normalised",
    [
        node("ReduceMean", "x axes", "m", keepdims=1),
        node("Sub", "x m", "d"),
        node("Mul", "d d", "d2"),
        node("ReduceMean", "d2 axes", "v", keepdims=1),
        node("Add", "v epsilon", "ve"),
        node("Sqrt", "ve", "s"),
        node("Div", "d s", "y"),
    ],
    IMAGE,
    SCORES,
    [constant("axes", [0], np.int64), constant("epsilon", 1e-5, np.float32)],
)

# And under its own name, under which ONNX Runtime also remembers the means of earlier runs.
save(
    "rows_batchnorm",
    [node("BatchNormalization", "x scale shift mean variance", "y mean2 variance2", training_mode=1)],
    IMAGE,
    SCORES,
    [constant(name, [value] * 4, np.float32) for name, value in
     [("scale", 1), ("shift", 0), ("mean", 0), ("variance", 1)]],
)

# One result for all rows, declared with an axis that says nothing about it.
save("rows_reduced", [node("ReduceSum", "x axes", "y", keepdims=0)], IMAGE, [tensor("y", FLOAT, ["K"])],
     [constant("axes", [0], np.int64)], check=False)
# The same, declared as if it had a row for each: how many the slice takes is not known before the run.
save(
    "rows_summed",
    [
        node("ReduceSum", "x axes", "sum", keepdims=1),
        node("Shape", "x", "rows", start=0, end=1),
        node("Slice", "sum start rows", "y"),
    ],
    IMAGE,
    [tensor("y", FLOAT, [None, 4])],
    [constant("axes", [0], np.int64), constant("start", [0], np.int64)],
)

save("rows_cumulated", [node("CumSum", "x axis", "y")], IMAGE, SCORES, [constant("axis", 0, np.int64)])

save(
    "rows_reversed",
    [node("Slice", "x starts ends axes steps", "y")],
    IMAGE,
    SCORES,
    [constant(name, [value], np.int64) for name, value in
     [("starts", -1), ("ends", -(2**31)), ("axes", 0), ("steps", -1)]],
)

save("rows_competing", [node("Softmax", "x", "y", axis=0)], IMAGE, SCORES)

# Chance: no two runs agree.
save("rows_noisy", [node("RandomUniformLike", "x", "r"), node("Add", "x r", "y")], IMAGE, SCORES)

# The whole batch shares one scale, so a row's last digits hang on its neighbours.
save(
    "rows_quantised",
    [node("DynamicQuantizeLinear", "x", "q scale zero"), node("DequantizeLinear", "q scale zero", "y")],
    IMAGE,
    SCORES,
)

# Token numbers, of which only 0 to 2 are valid, in sequences of any length.
save(
    "rows_embedding",
    [
        node("Gather", "table ids", "e"),
        node("Cast", "mask", "m", to=FLOAT),
        node("Unsqueeze", "m last", "mu"),
        node("Mul", "e mu", "em"),
        node("ReduceMean", "em middle", "pooled", keepdims=0),
    ],
    [tensor("ids", INT64, ["N", "S"]), tensor("mask", INT64, ["N", "S"])],
    [tensor("em", FLOAT, ["N", "S", 8]), tensor("pooled", FLOAT, ["N", 8])],
    [weight("table", 3, 8), constant("last", [-1], np.int64), constant("middle", [1], np.int64)],
)

# Two inputs of two types and two outputs, one of them a whole number.
save(
    "rows_labels",
    [node("Where", "which x z", "p"), node("ArgMax", "p", "label", axis=1, keepdims=0)],
    [tensor("x", FLOAT, ["N", 4]), tensor("z", FLOAT, ["N", 4]), tensor("which", TensorProto.BOOL, ["N", 1])],
    [tensor("label", INT64, ["N"]), tensor("p", FLOAT, ["N", 4])],
)

# Nothing that it gives is a number.
save("rows_nan", [node("Mul", "x zero", "z"), node("Div", "z zero", "y")], IMAGE, SCORES,
     [constant("zero", 0, np.float32)])

# The same for every row.
save("rows_same", [node("Mul", "x zero", "y")], IMAGE, SCORES, [constant("zero", 0, np.float32)])

# The inner axes are anything that is a multiple of 32.
save(
    "rows_32",
    [node("Reshape", "x shape", "r"), node("ReduceMean", "r axes", "y", keepdims=0)],
    [tensor("x", FLOAT, ["N", "W"])],
    [tensor("y", FLOAT, ["N", 32])],
    [constant("shape", [0, -1, 32], np.int64), constant("axes", [1], np.int64)],
)

# No size that anybody would guess.
save("rows_7", [node("MatMul", "x w", "y")], [tensor("x", FLOAT, ["N", None])], [tensor("y", FLOAT, ["N", 2])],
     [weight("w", 7, 2)], check=False)
