"""GraphPipe messages from numpy and back, written from `docs/PROTOCOL.md` alone: the stream-ready order of its chapter 8.

A message is written as its head and the arrays themselves, which are sent from where they lie; reading shows arrays in
place. Numbers only: there are no strings in what is measured here. Whoever reads is this program's own client, so what
does not fit is a `ValueError`, and nothing else is promised.
"""

import struct

import numpy as np

FRAME_BYTES = 32
MAGIC = b"GPF1"
ALIGN = 64
INFER_REQUEST = 1
TYPES = {
    np.dtype(name): number
    for number, name in enumerate(("u1", "i1", "<u2", "<i2", "<u4", "<i4", "<u8", "<i8", "<f2", "<f4", "<f8"), 1)
}
TYPES[np.dtype("?")] = 13
NUMPY_TYPES = {number: dtype for dtype, number in TYPES.items()}


class Head:
    """The head of a message while it is written: fields that point forward are filled in when their target is there."""

    def __init__(self) -> None:
        self.out = bytearray()

    def align(self, size: int, offset: int = 0) -> None:
        """The byte `offset` behind here is at a multiple of `size`."""
        self.out += bytes(-(len(self.out) + offset) % size)

    def pack(self, form: str, *values) -> int:
        """Appends little-endian numbers; where they are."""
        at = len(self.out)
        self.out += struct.pack("<" + form, *values)
        return at

    def here(self, field: int) -> None:
        """The field points to what comes next."""
        struct.pack_into("<I", self.out, field, len(self.out) - field)

    def table(self, vtable: int) -> int:
        """Begins a table."""
        at = len(self.out)
        self.pack("i", at - vtable)
        return at

    def string(self, field: int, text: bytes) -> None:
        """A string and its NUL."""
        self.align(4)
        self.here(field)
        self.pack("I", len(text))
        self.out += text + b"\0"

    def strings(self, field: int, texts: list[bytes]) -> None:
        """A list of strings."""
        self.align(4)
        self.here(field)
        self.pack("I", len(texts))
        fields = [self.pack("I", 0) for _ in texts]
        for text_field, text in zip(fields, texts):
            self.string(text_field, text)

    def tensors(self, field: int, arrays: list[np.ndarray]) -> list[int]:
        """A list of tensors, their shapes included; the fields of their payloads."""
        self.align(4)
        self.here(field)
        self.pack("I", len(arrays))
        fields = [self.pack("I", 0) for _ in arrays]
        vtable = self.pack("5H", 10, 13, 12, 4, 8)
        shapes, payloads = [], []
        for tensor_field, array in zip(fields, arrays):
            self.align(4)
            self.here(tensor_field)
            self.table(vtable)
            shapes.append(self.pack("I", 0))
            payloads.append(self.pack("I", 0))
            self.pack("B", TYPES[array.dtype])
        for shape_field, array in zip(shapes, arrays):
            self.align(8, 4)
            self.here(shape_field)
            self.pack(f"I{array.ndim}q", array.ndim, *array.shape)
        return payloads

    def parts(self, fields: list[int], arrays: list[np.ndarray]) -> list:
        """The whole message as buffers: the head, then payloads with the gaps between them."""
        arrays = [np.ascontiguousarray(array) for array in arrays]
        for field, array in zip(fields, arrays):
            if array.nbytes == 0:
                self.align(4)
                self.here(field)
                self.pack("I", 0)
        parts, length = [self.out], len(self.out)
        for field, array in zip(fields, arrays):
            if array.nbytes == 0:
                continue
            gap = -(length + 4) % ALIGN
            at = length + gap
            struct.pack_into("<I", self.out, field, at - field)
            piece = bytes(gap) + struct.pack("<I", array.nbytes)
            if len(parts) == 1:
                self.out += piece
            else:
                parts.append(piece)
            parts.append(memoryview(array).cast("B"))
            length = at + 4 + array.nbytes
        return parts


def write_infer_request(
    inputs: list[np.ndarray], model: str = "", input_names: list[str] = (), output_names: list[str] = ()
) -> list:
    """A `Request` with an `InferRequest`, as buffers of which the first is the head."""
    head = Head()
    root = head.pack("I", 0)
    vtable = head.pack("4H", 8, 12, 11, 4)
    head.here(root)
    head.table(vtable)
    request = head.pack("I", 0)
    head.pack("3xB", INFER_REQUEST)
    fields = 5 if model else 4
    vtable = head.pack(f"{2 + fields}H", 4 + 2 * fields, 4 + 4 * fields, *range(4, 4 + 4 * fields, 4))
    head.align(4)
    head.here(request)
    head.table(vtable)
    config, names, tensors, outputs, *extension = (head.pack("I", 0) for _ in range(fields))
    payloads = head.tensors(tensors, inputs)
    head.strings(names, [name.encode() for name in input_names])
    head.strings(outputs, [name.encode() for name in output_names])
    head.string(config, b"")
    for field in extension:
        head.string(field, model.encode())
    return head.parts(payloads, inputs)


def write_infer_response(outputs: list[np.ndarray]) -> list:
    """An `InferResponse`, as buffers of which the first is the head."""
    head = Head()
    root = head.pack("I", 0)
    vtable = head.pack("3H", 6, 8, 4)
    head.align(4)
    head.here(root)
    head.table(vtable)
    tensors = head.pack("I", 0)
    return head.parts(head.tensors(tensors, outputs), outputs)


def write_frame(parts: list, number: int) -> list:
    """The header of a frame, and the message."""
    length = sum(len(part) for part in parts)
    head = len(parts[0])
    return [struct.pack("<4s3I2Q", MAGIC, length, head, 0, number, 0), *parts]


def read_frame(header: bytes) -> tuple[int, bool, int]:
    """Of a frame's header: bytes of the message, whether it is an error, and the id."""
    magic, length, _, flags, number, _ = struct.unpack("<4s3I2Q", header)
    if magic != MAGIC:
        raise ValueError(f"{magic!r} begins no frame")
    return length, bool(flags & 1), number


class Table:
    """A table of a message that has arrived."""

    def __init__(self, message: memoryview, at: int) -> None:
        self.message, self.at = message, at
        self.vtable = at - unpack("<i", message, at)
        self.fields = (unpack("<H", message, self.vtable) - 4) // 2

    def field(self, number: int) -> int:
        """Where a field is; 0 if it is absent."""
        offset = unpack("<H", self.message, self.vtable + 4 + 2 * number) if number < self.fields else 0
        return self.at + offset if offset else 0

    def target(self, number: int) -> int:
        """Where a field points to; 0 if it is absent."""
        field = self.field(number)
        return field + unpack("<I", self.message, field) if field else 0

    def count(self, number: int) -> tuple[int, int]:
        """The elements of a vector, and where the first one is."""
        at = self.target(number)
        return (unpack("<I", self.message, at), at + 4) if at else (0, 0)

    def text(self, number: int) -> bytes:
        """A string."""
        count, at = self.count(number)
        return bytes(self.message[at : at + count])

    def tables(self, number: int) -> list["Table"]:
        """A list of tables."""
        count, at = self.count(number)
        fields = range(at, at + 4 * count, 4)
        return [Table(self.message, field + unpack("<I", self.message, field)) for field in fields]

    def array(self) -> np.ndarray:
        """This table as a tensor, in place."""
        field = self.field(0)
        number = unpack("<B", self.message, field) if field else 0
        if number not in NUMPY_TYPES:
            raise ValueError(f"a tensor of type {number}")
        rank, at = self.count(1)
        shape = np.frombuffer(self.message, "<i8", rank, at) if rank else ()
        length, at = self.count(2)
        payload = np.frombuffer(self.message[at : at + length], NUMPY_TYPES[number])
        return payload.reshape(tuple(int(size) for size in shape))


def unpack(form: str, message: memoryview, at: int) -> int:
    """One number; a position outside of the message is an error."""
    if at < 0:
        raise ValueError(f"position {at}")
    try:
        return struct.unpack_from(form, message, at)[0]
    except struct.error as error:
        raise ValueError(str(error)) from error


def root_of(message) -> Table:
    """The root table."""
    view = memoryview(message)
    return Table(view, unpack("<I", view, 0))


def read_infer_request(message) -> list[np.ndarray]:
    """The inputs, in place."""
    root = root_of(message)
    kind = root.field(0)
    if not kind or unpack("<B", root.message, kind) != INFER_REQUEST:
        raise ValueError("not a request for an inference")
    return [tensor.array() for tensor in Table(root.message, root.target(1)).tables(2)]


def read_infer_response(message) -> list[np.ndarray]:
    """The outputs, in place. An error that the server sent is a `ValueError` with its words."""
    root = root_of(message)
    for error in root.tables(1):
        raise ValueError(error.text(1).decode(errors="replace"))
    return [tensor.array() for tensor in root.tables(0)]
