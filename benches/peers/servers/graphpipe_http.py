"""The historic way to serve GraphPipe from Python: the standard library's HTTP server over `graphpipe.convert`, from
PyPI. One thread for each connection, as far as Python lets them run together; connections are kept alive.
"""

import http.server

import numpy as np
from graphpipe import convert

import peer

served = peer.Model()


TYPES = {"tensor(float)": np.dtype(np.float32), "tensor(int64)": np.dtype(np.int64)}


def described(tensors: list) -> list[dict]:
    """Inputs or outputs as GraphPipe describes them; -1 is any size."""
    return [
        {"name": io.name, "description": "", "type": TYPES[io.type],
         "shape": [size if isinstance(size, int) else -1 for size in io.shape]}
        for io in tensors
    ]


# The package writes both lists back to front.
METADATA = {
    "name": peer.NAME, "version": "1", "server": "Python graphpipe", "description": "",
    "inputs": described(served.session.get_inputs()[::-1]), "outputs": described(served.session.get_outputs()[::-1]),
}


class Handler(http.server.BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    # Head and body leave together, and without waiting for more.
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """Says that the server is there."""
        self.answer(b"{}", "application/json")

    def do_POST(self) -> None:
        """An inference, or the question what the model is."""
        request = convert.deserialize_request(self.rfile.read(int(self.headers["Content-Length"])))
        if request is None:
            message = convert.serialize_metadata_response(METADATA)
        else:
            message = convert.serialize_infer_response(served.run(request.input_tensors[0]))
        self.answer(bytes(message), "application/octet-stream")

    def answer(self, body: bytes, kind: str) -> None:
        """Sends a reply."""
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_) -> None:
        """Nothing for each request."""


class Server(http.server.ThreadingHTTPServer):
    """All connections."""

    request_queue_size = 256
    daemon_threads = True


if __name__ == "__main__":
    Server(("127.0.0.1", peer.PORT), Handler).serve_forever()
