"""The model that the project brings, asked as its users do: what is in the pictures, and what scikit-learn made of them."""

import json

import numpy as np
import pytest
from graphpipe import remote

from daemon import ROOT
from values import assert_same


@pytest.fixture(scope="module")
def images():
    """Ten pictures, one of each digit."""
    return np.load(ROOT / "models/digits/images.npy")


@pytest.fixture(scope="module")
def answers():
    """What they show, and what scikit-learn made of them."""
    return json.loads((ROOT / "models/digits/expected.json").read_text())


def test_every_digit_is_recognised(daemon, images, answers):
    probabilities, digit = remote.execute(daemon.url(), images)
    assert digit.tolist() == answers["labels"]
    np.testing.assert_allclose(probabilities, answers["probabilities"], atol=2e-5)


def test_onnx_runtime_says_the_same_bit_for_bit(daemon, expected, images):
    for rows in (images, images[3:4], images[:0]):
        found = remote.execute(daemon.url("digits"), rows)
        for one, other in zip(found, expected("digits", {"image": rows})):
            assert_same(one, other)


def test_one_output_by_its_name_is_one_array(daemon, images, answers):
    digit = remote.execute(daemon.url(), images, "image", "digit")
    assert digit.tolist() == answers["labels"]
