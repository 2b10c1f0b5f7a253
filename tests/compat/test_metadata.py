"""What a model takes and gives, told to the original client's helpers and to whoever looks with a browser."""

import json

import numpy as np
import pytest
import requests
from graphpipe import remote

from models import TYPES

# GraphPipe's numbers of the types.
NUMBERS = {name: number for number, name in enumerate(TYPES, 1)}


@pytest.mark.parametrize("dtype", TYPES)
def test_the_helpers_tell_names_types_and_shapes(daemon, dtype):
    url = daemon.url(f"join_{dtype}")
    assert remote.get_input_names(url) == ["upper", "lower"]
    assert remote.get_output_names(url) == ["joined", "kept"]
    assert remote.get_input_types(url) == [np.dtype(TYPES[dtype][0])] * 2
    assert remote.get_output_types(url) == [np.dtype(TYPES[dtype][0])] * 2
    assert remote.get_input_shapes(url) == [[None, None]] * 2
    assert remote.get_output_shapes(url) == [[None, None]] * 2


def test_fixed_dimensions_are_told(daemon):
    assert remote.get_input_shapes(daemon.url("image")) == [[None, 224, 224, 3]]
    assert remote.get_output_shapes(daemon.url("image")) == [[None, 3, 224, 224]]


def test_a_single_element_has_an_empty_shape(daemon):
    assert remote.get_input_shapes(daemon.url("single_float32")) == [[]]


def test_the_message_tells_the_model_and_the_server(daemon):
    message = remote.metadata(daemon.url("linear"))
    assert message.Name() == b"linear"
    assert message.Server() == b"graphpiped"
    assert message.Version()
    assert message.Description() is not None


@pytest.mark.parametrize("model", [None, "digits", "linear", "mixed", "single_string"])
def test_get_answers_json_with_graphpipe_s_keys(daemon, model):
    reply = requests.get(daemon.url(model))
    assert reply.status_code == 200
    assert reply.headers["Content-Type"].startswith("application/json")
    page = json.loads(reply.text)
    assert list(page)[:6] == ["Name", "Version", "Server", "Description", "Inputs", "Outputs"]
    assert page["Name"] == (model or "digits")
    assert page["Server"] == "graphpiped"
    for tensor in page["Inputs"] + page["Outputs"]:
        assert list(tensor)[:4] == ["Name", "Description", "Shape", "Type"]


def test_get_tells_names_shapes_and_the_numbers_of_types(daemon):
    page = requests.get(daemon.url("mixed")).json()
    told = [(tensor["Name"], tensor["Shape"], tensor["Type"]) for tensor in page["Inputs"] + page["Outputs"]]
    assert told == [
        ("prices", [-1], NUMBERS["float32"]),
        ("counts", [-1], NUMBERS["int64"]),
        ("costs", [-1], NUMBERS["float32"]),
        ("total", [], NUMBERS["int64"]),
    ]


def test_get_of_any_path_tells_of_the_default_model(daemon):
    assert requests.get(daemon.url() + "any/other/path").json()["Name"] == "digits"


def test_get_of_a_model_that_is_not_served_is_404_and_names_those_that_are(daemon):
    reply = requests.get(daemon.url("no-such-model"))
    assert reply.status_code == 404
    assert "no-such-model" in reply.text
    assert "digits" in reply.text


def test_every_model_is_served_under_its_name(daemon, models):
    for name in models:
        assert requests.get(daemon.url(name)).json()["Name"] == name
