"""The pages beside the models: control, health, metrics."""

import re
import socket

import pytest
import requests

SAMPLE = re.compile(r'^[a-z_]+(\{[a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*\})? [0-9.e+-]+$')


@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
@pytest.mark.parametrize("path", ["control/is_ready", "control/is_alive"])
def test_control_says_ok(daemon, method, path):
    reply = requests.request(method, daemon.url() + path)
    assert (reply.status_code, reply.text) == (200, "ok\n")


def test_control_counts_the_open_connections(daemon):
    def count():
        reply = requests.get(daemon.url() + "control/client_count")
        assert re.fullmatch(r"[0-9]+\n", reply.text)
        return int(reply.text)

    before = count()
    held = [socket.create_connection(("127.0.0.1", daemon.port)) for _ in range(5)]
    try:
        # Connections of earlier tests may still be closing, but these five are open; the asking one is the sixth.
        assert count() >= 6
    finally:
        for one in held:
            one.close()
    assert before >= 1


def test_nobody_can_shut_the_daemon_down_from_afar(daemon):
    requests.post(daemon.url() + "control/shutdown")
    assert requests.get(daemon.url() + "control/is_ready").status_code == 200


@pytest.mark.parametrize("what", ["live", "ready"])
def test_health_is_json(daemon, what):
    reply = requests.get(daemon.url() + f"v2/health/{what}")
    assert reply.status_code == 200
    assert reply.headers["Content-Type"].startswith("application/json")
    assert reply.json()[what] is True


def test_metrics_are_in_the_text_format_of_prometheus(daemon):
    reply = requests.get(daemon.url() + "metrics")
    assert reply.status_code == 200
    assert reply.headers["Content-Type"].startswith("text/plain")
    samples = [line for line in reply.text.splitlines() if line and not line.startswith("#")]
    for line in samples:
        assert SAMPLE.match(line), line
    assert any(line.startswith('graphpiped_copied_bytes_total{where="') for line in samples)
    names = {line.split("{")[0].split(" ")[0] for line in samples}
    for name in names:
        assert name.startswith("graphpiped_")
        # The parts of a histogram are declared together.
        base = re.sub("_(bucket|sum|count)$", "", name)
        assert f"# TYPE {name} " in reply.text or f"# TYPE {base} histogram" in reply.text


def test_metrics_count_requests_and_errors(daemon):
    def total(name):
        text = requests.get(daemon.url() + "metrics").text
        lines = [line for line in text.splitlines() if line.startswith(name)]
        assert lines, f"no {name}"
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines)

    requests_before, errors_before = total("graphpiped_requests_total"), total("graphpiped_replies_error_total")
    for _ in range(3):
        assert requests.post(daemon.url(), data=b"no message").status_code == 400
    assert total("graphpiped_requests_total") - requests_before >= 3
    assert total("graphpiped_replies_error_total") - errors_before == 3
