#!/usr/bin/env python3
"""Makes the small models that the tests of the MXNet backend run.

    python3.11 -m venv VENV && VENV/bin/pip install numpy==1.23.5 mxnet==1.9.1 && VENV/bin/python make.py

The files are written beside this script and are committed: the tests need no Python. What the convolutional model is expected to
give is computed by NumPy here, and not by MXNet.
"""

import json
from pathlib import Path

import mxnet as mx
import numpy as np

HERE = Path(__file__).resolve().parent
TYPES = ["uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float16", "float32", "float64"]
TYPES += ["string", "bool", "bfloat16"]


def save(name, symbol, arguments=(), states=(), epochs=(0,)):
    symbol.save(str(HERE / f"{name}-symbol.json"))
    for epoch in epochs:
        arrays = {f"arg:{key}": mx.nd.array(value) for key, value in dict(arguments).items()}
        arrays |= {f"aux:{key}": mx.nd.array(value) for key, value in dict(states).items()}
        mx.nd.save(str(HERE / f"{name}-{epoch:04d}.params"), arrays)


def description(name, *outlets):
    """Each outlet is its kind, its name, and the values of its keys as TOML writes them."""
    lines = []
    for kind, outlet, keys in outlets:
        lines += [f"[[{kind}]]", f'name = "{outlet}"', *(f"{key} = {value}" for key, value in keys.items())]
    (HERE / f"{name}-symbol.toml").write_text("\n".join(lines) + "\n", encoding="ascii")


def variable(name, *shape):
    return mx.sym.Variable(name, shape=shape) if shape else mx.sym.Variable(name)


# Types that the library has not are refused before it is asked.
for dtype in TYPES:
    save(f"identity_{dtype}", mx.sym.identity(variable("x"), name="y"))
    description(f"identity_{dtype}", ("inputs", "x", {"dtype": f'"{dtype}"', "shape": '["N"]'}))

x = variable("x", 0, 4)
save("double", mx.sym.elemwise_add(x, x, name="y"))

a, b = variable("a"), variable("b")
product = mx.sym.elemwise_mul(a, b, name="product")
whole = mx.sym.Cast(product, dtype="int64", name="whole")
save("two_by_two", mx.sym.Group([mx.sym.elemwise_add(a, b, name="sum"), whole]))
description("two_by_two", ("inputs", "a", {"shape": '["N", "K"]'}), ("inputs", "b", {"shape": '["N", "K"]'}))

save("scalar", mx.sym.negative(variable("x"), name="y"))
description("scalar", ("inputs", "x", {"shape": "[]"}))

save("first", mx.sym.slice_axis(variable("x", 0), axis=0, begin=0, end=1, name="y"))

# Two rows in one: it fails where there is one too many.
save("pairs", mx.sym.Reshape(x, shape=(-1, 8), name="y"))

# As old code writes a classifier: with a label, with states, and with parameters that have no shape in the symbol.
chosen = np.random.RandomState(7)
conv_weight = chosen.uniform(-1, 1, (2, 3, 3, 3)).astype(np.float32)
conv_bias = chosen.uniform(-1, 1, 2).astype(np.float32)
gamma, beta = np.array([1.5, 0.5], np.float32), np.array([0.25, -0.25], np.float32)
mean, variance = np.array([0.1, -0.2], np.float32), np.array([1.5, 0.75], np.float32)
fc_weight = chosen.uniform(-1, 1, (3, 2 * 3 * 3)).astype(np.float32)
fc_bias = chosen.uniform(-1, 1, 3).astype(np.float32)
EPSILON = 0.001
net = mx.sym.Convolution(variable("data", 1, 3, 6, 6), kernel=(3, 3), pad=(1, 1), num_filter=2, name="conv")
net = mx.sym.BatchNorm(net, eps=EPSILON, fix_gamma=False, use_global_stats=True, name="bn")
net = mx.sym.Activation(net, act_type="relu", name="relu")
net = mx.sym.Pooling(net, kernel=(2, 2), stride=(2, 2), pool_type="max", name="pool")
net = mx.sym.FullyConnected(net, num_hidden=3, name="fc")
net = mx.sym.SoftmaxOutput(net, name="softmax")
arguments = {"conv_weight": conv_weight, "conv_bias": conv_bias, "bn_gamma": gamma, "bn_beta": beta}
arguments |= {"fc_weight": fc_weight, "fc_bias": fc_bias}
save("convolution", net, arguments, {"bn_moving_mean": mean, "bn_moving_var": variance})

pictures = chosen.uniform(-1, 1, (4, 3, 6, 6)).astype(np.float32)
padded = np.pad(pictures.astype(np.float64), ((0, 0), (0, 0), (1, 1), (1, 1)))
convolved = np.zeros((4, 2, 6, 6))
for row in range(6):
    for column in range(6):
        patch = padded[:, :, row : row + 3, column : column + 3]
        convolved[:, :, row, column] = np.einsum("ncij,fcij->nf", patch, conv_weight) + conv_bias
per_channel = (1, 2, 1, 1)
normal = (convolved - mean.reshape(per_channel)) / np.sqrt(variance.reshape(per_channel) + EPSILON)
active = np.maximum(normal * gamma.reshape(per_channel) + beta.reshape(per_channel), 0)
pooled = active.reshape(4, 2, 3, 2, 3, 2).max(axis=(3, 5))
scores = pooled.reshape(4, -1) @ fc_weight.T + fc_bias
exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
expected = {
    "data": pictures.reshape(4, -1).tolist(),
    "pool": pooled.reshape(4, -1).tolist(),
    "softmax": (exponentials / exponentials.sum(axis=1, keepdims=True)).tolist(),
}
(HERE / "convolution.json").write_text(json.dumps(expected) + "\n", encoding="ascii")

# One number, which is the epoch's.
scaled = mx.sym.broadcast_mul(variable("x", 0, 1), variable("w"), name="y")
for epoch in (1, 3, 10):
    save("epochs", scaled, {"w": [[epoch]]}, epochs=[epoch])

# Several outputs of one layer, in another order, and an input that is given back.
parts = mx.sym.SliceChannel(variable("x", 0, 4), num_outputs=2, name="parts")
save("parts", mx.sym.Group([parts[1], parts[0], variable("z", 0, 2)]))

# A layer that needs one of two inputs.
layer = mx.sym.negative(variable("a", 0, 2), name="layer")
save("apart", mx.sym.broadcast_add(layer, variable("b", 0, 1), name="y"))

# Nobody says the shape of the input.
dense = mx.sym.FullyConnected(variable("data"), num_hidden=1, no_bias=True, name="fc")
save("shapeless", dense, {"fc_weight": [[2, 3]]})

# As Gluon exports: parameters say their shape and how they are trained.
block = mx.gluon.nn.HybridSequential(prefix="net_")
block.add(mx.gluon.nn.Dense(2, use_bias=False, prefix="dense_"))
block.initialize(mx.init.One())
block.hybridize()
block(mx.nd.ones((1, 3)))
block.export(str(HERE / "gluon"), epoch=0)
description("gluon", ("inputs", "data", {"shape": '["N", 3]'}), ("outputs", "dense_fwd", {"shape": '["N", 2]'}))

# The batch is fixed within the graph: it takes two rows, and no other number.
save("two_rows", mx.sym.elemwise_add(variable("x", 2, 3), mx.sym.ones((2, 3)), name="y"))
