"""The model as every Python peer runs it: ONNX Runtime in process, one thread, and what the program that started the
server says in the environment. Nothing of a particular server is known here.
"""

import os

import numpy as np
import onnxruntime

NAME = os.environ["PEER_MODEL_NAME"]
PATH = os.environ["PEER_MODEL_PATH"]
PORT = int(os.environ["PEER_PORT"])
# The most requests of a batch, and how long the first one waits for others. 1 and 0: no batching.
BATCH_MAX = int(os.environ["PEER_BATCH_MAX"])
BATCH_WAIT_MS = float(os.environ["PEER_BATCH_WAIT_MS"])


class Model:
    """A session with one input and any number of outputs, whose first dimensions are rows."""

    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        # A thread that polls would take the one core from the server it works for.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.session = onnxruntime.InferenceSession(PATH, options, providers=["CPUExecutionProvider"])
        (only,) = self.session.get_inputs()
        self.input_name = only.name
        self.row_shape = tuple(only.shape[1:])
        self.output_names = [output.name for output in self.session.get_outputs()]

    def run(self, rows: np.ndarray) -> list[np.ndarray]:
        """The outputs, in the model's order."""
        return self.session.run(None, {self.input_name: rows})

    def run_batch(self, batch: list[np.ndarray]) -> list[list[np.ndarray]]:
        """The outputs of each request, run as one."""
        if len(batch) == 1:
            return [self.run(batch[0])]
        ends = np.cumsum([len(rows) for rows in batch])[:-1]
        parts = [np.split(output, ends) for output in self.run(np.concatenate(batch))]
        return [list(outputs) for outputs in zip(*parts)]

    def from_bytes(self, body: bytes) -> np.ndarray:
        """Rows of float32, as they came."""
        return np.frombuffer(body, dtype=np.float32).reshape(-1, *self.row_shape)

    def to_bytes(self, outputs: list[np.ndarray]) -> bytes:
        """All outputs, one behind the other."""
        return b"".join(output.tobytes() for output in outputs)

    def from_json(self, inputs: object) -> np.ndarray:
        """The `inputs` of TensorFlow Serving's column format: the one input by its name, or alone."""
        if isinstance(inputs, dict):
            inputs = inputs[self.input_name]
        return np.array(inputs, dtype=np.float32)

    def to_json(self, outputs: list[np.ndarray]) -> dict:
        """A reply in TensorFlow Serving's column format; an only output has no name there."""
        if len(outputs) == 1:
            return {"outputs": outputs[0].tolist()}
        return {"outputs": {name: output.tolist() for name, output in zip(self.output_names, outputs)}}

    def signature_json(self) -> dict:
        """The answer to `GET /v1/models/NAME/metadata`."""
        return {
            "model_spec": {"name": NAME, "signature_name": "", "version": "1"},
            "metadata": {"signature_def": {"signature_def": {"serving_default": {
                "inputs": tensors(self.session.get_inputs()),
                "outputs": tensors(self.session.get_outputs()),
                "method_name": "tensorflow/serving/predict",
            }}}},
        }


TYPES = {"tensor(float)": "DT_FLOAT", "tensor(int64)": "DT_INT64"}


def tensors(described: list) -> dict:
    """Inputs or outputs as TensorFlow Serving describes them; -1 is any size, and sizes are strings."""
    return {
        io.name: {
            "dtype": TYPES[io.type],
            "tensor_shape": {
                "dim": [{"size": str(size if isinstance(size, int) else -1), "name": ""} for size in io.shape],
                "unknown_rank": False,
            },
            "name": io.name,
        }
        for io in described
    }
