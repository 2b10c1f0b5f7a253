#!/usr/bin/env python3
"""Makes the sample model a net of Caffe2, out of the weights in digits.onnx, and compares what Caffe2 makes of the samples.

    pyenv install 3.8.18        # any CPython 3.8: the last wheels with Caffe2's operators are for it
    ~/.pyenv/versions/3.8.18/bin/python -m venv VENV
    VENV/bin/pip install torch==1.8.1 onnx==1.12.0 'numpy<1.24' future six 'protobuf==3.20.*'
    VENV/bin/python make_caffe2.py

Writes caffe2/init_net.pb, caffe2/predict_net.pb and caffe2/value_info.json beside this script.
"""

import json
from pathlib import Path

import numpy as np
import onnx
from caffe2.proto import caffe2_pb2
from caffe2.python import core, workspace
from onnx import numpy_helper

HERE = Path(__file__).resolve().parent
FOLDER = HERE / "caffe2"
# The number of float32 in Caffe2's TensorProto.DataType.
FLOAT = 1


def main() -> None:
    graph = onnx.load(str(HERE / "digits.onnx")).graph
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    init, predict = nets(weights)
    compare(init, predict)
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / "init_net.pb").write_bytes(init.SerializeToString())
    (FOLDER / "predict_net.pb").write_bytes(predict.SerializeToString())
    (FOLDER / "value_info.json").write_text(json.dumps({"image": [FLOAT, [1, 64]]}) + "\n")


def nets(weights):
    """The two nets: weights, and what is computed with them."""
    init, predict = caffe2_pb2.NetDef(name="digits_init"), caffe2_pb2.NetDef(name="digits")
    predict.external_input.append("image")
    predict.external_output.extend(["probabilities", "digit"])
    for name in ["hidden_weights", "hidden_bias", "out_weights", "out_bias"]:
        # FC has a row of weights for each output.
        values = weights[name].T
        fill = core.CreateOperator("GivenTensorFill", [], [name], shape=list(values.shape), values=values.flatten().tolist())
        init.op.add().CopyFrom(fill)
        predict.external_input.append(name)

    def op(kind, inputs, outputs, **arguments):
        predict.op.add().CopyFrom(core.CreateOperator(kind, inputs, outputs, **arguments))

    op("Scale", ["image"], ["scaled"], scale=float(weights["scale"]))
    op("FC", ["scaled", "hidden_weights", "hidden_bias"], ["hidden"])
    op("Relu", ["hidden"], ["hidden"])
    op("FC", ["hidden", "out_weights", "out_bias"], ["scores"])
    op("Softmax", ["scores"], ["probabilities"])
    op("ArgMax", ["scores"], ["digit"], axis=1, keepdims=0)
    return init, predict


def compare(init, predict) -> None:
    """Runs the samples with Caffe2."""
    workspace.RunNetOnce(init)
    workspace.FeedBlob("image", np.load(HERE / "images.npy"))
    workspace.RunNetOnce(predict)
    expected = json.loads((HERE / "expected.json").read_text())
    difference = np.abs(workspace.FetchBlob("probabilities") - np.array(expected["probabilities"])).max()
    digits = workspace.FetchBlob("digit").tolist()
    print("Caffe2 differs from scikit-learn by %.1e at most; digits: %s" % (difference, digits))
    assert difference < 1e-5 and digits == expected["digit"]


if __name__ == "__main__":
    main()
