#!/usr/bin/env python3
"""Writes the sample model as MXNet has it: digits-symbol.json and digits-0000.params.

    python3.11 -m venv VENV && VENV/bin/pip install numpy==1.23.5 mxnet==1.9.1 onnx==1.13.1 'protobuf<4'
    VENV/bin/python make_mxnet.py

The weights are those of digits.onnx; the graph is written anew, operator by operator. MXNet finds the most likely digit as a
float, which is cast to int64, as the other formats have it.
"""

from pathlib import Path

import mxnet as mx
import onnx
from onnx import numpy_helper

HERE = Path(__file__).resolve().parent


def main() -> None:
    model = onnx.load(HERE / "digits.onnx")
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}

    image = mx.sym.Variable("image", shape=(0, 64))
    scaled = image * float(weights["scale"])
    hidden = mx.sym.FullyConnected(scaled, num_hidden=64, name="hidden")
    active = mx.sym.Activation(hidden, act_type="relu", name="active")
    scores = mx.sym.FullyConnected(active, num_hidden=10, name="out")
    probabilities = mx.sym.softmax(scores, axis=1, name="probabilities")
    digit = mx.sym.Cast(mx.sym.argmax(scores, axis=1), dtype="int64", name="digit")
    mx.sym.Group([probabilities, digit]).save(str(HERE / "digits-symbol.json"))

    # MXNet multiplies by the transposed weights.
    arrays = {
        "arg:hidden_weight": weights["hidden_weights"].T,
        "arg:hidden_bias": weights["hidden_bias"],
        "arg:out_weight": weights["out_weights"].T,
        "arg:out_bias": weights["out_bias"],
    }
    mx.nd.save(str(HERE / "digits-0000.params"), {name: mx.nd.array(array) for name, array in arrays.items()})


if __name__ == "__main__":
    main()
