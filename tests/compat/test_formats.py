"""One classifier in six formats, made by five frameworks and served by one daemon at the same time: whoever asks does not see
which one answers.
"""

import json

import numpy as np
import pytest
from graphpipe import remote

from daemon import ROOT, Daemon

FOLDER = ROOT / "models/digits"
FORMATS = {
    "onnx": FOLDER / "digits.onnx",
    "savedmodel": FOLDER / "tensorflow",
    "graphdef": FOLDER / "digits.pb",
    "torchscript": FOLDER / "digits.pt",
    "mxnet": FOLDER / "digits-symbol.json",
    "caffe2": FOLDER / "caffe2",
}


@pytest.fixture(scope="module")
def images():
    """Ten pictures, one of each digit."""
    return np.load(FOLDER / "images.npy")


@pytest.fixture(scope="module")
def labels():
    """What they show."""
    return json.loads((FOLDER / "expected.json").read_text())["labels"]


@pytest.fixture(scope="module")
def frameworks(tmp_path_factory):
    """A daemon that serves all of them."""
    for path in FORMATS.values():
        assert path.exists(), f"{path} is not there"
    running = Daemon(FORMATS, tmp_path_factory.mktemp("d"))
    yield running
    code = running.stop()
    assert code == 0, f"the daemon ended with {code}:\n" + "".join(running.log)


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_recognises_every_digit(frameworks, expected, images, labels, name):
    wanted, _ = expected("digits", {"image": images})
    names = (["image"], ["probabilities", "digit"])
    probabilities, digit = remote.execute_multi(frameworks.url(name), [images], *names)
    assert digit.astype(np.int64).tolist() == labels
    np.testing.assert_allclose(probabilities, wanted, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_takes_batches_of_any_size(frameworks, expected, images, name):
    for rows in (images[:1], np.concatenate([images] * 13)[:127], images[4:7]):
        wanted, _ = expected("digits", {"image": rows})
        found = remote.execute(frameworks.url(name), rows, "image", "probabilities")
        np.testing.assert_allclose(found, wanted, atol=1e-5, rtol=0)


def test_each_says_what_it_takes(frameworks):
    for name in FORMATS:
        assert remote.get_input_names(frameworks.url(name)) == ["image"], name
        assert set(remote.get_output_names(frameworks.url(name))) >= {"probabilities", "digit"}, name
