"""KServe's Python server with its Open Inference Protocol. It does not batch: KServe does that in another process."""

import functools

import kserve
from kserve.protocol.rest import server as rest

import peer


class Served(kserve.Model):
    """One model."""

    def __init__(self) -> None:
        super().__init__(peer.NAME)
        self.model = peer.Model()
        self.ready = True

    async def get_input_types(self) -> list[dict]:
        """For its metadata page."""
        return described(self.model.session.get_inputs())

    async def get_output_types(self) -> list[dict]:
        """For its metadata page."""
        return described(self.model.session.get_outputs())

    def predict(self, payload: kserve.InferRequest, headers=None, response_headers=None) -> kserve.InferResponse:
        """Rows in, outputs out."""
        outputs = zip(self.model.output_names, self.model.run(payload.inputs[0].as_numpy()))
        made = [
            kserve.InferOutput(name, list(output.shape), TYPES[output.dtype.name], data=output) for name, output in outputs
        ]
        return kserve.InferResponse(payload.id or "", peer.NAME, made, use_binary_outputs=payload.use_binary_outputs)


TYPES = {"float32": "FP32", "int64": "INT64"}
ONNX_TYPES = {"tensor(float)": "FP32", "tensor(int64)": "INT64"}


def described(tensors: list) -> list[dict]:
    """Inputs or outputs as the protocol describes them; -1 is any size."""
    return [
        {"name": io.name, "datatype": ONNX_TYPES[io.type],
         "shape": [size if isinstance(size, int) else -1 for size in io.shape]}
        for io in tensors
    ]


if __name__ == "__main__":
    # It has no setting for the address and would listen on all of them.
    configured = rest.uvicorn.Config

    @functools.wraps(configured)
    def local(*arguments, **settings):
        return configured(*arguments, **{**settings, "host": "127.0.0.1"})

    rest.uvicorn.Config = local
    kserve.ModelServer(
        http_port=peer.PORT, enable_grpc=False, workers=1, access_log_format=None, enable_docs_url=False,
        enable_latency_logging=False,
    ).start([Served()])
