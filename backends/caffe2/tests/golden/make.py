#!/usr/bin/env python3
"""Makes the nets that the tests of the Caffe2 backend run, and runs them with Caffe2 itself.

    pyenv install 3.8.18        # any CPython 3.8: the last wheels with Caffe2's operators are for it
    ~/.pyenv/versions/3.8.18/bin/python -m venv VENV
    VENV/bin/pip install torch==1.8.1 'numpy<1.24' future six 'protobuf==3.20.*'
    VENV/bin/python make.py

For each net there is a folder beside this script with `init_net.pb`, `predict_net.pb` and `value_info.json`, as Caffe2's model zoo
has them, and `golden.json`: inputs, and what Caffe2 makes of them. The nets of the conformance suite are in `../models`. All
files are committed: the tests need neither Python nor Caffe2.
"""

import json
import shutil
import zlib
from pathlib import Path

import numpy as np
from caffe2.proto import caffe2_pb2
from caffe2.python import core, utils, workspace

HERE = Path(__file__).resolve().parent
MODELS = HERE.parent / "models"

FILLS = {
    "float32": "GivenTensorFill",
    "float64": "GivenTensorDoubleFill",
    "int32": "GivenTensorIntFill",
    "int64": "GivenTensorInt64Fill",
    "int16": "GivenTensorInt16Fill",
    "bool": "GivenTensorBoolFill",
}
# Numbers of Caffe2's TensorProto.DataType.
TYPES = {"float32": 1, "int32": 2, "string": 4, "bool": 5, "uint8": 6, "int8": 7, "uint16": 8, "int16": 9, "int64": 10,
         "float16": 12, "float64": 13}


class Net:
    """A net in the making; random numbers are those of its name."""

    def __init__(self, name, folder=HERE):
        self.folder = folder / name
        self.random = np.random.RandomState(zlib.crc32(name.encode()))
        self.init, self.predict = caffe2_pb2.NetDef(), caffe2_pb2.NetDef()
        self.init.name, self.predict.name = name + "_init", name
        self.feeds, self.info, self.outputs = {}, {}, []

    def input(self, name, *shape, dtype="float32", rows=2, dims=None, values=None):
        """An input of this shape for one row; it is fed with several."""
        self.predict.external_input.append(name)
        self.info[name] = [TYPES[dtype], list(shape) if dims is None else dims]
        if values is None:
            values = self.random.uniform(-2, 2, (rows,) + shape[1:] if shape else ()).astype(dtype)
        self.feeds[name] = values
        # Exporters make the blob exist; nobody uses what is in it.
        self.init.op.add().CopyFrom(core.CreateOperator("GivenTensorFill", [], [name], shape=[1, 1], values=[0.0]))
        return name

    def weight(self, name, *shape, values=None):
        if values is None:
            values = self.random.uniform(-0.5, 0.5, shape)
        values = np.asarray(values)
        values = values.astype("float32") if values.dtype == np.float64 and shape else values
        self.fill(FILLS[values.dtype.name], name, shape=list(values.shape), values=values.flatten().tolist())
        return name

    def fill(self, kind, name, **arguments):
        self.predict.external_input.append(name)
        self.init.op.add().CopyFrom(core.CreateOperator(kind, [], [name], **arguments))
        return name

    def op(self, kind, inputs, outputs, **arguments):
        """An operator; its first output comes back."""
        outputs = outputs.split() if isinstance(outputs, str) else outputs
        inputs = inputs.split() if isinstance(inputs, str) else inputs
        self.predict.op.add().CopyFrom(core.CreateOperator(kind, inputs, outputs, **arguments))
        return outputs[0]

    def out(self, kind, inputs, outputs, **arguments):
        """The same; what it makes comes out."""
        name = self.op(kind, inputs, outputs, **arguments)
        self.give(name)
        return name

    def give(self, *names):
        self.outputs.extend(names)
        self.predict.external_output.extend(names)

    def write(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        (self.folder / "init_net.pb").write_bytes(self.init.SerializeToString())
        (self.folder / "predict_net.pb").write_bytes(self.predict.SerializeToString())
        (self.folder / "value_info.json").write_text(json.dumps(self.info) + "\n")

    def run(self):
        """Writes the net and what Caffe2 makes of its inputs."""
        self.write()
        workspace.ResetWorkspace()
        workspace.RunNetOnce(self.init)
        for name, values in self.feeds.items():
            workspace.FeedBlob(name, values)
        workspace.RunNetOnce(self.predict)
        tensors = lambda found: {name: tensor(values) for name, values in found.items()}
        found = {name: workspace.FetchBlob(name) for name in self.outputs}
        golden = {"inputs": tensors(self.feeds), "outputs": tensors(found)}
        (self.folder / "golden.json").write_text(json.dumps(golden, separators=(",", ":")) + "\n")


def tensor(values):
    values = np.asarray(values)
    # The shortest decimal that is this float32, and no other.
    numbers = [float(str(value)) if values.dtype.kind == "f" else int(value) for value in values.flatten()]
    return {"dtype": values.dtype.name, "shape": list(values.shape), "values": numbers}


def convolution():
    net = Net("convolution")
    net.input("x", 1, 4, 9, 8)
    net.weight("w33", 3, 4, 3, 3), net.weight("w32", 3, 4, 3, 2), net.weight("b3", 3)
    net.weight("w_group", 6, 2, 3, 3), net.weight("b6", 6)
    net.weight("w_depth", 4, 1, 3, 3), net.weight("b4", 4)
    net.weight("w11", 5, 4, 1, 1), net.weight("b5", 5)
    net.out("Conv", "x w33 b3", "plain", kernel=3, order="NCHW")
    net.out("Conv", "x w33", "no_bias", kernel=3, no_bias=1)
    net.out("Conv", "x w33 b3", "one_number", kernel=3, stride=2, pad=1)
    net.out("Conv", "x w32 b3", "each_axis", kernel_h=3, kernel_w=2, stride_h=2, stride_w=3, pad_t=0, pad_l=1, pad_b=2, pad_r=1)
    net.out("Conv", "x w32 b3", "lists", kernels=[3, 2], strides=[1, 2], pads=[1, 0, 2, 1])
    net.out("Conv", "x w32 b3", "list_before_number", kernels=[3, 2], kernel=5, strides=[1, 2], stride=3)
    net.out("Conv", "x w33 b3", "number_before_each", kernel=3, kernel_h=9, kernel_w=9, pad=1, pad_t=3, pad_l=3, pad_b=3, pad_r=3)
    net.out("Conv", "x w33 b3", "dilated", kernel=3, dilation=2, pad=2)
    net.out("Conv", "x w33 b3", "dilated_each_axis", kernel=3, dilation_h=3, dilation_w=2, pad=1)
    net.out("Conv", "x w_group b6", "groups", kernel=3, group=2, pad=1)
    net.out("Conv", "x w_depth b4", "depthwise", kernel=3, group=4, stride=2, pad=1)
    net.out("Conv", "x w11 b5", "pointwise", kernel=1)
    net.out("Conv", "x w33 b3", "legacy_valid", kernel=3, stride=2, legacy_pad=1)
    net.out("Conv", "x w33 b3", "legacy_same", kernel=3, stride=2, legacy_pad=2)
    net.out("Conv", "x w32 b3", "legacy_same_even", kernel_h=3, kernel_w=2, legacy_pad=2)
    net.input("x1", 1, 2, 9), net.weight("w1", 3, 2, 3)
    net.out("Conv", "x1 w1 b3", "one_axis", kernels=[3], strides=[2], pads=[1, 1])
    net.input("x3", 1, 2, 3, 4, 3), net.weight("w3", 3, 2, 2, 2, 2)
    net.out("Conv", "x3 w3 b3", "three_axes", kernels=[2, 2, 2], strides=[1, 2, 1], pads=[0, 0, 0, 0, 0, 0])
    net.run()


def transposed():
    net = Net("transposed")
    net.input("x", 1, 4, 5, 4)
    net.weight("w", 4, 3, 3, 3), net.weight("b", 3), net.weight("w_group", 4, 2, 3, 3), net.weight("b4", 4)
    net.weight("w42", 4, 3, 4, 2)
    net.out("ConvTranspose", "x w b", "plain", kernel=3)
    net.out("ConvTranspose", "x w", "no_bias", kernel=3, stride=2)
    net.out("ConvTranspose", "x w b", "adjusted", kernel=3, stride=2, pad=1, adj=1)
    net.out("ConvTranspose", "x w42 b", "each_axis", kernel_h=4, kernel_w=2, stride_h=3, stride_w=2, pad_t=1, pad_l=0, pad_b=2,
            pad_r=1, adj_h=2, adj_w=0)
    net.out("ConvTranspose", "x w_group b4", "groups", kernel=3, stride=2, group=2)
    net.out("ConvTranspose", "x w b", "legacy_same", kernel=3, stride=2, legacy_pad=2)
    net.run()


def pooling():
    net = Net("pooling")
    net.input("x", 1, 3, 7, 8)
    for kind, short in [("MaxPool", "max"), ("AveragePool", "average")]:
        net.out(kind, "x", short + "_plain", kernel=3, stride=2)
        net.out(kind, "x", short + "_padded", kernel=3, stride=2, pad=1)
        net.out(kind, "x", short + "_each_axis", kernel_h=3, kernel_w=2, stride_h=1, stride_w=2, pad_t=1, pad_l=0, pad_b=2, pad_r=1)
        net.out(kind, "x", short + "_lists", kernels=[2, 3], strides=[2, 2], pads=[1, 1, 0, 1])
        net.out(kind, "x", short + "_global", global_pooling=1)
        net.out(kind, "x", short + "_valid", kernel=3, stride=2, legacy_pad=1)
        net.out(kind, "x", short + "_same", kernel=3, stride=2, legacy_pad=2)
    net.out("AveragePool", "x", "average_with_pads", kernel=3, stride=2, pad=1, count_include_pad=1)
    net.run()


def legacy_pooling():
    net = Net("legacy_pooling")
    windows = [(3, 2, 0), (3, 2, 1), (2, 2, 0), (2, 2, 1), (3, 3, 1), (3, 1, 1), (5, 3, 2)]
    for size in range(5, 11):
        x = net.input("x%d" % size, 1, 2, size, size + 1, rows=1)
        for kind, short in [("MaxPool", "max"), ("AveragePool", "average")]:
            for kernel, stride, pad in windows:
                name = "%s_%d_k%d_s%d_p%d" % (short, size, kernel, stride, pad)
                net.out(kind, x, name, kernel=kernel, stride=stride, pad=pad, legacy_pad=3)
            # Only the pads at the beginning count.
            net.out(kind, x, "%s_%d_beginning" % (short, size), kernel=3, stride=2, pad_t=1, pad_l=0, pad_b=0, pad_r=2, legacy_pad=3)
    net.run()


def dense():
    net = Net("dense")
    net.input("x", 1, 6), net.input("x3", 1, 4, 6), net.input("x4", 1, 2, 3, 4)
    net.weight("w", 5, 6), net.weight("b", 5), net.weight("w_turned", 6, 5), net.weight("w24", 5, 24)
    net.weight("w_long", 2, 3, 6), net.weight("b6", 6), net.weight("w_image", 5, 2, 3, 4), net.weight("w12", 5, 12)
    net.out("FC", "x w b", "plain")
    net.out("FC", "x4 w24 b", "image")
    net.out("FC", "x3 w b", "two_axes_of_rows", axis=2)
    net.out("FC", "x3 w b", "from_the_end", axis=-1)
    net.out("FC", "x w_long b6", "weights_of_two_axes_of_rows", axis_w=2)
    net.out("FC", "x4 w_image b", "weights_of_an_image")
    net.out("FC", "x4 w12 b", "half_an_image", axis=2)
    net.out("FCTransposed", "x w_turned b", "turned")
    net.out("MatMul", "x w_turned", "product")
    net.out("MatMul", "x w", "product_turned", trans_b=1)
    net.out("MatMul", "x3 w_turned", "product_of_two_axes", axis_a=2)
    net.out("MatMul", "x x", "product_with_itself", trans_a=1)
    net.run()


def elementwise():
    net = Net("elementwise")
    net.input("x", 1, 3, 4, 5), net.input("m", 1, 6)
    for kind in ["Relu", "Sigmoid", "Tanh", "Softplus", "Softsign", "Exp", "Abs", "Floor", "Ceil", "Negative", "LeakyRelu", "Elu",
                 "Copy", "StopGradient", "Alias"]:
        net.out(kind, "m", kind.lower())
    net.out("Log", "exp", "log"), net.out("Sqrt", "abs", "sqrt")
    net.out("LeakyRelu", "m", "leaky_relu_of", alpha=0.3), net.out("Elu", "m", "elu_of", alpha=0.7)
    net.weight("slope1", 1), net.weight("slope3", 3), net.weight("slope6", 6)
    net.out("PRelu", "x slope1", "prelu_shared"), net.out("PRelu", "x slope3", "prelu_channels")
    net.out("PRelu", "m slope6", "prelu_columns")
    net.input("t", 1, 3, 4), net.out("PRelu", "t slope3", "prelu_three_axes")
    net.out("Clip", "m", "clip", min=-0.5, max=1.0), net.out("Clip", "m", "clip_below", min=0.0)
    net.out("Scale", "m", "scale", scale=-2.5)
    net.weight("c", 3), net.weight("hw", 4, 5), net.weight("ch", 3, 4), net.weight("w", 5), net.weight("one", 1)
    net.weight("c11", 3, 1, 1), net.weight("same", 1, 6)
    net.weight("chw", 1, 4, 5)
    for kind in ["Add", "Sub", "Mul", "Div"]:
        low = kind.lower()
        net.out(kind, "x c", low + "_channels", broadcast=1, axis=1)
        net.out(kind, "x hw", low + "_at_the_end", broadcast=1)
    net.out("Add", "x ch", "add_two_axes", broadcast=1, axis=1)
    net.weight("c1", 3, 1), net.weight("c_image", 1, 3, 1, 1)
    net.out("Add", "x c1", "add_an_axis_of_one", broadcast=1, axis=1), net.out("Sub", "x c_image", "sub_all_axes", broadcast=1)
    net.out("Add", "x c", "add_by_letter", broadcast=1, axis_str="C", order="NCHW")
    net.out("Add", "x w", "add_columns", broadcast=1, axis=3)
    net.out("Mul", "x one", "mul_by_one", broadcast=1, axis=1)
    net.out("Mul", "x one", "mul_by_one_at_the_end", broadcast=1)
    net.out("Add", "x c11", "add_as_numpy"), net.out("Mul", "x chw", "mul_as_numpy"), net.out("Add", "c11 x", "add_to_a_smaller_one")
    net.out("Add", "x x", "double"), net.out("Mul", "m m", "square")
    net.out("Sum", "m relu tanh", "sum"), net.out("Sum", "m", "sum_of_one")
    net.run()


def normalization():
    net = Net("normalization")
    net.input("x", 1, 7, 3, 4), net.input("m", 1, 7), net.input("t", 1, 3, 4)
    for name in ["scale", "bias", "mean"]:
        net.weight(name, 7)
    net.weight("variance", values=net.random.uniform(0.1, 2, 7).astype("float32"))
    net.out("SpatialBN", "x scale bias mean variance", "batch", is_test=1, order="NCHW")
    net.out("SpatialBN", "x scale bias mean variance", "batch_epsilon", is_test=1, epsilon=0.01, momentum=0.9)
    net.out("LRN", "x", "lrn3 lrn3_scale", size=3, alpha=0.7, beta=0.75, bias=1.0, order="NCHW")
    net.out("LRN", "x", "lrn5 lrn5_scale", size=5, alpha=0.0001, beta=0.75, bias=2.0)
    net.out("LRN", "x", "lrn1 lrn1_scale", size=1, alpha=1.5, beta=0.5, bias=1.0)
    net.out("Softmax", "m", "softmax"), net.out("Softmax", "x", "softmax_of_an_image")
    net.out("Softmax", "t", "softmax_from_the_end", axis=-1), net.out("Softmax", "t", "softmax_second", axis=1)
    net.out("Dropout", "m", "dropout dropout_mask", is_test=1, ratio=0.5)
    net.run()


def layout():
    net = Net("layout")
    net.input("x", 1, 4, 3, 5), net.input("m", 1, 6), net.input("one", 1, 1, 6)
    net.out("Concat", "x x", "concat concat_sizes", axis=1), net.out("Concat", "x x x", "concat_order concat_order_sizes", order="NCHW")
    net.out("Concat", "x x", "concat_last concat_last_sizes", axis=3), net.out("Concat", "m m", "stack stack_sizes", axis=1, add_axis=1)
    net.op("Split", "x", "half other_half", axis=1), net.op("Split", "x", "two one_more rest", axis=3, split=[2, 1, 2])
    net.give("half", "other_half", "two", "one_more", "rest")
    net.out("Reshape", "x", "reshaped reshaped_before", shape=[0, -1, 5]), net.give("reshaped_before")
    net.out("Reshape", "x", "reshaped_kept reshaped_kept_before", shape=[0, 2, 2, 15])
    net.out("Reshape", "x", "reshaped_rows reshaped_rows_before", shape=[-1, 15])
    net.weight("shape64", values=np.array([0, 20, 3], "int64")), net.weight("shape32", values=np.array([-1, 20], "int32"))
    net.out("Reshape", "x shape64", "reshaped_by_input b1"), net.out("Reshape", "x shape32", "reshaped_by_int32 b2")
    net.out("Flatten", "x", "flat"), net.out("Flatten", "x", "flat_rows", axis=2), net.out("Flatten", "x", "flat_column", axis=4)
    net.out("FlattenToVec", "x", "vector")
    net.out("Transpose", "x", "turned_round"), net.out("Transpose", "x", "turned", axes=[0, 2, 3, 1])
    net.out("Slice", "x", "slice", starts=[0, 1, 0, 0], ends=[-1, 3, -1, -1])
    net.out("Slice", "x", "slice_from_the_end", starts=[0, 0, 0, -4], ends=[-1, -1, -1, -2])
    net.out("Slice", "x", "slice_short", starts=[0, 2], ends=[-1, -1])
    net.out("Slice", "x", "slice_beyond", starts=[0, 3], ends=[-1, 99])
    net.out("Squeeze", "one", "squeezed", dims=[1]), net.out("ExpandDims", "m", "expanded", dims=[1, 3])
    net.out("ChannelShuffle", "x", "shuffled", group=2, kernel=1)
    net.out("ArgMax", "m", "largest", axis=1, keepdims=0), net.out("ArgMax", "x", "largest_channel", axis=1)
    net.out("ArgMax", "m", "largest_at_the_end")
    net.input("ties", 1, 4, values=np.array([[1, 3, 3, 2], [5, 5, 5, 5]], "float32")), net.out("ArgMax", "ties", "largest_first", axis=1)
    net.out("Concat", "x x", "concat_from_the_end concat_from_the_end_sizes", axis=-2)
    net.out("Cast", "m", "whole", to=10), net.out("Cast", "whole", "broken", to=1)
    net.run()


def fills():
    net = Net("fills")
    net.input("x", 1, 2)
    net.weight("floats", 2), net.weight("doubles", values=np.array([1.5, -2.25])), net.weight("int32", values=np.array([1, -7], "int32"))
    net.weight("int64", values=np.array([1 << 40, -9], "int64")), net.weight("bools", values=np.array([True, False]))
    net.weight("int16", values=np.array([300, -4], "int16"))
    net.fill("GivenTensorByteStringToUInt8Fill", "bytes", shape=[3], values=[bytes([1, 0, 255])])
    net.fill("ConstantFill", "sevens", shape=[2, 3], value=7.0), net.fill("ConstantFill", "zeros", shape=[4])
    net.fill("ConstantFill", "longs", shape=[2], value=3, dtype=10), net.fill("ConstantFill", "inferred", shape=[2], value=4)
    net.fill("ConstantFill", "int_constant", shape=[1], value=5, dtype=2), net.fill("ConstantFill", "scalar", shape=[], value=2.5)
    for name in ["floats", "doubles", "int32", "int64", "bools", "int16", "bytes", "sevens", "zeros", "longs", "inferred",
                 "int_constant", "scalar"]:
        net.out("Copy", name, name + "_copied")
    net.op("ConstantFill", "", "late", shape=[2], value=0.5)
    net.out("Add", "x late", "later", broadcast=1)
    net.run()


def in_place():
    """Blobs that are written over, as exporters do to save memory."""
    net = Net("in_place")
    net.input("x", 1, 3, 4, 4)
    net.weight("w", 3, 3, 3, 3), net.weight("b", 3), net.weight("s", 3)
    net.op("Conv", "x w b", "y", kernel=3, pad=1)
    net.op("Relu", "y", "y")
    net.op("Dropout", "y", "y mask", is_test=1)
    net.op("Add", "y s", "y", broadcast=1, axis=1)
    net.op("Negative", "x", "x")
    net.op("Sum", "x y", "sum")
    # A weight that is read, written and read again.
    net.op("Add", "s s", "s")
    net.op("Mul", "sum s", "sum", broadcast=1, axis=1)
    net.give("y", "sum", "s")
    net.run()


def conv(net, blob, name, channels, made, kernel, relu=True, bias=True, **arguments):
    group = arguments.get("group", 1)
    net.weight(name + "_w", made, channels // group, kernel, kernel)
    inputs = [blob, name + "_w"] + ([net.weight(name + "_b", made)] if bias else [])
    net.op("Conv", inputs, [name], kernel=kernel, order="NCHW", **arguments)
    return net.op("Relu", [name], [name]) if relu else name


def norm(net, blob, channels, relu=True):
    for part in ["s", "b", "rm"]:
        net.weight("%s_%s" % (blob, part), channels)
    net.weight(blob + "_riv", values=net.random.uniform(0.2, 1.5, channels).astype("float32"))
    parts = [blob] + ["%s_%s" % (blob, part) for part in ["s", "b", "rm", "riv"]]
    net.op("SpatialBN", parts, [blob + "_bn"], is_test=1, epsilon=1.00000001e-05, order="NCHW")
    return net.op("Relu", [blob + "_bn"], [blob + "_bn"]) if relu else blob + "_bn"


def fc(net, blob, name, taken, made):
    net.weight(name + "_w", made, taken), net.weight(name + "_b", made)
    return net.op("FC", [blob, name + "_w", name + "_b"], [name])


def squeezenet():
    net = Net("squeezenet")
    blob = conv(net, net.input("data", 1, 3, 19, 19), "conv1", 3, 6, 3, stride=2, pad=0)
    blob = net.op("MaxPool", blob, "pool1", kernel=3, stride=2, pad=0, legacy_pad=3, order="NCHW")
    for fire, taken in [("fire2", 6), ("fire3", 8)]:
        squeezed = conv(net, blob, fire + "/squeeze1x1", taken, 3, 1)
        one = conv(net, squeezed, fire + "/expand1x1", 3, 4, 1)
        three = conv(net, squeezed, fire + "/expand3x3", 3, 4, 3, pad=1)
        blob = net.op("Concat", [one, three], [fire + "/concat", "_%s/concat_dims" % fire], order="NCHW")
    blob = net.op("Dropout", [blob], [blob, "_dropout_mask"], ratio=0.5, is_test=1)
    blob = conv(net, blob, "conv10", 8, 5, 1, pad=0)
    blob = net.op("AveragePool", blob, "pool10", global_pooling=1, order="NCHW")
    net.out("Softmax", blob, "softmaxout")
    net.run()


def alexnet():
    net = Net("alexnet")
    blob = conv(net, net.input("data", 1, 3, 35, 35), "conv1", 3, 8, 11, stride=4, pad=0)
    blob = net.op("LRN", [blob], ["norm1", "_norm1_scale"], size=5, alpha=0.0001, beta=0.75, bias=1.0, order="NCHW")
    blob = net.op("MaxPool", blob, "pool1", kernel=3, stride=2, pad=0, legacy_pad=3)
    blob = conv(net, blob, "conv2", 8, 8, 5, group=2, pad=2, stride=1)
    blob = net.op("LRN", [blob], ["norm2", "_norm2_scale"], size=5, alpha=0.0001, beta=0.75, bias=1.0, order="NCHW")
    blob = conv(net, blob, "conv3", 8, 6, 3, group=2, pad=1)
    blob = net.op("MaxPool", blob, "pool5", kernel=3, stride=2, pad=0, legacy_pad=3)
    blob = fc(net, blob, "fc6", 6, 10)
    net.op("Relu", [blob], [blob])
    net.op("Dropout", [blob], [blob, "_fc6_mask"], ratio=0.5, is_test=1)
    net.out("Softmax", fc(net, blob, "fc8", 10, 7), "prob")
    net.run()


def vgg():
    net = Net("vgg")
    blob = conv(net, net.input("data", 1, 3, 12, 12), "conv1_1", 3, 4, 3, pad=1)
    blob = conv(net, blob, "conv1_2", 4, 4, 3, pad=1)
    blob = net.op("MaxPool", blob, "pool1", kernel=2, stride=2, pad=0, legacy_pad=3)
    blob = conv(net, blob, "conv2_1", 4, 6, 3, pad=1)
    blob = net.op("MaxPool", blob, "pool2", kernel=2, stride=2, pad=0, legacy_pad=3)
    blob = fc(net, blob, "fc6", 54, 12)
    net.op("Relu", [blob], [blob])
    net.op("Dropout", [blob], [blob, "_mask"], ratio=0.5, is_test=1)
    net.out("Softmax", fc(net, blob, "fc8", 12, 9), "prob")
    net.run()


def resnet():
    net = Net("resnet50")
    blob = conv(net, net.input("gpu_0/data", 1, 3, 15, 15), "gpu_0/conv1", 3, 4, 7, relu=False, bias=False, stride=2, pad=3)
    blob = norm(net, blob, 4)
    blob = net.op("MaxPool", blob, "gpu_0/pool1", kernel=3, stride=2, pad=1)
    for number, taken, stride in [(0, 4, 1), (1, 8, 2)]:
        name = "gpu_0/comp_%d" % number
        left = norm(net, conv(net, blob, name + "_conv_1", taken, 3, 1, relu=False, bias=False), 3)
        left = norm(net, conv(net, left, name + "_conv_2", 3, 3, 3, relu=False, bias=False, stride=stride, pad=1), 3)
        left = norm(net, conv(net, left, name + "_conv_3", 3, 8, 1, relu=False, bias=False), 8, relu=False)
        right = norm(net, conv(net, blob, "gpu_0/shortcut_%d" % number, taken, 8, 1, relu=False, bias=False, stride=stride), 8,
                     relu=False)
        # The sum goes where its first part was, as the exporter writes it.
        blob = net.op("Sum", [left, right], [left])
        net.op("Relu", [blob], [blob])
    blob = net.op("AveragePool", blob, "gpu_0/final_avg", kernel=2, stride=1)
    net.out("Softmax", fc(net, blob, "gpu_0/pred", 8, 6), "gpu_0/softmax")
    net.run()


def inception_v1():
    net = Net("inception_v1")
    blob = conv(net, net.input("data", 1, 3, 21, 21), "conv1/7x7_s2", 3, 4, 7, stride=2, pad=3)
    blob = net.op("MaxPool", blob, "pool1/3x3_s2", kernel=3, stride=2, pad=0, legacy_pad=3)
    blob = net.op("LRN", [blob], ["pool1/norm1", "_pool1/norm1_scale"], size=5, alpha=0.0001, beta=0.75, bias=1.0)
    one = conv(net, blob, "inception_3a/1x1", 4, 3, 1)
    three = conv(net, conv(net, blob, "inception_3a/3x3_reduce", 4, 2, 1), "inception_3a/3x3", 2, 3, 3, pad=1)
    five = conv(net, conv(net, blob, "inception_3a/5x5_reduce", 4, 2, 1), "inception_3a/5x5", 2, 2, 5, pad=2)
    pool = net.op("MaxPool", blob, "inception_3a/pool", kernel=3, stride=1, pad=1, legacy_pad=3)
    pool = conv(net, pool, "inception_3a/pool_proj", 4, 2, 1)
    blob = net.op("Concat", [one, three, five, pool], ["inception_3a/output", "_inception_3a/output_dims"], order="NCHW")
    blob = net.op("AveragePool", blob, "pool5/7x7_s1", kernel=3, stride=3, legacy_pad=3)
    blob = net.op("Dropout", [blob], [blob, "_pool5_mask"], ratio=0.4, is_test=1)
    net.out("Softmax", fc(net, blob, "loss3/classifier", 40, 6), "prob")
    net.run()


def inception_v2():
    """Normalisations whose scales came as Caffe's own layers: a product and a sum along the channels."""
    net = Net("inception_v2")

    def scaled(blob, channels):
        net.weight(blob + "_mul", channels), net.weight(blob + "_add", channels)
        net.op("Mul", [blob, blob + "_mul"], [blob + "_scaled"], broadcast=1, axis=1)
        net.op("Add", [blob + "_scaled", blob + "_add"], [blob + "_scaled"], broadcast=1, axis=1)
        return net.op("Relu", [blob + "_scaled"], [blob + "_scaled"])

    blob = conv(net, net.input("data", 1, 3, 14, 14), "conv1", 3, 4, 7, relu=False, stride=2, pad=3)
    blob = scaled(norm(net, blob, 4, relu=False), 4)
    blob = net.op("MaxPool", blob, "pool1", kernel=3, stride=2, pad=0, legacy_pad=3)
    one = scaled(norm(net, conv(net, blob, "a/1x1", 4, 3, 1, relu=False), 3, relu=False), 3)
    double = scaled(norm(net, conv(net, blob, "a/double_reduce", 4, 2, 1, relu=False), 2, relu=False), 2)
    double = scaled(norm(net, conv(net, double, "a/double_1", 2, 3, 3, relu=False, pad=1), 3, relu=False), 3)
    pool = net.op("AveragePool", blob, "a/pool", kernel=3, stride=1, pad=1, legacy_pad=3)
    blob = net.op("Concat", [one, double, pool], ["a/output", "_a/output_dims"], axis=1)
    blob = net.op("AveragePool", blob, "global_pool", global_pooling=1)
    net.out("Softmax", fc(net, blob, "fc", 10, 5), "prob")
    net.run()


def mobilenet():
    net = Net("mobilenet")
    blob = norm(net, conv(net, net.input("data", 1, 3, 16, 16), "conv1", 3, 4, 3, relu=False, bias=False, stride=2, pad=1), 4)
    for number, taken, made, stride in [(2, 4, 6, 1), (3, 6, 8, 2)]:
        blob = conv(net, blob, "conv%d/dw" % number, taken, taken, 3, relu=False, bias=False, stride=stride, pad=1, group=taken)
        blob = norm(net, blob, taken)
        blob = norm(net, conv(net, blob, "conv%d/sep" % number, taken, made, 1, relu=False, bias=False), made)
    # MobileNet v2: an expansion that is clipped, and a shortcut around it.
    left = norm(net, conv(net, blob, "expand", 8, 16, 1, relu=False, bias=False), 16, relu=False)
    left = net.op("Clip", left, left, min=0.0, max=6.0)
    left = norm(net, conv(net, left, "depth", 16, 16, 3, relu=False, bias=False, pad=1, group=16), 16, relu=False)
    left = norm(net, conv(net, net.op("Clip", left, left, min=0.0, max=6.0), "narrow", 16, 8, 1, relu=False, bias=False), 8, relu=False)
    blob = net.op("Add", [left, blob], ["added"])
    blob = net.op("AveragePool", blob, "pool6", global_pooling=1)
    blob = conv(net, blob, "fc7", 8, 5, 1, relu=False)
    blob = net.op("Squeeze", blob, "flat", dims=[2, 3])
    net.out("Softmax", blob, "prob")
    net.run()


def shufflenet():
    net = Net("shufflenet")
    blob = conv(net, net.input("data", 1, 3, 12, 12), "conv1", 3, 6, 3, stride=2, pad=1)
    left = norm(net, conv(net, blob, "gconv1", 6, 4, 1, relu=False, bias=False, group=2), 4)
    left = net.op("ChannelShuffle", left, "shuffled", group=2, kernel=1)
    left = norm(net, conv(net, left, "depth", 4, 4, 3, relu=False, bias=False, stride=2, pad=1, group=4), 4, relu=False)
    left = norm(net, conv(net, left, "gconv2", 4, 6, 1, relu=False, bias=False, group=2), 6, relu=False)
    right = net.op("AveragePool", blob, "shortcut", kernel=3, stride=2, pad=1)
    blob = net.op("Concat", [right, left], ["joined", "_joined_dims"], axis=1)
    net.op("Relu", [blob], [blob])
    blob = net.op("AveragePool", blob, "final", global_pooling=1)
    blob = net.op("Reshape", [blob], ["vector", "_before"], shape=[0, 12])
    net.out("Softmax", fc(net, blob, "fc", 12, 5), "prob")
    net.run()


def conformance():
    """The nets of the suite that all backends pass; it knows by hand what they make."""

    def net(name, **inputs):
        made = Net(name, MODELS)
        for blob, (dtype, dims) in inputs.items():
            made.predict.external_input.append(blob)
            made.info[blob] = [TYPES[dtype], dims]
        return made

    for name in TYPES:
        identity = net("identity_" + name, x=(name, [-1]))
        identity.out("Copy", "x", "y")
        identity.write()
    double = net("double", x=("float32", [1, 4]))
    double.out("Add", "x x", "y")
    double.write()
    two = net("two_by_two", a=("float32", [1, -1]), b=("float32", [1, -1]))
    two.out("Add", "a b", "sum")
    two.op("Mul", "a b", "product")
    two.out("Cast", "product", "whole", to=TYPES["int64"])
    two.write()
    scalar = net("scalar", x=("float32", []))
    scalar.out("Negative", "x", "y")
    scalar.write()
    first = net("first", x=("float32", [-1]))
    first.out("Slice", "x", "y", starts=[0], ends=[1])
    first.write()
    pairs = net("pairs", x=("float32", [1, 4]))
    pairs.out("Reshape", "x", "y y_before", shape=[-1, 8])
    pairs.write()
    # For rows of one number: 2 and no other is what the net is made for.
    fixed = net("fixed_rows", x=("float32", [2, 6]))
    fixed.out("Reshape", "x", "y y_before", shape=[3, 4])
    fixed.write()


if __name__ == "__main__":
    workspace.GlobalInit(["make", "--caffe2_log_level=2"])
    for make in [convolution, transposed, pooling, legacy_pooling, dense, elementwise, normalization, layout, fills, in_place,
                 squeezenet, alexnet, vgg, resnet, inception_v1, inception_v2, mobilenet, shufflenet, conformance]:
        make()
