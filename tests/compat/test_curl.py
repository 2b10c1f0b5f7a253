"""The command `curl`, which is what people try first."""

import json
import shutil
import subprocess

import pytest
from graphpipe import convert

from values import assert_same
from wire import message, table


@pytest.fixture(scope="module")
def curl():
    """Runs curl; returns what it wrote to its output, and to its error output."""
    program = shutil.which("curl")
    assert program, "curl is not there: apt-get install curl"

    def run(*arguments):
        done = subprocess.run([program, "--silent", "--show-error", *arguments], capture_output=True, check=True)
        return done.stdout, done.stderr.decode()

    return run


@pytest.fixture
def request_file(tmp_path):
    """A file with a request of so many rows."""

    def write(rows):
        path = tmp_path / f"{rows}.request"
        path.write_bytes(message(table(rows)))
        return f"@{path}"

    return write


def answer(body):
    """The only output of a reply."""
    tensors, errors = convert.deserialize_infer_response(body)
    assert not errors
    return tensors[0]


# 400 000 rows are more than a megabyte, above which curl waits for 100 Continue of its own accord.
@pytest.mark.parametrize("rows", [1, 1000, 400_000])
def test_a_file_is_posted(daemon, curl, request_file, rows):
    body, _ = curl("--data-binary", request_file(rows), daemon.url("table_float32"))
    assert_same(answer(body), table(rows))


@pytest.mark.parametrize("rows", [1, 1000, 400_000])
def test_a_file_is_posted_in_chunks_after_a_100(daemon, curl, request_file, rows):
    body, talk = curl(
        "--verbose",
        *("-H", "Transfer-Encoding: chunked", "-H", "Expect: 100-continue"),
        *("--data-binary", request_file(rows), daemon.url("table_float32")),
    )
    assert_same(answer(body), table(rows))
    assert "< HTTP/1.1 100 Continue" in talk


@pytest.mark.parametrize("rows", [1, 400_000])
def test_a_file_is_posted_over_the_unix_socket(daemon, curl, request_file, rows):
    body, _ = curl(
        *("--unix-socket", str(daemon.socket), "--data-binary", request_file(rows)),
        "http://localhost/models/table_float32",
    )
    assert_same(answer(body), table(rows))


def test_a_file_is_put_as_http_1_0(daemon, curl, request_file):
    body, talk = curl(
        *("--verbose", "--http1.0", "-X", "PUT", "--data-binary", request_file(3)), daemon.url("table_float32")
    )
    assert_same(answer(body), table(3))
    assert "200 OK" in talk


def test_one_connection_is_kept_for_two_urls(daemon, curl):
    body, talk = curl("--verbose", daemon.url("linear"), daemon.url("mixed"))
    decoder = json.JSONDecoder()
    text = body.decode().lstrip()
    first, end = decoder.raw_decode(text)
    second, _ = decoder.raw_decode(text[end:].lstrip())
    assert [first["Name"], second["Name"]] == ["linear", "mixed"]
    assert "Re-using existing connection" in talk


def test_an_offer_of_http_2_is_declined(daemon, curl):
    body, _ = curl("--http2", daemon.url("linear"))
    assert json.loads(body)["Name"] == "linear"
