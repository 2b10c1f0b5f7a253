"""Stands in for the module `imp`, which Python 3.12 has no more and the oldest flatbuffers package imports. The packages
themselves stay as they were published."""

import importlib.util
import sys
import types


def find_module(name):
    """All that is used of it: an error if there is no module of this name."""
    if importlib.util.find_spec(name) is None:
        raise ImportError(name)


if sys.version_info >= (3, 12):
    sys.modules["imp"] = types.ModuleType("imp")
    sys.modules["imp"].find_module = find_module
