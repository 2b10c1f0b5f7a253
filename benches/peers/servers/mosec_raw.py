"""mosec with raw bodies: float32 in, the outputs' bytes out. mosec's Rust part does HTTP and batching."""

import numpy as np
from mosec import Server, Worker

import peer


class Digits(Worker):
    """Runs each batch that mosec makes."""

    req_mime_type = "application/octet-stream"
    resp_mime_type = "application/octet-stream"

    def __init__(self) -> None:
        super().__init__()
        self.model = peer.Model()

    def deserialize(self, data: bytes) -> np.ndarray:
        """A body into rows."""
        return self.model.from_bytes(data)

    def serialize(self, data: list[np.ndarray]) -> bytes:
        """Outputs into a body."""
        return self.model.to_bytes(data)

    def forward(self, data):
        """One request, or a list of them if there is batching."""
        return self.model.run_batch(data) if self.max_batch_size > 1 else self.model.run(data)


if __name__ == "__main__":
    server = Server()
    server.append_worker(Digits, num=1, max_batch_size=peer.BATCH_MAX, max_wait_time=int(peer.BATCH_WAIT_MS))
    server.run()
