"""A runtime for MLServer: it has none for ONNX of its own. MLServer reads tensors as JSON only."""

import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse, ResponseOutput

import peer

TYPES = {"float32": "FP32", "int64": "INT64"}


class OnnxRuntime(MLModel):
    """One model, run once per request or per batch that MLServer makes."""

    async def load(self) -> bool:
        """When the server starts."""
        self.model = peer.Model()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Rows in, outputs out."""
        rows = NumpyCodec.decode_input(payload.inputs[0]).astype(np.float32, copy=False)
        outputs = [
            # Not NumpyCodec: it makes [n, 1] of [n].
            ResponseOutput(
                name=name, shape=list(output.shape), datatype=TYPES[output.dtype.name], data=output.ravel().tolist()
            )
            for name, output in zip(self.model.output_names, self.model.run(rows))
        ]
        return InferenceResponse(model_name=self.name, id=payload.id, outputs=outputs)
