"""The numpy encoding against the golden vectors that every client of the protocol is held to.

    target/peers/tools/bin/python -m unittest discover -s benches/peers/tests
"""

import json
import sys
import unittest
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from bench import wire  # noqa: E402

VECTORS = HERE.parents[2] / "schema" / "vectors"
# What numpy calls something else, or does not have.
NAMES = {"bool": "?", "string": None, "bfloat16": None}


def vectors(kind: str):
    """All good messages of a kind without strings and bfloat16, which numpy does not have."""
    for file in sorted(VECTORS.glob("*.json")):
        facts = json.loads(file.read_text())
        if facts["kind"] != kind:
            continue
        tensors = facts["decodes"].get("inputs", facts["decodes"].get("outputs"))
        if all(NAMES.get(tensor["type"], "") is not None for tensor in tensors):
            yield file.stem, file.with_suffix(".bin").read_bytes(), facts["decodes"], tensors


def array(tensor: dict) -> np.ndarray:
    """A tensor as the vectors describe it."""
    dtype = np.dtype(NAMES.get(tensor["type"], tensor["type"]))
    return np.frombuffer(bytes.fromhex(tensor["data"]), dtype).reshape(tensor["shape"])


class Golden(unittest.TestCase):
    """What is in `schema/vectors`."""

    def check(self, found: list[np.ndarray], tensors: list[dict]) -> None:
        self.assertEqual(len(found), len(tensors))
        for got, tensor in zip(found, tensors):
            wanted = array(tensor)
            self.assertEqual((got.dtype, got.shape), (wanted.dtype, wanted.shape))
            self.assertEqual(got.tobytes(), wanted.tobytes())

    def test_every_request_of_numbers_is_read_as_it_is_described(self) -> None:
        seen = 0
        for name, message, _, tensors in vectors("infer_request"):
            with self.subTest(name):
                self.check(wire.read_infer_request(message), tensors)
                seen += 1
        self.assertGreater(seen, 15)

    def test_every_reply_of_numbers_is_read_as_it_is_described(self) -> None:
        seen = 0
        for name, message, decodes, tensors in vectors("infer_response"):
            with self.subTest(name):
                if decodes.get("error"):
                    continue
                self.check(wire.read_infer_response(message), tensors)
                seen += 1
        self.assertGreater(seen, 2)

    def test_a_request_without_names_is_written_byte_for_byte(self) -> None:
        inputs = [np.arange(1, 7, dtype="<f4").reshape(2, 3)]
        written = b"".join(wire.write_infer_request(inputs))
        self.assertEqual(written, (VECTORS / "ours_f32.bin").read_bytes())

    def test_a_request_with_a_model_is_read_again_by_another_layout(self) -> None:
        inputs = [np.arange(60, dtype="u1"), np.zeros((0, 7)), np.float16(2.5).reshape(()), np.ones((3, 1), "?")]
        parts = wire.write_infer_request(inputs, "digits", ["a", "", "c", "dd"], ["last"])
        message = b"".join(parts)
        for got, wanted in zip(wire.read_infer_request(message), inputs, strict=True):
            np.testing.assert_array_equal(got, wanted)
        request = wire.Table(memoryview(message), wire.root_of(message).target(1))
        self.assertEqual(request.text(4), b"digits")
        for tensor in request.tables(2):
            self.assertEqual(tensor.count(1)[1] % 8, 0, "dimensions are 64-bit integers, and aligned")
        self.assertEqual(len(parts[0]) % 64, 0)

    def test_a_reply_is_read_again_and_its_payloads_are_aligned(self) -> None:
        outputs = [np.arange(21, dtype="<f4").reshape(3, 7), np.arange(3), np.ones((5, 5), "u1")]
        message = b"".join(wire.write_infer_response(outputs))
        aligned = np.frombuffer(message, "u1")
        for got, wanted in zip(wire.read_infer_response(message), outputs, strict=True):
            np.testing.assert_array_equal(got, wanted)
            self.assertEqual((got.ctypes.data - aligned.ctypes.data) % 64, 0)

    def test_an_error_is_an_exception_with_the_words_of_the_server(self) -> None:
        with self.assertRaisesRegex(ValueError, "input 'x' is float32"):
            wire.read_infer_response((VECTORS / "ours_error.bin").read_bytes())

    def test_a_message_that_ends_too_early_is_refused(self) -> None:
        message = (VECTORS / "ours_f32.bin").read_bytes()
        for length in range(len(message)):
            with self.subTest(length), self.assertRaises(ValueError):
                wire.read_infer_request(message[:length])


if __name__ == "__main__":
    unittest.main()
