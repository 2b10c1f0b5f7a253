"""LitServe with TensorFlow Serving's paths and JSON. LitServe reads no other bodies than JSON and forms."""

import litserve
import numpy as np

import peer


class Api(litserve.LitAPI):
    """Runs each request, or each batch that LitServe makes."""

    def setup(self, device: str) -> None:
        """In the worker's process."""
        self.model = peer.Model()

    def decode_request(self, request: dict) -> np.ndarray:
        """JSON into rows."""
        return self.model.from_json(request["inputs"])

    def batch(self, inputs: list[np.ndarray]) -> list[np.ndarray]:
        """They are put together where they are taken apart again."""
        return inputs

    def predict(self, rows):
        """One request, or a list of them."""
        return self.model.run_batch(rows) if isinstance(rows, list) else self.model.run(rows)

    def unbatch(self, output: list[list[np.ndarray]]) -> list[list[np.ndarray]]:
        """The outputs of each request."""
        return output

    def encode_response(self, output: list[np.ndarray]) -> dict:
        """Outputs into JSON."""
        return self.model.to_json(output)


if __name__ == "__main__":
    path = f"/v1/models/{peer.NAME}:predict"
    api = Api(max_batch_size=peer.BATCH_MAX, batch_timeout=peer.BATCH_WAIT_MS / 1000, api_path=path)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1)
    signature = peer.Model().signature_json()
    server.app.get(f"/v1/models/{peer.NAME}/metadata")(lambda: signature)
    server.run(host="127.0.0.1", port=peer.PORT, num_api_servers=1, log_level="warning", access_log=False)
