#!/usr/bin/env python3
"""Makes the small models that the tests of the TensorFlow backend run.

    python3 -m venv VENV && VENV/bin/pip install tensorflow-cpu==2.21.0 && VENV/bin/python make.py

The models are written beside this script and are committed: the tests need no Python. A folder is a SavedModel, a file
a frozen graph.
"""

import os
import shutil
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import tensorflow as tf  # noqa: E402 (the level has to be set before)

HERE = Path(__file__).resolve().parent
v1 = tf.compat.v1
FLOAT = tf.float32

# Half of the types in each format.
IN_GRAPHS = ["uint8", "int16", "uint32", "int64", "float16", "float64", "string"]
IN_FOLDERS = ["int8", "uint16", "int32", "uint64", "bfloat16", "float32", "bool"]


def folder_of(name):
    """An empty place for a SavedModel."""
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def save_function(name, function, *specs, outputs, module=None):
    """A SavedModel as TensorFlow 2 makes it: a function, whose results have these names."""
    module = module or tf.Module()
    names = outputs.split()

    def named(*inputs):
        results = function(*inputs)
        return dict(zip(names, results if isinstance(results, tuple) else (results,)))

    signature = [tf.TensorSpec(shape, dtype, name=key) for key, dtype, shape in specs]
    module.serve = tf.function(named, input_signature=signature)
    tf.saved_model.save(module, str(folder_of(name)), signatures=module.serve)
    # What it does not need to be served.
    (HERE / name / "fingerprint.pb").unlink(missing_ok=True)
    (HERE / name / "assets").rmdir()


def save_graph(name, build):
    """A frozen graph: `build` adds to it."""
    graph = tf.Graph()
    with graph.as_default():
        build()
    (HERE / f"{name}.pb").write_bytes(graph.as_graph_def().SerializeToString(deterministic=True))


def save_session(name, build, tags=("serve",)):
    """A SavedModel as TensorFlow 1 made it: `build` adds to a graph, and returns its signatures."""
    folder = folder_of(name)
    with v1.Session(graph=tf.Graph()) as session:
        signatures = build()
        session.run(v1.global_variables_initializer())
        builder = v1.saved_model.Builder(str(folder))
        signatures = {
            key: v1.saved_model.build_signature_def(
                {name: info(tensor) for name, tensor in inputs.items()},
                {name: info(tensor) for name, tensor in results.items()},
                "tensorflow/serving/predict",
            )
            for key, (inputs, results) in signatures.items()
        }
        builder.add_meta_graph_and_variables(session, list(tags), signatures, strip_default_attrs=True)
        builder.save()


def info(tensor):
    return v1.saved_model.build_tensor_info(tensor)


def placeholder(name, dtype=FLOAT, shape=None):
    return v1.placeholder(dtype, shape, name=name)


# Models of the suite.

for name in IN_GRAPHS:
    save_graph(f"identity_{name}", lambda: tf.identity(placeholder("x", name), name="y"))
for name in IN_FOLDERS:
    save_function(f"identity_{name}", tf.identity, ("x", tf.as_dtype(name), None), outputs="y")

save_function("double", lambda x: x + x, ("x", FLOAT, [None, 4]), outputs="y")


def two_by_two():
    a, b = placeholder("a", shape=[None, None]), placeholder("b", shape=[None, None])
    tf.add(a, b, name="sum")
    tf.cast(a * b, tf.int64, name="whole")


save_graph("two_by_two", two_by_two)
save_function("scalar", tf.negative, ("x", FLOAT, []), outputs="y")
save_graph("first", lambda: tf.strided_slice(placeholder("x", shape=[None]), [0], [1], name="y"))
# Two rows in one: it fails where there is one too many.
save_function("pairs", lambda x: tf.reshape(x, [-1, 8]), ("x", FLOAT, [None, 4]), outputs="y")

# What one backend alone can do.

# Four layers whose results can be fed and fetched, a placeholder with a default, a check, and a constant nobody uses.
def layers():
    x = placeholder("x", shape=[None, 2])
    tf.constant([1.0], name="unused")
    hidden = tf.add(x, 1.0, name="hidden/add")
    tf.debugging.check_numerics(hidden, "hidden", name="check")
    twice = tf.multiply(hidden, v1.placeholder_with_default(2.0, [], name="factor"), name="hidden/twice")
    low, high = tf.split(twice, 2, axis=1, name="halves")
    tf.negative(low, name="low")
    tf.negative(high, name="high")


save_graph("layers", layers)

# Three signatures, of which none is called as TensorFlow calls them by default; one gives back what it gets, one has
# two names for one tensor.
def signatures():
    x = placeholder("input", shape=[None, 2])
    y = tf.negative(x, name="negative")
    return {
        "negate": ({"x": x}, {"y": y}),
        "same": ({"x": x}, {"y": x, "z": y}),
        "aliases": ({"x": x}, {"y": y, "z": y}),
    }


save_session("signatures", signatures)

# A variable of TensorFlow 1, and of TensorFlow 2.
def weighted():
    x = placeholder("input", shape=[None, 2])
    weight = v1.get_variable("weight", initializer=[2.0, 3.0], use_resource=False)
    return {"serving_default": ({"x": x}, {"y": tf.multiply(x, weight)})}


save_session("weighted_v1", weighted)
weights = tf.Module()
weights.weight = tf.Variable([2.0, 3.0], name="weight")
save_function("weighted", lambda x: x * weights.weight, ("x", FLOAT, [None, 2]), outputs="y", module=weights)

# It gives the sum of what it got last time, and keeps what it gets now.
memory = tf.Module()
memory.last = tf.Variable([0.0], shape=[None], name="last")


def remember(x):
    before = tf.reduce_sum(memory.last)
    with tf.control_dependencies([before]):
        memory.last.assign(x)
    return before


save_function("remember", remember, ("x", FLOAT, [None]), outputs="before", module=memory)

# It adds up what it gets, and gives the variable in which it does.
totals = tf.Module()
totals.total = tf.Variable([0.0, 0.0], name="total")
save_function("accumulate", lambda x: totals.total.assign_add(x), ("x", FLOAT, [2]), outputs="total", module=totals)

# Two strings in one, and their lengths.
save_function(
    "strings",
    lambda a, b: (tf.strings.join([a, b]), tf.strings.length(a)),
    ("a", tf.string, [None]),
    ("b", tf.string, [None]),
    outputs="joined length",
)

# An output that the protocol cannot carry beside one that it can; one that gives nothing else; and an input.
def complex_output():
    x = placeholder("x", shape=[None])
    tf.complex(x, x, name="c")
    tf.negative(x, name="y")


def complex_only():
    x = placeholder("x", shape=[None])
    tf.complex(x, x, name="c")


save_graph("complex_output", complex_output)
save_graph("complex_only", complex_only)
save_graph("complex_input", lambda: tf.abs(placeholder("x", tf.complex64, [None]), name="y"))

# Not for serving.
def training():
    x = placeholder("x", shape=[None])
    return {"serving_default": ({"x": x}, {"y": -x})}


save_session("training", training, tags=("train",))
# Without any signature.
save_session("unsigned", lambda: (tf.negative(placeholder("x", shape=[None]), name="y"), {})[1])

# It runs, and fails on some values: Gather refuses an index that is out of range.
save_graph("gather", lambda: tf.gather([10.0, 20.0, 30.0], placeholder("index", tf.int64, [None]), name="y"))

# It makes as many numbers as it is asked for, which no memory may hold.
save_graph("fill", lambda: tf.fill(tf.reshape(placeholder("count", tf.int64, []), [1]), 1.0, name="y"))

# Nothing goes in.
save_graph("dice", lambda: tf.random.uniform([2], name="y"))


# It was made on a graphics card.
def elsewhere():
    with tf.device("/GPU:0"):
        tf.negative(placeholder("x", shape=[None]), name="y")


save_graph("elsewhere", elsewhere)

# A loop: it counts down from what it gets, and adds up.
def count_down(n):
    step = lambda left, total: (left - 1, total + left)
    return tf.while_loop(lambda left, total: left > 0, step, [n, tf.zeros_like(n)])[1]


save_function("loop", count_down, ("n", tf.int64, []), outputs="sum")

# Ten outputs, to be asked for in any combination.
def fan():
    x = placeholder("x", shape=[None])
    for number in range(10):
        tf.add(x, float(number), name=f"plus{number}")


save_graph("fan", fan)

# As many dimensions as the protocol has, and one more.
for rank in (16, 17):
    save_graph(f"rank{rank}", lambda: tf.identity(placeholder("x", shape=[None] + [1] * (rank - 1)), name="y"))

# An operation that no library has.
graph = v1.GraphDef()
graph.node.add(name="x", op="Placeholder").attr["dtype"].type = 1
graph.node.add(name="y", op="NoSuchOperation", input=["x"])
(HERE / "unknown_operation.pb").write_bytes(graph.SerializeToString(deterministic=True))
