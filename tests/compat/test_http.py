"""HTTP/1.1 and 1.0 as real clients speak it, byte by byte, and what those get that do not."""

import socket

import pytest

from values import assert_same
from wire import Connection, chunked, head, message, outputs, table

UNIX = pytest.mark.parametrize("unix", [False, True], ids=["tcp", "unix"])


@UNIX
@pytest.mark.parametrize("path", ["/", "/foo/bar", "//", "/?query=1", "/%20"])
def test_any_path_that_names_no_model_asks_the_default_one(daemon, unix, path):
    with Connection(daemon, unix) as connection:
        connection.send(head(path=path, Content_Length=4), b"\0" * 4)
        reply = connection.reply()
    # Four zeros are no request, which only the reader of messages can have found.
    assert reply.status == 400
    assert b"byte" in reply.body


@UNIX
def test_a_connection_serves_many_requests(daemon, unix):
    with Connection(daemon, unix) as connection:
        for rows in (1, 2, 3000, 1, 3000):
            body = message(table(rows))
            connection.send(head(Content_Length=len(body)), body)
            assert_same(outputs(connection.reply())[0], table(rows))


@UNIX
def test_pipelined_requests_are_answered_in_their_order(daemon, unix):
    rows = [1, 5000, 2, 1, 700, 3] * 5
    bodies = [message(table(count, first)) for first, count in enumerate(rows)]
    with Connection(daemon, unix) as connection:
        connection.send(*(part for body in bodies for part in (head(Content_Length=len(body)), body)))
        for first, count in enumerate(rows):
            assert_same(outputs(connection.reply())[0], table(count, first))


def test_a_request_may_come_byte_by_byte(daemon):
    body = message(table(2))
    with Connection(daemon) as connection:
        connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in head(Content_Length=len(body)).encode() + body:
            connection.send(bytes([byte]))
        assert_same(outputs(connection.reply())[0], table(2))


@pytest.mark.parametrize("rows", [1, 2000])
def test_a_client_that_waits_for_100_gets_it_before_its_answer(daemon, rows):
    body = message(table(rows))
    with Connection(daemon) as connection:
        connection.send(head(Content_Length=len(body), Expect="100-continue"))
        assert connection.reply().status == 100
        connection.send(body)
        assert_same(outputs(connection.reply())[0], table(rows))


@pytest.mark.parametrize("sizes", [(), (1,), (1, 1, 1, 50), (104, 7), tuple([3] * 40)])
@pytest.mark.parametrize("rows", [1, 4, 3000])
def test_a_body_may_come_in_chunks(daemon, rows, sizes):
    with Connection(daemon) as connection:
        for _ in range(2):
            connection.send(head(Transfer_Encoding="chunked"), chunked(message(table(rows)), *sizes))
            assert_same(outputs(connection.reply())[0], table(rows))


def test_chunks_may_have_extensions_and_trailers(daemon):
    body = message(table(1))
    with Connection(daemon) as connection:
        for _ in range(2):
            connection.send(head(Transfer_Encoding="chunked"), f"{len(body):X};name=value\r\n", body, "\r\n")
            connection.send("0\r\nTrailer: value\r\n\r\n")
            assert_same(outputs(connection.reply())[0], table(1))


def test_chunks_win_over_a_content_length_and_the_connection_ends(daemon):
    """What libcurl sends for the TensorFlow operation of GraphPipe, with its form content type."""
    body = message(table(5))
    with Connection(daemon) as connection:
        connection.send(
            head(
                Content_Type="application/x-www-form-urlencoded",
                Content_Length=len(body),
                Transfer_Encoding="chunked",
                Expect="100-continue",
            )
        )
        assert connection.reply().status == 100
        connection.send(chunked(body, 16))
        reply = connection.reply()
        assert_same(outputs(reply)[0], table(5))
        assert reply.headers["connection"].lower() == "close"
        assert connection.ends()


def test_http_1_0_is_answered_and_its_connection_ends(daemon):
    body = message(table(2))
    with Connection(daemon) as connection:
        connection.send(head(version="HTTP/1.0", Content_Length=len(body)), body)
        assert_same(outputs(connection.reply())[0], table(2))
        assert connection.ends()


def test_http_1_0_may_keep_its_connection(daemon):
    body = message(table(2))
    with Connection(daemon) as connection:
        for _ in range(2):
            connection.send(head(version="HTTP/1.0", Content_Length=len(body), Connection="keep-alive"), body)
            reply = connection.reply()
            assert_same(outputs(reply)[0], table(2))
            assert reply.headers["connection"].lower() == "keep-alive"


def test_a_client_that_wants_to_close_is_let_go(daemon):
    body = message(table(2))
    with Connection(daemon) as connection:
        connection.send(head(Content_Length=len(body), Connection="close"), body)
        assert_same(outputs(connection.reply())[0], table(2))
        assert connection.ends()


def test_a_client_that_shuts_its_sending_side_still_gets_its_answer(daemon):
    body = message(table(2))
    with Connection(daemon) as connection:
        connection.send(head(Content_Length=len(body)), body)
        connection.socket.shutdown(socket.SHUT_WR)
        assert_same(outputs(connection.reply())[0], table(2))
        assert connection.ends()


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_other_methods_are_taken_like_post(daemon, method):
    body = message(table(2))
    with Connection(daemon) as connection:
        connection.send(head(method, Content_Length=len(body)), body)
        assert_same(outputs(connection.reply())[0], table(2))


def test_head_is_get_without_a_body(daemon):
    with Connection(daemon) as connection:
        connection.send(head("GET"), head("HEAD"), head("GET"))
        first, second, third = connection.reply(), connection.reply(to_head=True), connection.reply()
    assert second.status == 200
    assert second.headers["content-length"] == str(len(first.body))
    assert third.body == first.body


def test_names_of_headers_are_read_in_any_case_and_lines_may_precede_a_request(daemon):
    body = message(table(2))
    with Connection(daemon) as connection:
        for name in ("content-length", "CONTENT-LENGTH", "cOnTeNt-lEnGtH"):
            connection.send("\r\n", f"POST /models/table_float32 HTTP/1.1\r\nhost: x\r\n{name}:{len(body)}\r\n\r\n", body)
            assert_same(outputs(connection.reply())[0], table(2))


# What is wrong; the bytes; the status.
REFUSED = [
    ("head over 16 KiB", head(X="y" * 16384), 431),
    ("endless head", "GET / HTTP/1.1\r\nX: " + "y" * 100_000, 431),
    ("101 headers", head(**{f"X{i}": i for i in range(100)}), 431),
    ("bad chunk size", head(Transfer_Encoding="chunked") + "zz\r\n", 400),
    ("chunk without its end", head(Transfer_Encoding="chunked") + "1\r\naXX0\r\n\r\n", 400),
    ("chunk size over 64 bits", head(Transfer_Encoding="chunked") + "fffffffffffffffff\r\n", 400),
    ("negative chunk size", head(Transfer_Encoding="chunked") + "-1\r\n", 400),
    ("chunk over the largest message", head(Transfer_Encoding="chunked") + "ffffffff\r\n", 413),
    ("two lengths", "POST / HTTP/1.1\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcde", 400),
    ("list of two lengths", head(Content_Length="4, 5") + "abcde", 400),
    ("negative length", head(Content_Length="-1"), 400),
    ("length with a plus", head(Content_Length="+4") + "abcd", 400),
    ("length that is no number", head(Content_Length="four") + "abcd", 400),
    ("length over 64 bits", head(Content_Length="99999999999999999999999"), 400),
    ("length over the largest message", head(Content_Length="2147483648"), 413),
    ("unknown transfer encoding", head(Transfer_Encoding="gzip, chunked") + "0\r\n\r\n", 501),
    ("chunked not last", head(Transfer_Encoding="chunked, identity") + "0\r\n\r\n", 400),
    ("target that is no path", head(path="*", Content_Length=0), 400),
    ("no HTTP", "POST / GRAPHPIPE/1.0\r\n\r\n", 400),
    ("space before the colon", "POST / HTTP/1.1\r\nContent-Length : 4\r\n\r\nabcd", 400),
    ("NUL in the head", "POST / HTTP/1.1\r\nX: a\0b\r\n\r\n", 400),
]


@UNIX
@pytest.mark.parametrize("what, request_bytes, status", REFUSED, ids=[row[0] for row in REFUSED])
def test_a_request_that_cannot_be_read_gets_a_text_and_an_orderly_end(daemon, unix, what, request_bytes, status):
    with Connection(daemon, unix) as connection:
        connection.send(request_bytes)
        reply = connection.reply()
        assert reply.status == status, reply.body
        assert reply.headers["content-type"].startswith("text/plain")
        assert reply.headers["connection"].lower() == "close"
        assert len(reply.body) > 10
        assert connection.ends()


def test_what_was_right_before_a_bad_request_is_still_answered(daemon):
    body = message(table(1))
    with Connection(daemon) as connection:
        connection.send(head(Content_Length=len(body)), body, "nonsense\r\n\r\n")
        assert_same(outputs(connection.reply())[0], table(1))
        assert connection.reply().status == 400
        assert connection.ends()


def test_bytes_that_are_neither_http_nor_a_frame_are_refused(daemon):
    with Connection(daemon) as connection:
        connection.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 500)
        while connection.stream.read(4096):
            pass
