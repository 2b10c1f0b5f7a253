#!/usr/bin/env python3
"""Trains the sample model: handwritten digits, from the 1,797 pictures that scikit-learn carries.

    python3 -m venv VENV && VENV/bin/pip install onnx==1.23.2 scikit-learn==1.9.1 && VENV/bin/python train.py

Writes digits.onnx, and ten pictures that the training has not seen (images.npy, images/*.png) with what they show and
what scikit-learn's own arithmetic makes of them (expected.json). Everything is seeded: on one machine, with these
versions, the same files come out again.
"""

import json
import struct
import zlib
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

HERE = Path(__file__).resolve().parent
SEED = 20
# A picture has 8 x 8 grey values from 0 to 16.
WHITE = 16.0
# Old enough for every ONNX Runtime that the daemon takes.
OPSET = 17
IR_VERSION = 8


def main() -> None:
    pictures, labels = load_digits(return_X_y=True)
    pictures = pictures.astype(np.float32)
    seen, held_out, seen_labels, held_out_labels = train_test_split(
        pictures, labels, test_size=0.25, random_state=SEED, stratify=labels
    )
    classifier = MLPClassifier(hidden_layer_sizes=(64,), alpha=0.01, max_iter=500, random_state=SEED)
    classifier.fit(seen / WHITE, seen_labels)
    accuracy = classifier.score(held_out / WHITE, held_out_labels)
    print(f"accuracy on {len(held_out)} pictures that the training has not seen: {accuracy:.4f}")

    model = to_onnx(classifier)
    onnx.save(model, HERE / "digits.onnx")
    print(f"digits.onnx: {(HERE / 'digits.onnx').stat().st_size} bytes")

    # The first picture of each digit, right or wrong.
    chosen = np.array([np.flatnonzero(held_out_labels == digit)[0] for digit in range(10)])
    write_samples(classifier, held_out[chosen], held_out_labels[chosen])


def to_onnx(classifier: MLPClassifier) -> onnx.ModelProto:
    """The classifier as a graph: scale, two layers, softmax, and the digit that is most likely."""
    (hidden, out), (hidden_bias, out_bias) = classifier.coefs_, classifier.intercepts_
    weights = {
        "scale": np.array(1 / WHITE),
        "hidden_weights": hidden,
        "hidden_bias": hidden_bias,
        "out_weights": out,
        "out_bias": out_bias,
    }
    nodes = [
        helper.make_node("Mul", ["image", "scale"], ["scaled"]),
        helper.make_node("Gemm", ["scaled", "hidden_weights", "hidden_bias"], ["hidden"]),
        helper.make_node("Relu", ["hidden"], ["active"]),
        helper.make_node("Gemm", ["active", "out_weights", "out_bias"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["probabilities"], axis=1),
        helper.make_node("ArgMax", ["scores"], ["digit"], axis=1, keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "digits",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 64])],
        [
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", 10]),
            helper.make_tensor_value_info("digit", TensorProto.INT64, ["N"]),
        ],
        [numpy_helper.from_array(np.asarray(values, np.float32), name) for name, values in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    model.doc_string = "Handwritten digits, 8 x 8 pixels from 0 to 16, row by row."
    onnx.checker.check_model(model, full_check=True)
    return model


def write_samples(classifier: MLPClassifier, pictures: np.ndarray, labels: np.ndarray) -> None:
    np.save(HERE / "images.npy", pictures)
    folder = HERE / "images"
    folder.mkdir(exist_ok=True)
    for picture, label in zip(pictures, labels):
        (folder / f"{label}.png").write_bytes(png(picture.reshape(8, 8)))
    probabilities = classifier.predict_proba(pictures / WHITE)
    expected = {
        "labels": labels.tolist(),
        "digit": probabilities.argmax(axis=1).tolist(),
        "probabilities": [[float(f"{value:.6f}") for value in row] for row in probabilities],
    }
    lines = ",\n".join(f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in expected.items())
    (HERE / "expected.json").write_text(f"{{\n{lines}\n}}\n", encoding="ascii")
    print(f"samples: {expected['labels']}, recognised as {expected['digit']}")


def png(picture: np.ndarray) -> bytes:
    """A greyscale PNG. Grey values are 15 times the picture's, so dividing by 15 gives the picture back."""
    height, width = picture.shape
    # Each row begins with the number of its filter, which is none.
    rows = b"".join(b"\0" + bytes(int(value) * 15 for value in row) for row in picture)

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")


if __name__ == "__main__":
    main()
