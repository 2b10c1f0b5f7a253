"""HTTP by hand: bytes out, replies in, over TCP or a Unix socket. For what no polite client would send."""

import socket
from dataclasses import dataclass

import numpy as np
from graphpipe import convert

# A reply that has not come by then does not come.
REPLY_SECONDS_MAX = 30


@dataclass
class Reply:
    """One reply: its status line, its headers (names in lower case) and its body."""

    version: str
    status: int
    headers: dict
    body: bytes


class Connection:
    """A connection whose replies are read one after the other."""

    def __init__(self, daemon, unix=False):
        if unix:
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.socket.connect(str(daemon.socket))
        else:
            self.socket = socket.create_connection(("127.0.0.1", daemon.port))
        self.socket.settimeout(REPLY_SECONDS_MAX)
        self.stream = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stream.close()
        self.socket.close()

    def send(self, *parts):
        """Sends all parts at once."""
        self.socket.sendall(b"".join(part.encode() if isinstance(part, str) else bytes(part) for part in parts))

    def reply(self, to_head=False):
        """Reads one reply."""
        line = self.stream.readline()
        assert line.endswith(b"\r\n"), f"no status line but {line!r}"
        version, status, _reason = line.decode().rstrip("\r\n").split(" ", 2)
        headers = {}
        while (line := self.stream.readline()) != b"\r\n":
            name, value = line.decode().rstrip("\r\n").split(":", 1)
            assert name.lower() not in headers, f"{name} comes twice"
            headers[name.lower()] = value.strip()
        length = 0 if to_head or int(status) < 200 else int(headers["content-length"])
        body = self.stream.read(length)
        assert len(body) == length
        return Reply(version, int(status), headers, body)

    def ends(self):
        """Whether the daemon has nothing more to say, and says so in an orderly way (a reset raises)."""
        return self.stream.read(1) == b""


def message(x, name="x"):
    """A request with one input."""
    return bytes(convert.serialize_infer_request(convert.InferReq("", [x], [name], [])))


def outputs(reply):
    """The tensors of a good reply."""
    assert reply.status == 200, reply.body
    assert reply.headers["content-type"] == "application/octet-stream"
    tensors, errors = convert.deserialize_infer_response(reply.body)
    assert not errors
    return tensors


def chunked(body, *sizes):
    """A body in chunks of these sizes, the last one with what is left."""
    pieces = []
    for size in sizes:
        pieces.append(body[:size])
        body = body[size:]
    pieces.append(body)
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces if piece) + b"0\r\n\r\n"


def head(method="POST", path="/models/table_float32", version="HTTP/1.1", **headers):
    """A request's head. Underscores in names of headers stand for hyphens."""
    lines = [f"{method} {path} {version}", "Host: here"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines) + "\r\n\r\n"


def table(rows, first=0):
    """A table whose values tell where they belong."""
    return np.arange(first, first + 3 * rows, dtype=np.float32).reshape(rows, 3)
