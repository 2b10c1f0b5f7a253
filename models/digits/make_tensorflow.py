#!/usr/bin/env python3
"""Makes the sample model for TensorFlow, with the weights of digits.onnx: a SavedModel and a frozen graph.

    python3 -m venv VENV && VENV/bin/pip install onnx==1.23.2 tensorflow-cpu==2.21.0 && VENV/bin/python make_tensorflow.py

Writes the folder tensorflow/, whose weights are variables, and digits.pb, in which they are constants. Both take
`image` and give `probabilities` and `digit`, as digits.onnx does.
"""

import os
import shutil
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import onnx  # noqa: E402 (the level has to be set before)
import tensorflow as tf  # noqa: E402
from onnx import numpy_helper  # noqa: E402

HERE = Path(__file__).resolve().parent


def main() -> None:
    initializers = onnx.load(HERE / "digits.onnx").graph.initializer
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in initializers}
    save_folder(weights)
    save_graph(weights)
    files = [HERE / "digits.pb", *sorted(path for path in (HERE / "tensorflow").rglob("*") if path.is_file())]
    for path in files:
        print(f"{path.relative_to(HERE)}: {path.stat().st_size} bytes")


def classify(image: tf.Tensor, weights: dict) -> tuple[tf.Tensor, tf.Tensor]:
    """What digits.onnx computes: scale, two layers, softmax, and the digit that is most likely."""
    hidden = tf.nn.relu(tf.matmul(image * weights["scale"], weights["hidden_weights"]) + weights["hidden_bias"])
    scores = tf.matmul(hidden, weights["out_weights"]) + weights["out_bias"]
    return tf.nn.softmax(scores, name="probabilities"), tf.argmax(scores, axis=1, name="digit")


def save_folder(weights: dict) -> None:
    module = tf.Module(name="digits")
    module.weights = {name: tf.Variable(values, name=name) for name, values in weights.items()}

    @tf.function(input_signature=[tf.TensorSpec([None, 64], tf.float32, name="image")])
    def serve(image):
        probabilities, digit = classify(image, module.weights)
        return {"probabilities": probabilities, "digit": digit}

    module.serve = serve
    folder = HERE / "tensorflow"
    shutil.rmtree(folder, ignore_errors=True)
    tf.saved_model.save(module, str(folder), signatures=serve)
    # What it does not need to be served.
    (folder / "fingerprint.pb").unlink(missing_ok=True)
    (folder / "assets").rmdir()


def save_graph(weights: dict) -> None:
    graph = tf.Graph()
    with graph.as_default():
        image = tf.compat.v1.placeholder(tf.float32, [None, 64], name="image")
        classify(image, {name: tf.constant(values, name=name) for name, values in weights.items()})
    (HERE / "digits.pb").write_bytes(graph.as_graph_def().SerializeToString(deterministic=True))


if __name__ == "__main__":
    main()
