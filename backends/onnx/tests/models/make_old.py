#!/usr/bin/env python3
"""Makes models of ONNX's first operator sets, and what they have to give by the specification of their time.

    python3 -m venv VENV && VENV/bin/pip install onnx==1.23.2 numpy && VENV/bin/python make_old.py

The files are written beside this script and are committed: the tests need no Python. `old.json` has inputs and outputs of each
model; outputs are computed by NumPy alone, as the old operators were defined, so that nothing here depends on a converter.
"""

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HERE = Path(__file__).resolve().parent
FLOAT = TensorProto.FLOAT
TYPES = {np.dtype(np.float32): FLOAT, np.dtype(np.int64): TensorProto.INT64, np.dtype(np.bool_): TensorProto.BOOL}
CHANCE = np.random.RandomState(11)
CASES = []


def numbers(*shape):
    return CHANCE.uniform(-2, 2, shape).astype(np.float32)


def node(operator, inputs, outputs, **attributes):
    return helper.make_node(operator, inputs.split(), outputs.split(), **attributes)


def save(name, opset, nodes, inputs, outputs, constants=None, ir_version=3, shapes=True):
    """A model of that time: every constant is an input as well. Outputs are arrays, of which only the types are declared."""
    constants = constants or {}
    declared = [
        helper.make_tensor_value_info(key, TYPES[array.dtype], array.shape if shapes or key in constants else None)
        for key, array in {**inputs, **constants}.items()
    ]
    given = [helper.make_tensor_value_info(key, TYPES[array.dtype], None) for key, array in outputs.items()]
    initializers = [numpy_helper.from_array(array, key) for key, array in constants.items()]
    graph = helper.make_graph(nodes, name, declared, given, initializers)
    imports = [helper.make_opsetid("", opset)]
    model = helper.make_model(graph, opset_imports=imports, ir_version=ir_version)
    if opset == 1 and ir_version < 3:
        # Before there were operator sets.
        del model.opset_import[:]
    onnx.save(model, HERE / f"old_{name}.onnx")


def case(name, opset, nodes, inputs, outputs, constants=None, **options):
    save(name, opset, nodes, inputs, outputs, constants, **options)

    def shown(arrays):
        # Eight digits are more than a float32 has; whole numbers and bools are exact.
        values = [[float(f"{value:.8g}") for value in array.astype(np.float64).ravel()] for array in arrays]
        return [{"shape": list(array.shape), "values": of_array} for array, of_array in zip(arrays, values)]

    CASES.append({
        "model": f"old_{name}",
        "opset": opset,
        "inputs": shown(inputs.values()),
        "outputs": shown(outputs.values()),
    })


def refused(name, opset, nodes, inputs=None, constants=None, outputs=None, **options):
    outputs = outputs or {"y": numbers(1)}
    save(name, opset, nodes, inputs or {"x": numbers(2, 3, 4, 5)}, outputs, constants, **options)


# Gemm: a bias that is spread, and one that is not.
a, b, c = numbers(2, 3), numbers(4, 3), numbers(4)
gemm = node("Gemm", "a b c", "y", alpha=0.5, beta=2.0, transB=1, broadcast=1)
case("gemm_broadcast", 6, [gemm], {"a": a}, {"y": 0.5 * (a @ b.T) + 2 * c}, {"b": b, "c": c})
whole = numbers(2, 4)
case("gemm_whole", 1, [node("Gemm", "a b c", "y", transB=1)], {"a": a}, {"y": a @ b.T + whole}, {"b": b, "c": whole})

# Arithmetic that spreads its second tensor from an axis, from the last one, or not at all.
x = numbers(2, 3, 4, 5)
channel, middle, rows, one = numbers(3), numbers(3, 4), numbers(2), numbers(1)
case("add_axis", 6, [node("Add", "x b", "y", broadcast=1, axis=1)], {"x": x}, {"y": x + channel.reshape(1, 3, 1, 1)},
     {"b": channel})
case("sub_axes", 1, [node("Sub", "x b", "y", broadcast=1, axis=1, consumed_inputs=[0, 0])], {"x": x},
     {"y": x - middle.reshape(1, 3, 4, 1)}, {"b": middle})
case("mul_first_axis", 5, [node("Mul", "x b", "y", broadcast=1, axis=0)], {"x": x},
     {"y": x * rows.reshape(2, 1, 1, 1)}, {"b": rows})
last = numbers(4, 5) + 3
case("div_suffix", 6, [node("Div", "x b", "y", broadcast=1)], {"x": x}, {"y": x / last}, {"b": last})
case("div_last_axes", 6, [node("Div", "x b", "y", broadcast=1, axis=2)], {"x": x}, {"y": x / last}, {"b": last})
case("add_one", 6, [node("Add", "x b", "y", broadcast=1, axis=1)], {"x": x}, {"y": x + one}, {"b": one})
case("add_same", 6, [node("Add", "x z", "y")], {"x": x, "z": x * 2}, {"y": x * 3})
positive = np.abs(x) + 0.5
case("pow_axis", 1, [node("Pow", "x b", "y", broadcast=1, axis=1)], {"x": positive},
     {"y": positive ** channel.reshape(1, 3, 1, 1)}, {"b": channel})
case("greater_axis", 1, [node("Greater", "x b", "y", broadcast=1, axis=1)], {"x": x},
     {"y": x > channel.reshape(1, 3, 1, 1)}, {"b": channel})
# The second tensor is computed, and nobody says how many axes either has: it follows from the operators before.
scaled = np.maximum(x, 0) + np.tanh(channel).reshape(1, 3, 1, 1)
case("add_followed", 6, [node("Relu", "x", "r"), node("Tanh", "b", "t"), node("Add", "r t", "y", broadcast=1, axis=1)],
     {"x": x}, {"y": scaled}, {"b": channel})
# One constant that is spread in two ways.
case("twice", 6,
     [node("Add", "x b", "s", broadcast=1, axis=1), node("Mul", "s b", "y", broadcast=1, axis=1)],
     {"x": x}, {"y": (x + channel.reshape(1, 3, 1, 1)) * channel.reshape(1, 3, 1, 1)}, {"b": channel})

# Normalisation with means that were learned: one for each channel, and one for each place.
scale, shift, mean, variance = numbers(3), numbers(3), numbers(3), np.abs(numbers(3)) + 0.5
per = (1, 3, 1, 1)
normal = (x - mean.reshape(per)) / np.sqrt(variance.reshape(per) + 1e-3) * scale.reshape(per) + shift.reshape(per)
constants = {"s": scale, "h": shift, "m": mean, "v": variance}
case("batchnorm_1", 1,
     [node("BatchNormalization", "x s h m v", "y", epsilon=1e-3, is_test=1, spatial=1, consumed_inputs=[0, 0, 0, 1, 1])],
     {"x": x}, {"y": normal}, constants)
case("batchnorm_6", 6, [node("BatchNormalization", "x s h m v", "y", epsilon=1e-3, is_test=1, momentum=0.8)],
     {"x": x}, {"y": normal}, constants)
place = [numbers(3, 4, 5), numbers(3, 4, 5), numbers(3, 4, 5), np.abs(numbers(3, 4, 5)) + 0.5]
normal = (x - place[2]) / np.sqrt(place[3] + np.float32(1e-5)) * place[0] + place[1]
case("batchnorm_places", 6, [node("BatchNormalization", "x s h m v", "y", is_test=1, spatial=0)], {"x": x},
     {"y": normal}, dict(zip("shmv", place)))

# What is dropped in training is not.
case("dropout", 1, [node("Dropout", "x", "y", is_test=1, ratio=0.9, consumed_inputs=[0])], {"x": x}, {"y": x})
mask = node("Dropout", "x", "y", is_test=1, ratio=0.9)
mask.output.append("")
case("dropout_mask", 6, [mask], {"x": x}, {"y": x})

# One number in, one number out; by the definitions of opset 1, with the hint that is gone.
ONE_BY_ONE = [
    ("Relu", {}, np.maximum(x, 0)),
    ("Sigmoid", {}, 1 / (1 + np.exp(-x))),
    ("Tanh", {}, np.tanh(x)),
    ("Exp", {}, np.exp(x)),
    ("Abs", {}, np.abs(x)),
    ("Neg", {}, -x),
    ("Floor", {}, np.floor(x)),
    ("Ceil", {}, np.ceil(x)),
    ("Reciprocal", {}, 1 / x),
    ("Clip", {"min": -0.5, "max": 1.5}, np.clip(x, -0.5, 1.5)),
    ("Elu", {"alpha": 0.5}, np.where(x < 0, 0.5 * (np.exp(x) - 1), x)),
    ("LeakyRelu", {"alpha": 0.25}, np.where(x < 0, 0.25 * x, x)),
    ("HardSigmoid", {}, np.clip(0.2 * x + 0.5, 0, 1)),
    # Its defaults had less digits, which is 4e-5 at a gamma of 1.05.
    ("Selu", {}, np.where(x > 0, 1.0507 * x, 1.0507 * (1.6732 * np.exp(x.astype(np.float64)) - 1.6732))),
]
names = [f"y{index}" for index in range(len(ONE_BY_ONE))]
nodes = [node(operator, "x", name, consumed_inputs=[0], **attributes)
         for name, (operator, attributes, _) in zip(names, ONE_BY_ONE)]
case("one_by_one", 1, nodes, {"x": x}, {name: result.astype(np.float32) for name, (_, _, result) in zip(names, ONE_BY_ONE)})
roots = [node("Sqrt", "x", "y0", consumed_inputs=[0]), node("Log", "x", "y1", consumed_inputs=[0])]
case("roots", 1, roots, {"x": positive}, {"y0": np.sqrt(positive), "y1": np.log(positive)})

# Of several tensors of one shape.
p, q = numbers(2, 3), numbers(2, 3)
several = [node(operator, "x p q", f"y{index}", consumed_inputs=[0, 0, 0])
           for index, operator in enumerate(["Sum", "Max", "Min", "Mean"])]
z = numbers(2, 3)
case("several", 1, several, {"x": z, "p": p, "q": q},
     {"y0": z + p + q, "y1": np.maximum(np.maximum(z, p), q), "y2": np.minimum(np.minimum(z, p), q), "y3": (z + p + q) / 3})

# Attributes that are inputs now, have other names, or had a default. A 0 keeps the axis.
case("reshape", 1, [node("Reshape", "x", "y", shape=[0, -1, 2], consumed_inputs=[0])], {"x": x},
     {"y": x.reshape(2, -1, 2)})
case("reshape_5", 5, [node("Reshape", "x s", "y")], {"x": x}, {"y": x.reshape(2, 60)}, {"s": np.array([2, 60])})
case("concat", 1, [node("Concat", "x p", "y")], {"x": z, "p": p}, {"y": np.concatenate([z, p], axis=1)})
case("pad", 1, [node("Pad", "x", "y", paddings=[0, 1, 2, 0], value=7.0)], {"x": z},
     {"y": np.pad(z, [(0, 2), (1, 0)], constant_values=7).astype(np.float32)})
case("cast", 5, [node("Cast", "x", "y", to="INT64")], {"x": x}, {"y": x.astype(np.int64)})
case("split", 2, [node("Split", "x", "y0 y1", axis=1, split=[1, 2])], {"x": z}, {"y0": z[:, :1], "y1": z[:, 1:]})
case("prelu", 1, [node("PRelu", "x s", "y", consumed_inputs=[0, 0])], {"x": x},
     {"y": np.where(x < 0, x * channel.reshape(1, 3, 1, 1), x)}, {"s": channel})
case("prelu_one", 6, [node("PRelu", "x s", "y")], {"x": x}, {"y": np.where(x < 0, x * one, x)}, {"s": one})
case("no_opset", 1, [node("Relu", "x", "y", consumed_inputs=[0])], {"x": x}, {"y": np.maximum(x, 0)}, ir_version=2)

# A small network, as PyTorch and CNTK wrote them: nobody says a shape but of what goes in.
picture, weight, bias = numbers(2, 1, 4, 4), numbers(3, 1, 3, 3), numbers(3)
padded = np.pad(picture, ((0, 0), (0, 0), (1, 1), (1, 1)))
convolved = np.zeros((2, 3, 4, 4), np.float32)
for row in range(4):
    for column in range(4):
        patch = padded[:, :, row : row + 3, column : column + 3]
        convolved[:, :, row, column] = np.einsum("ncij,fcij->nf", patch, weight)
biased = convolved + bias.reshape(1, 3, 1, 1)
normal = (biased - mean.reshape(per)) / np.sqrt(variance.reshape(per) + np.float32(1e-5)) * scale.reshape(per)
active = np.maximum(normal + shift.reshape(per), 0)
pooled = active.reshape(2, 3, 2, 2, 2, 2).max(axis=(3, 5))
dense, offset = numbers(12, 2), numbers(2)
scores = pooled.reshape(2, 12) @ dense + offset
exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
network = [
    node("Conv", "x w", "c", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
    node("Add", "c b", "d", broadcast=1, axis=1),
    node("BatchNormalization", "d s h m v", "e", is_test=1, consumed_inputs=[0, 0, 0, 1, 1]),
    node("Relu", "e", "f", consumed_inputs=[0]),
    node("MaxPool", "f", "g", kernel_shape=[2, 2], strides=[2, 2]),
    node("Dropout", "g", "i", is_test=1),
    node("Reshape", "i", "j", shape=[-1, 12]),
    node("Gemm", "j k l", "n", broadcast=1),
    node("Softmax", "n", "y"),
]
case("network", 3, network, {"x": picture}, {"y": exponentials / exponentials.sum(axis=1, keepdims=True)},
     {"w": weight, "b": bias, **constants, "k": dense, "l": offset})

# What cannot be upgraded.
refused("lstm", 6, [node("LSTM", "x w r", "y", hidden_size=2)], {"x": numbers(1, 1, 3)},
        {"w": numbers(1, 8, 3), "r": numbers(1, 8, 2)})
refused("batchnorm_training", 6, [node("BatchNormalization", "x s h m v", "y")], constants=constants)
refused("dropout_training", 6, [node("Dropout", "x", "y", ratio=0.5)])
refused("dropout_used_mask", 6, [node("Dropout", "x", "y m", is_test=1)], outputs={"y": x, "m": x})
refused("unknown_rank", 6, [node("Add", "x b", "y", broadcast=1, axis=1)], constants={"b": channel}, shapes=False)
refused("wrong_axis", 6, [node("Add", "x b", "y", broadcast=1, axis=3)], constants={"b": middle})
refused("split_sizes", 1, [node("Split", "x s", "y z", axis=1)], constants={"s": np.array([1, 2])})
inner = helper.make_graph([node("Relu", "x", "z")], "inner", [], [helper.make_tensor_value_info("z", FLOAT, None)])
refused("branches", 6, [node("If", "c", "y", then_branch=inner, else_branch=inner)], constants={"c": np.array(True)})
refused("opset_0", 0, [node("Relu", "x", "y")])

(HERE / "old.json").write_text(json.dumps(CASES) + "\n", encoding="ascii")
