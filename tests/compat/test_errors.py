"""What is wrong with a request is said: with a status by which the original client fails, and a text that helps.

The client keeps the status and loses the text, so each request is sent once by the client and once by hand.
"""

import numpy as np
import pytest
import requests
from graphpipe import convert, remote

F32 = np.float32

# What is wrong; model; inputs; input names; output names; status; words that the text must have.
WRONG = [
    ("dtype", "linear", [np.zeros((1, 8))], ["x"], [], 400, ["x", "float32", "float64"]),
    ("string for a number", "linear", [np.array([["a"] * 8])], ["x"], [], 400, ["x", "float32", "string"]),
    ("number for a string", "table_string", [np.zeros((1, 3), F32)], ["x"], [], 400, ["x", "float32", "string"]),
    ("rank", "linear", [np.zeros((1, 1, 8), F32)], ["x"], [], 400, ["x", "8"]),
    ("rank 0", "linear", [np.array(1, F32)], ["x"], [], 400, ["x", "8"]),
    ("rank of a single element", "single_int64", [np.zeros(1, np.int64)], ["x"], [], 400, ["x", "[1]"]),
    ("fixed dimension", "linear", [np.zeros((1, 9), F32)], ["x"], [], 400, ["x", "8", "9"]),
    ("unnamed fixed dimension", "linear", [np.zeros((1, 9), F32)], [], [], 400, ["x", "8", "9"]),
    ("input name", "linear", [np.zeros((1, 8), F32)], ["nonsense"], [], 400, ["nonsense", "x"]),
    ("output name", "linear", [np.zeros((1, 8), F32)], ["x"], ["nonsense"], 400, ["nonsense", "y"]),
    ("missing input", "mixed", [np.zeros(1, F32)], ["prices"], [], 400, ["counts"]),
    ("missing unnamed input", "mixed", [np.zeros(1, F32)], [], [], 400, ["counts"]),
    ("no input", "linear", [], [], [], 400, ["x"]),
    ("too many inputs", "linear", [np.zeros((1, 8), F32)] * 2, [], [], 400, ["1", "2"]),
    ("same input twice", "mixed", [np.zeros(1, F32)] * 2, ["prices", "prices"], [], 400, ["prices"]),
    ("model", "no-such-model", [np.zeros((1, 8), F32)], ["x"], [], 404, ["no-such-model", "linear"]),
    ("inside the model", "reshape", [np.zeros(4, F32)], ["x"], [], 400, ["4"]),
]


@pytest.mark.parametrize("what, model, inputs, names, outputs, status, words", WRONG, ids=[row[0] for row in WRONG])
def test_a_wrong_request_fails_in_the_client_and_says_why(daemon, what, model, inputs, names, outputs, status, words):
    with pytest.raises(requests.HTTPError) as failure:
        remote.execute_multi(daemon.url(model), inputs, names, outputs)
    assert failure.value.response.status_code == status

    body = convert.serialize_infer_request(convert.InferReq("", inputs, names, outputs))
    reply = requests.post(daemon.url(model), data=body)
    assert reply.status_code == status
    assert reply.headers["Content-Type"].startswith("text/plain")
    for word in words:
        assert word in reply.text, f"{word!r} is not in {reply.text!r}"


def test_the_connection_survives_a_wrong_request(daemon, random):
    good = random.standard_normal((2, 3), F32)
    messages = [convert.serialize_infer_request(convert.InferReq("", [x], ["x"], [])) for x in (good, good[0])]
    with requests.Session() as session:
        for _ in range(3):
            ports = set()
            for message, status in zip(messages, (200, 400)):
                reply = session.post(daemon.url("table_float32"), data=bytes(message), stream=True)
                ports.add(reply.raw.connection.sock.getsockname()[1])
                assert reply.status_code == status
                assert reply.content
            assert len(ports) == 1


@pytest.mark.parametrize(
    "body",
    [b"", b"abc", b"\0" * 4, b"\0" * 64, b"\xff" * 64, b"\x04\0\0\0" * 16, bytes(range(256)) * 8],
    ids=["empty", "3 bytes", "4 zeros", "64 zeros", "64 ones", "offsets to themselves", "noise"],
)
def test_a_body_that_is_no_request_is_refused_with_a_text(daemon, body):
    reply = requests.post(daemon.url(), data=body)
    assert reply.status_code == 400
    assert reply.headers["Content-Type"].startswith("text/plain")
    assert "byte" in reply.text


def test_every_prefix_of_a_request_is_refused_or_answered(daemon):
    x = np.arange(6, dtype=F32).reshape(2, 3)
    message = bytes(convert.serialize_infer_request(convert.InferReq("", [x], ["x"], ["y"])))
    with requests.Session() as session:
        for length in range(len(message)):
            reply = session.post(daemon.url("table_float32"), data=message[:length])
            # Only padding may be missing without harm.
            assert reply.status_code == 400 or len(message) - length < 8, f"{length} of {len(message)} bytes"
        assert session.post(daemon.url("table_float32"), data=message).status_code == 200


def test_no_flipped_byte_disturbs_the_next_request(daemon):
    x = np.arange(6, dtype=F32).reshape(2, 3)
    message = bytes(convert.serialize_infer_request(convert.InferReq("", [x], ["x"], ["y"])))
    with requests.Session() as session:
        for at in range(len(message)):
            flipped = bytearray(message)
            flipped[at] ^= 0xFF
            reply = session.post(daemon.url("table_float32"), data=bytes(flipped))
            assert reply.status_code in (200, 400, 404, 413, 503), f"byte {at}"
        assert session.post(daemon.url("table_float32"), data=message).status_code == 200
