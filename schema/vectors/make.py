#!/usr/bin/env python3
"""Makes the golden vectors: NAME.bin is a message or frame, NAME.json says what it is and what it decodes to.

Nothing here uses the project's own code. Vectors named `python_*` are written by the original GraphPipe client; the others
are laid out here by hand, byte for byte: as other clients and servers lay out theirs (`go_*`, `cpp_*`), as
docs/PROTOCOL.md describes ours (`ours_*`), and as nobody does but anybody may (`odd_*`), or must not (`bad_*`).

    python3 -m venv venv
    venv/bin/pip install graphpipe==1.0.4 flatbuffers==1.9.0
    venv/bin/pip install -U requests urllib3 idna
    venv/bin/python schema/vectors/make.py

In the JSON, a byte string that is not UTF-8 is {"hex": "..."}; `data` is always hex; `data_at` is where it begins.
"""

import json
import pathlib
import struct

import numpy as np
from graphpipe import convert

HERE = pathlib.Path(__file__).resolve().parent
SIZES = {
    "uint8": 1, "int8": 1, "uint16": 2, "int16": 2, "uint32": 4, "int32": 4, "uint64": 8, "int64": 8,
    "float16": 2, "float32": 4, "float64": 8, "string": None, "bool": 1, "bfloat16": 2,
}
NUMBERS = {name: number for number, name in enumerate(SIZES, 1)}


class Layout:
    """A message written by hand: numbers, labels, and distances between them."""

    def __init__(self):
        self.out = bytearray()
        self.labels = {}
        self.forward = []
        self.back = []

    def at(self, position):
        """The next byte is at this position: zeros up to there."""
        assert len(self.out) <= position, f"already at {len(self.out)}, past {position}"
        self.out += bytes(position - len(self.out))
        return self

    def label(self, name):
        assert name not in self.labels, name
        self.labels[name] = len(self.out)
        return self

    def to(self, *names):
        """Offsets: the distance from each to its label."""
        for name in names:
            self.forward.append((len(self.out), name))
            self.out += bytes(4)
        return self

    def vtable_of(self, name):
        """The beginning of a table: the distance back to its vtable."""
        self.back.append((len(self.out), name))
        self.out += bytes(4)
        return self

    def raw(self, value):
        self.out += value
        return self

    def u8(self, *values):
        return self.raw(struct.pack(f"<{len(values)}B", *values))

    def u16(self, *values):
        return self.raw(struct.pack(f"<{len(values)}H", *values))

    def u32(self, *values):
        return self.raw(struct.pack(f"<{len(values)}I", *values))

    def i64(self, *values):
        return self.raw(struct.pack(f"<{len(values)}q", *values))

    def text(self, value, nul=True):
        value = value if isinstance(value, bytes) else value.encode()
        self.u32(len(value)).raw(value)
        if nul:
            self.u8(0)
        return self

    def done(self, length):
        for place, name in self.forward:
            struct.pack_into("<I", self.out, place, self.labels[name] - place)
        for place, name in self.back:
            struct.pack_into("<i", self.out, place, place - self.labels[name])
        assert len(self.out) == length, f"{len(self.out)} bytes, not {length}"
        return bytes(self.out)


def hexed(value):
    if isinstance(value, str):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"hex": value.hex()}


def tensor(kind, shape, data=None, data_at=None, strings=None):
    facts = {"type": kind, "shape": list(shape)}
    if strings is not None:
        facts["strings"] = [hexed(value) for value in strings]
    else:
        facts["data"] = data.hex()
        facts["data_at"] = data_at
    return facts


def infer(inputs, **fields):
    facts = {
        "config": "", "input_names": [], "inputs": inputs, "output_names": [], "model": "", "version": "",
        "deadline_us": 0, "priority": 0, "trace_id": "",
    }
    assert set(fields) <= set(facts), fields
    return {**facts, **fields}


def emit(name, kind, what, message, decodes):
    (HERE / f"{name}.bin").write_bytes(message)
    facts = {"kind": kind, "what": what, "bytes": len(message), "decodes": decodes}
    (HERE / f"{name}.json").write_text(json.dumps(facts, indent=2, ensure_ascii=True) + "\n")


def f32(*values):
    return np.array(values, dtype="<f4").tobytes()


def python_request(name, what, arrays, length=None, **fields):
    message = bytes(convert.serialize_infer_request(convert.InferReq(
        fields.get("config"), arrays, fields.get("input_names"), fields.get("output_names"))))
    assert length in (None, len(message)), len(message)
    inputs, after = [], 0
    for array in arrays:
        if array.dtype.kind in "SUO":
            strings = [s if isinstance(s, bytes) else str(s).encode() for s in array.flat]
            inputs.append(tensor("string", array.shape, strings=strings))
            continue
        data = array.tobytes()
        # The vector's count stands before its bytes; with these values no other place looks the same.
        found = message.index(struct.pack("<I", len(data)) + data, after) + 4
        after = found + len(data)
        inputs.append(tensor(array.dtype.name, array.shape, data, found))
    emit(name, "infer_request", what, message, infer(inputs, **fields))


def python():
    python_request("python_f32", "one input; its shape is behind its data and not aligned",
                   [np.arange(1, 7, dtype="f4").reshape(2, 3)], length=156)
    python_request("python_named", "named input and output, options",
                   [np.arange(1, 7, dtype="f4").reshape(2, 3)],
                   input_names=["x:0"], output_names=["y"], config='{"debug":true}')
    python_request("python_two", "two inputs, two outputs",
                   [np.arange(1, 9, dtype="i8").reshape(2, 4), np.arange(1, 4, dtype="f2")],
                   input_names=["left", "right"], output_names=["sum", "difference"])
    python_request("python_strings", "strings: empty, embedded NUL, not UTF-8",
                   [np.array([b"foo", b"", b"a\x00b", b"ba\xff"], dtype=object).reshape(2, 2)])
    python_request("python_mixed", "a string input before a numeric one",
                   [np.array([b"one", b"two"], dtype=object), np.array([7, 8, 9], dtype="u2")])
    python_request("python_scalar", "rank 0", [np.array(0.42)])
    python_request("python_f64", "the shape and the data are both not aligned", [np.array([[1.0, 2.0], [3.0, 4.0]])])
    for number, kind in enumerate(["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8"], 1):
        python_request(f"python_type_{number}", f"element type {number}",
                       [np.array([1, 2, 3], dtype=kind)])

    message = bytes(convert.serialize_infer_request(convert.InferReq(None, [np.zeros((0, 3), "f4")], None, None)))
    emit("python_empty", "infer_request", "no elements: the data is there, of length 0", message,
         infer([tensor("float32", (0, 3), b"", 104)]))

    message = bytes(convert.serialize_metadata_request())
    assert message.hex() == "0c00000008000c000b000400080000000c000000000000020400040004000000"
    emit("python_metadata", "metadata_request", "what every client sends", message, {"model": "", "version": ""})

    array = np.arange(1, 7, dtype="f4").reshape(3, 2)
    message = bytes(convert.serialize_infer_response([array]))
    found = message.index(array.tobytes())
    emit("python_reply", "infer_response", "a reply of the original Python example server", message,
         {"outputs": [tensor("float32", (3, 2), array.tobytes(), found)], "error": None})


def head_of_request(message, req_type=1, at=12):
    """A root at `at`, the vtable of a Request before it, and a Request of 12 bytes."""
    message.to("request").at(at - 8).label("request'").u16(8, 12, 11, 4)
    return message.label("request").vtable_of("request'").to("req").u8(0, 0, 0, req_type)


def go():
    data = f32(1, 2, 3, 4, 5, 6)
    message = head_of_request(Layout())
    message.label("infer'").u16(12, 20, 4, 16, 8, 12)
    message.label("req").vtable_of("infer'").to("config", "tensors", "output_names", "input_names")
    message.at(56).label("config").text("").at(64).label("tensors").u32(1).to("tensor")
    message.label("tensor'").u16(10, 16, 15, 8, 4).at(84)
    message.label("tensor").vtable_of("tensor'").to("data", "shape").u8(0, 0, 0, 10)
    message.label("shape").u32(2).i64(2, 3).at(124).label("data").u32(24).raw(data)
    message.label("output_names").u32(0).label("input_names").u32(0)
    emit("go_f32", "infer_request", "as the Go client does: the shape before the data, the names last",
         message.done(160), infer([tensor("float32", (2, 3), data, 128)]))

    message = head_of_request(Layout())
    message.label("infer'").u16(12, 20, 4, 16, 8, 12)
    message.label("req").vtable_of("infer'").to("config", "tensors", "output_names", "input_names")
    message.label("config").text("").at(64).label("tensors").u32(1).to("tensor")
    message.label("tensor'").u16(12, 16, 15, 8, 0, 4).at(84)
    message.label("tensor").vtable_of("tensor'").to("strings", "shape").u8(0, 0, 0, 12)
    message.label("shape").u32(1).i64(3).label("strings").u32(3).to("s0", "s1", "s2")
    # No byte between the end of a string and the length of the next: not a NUL, not a zero to align it.
    message.label("s2").text(b"ba\xff", nul=False).u8(0xEE)
    message.label("s1").text("", nul=False).label("s0").text("foo", nul=False).u8(0xEE)
    message.label("output_names").u32(0).label("input_names").u32(1).to("name").label("name").text("x").at(172)
    emit("go_strings", "infer_request", "strings without a NUL behind them, in reverse order",
         message.done(172), infer([tensor("string", (3,), strings=[b"foo", b"", b"ba\xff"])], input_names=["x"]))

    message = Layout().to("reply").label("reply'").u16(6, 8, 4).at(12)
    message.label("reply").vtable_of("reply'").to("tensors").label("tensors").u32(1).to("tensor")
    message.label("tensor'").u16(10, 16, 15, 8, 4).at(40)
    message.label("tensor").vtable_of("tensor'").to("data", "shape").u8(0, 0, 0, 10)
    message.at(56).label("shape").u32(2).i64(2, 3).at(80).label("data").u32(24).raw(data)
    emit("go_reply", "infer_response", "as the Go servers do: no errors field, the shape not aligned",
         message.done(108), {"outputs": [tensor("float32", (2, 3), data, 84)], "error": None})

    message = Layout().to("reply").label("reply'").u16(6, 8, 4).at(12)
    message.label("reply").vtable_of("reply'").to("tensors").label("tensors").u32(0)
    emit("go_reply_nothing", "infer_response", "no outputs", message.done(24), {"outputs": [], "error": None})


def cpp():
    first, second = f32(1, 2), bytes(range(1, 41))
    message = head_of_request(Layout(), at=16)
    message.at(28).label("infer'").u16(12, 20, 16, 12, 8, 4)
    message.label("req").vtable_of("infer'").to("output_names", "tensors", "input_names", "config")
    message.label("config").text("{}").at(68).label("input_names").u32(0).label("output_names").u32(0)
    message.label("tensors").u32(2).to("first", "second").label("tensor'").u16(10, 16, 15, 8, 4).at(100)
    message.label("second").vtable_of("tensor'").to("data1", "shape1").u8(0, 0, 0, 1)
    message.label("data1").u32(40).raw(second).label("shape1").u32(1).i64(40)
    message.label("first").vtable_of("tensor'").to("data0", "shape0").u8(0, 0, 0, 10)
    message.label("data0").u32(8).raw(first).label("shape0").u32(1).i64(2)
    emit("cpp_two", "infer_request", "as the C++ client does: the root at 16, the second tensor before the first",
         message.done(212), infer([tensor("float32", (2,), first, 192), tensor("uint8", (40,), second, 120)], config="{}"))


def odd():
    message = Layout().to("request").label("request'").u16(8, 9, 8, 4).label("req'").u16(4, 4)
    message.label("request").vtable_of("request'").to("req").u8(1).label("req").vtable_of("req'")
    emit("odd_nothing", "infer_request", "no field at all, and nothing aligned", message.done(29), infer([]))

    data = struct.pack("<2q", 5, -5)
    message = Layout().to("request").at(5).label("request").vtable_of("late'").to("req").u8(1)
    message.label("req").vtable_of("infer'").to("tensors").label("late'").u16(8, 9, 8, 4)
    message.label("infer'").u16(10, 8, 0, 0, 4).label("tensors").u32(2).to("tensor", "tensor")
    message.label("tensor'").u16(10, 16, 4, 8, 12).label("tensor").vtable_of("tensor'").u8(8, 1, 2, 3)
    message.to("shape", "data").label("shape").u32(1).i64(2).u8(9).label("data").u32(16).raw(data)
    emit("odd_shared", "infer_request", "nothing aligned, vtables behind their tables, one tensor given twice",
         message.done(len(message.out)), infer([tensor("int64", (2,), data, len(message.out) - 16)] * 2))


    data = bytes(range(1, 101))
    message = head_of_request(Layout()).label("infer'").u16(10, 8, 0, 0, 4).at(36)
    message.label("req").vtable_of("infer'").to("tensors").label("tensors").u32(2).to("numeric", "words")
    message.label("numeric'").u16(10, 16, 12, 4, 8, 0).label("words'").u16(12, 16, 12, 4, 0, 8)
    message.label("numeric").vtable_of("numeric'").to("shape0", "data").u32(1)
    message.label("words").vtable_of("words'").to("shape1", "strings").u32(12)
    message.label("shape0").u32(1).i64(100).u32(0).label("shape1").u32(1).i64(2)
    message.label("strings").u32(2).to("s0", "s1").label("data").u32(100).raw(data)
    message.label("s1").text("two").label("s0").text("one").at(272)
    emit("odd_strings_behind", "infer_request", "a payload between the offsets of strings and the strings",
         message.done(272), infer([tensor("uint8", (100,), data, 156), tensor("string", (2,), strings=[b"one", b"two"])]))


def ours_tensors(message, tensors):
    """The tensors of a stream-ready message, from the list to the last payload: docs/PROTOCOL.md, "Stream-ready order"."""
    message.label("tensors").u32(len(tensors)).to(*(f"tensor{i}" for i in range(len(tensors))))
    if any("data" in t for t in tensors):
        message.label("numeric'").u16(10, 13, 12, 4, 8, 0)
    if any("strings" in t for t in tensors):
        message.label("strings'").u16(12, 13, 12, 4, 0, 8)
    for i, t in enumerate(tensors):
        message.label(f"tensor{i}").vtable_of("numeric'" if "data" in t else "strings'")
        message.to(f"shape{i}", f"content{i}").u8(NUMBERS[t["type"]], 0, 0, 0)
    for i, t in enumerate(tensors):
        message.at(-(-(len(message.out) + 4) // 8) * 8 - 4).label(f"shape{i}").u32(len(t["shape"])).i64(*t["shape"])


def ours_contents(message, tensors):
    for i, t in enumerate(tensors):
        if "strings" in t:
            ours_strings(message, f"content{i}", t["strings"])
        elif not t["data"]:
            message.label(f"content{i}").u32(0)
            t["data_at"] = len(message.out)
    head = None
    for i, t in enumerate(tensors):
        if t.get("data"):
            message.at(-(-(len(message.out) + 4) // 64) * 64 - 4).label(f"content{i}").u32(len(t["data"]) // 2)
            t["data_at"] = len(message.out)
            head = head or len(message.out)
            message.raw(bytes.fromhex(t["data"]))
    return head or len(message.out)


def ours_text(message, label, value):
    value = bytes.fromhex(value["hex"]) if isinstance(value, dict) else value.encode()
    message.label(label).text(value).at(-(-len(message.out) // 4) * 4)


def ours_strings(message, label, values):
    message.label(label).u32(len(values)).to(*(f"{label}.{i}" for i in range(len(values))))
    for i, value in enumerate(values):
        ours_text(message, f"{label}.{i}", value)


EXTENSIONS = ["model", "version", "deadline_us", "priority", "trace_id"]


def ours_request(name, what, inputs, **fields):
    facts = infer(inputs, **fields)
    message = head_of_request(Layout()).label("infer'")
    if any(facts[field] for field in EXTENSIONS):
        places = [28, 32, 20, 40, 36]
        message.u16(22, 41, 4, 8, 12, 16, *(place if facts[field] else 0 for field, place in zip(EXTENSIONS, places)))
        message.at(52).label("req").vtable_of("infer'").to("config", "input_names", "tensors", "output_names")
        message.raw(struct.pack("<Q", facts["deadline_us"]))
        for field in ("model", "version", "trace_id"):
            message.to(field) if facts[field] else message.u32(0)
        message.u8(facts["priority"], 0, 0, 0)
    else:
        message.u16(12, 20, 4, 8, 12, 16)
        message.label("req").vtable_of("infer'").to("config", "input_names", "tensors", "output_names")
    ours_tensors(message, inputs)
    ours_strings(message, "input_names", facts["input_names"])
    ours_strings(message, "output_names", facts["output_names"])
    ours_text(message, "config", facts["config"])
    for field in ("model", "version", "trace_id"):
        if facts[field]:
            ours_text(message, field, facts[field])
    head = ours_contents(message, inputs)
    emit(name, "infer_request", what, message.done(len(message.out)), {**facts, "head": head})


def ours():
    data = f32(1, 2, 3, 4, 5, 6)
    ours_request("ours_f32", "one input", [tensor("float32", (2, 3), data)])
    ours_request("ours_all", "every field, a string input, an empty one, two with payloads, and gaps of 4 and 67",
                 [tensor("string", (2, 2), strings=[b"foo", b"", b"a\x00b", b"ba\xff"]),
                  tensor("uint8", (60,), bytes(range(60))),
                  tensor("float64", (0, 7), b""),
                  tensor("int8", (61,), bytes(range(61))),
                  tensor("bfloat16", (), b"\x80\x3f"),
                  tensor("bool", (3,), b"\x01\x00\x01")],
                 config='{"debug":true}', input_names=["words", "", "none", "bytes", "one", "flags"],
                 output_names=["last", "first"], model="digits", version="7", deadline_us=1_500_000, priority=200,
                 trace_id={"hex": "00ff10"})
    ours_request("ours_model", "one extension of five", [tensor("int64", (1,), struct.pack("<q", -1))], model="digits")

    message = head_of_request(Layout(), 2).label("metadata'").u16(8, 12, 4, 8)
    message.label("req").vtable_of("metadata'").to("model", "version")
    ours_text(message, "model", "digits")
    ours_text(message, "version", "7")
    emit("ours_metadata", "metadata_request", "of one model", message.done(len(message.out)),
         {"model": "digits", "version": "7"})

    outputs = [tensor("float32", (2, 3), data), tensor("string", (1,), strings=[b"seven"]), tensor("int32", (), b"\7\0\0\0")]
    message = Layout().to("reply").label("reply'").u16(6, 8, 4, 0)
    message.label("reply").vtable_of("reply'").to("tensors")
    ours_tensors(message, outputs)
    head = ours_contents(message, outputs)
    emit("ours_reply", "infer_response", "three outputs", message.done(len(message.out)),
         {"outputs": outputs, "error": None, "head": head})

    text = "input 'x' is float32[2,3], and the model takes float32[?,4]"
    message = Layout().to("reply").label("reply'").u16(8, 12, 4, 8)
    message.label("reply").vtable_of("reply'").to("tensors", "errors").label("tensors").u32(0)
    message.label("errors").u32(1).to("error").label("error'").u16(8, 16, 8, 4).at(48)
    message.label("error").vtable_of("error'").to("text").i64(4)
    ours_text(message, "text", text)
    emit("ours_error", "infer_response", "an error", message.done(len(message.out)),
         {"outputs": [], "error": {"code": 4, "message": text}, "head": len(message.out)})


def metadata():
    message = Layout().to("reply").label("reply'").u16(20, 36, 4, 8, 12, 16, 20, 24, 28, 32)
    message.label("reply").vtable_of("reply'")
    message.to("name", "version", "server", "description", "inputs", "outputs", "models").u32(64)
    ours_text(message, "name", "digits")
    ours_text(message, "version", "0.1.0")
    ours_text(message, "server", "graphpiped")
    ours_text(message, "description", "Handwritten digits")
    message.label("inputs").u32(1).to("in0").label("outputs").u32(2).to("out0", "out1")
    ours_strings(message, "models", ["digits", "echo"])
    message.label("io'").u16(12, 17, 4, 8, 12, 16)
    for label, name, kind in [("in0", "image", 10), ("out0", "label", 8), ("out1", "odd", 0)]:
        message.at(-(-len(message.out) // 4) * 4)
        message.label(label).vtable_of("io'").to(f"{label}.name", f"{label}.description", f"{label}.shape").u8(kind, 0, 0, 0)
        ours_text(message, f"{label}.name", name)
        ours_text(message, f"{label}.description", "")
        dims = [-1, 64] if label == "in0" else [-1] if label == "out0" else []
        message.at(-(-(len(message.out) + 4) // 8) * 8 - 4).label(f"{label}.shape").u32(len(dims)).i64(*dims)
    io = lambda name, kind, shape: {"name": name, "description": "", "type": kind, "shape": shape}
    emit("metadata_reply", "metadata_response", "one input, two outputs, one of a type that the protocol does not have",
         message.done(len(message.out)),
         {"name": "digits", "version": "0.1.0", "server": "graphpiped", "description": "Handwritten digits",
          "inputs": [io("image", "float32", [-1, 64])],
          "outputs": [io("label", "int64", [-1]), io("odd", "null", [])],
          "models": ["digits", "echo"], "batch_rows_max": 64})

    message = Layout().to("reply").label("reply'").u16(6, 8, 4).at(12)
    message.label("reply").vtable_of("reply'").to("name").label("name").text("x").at(28)
    emit("metadata_reply_little", "metadata_response", "nothing but a name", message.done(28),
         {"name": "x", "version": "", "server": "", "description": "", "inputs": [], "outputs": [], "models": [],
          "batch_rows_max": 0})


    def shared(name, what, field, count, io, where, text):
        """A list of entries that are all the same table, or the same string."""
        message = Layout().to("reply").label("reply'").u16(18, 8, *(4 if i == field else 0 for i in range(7)), 0)
        message.label("reply").vtable_of("reply'").to("list").label("list").u32(count).to(*["entry"] * count)
        if io is None:
            message.label("entry").text("").at(-(-len(message.out) // 4) * 4)
        else:
            text_bytes, rank = io
            message.label("io'").u16(12, 12, 4, 0, 8, 0).label("entry").vtable_of("io'").to("name", "shape")
            message.label("name").text("x" * text_bytes).label("shape").u32(rank).i64(*[1] * rank)
        at = message.labels[where] if where in message.labels else where
        emit(name, "bad_metadata", what, message.done(len(message.out)), {"at": at, "what": text})

    longer = "texts that together are longer than the message"
    shared("bad_metadata_texts", "ten inputs that share a name of 100 bytes", 4, 10, (100, 0), "entry", longer)
    shared("bad_metadata_outputs", "100 outputs that share one table without a name", 5, 100, (0, 0), "entry", longer)
    shared("bad_metadata_models", "100 models that share an empty name", 6, 100, None, "entry", longer)
    shared("bad_metadata_rank", "an input of 17 dimensions", 4, 1, (1, 17), "shape",
           "a shape of more than 16 dimensions")


def frames():
    def frame(name, what, words, decodes, magic=b"GPF1"):
        emit(name, "frame", what, magic + struct.pack("<IIIQQ", *words), decodes)

    header = lambda length, head, flags, number: {"length": length, "head": head, "flags": flags, "id": number}
    frame("frame_request", "before ours_f32: 216 bytes, the last 24 of which are payload", (216, 192, 0, 7, 0),
          header(216, 192, 0, 7))
    frame("frame_error", "before ours_error, the reply to that", (128, 128, 1, 7, 0), header(128, 128, 1, 7))
    frame("frame_id", "an id of 64 bits", (0, 0, 0, 0x0123456789ABCDEF, 0), header(0, 0, 0, 0x0123456789ABCDEF))
    frame("frame_largest", "the longest message, its head unknown", (2**31 - 1, 0, 0, 2**64 - 1, 0),
          header(2**31 - 1, 0, 0, 2**64 - 1))
    frame("bad_frame_magic", "not a frame", (0, 0, 0, 0, 0), {"error": "magic"}, magic=b"POST")
    frame("bad_frame_flags", "a flag that is not defined", (0, 0, 2, 0, 0), {"error": "flags"})
    frame("bad_frame_reserved", "a reserved word that is not 0", (0, 0, 0, 0, 1 << 63), {"error": "reserved"})
    frame("bad_frame_length", "a message of 2 GiB", (2**31, 0, 0, 0, 0), {"error": "length"})
    frame("bad_frame_head", "a head that is longer than its message", (100, 101, 0, 0, 0), {"error": "head"})


def bad():
    good = (HERE / "python_f32.bin").read_bytes()

    def edit(name, what, at, value, where, text):
        message = bytearray(good)
        message[at:at + len(value)] = value
        emit(name, "bad_request", what, bytes(message), {"at": where, "what": text})

    word = lambda value: struct.pack("<I", value)
    edit("bad_root", "a root beyond the end", 0, word(2**32 - 1), 0, "an offset beyond the end of the message")
    edit("bad_root_zero", "a root that points to itself", 0, word(0), 0, "an offset of 0")
    edit("bad_root_end", "a root of which only three bytes are there", 0, word(153), 0,
         "an offset beyond the end of the message")
    edit("bad_names", "25 names, and room for 24", 0x38, word(25), 0x38,
         "a vector that is longer than the rest of the message")
    edit("bad_tag_none", "a request of no type", 0x17, b"\0", 0x17,
         "a request that is neither an inference (1) nor for metadata (2)")
    edit("bad_tag_unknown", "a request of a third type", 0x17, b"\3", 0x17,
         "a request that is neither an inference (1) nor for metadata (2)")
    edit("bad_type_null", "a tensor of type Null", 0x5F, b"\0", 0x5F, "an unknown element type")
    edit("bad_type_unknown", "a tensor of type 15", 0x5F, b"\x0f", 0x5F, "an unknown element type")
    edit("bad_vtable", "a vtable before the message", 0x0C, word(1000), 0x0C,
         "a table whose vtable is outside of the message")
    edit("bad_vtable_odd", "a vtable of 7 bytes", 0x04, b"\7\0", 0x04, "a vtable of an impossible size")
    edit("bad_tensors", "2^32 - 1 tensors", 0x40, word(2**32 - 1), 0x40,
         "a vector that is longer than the rest of the message")
    edit("bad_data", "a payload of 2^32 - 1 bytes", 0x64, word(2**32 - 1), 0x64,
         "a vector that is longer than the rest of the message")
    edit("bad_rank", "2^32 - 1 dimensions", 0x80, word(2**32 - 1), 0x80,
         "a vector that is longer than the rest of the message")
    edit("bad_dimension", "a dimension of -1", 0x84, struct.pack("<q", -1), 0x84, "a negative dimension")
    edit("bad_product", "a shape of 2^62 x 3 floats", 0x84, struct.pack("<q", 2**62), 0x84,
         "a shape whose size overflows")

    def one_tensor(name, what, kind, rank, data, strings, where, text):
        message = head_of_request(Layout()).label("infer'").u16(10, 8, 0, 0, 4).at(36)
        message.label("req").vtable_of("infer'").to("tensors").label("tensors").u32(1).to("tensor")
        message.label("tensor'").u16(12, 20, 16, 4, 8, 12).label("tensor").vtable_of("tensor'")
        message.to("shape", "data", "strings").u8(kind, 0, 0, 0)
        message.label("data").u32(len(data)).raw(data).label("strings").u32(len(strings))
        message.to(*strings).label("").u32(0).label("shape").u32(rank).i64(*[1] * rank)
        emit(name, "bad_request", what, message.done(len(message.out)), {"at": message.labels[where], "what": text})

    one_tensor("bad_rank_17", "17 dimensions", 1, 17, b"\1", [], "shape", "a shape of more than 16 dimensions")
    one_tensor("bad_string_data", "a string tensor with data", 12, 1, b"\1", [""], "data", "a string tensor with data")
    one_tensor("bad_numeric_strings", "a numeric tensor with strings", 1, 1, b"\1", [""], "strings",
               "strings in a tensor of another type")

    message = head_of_request(Layout()).label("infer'").u16(8, 8, 0, 4).label("req").vtable_of("infer'").to("names")
    message.label("names").u32(65).to(*[""] * 65).label("").u32(0)
    emit("bad_names_65", "bad_request", "65 names, all of them the same", message.done(len(message.out)),
         {"at": message.labels["names"], "what": "a list of more than 64 names"})
    emit("bad_empty", "bad_request", "no bytes", b"",
         {"at": 0, "what": "a message without the 4 bytes of its root offset"})
    emit("bad_zeros", "bad_request", "64 zeros", bytes(64), {"at": 0, "what": "an offset of 0"})


python()
go()
cpp()
odd()
ours()
metadata()
frames()
bad()
print(len(list(HERE.glob("*.bin"))), "vectors")
