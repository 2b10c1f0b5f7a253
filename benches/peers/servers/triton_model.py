"""The model of Triton's Python backend. It runs in a process of the backend's own, with each batch that Triton makes.

Triton's own names (`TritonPythonModel`, `execute`) are how the backend finds it.
"""

import numpy as np
import triton_python_backend_utils as backend

import peer


class TritonPythonModel:
    """One instance of the model."""

    def initialize(self, args: dict) -> None:
        """When the instance starts."""
        self.model = peer.Model()

    def execute(self, requests: list) -> list:
        """All requests of one batch."""
        batch = [backend.get_input_tensor_by_name(request, self.model.input_name).as_numpy() for request in requests]
        return [self.reply(outputs) for outputs in self.model.run_batch(batch)]

    def reply(self, outputs: list[np.ndarray]):
        """The outputs of one request."""
        named = zip(self.model.output_names, outputs)
        return backend.InferenceResponse([backend.Tensor(name, output) for name, output in named])
