"""The original client asks, ONNX Runtime in this process asks itself, and both must have the same answer in every bit."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from graphpipe import remote

from models import TYPES
from values import assert_same, draw


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("rows", [1, 2, 7, 1000])
def test_a_table_of_any_type_comes_back(daemon, expected, random, dtype, rows):
    x = draw(random, dtype, (rows, 3))
    found = remote.execute(daemon.url(f"table_{dtype}"), x)
    assert_same(found, expected(f"table_{dtype}", {"x": x})[0])


@pytest.mark.parametrize("dtype", TYPES)
def test_names_may_be_given(daemon, expected, random, dtype):
    x = draw(random, dtype, (4, 3))
    found = remote.execute(daemon.url(f"table_{dtype}"), x, "x", "y")
    assert_same(found, expected(f"table_{dtype}", {"x": x}, ["y"])[0])


@pytest.mark.parametrize("dtype", TYPES)
def test_a_tensor_of_rank_0_is_one_element(daemon, expected, random, dtype):
    x = draw(random, dtype, ())
    found = remote.execute(daemon.url(f"single_{dtype}"), x)
    assert_same(found, expected(f"single_{dtype}", {"x": x})[0])


@pytest.mark.parametrize("dtype", TYPES)
def test_an_empty_tensor_keeps_its_shape(daemon, dtype):
    found = remote.execute(daemon.url(f"table_{dtype}"), np.zeros((0, 3), TYPES[dtype][0]))
    assert found.shape == (0, 3)
    # The client itself makes an empty list of strings a float64.
    assert dtype == "string" or found.dtype == TYPES[dtype][0]


@pytest.mark.parametrize("dtype", TYPES)
def test_two_unnamed_inputs_give_two_unnamed_outputs(daemon, expected, random, dtype):
    upper, lower = draw(random, dtype, (2, 5)), draw(random, dtype, (3, 5))
    found = remote.execute_multi(daemon.url(f"join_{dtype}"), [upper, lower], None, None)
    wanted = expected(f"join_{dtype}", {"upper": upper, "lower": lower})
    assert len(found) == 2
    for one, other in zip(found, wanted):
        assert_same(one, other)


@pytest.mark.parametrize("dtype", TYPES)
def test_named_inputs_and_outputs_may_come_in_any_order(daemon, expected, random, dtype):
    upper, lower = draw(random, dtype, (2, 5)), draw(random, dtype, (3, 5))
    found = remote.execute_multi(
        daemon.url(f"join_{dtype}"), [lower, upper], ["lower", "upper"], ["kept", "joined"]
    )
    wanted = expected(f"join_{dtype}", {"upper": upper, "lower": lower}, ["kept", "joined"])
    assert len(found) == 2
    for one, other in zip(found, wanted):
        assert_same(one, other)


def test_one_of_two_outputs_is_enough(daemon, expected, random):
    upper, lower = draw(random, "int64", (2, 5)), draw(random, "int64", (3, 5))
    found = remote.execute_multi(daemon.url("join_int64"), [upper, lower], ["upper", "lower"], ["kept"])
    assert len(found) == 1
    assert_same(found[0], lower)


def test_an_output_that_is_asked_for_twice_comes_twice(daemon, random):
    x = draw(random, "int32", (2, 3))
    found = remote.execute_multi(daemon.url("table_int32"), [x], ["x"], ["y", "y"])
    assert len(found) == 2
    assert_same(found[0], x)
    assert_same(found[1], x)


def test_an_empty_input_name_means_the_input_of_that_position(daemon, expected, random):
    prices, counts = random.random(3, np.float32), random.integers(0, 9, 3)
    found = remote.execute_multi(daemon.url("mixed"), [prices, counts], ["", "counts"], None)
    for one, other in zip(found, expected("mixed", {"prices": prices, "counts": counts})):
        assert_same(one, other)


@pytest.mark.parametrize("n", [0, 1, 5, 257])
def test_inputs_and_outputs_may_differ_in_type_and_rank(daemon, expected, random, n):
    prices, counts = random.random(n, np.float32), random.integers(-9, 9, n)
    found = remote.execute_multi(daemon.url("mixed"), [prices, counts], None, None)
    for one, other in zip(found, expected("mixed", {"prices": prices, "counts": counts})):
        assert_same(one, other)


@pytest.mark.parametrize("rows", [1, 2, 3, 16, 100])
def test_sums_of_floats_are_those_of_onnx_runtime(daemon, expected, random, rows):
    x = random.standard_normal((rows, 8), np.float32)
    assert_same(remote.execute(daemon.url("linear"), x), expected("linear", {"x": x})[0])


@pytest.mark.parametrize("pictures", [1, 16])
def test_large_tensors_come_and_go(daemon, expected, random, pictures):
    pixels = random.random((pictures, 224, 224, 3), np.float32)
    assert_same(remote.execute(daemon.url("image"), pixels), expected("image", {"pixels": pixels})[0])


def test_a_tensor_that_is_not_contiguous_is_sent_in_the_order_of_its_rows(daemon, random):
    x = draw(random, "float64", (3, 8)).T
    found = remote.execute(daemon.url("table_float64"), x)
    assert_same(found, np.ascontiguousarray(x))


@pytest.mark.parametrize("config", ["", "{}", "any words: ä", "c" * 10_000])
def test_the_config_string_is_taken_and_ignored(daemon, random, config):
    x = draw(random, "float32", (2, 3))
    found = remote.execute_multi(daemon.url("table_float32"), [x], ["x"], ["y"], config)
    assert_same(found[0], x)


@pytest.mark.parametrize("length", range(1, 25))
def test_a_message_is_read_however_its_parts_are_aligned(daemon, random, length):
    """The oldest flatbuffers packages align to 4 bytes at most; the config string moves everything else."""
    x = draw(random, "float64", (2, 3))
    found = remote.execute_multi(daemon.url("table_float64"), [x], ["x"], ["y"], "c" * length)
    assert_same(found[0], x)


def test_clients_may_ask_at_the_same_time(daemon, expected, random):
    questions = [random.standard_normal((1 + i % 5, 8), np.float32) for i in range(200)]
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda x: remote.execute(daemon.url("linear"), x), questions))
    for question, answer in zip(questions, answers):
        assert_same(answer, expected("linear", {"x": question})[0])
