"""Tensors to send, and what it means that two of them are equal: every bit of every element, the type and the shape."""

import numpy as np

from models import TYPES

# Empty, longer than a word, with bytes beyond ASCII, with a NUL inside. (NumPy itself drops NULs at the end.)
STRINGS = ["", "a", "graph pipe", "größer", "日本語", "nul\0inside", "x" * 5000]


def draw(random, name, shape):
    """A tensor of every bit pattern that its type has: NaNs with a payload, infinities, -0.0, denormal numbers."""
    dtype = TYPES[name][0]
    if name == "string":
        elements = [STRINGS[i] for i in random.integers(len(STRINGS), size=int(np.prod(shape)))]
        tensor = np.empty(len(elements), np.object_)
        tensor[:] = elements
        return tensor.reshape(shape)
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    return np.frombuffer(random.bytes(size), dtype).reshape(shape)


def as_bytes(element):
    """The bytes of a string element, however NumPy holds it."""
    return element if isinstance(element, bytes) else element.encode()


def assert_same(found, wanted):
    """Fails unless both tensors are the same, bit for bit."""
    assert found.shape == wanted.shape
    if wanted.dtype.kind in "OSU":
        assert [as_bytes(element) for element in found.flat] == [as_bytes(element) for element in wanted.flat]
        return
    assert found.dtype == wanted.dtype
    assert found.tobytes() == wanted.tobytes()
