#!/usr/bin/env python3
"""Makes the small models that the tests of the PyTorch backend run.

    python3 -m venv VENV && VENV/bin/pip install torch==2.11.0 numpy && VENV/bin/python make.py

The files are written beside this script and are committed: the tests need no Python, of which PyTorch takes 5 GB. The package
of AOTInductor is machine code, and takes a C++ compiler; it is made for every x86-64 processor, without the vector instructions
of the one that compiles.
"""

import shutil
import subprocess
import tempfile
import zipfile
from pathlib import Path
from typing import Dict, List, Tuple

import torch
from torch import Tensor

HERE = Path(__file__).resolve().parent

TYPES = ["uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float16", "float32", "float64", "bool",
         "bfloat16"]


def describe(name, inputs, outputs):
    """Writes the description: lists of (name, type, shape), a shape of None for any."""
    text = ""
    for side, tensors in (("inputs", inputs), ("outputs", outputs)):
        for tensor, dtype, shape in tensors:
            text += f'[[{side}]]\nname = "{tensor}"\ndtype = "{dtype}"\n'
            if shape is not None:
                sizes = ", ".join(str(size) if isinstance(size, int) else f'"{size}"' for size in shape)
                text += f"shape = [{sizes}]\n"
            text += "\n"
    (HERE / f"{name}.toml").write_text(text.rstrip("\n") + "\n", encoding="ascii")


def script(name, module, inputs=None, outputs=None):
    torch.jit.script(module.eval()).save(str(HERE / f"{name}.pt"))
    if inputs is not None:
        describe(name, inputs, outputs)


class Identity(torch.nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x


class Double(torch.nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + x


class TwoByTwo(torch.nn.Module):
    def forward(self, a: Tensor, b: Tensor) -> Tuple[Tensor, Tensor]:
        return a + b, (a * b).to(torch.int64)


class Scalar(torch.nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return -x


class First(torch.nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x[0:1].clone()


class Pairs(torch.nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.clone().reshape(-1, 8)


class Second(torch.nn.Module):
    """A part of its input, which lies in it."""

    def forward(self, x: Tensor) -> Tensor:
        return x[1:]


class Transposed(torch.nn.Module):
    """A view of its input with gaps."""

    def forward(self, x: Tensor) -> Tensor:
        return x.t()


class InDictionary(torch.nn.Module):
    def forward(self, x: Tensor) -> Dict[str, Tensor]:
        return {"unused": x, "negative": -x, "twice": x + x}


class InList(torch.nn.Module):
    def forward(self, x: Tensor) -> List[Tensor]:
        return [-x, x + x]


class InPlace(torch.nn.Module):
    """Writes into its first input."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        x.add_(y)
        return x


class InPlaceBeneath(torch.nn.Module):
    """The same through a function, a view and an operator's argument."""

    def __init__(self):
        super().__init__()
        self.inner = InPlaceInner()

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.inner(y, x)


class InPlaceInner(torch.nn.Module):
    def forward(self, unchanged: Tensor, changed: Tensor) -> Tensor:
        torch.relu_(changed[0])
        return changed + unchanged


class InPlaceBySet(torch.nn.Module):
    """Writes into its first input through a tensor that was given its memory."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        other = torch.empty([0])
        other.set_(x)
        other.add_(y)
        return other


class InPlaceBehindDropout(torch.nn.Module):
    """The same through an operator that gives back its input, and does not say so."""

    def __init__(self):
        super().__init__()
        self.dropout = torch.nn.Dropout(0.5)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.dropout(x).add_(y)


class DropoutOnly(torch.nn.Module):
    """Writes into memory of its own, behind that operator."""

    def __init__(self):
        super().__init__()
        self.dropout = torch.nn.Dropout(0.5)
        self.relu = torch.nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.dropout(x) + 1)


class Normalised(torch.nn.Module):
    """Counts batches in training, and not here; what it writes to is its own."""

    def __init__(self):
        super().__init__()
        self.norm = torch.nn.BatchNorm1d(4)
        self.relu = torch.nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.norm(x))


class Counting(torch.nn.Module):
    """Gives out its own memory, and writes to it in the next run."""

    def __init__(self):
        super().__init__()
        self.register_buffer("count", torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        self.count += x.sum()
        return self.count


class Keeping(torch.nn.Module):
    """Keeps its input, and gives the one of the run before."""

    def __init__(self):
        super().__init__()
        self.register_buffer("before", torch.zeros(1, 4))

    def forward(self, x: Tensor) -> Tensor:
        before = self.before
        self.before = x
        return before


class Summing(torch.nn.Module):
    """Adds to what the runs before have given, and takes its time between reading and setting that."""

    def __init__(self):
        super().__init__()
        self.sum = torch.zeros(1)

    def forward(self, x: Tensor) -> Tensor:
        ones = torch.ones([256, 256]) * (self.sum * 0 + 1)
        self.sum = self.sum + x.sum() + torch.mm(ones, ones).sum() * 0
        return self.sum


class Hungry(torch.nn.Module):
    """Needs as much memory as its input says."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.ones([int(x[0])], dtype=torch.uint8)[:1].clone()


class Raising(torch.nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        if x.size(0) > 2:
            raise ValueError("more than two rows")
        return x + 1


class Number(torch.nn.Module):
    def forward(self, x: Tensor) -> int:
        return x.size(0)


class Sparse(torch.nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.to_sparse()


class Nested(torch.nn.Module):
    """Rows of different lengths, which have no shape together."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.ops.aten._nested_tensor_from_tensor_list([x[0], x[0][1:]])


class Complex(torch.nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.complex(x, x)


class Negated(torch.nn.Module):
    """The imaginary part of a conjugate, whose sign PyTorch has not yet changed in memory."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.complex(x, x).conj().imag


class Optional(torch.nn.Module):
    """An argument of no tensor that may be left out."""

    def forward(self, x: Tensor, scale: float = 2.0) -> Tensor:
        return x * scale


class Multiplied(torch.nn.Module):
    """Large enough for PyTorch to divide it among threads."""

    def forward(self, x: Tensor) -> Tensor:
        return (torch.mm(x, x) * 0 + x).sum().reshape(1) * 0 + torch.sin(x).numel()


for dtype in TYPES:
    script(f"identity_{dtype}", Identity(), [("x", dtype, None)], [("y", dtype, None)])
script("identity_string", Identity(), [("x", "string", None)], [("y", "string", None)])

ROWS = [("x", "float32", ["N", 4])]
script("double", Double(), ROWS, [("y", "float32", ["N", 4])])
script("two_by_two", TwoByTwo(), [("a", "float32", ["N", "K"]), ("b", "float32", ["N", "K"])],
       [("sum", "float32", ["N", "K"]), ("whole", "int64", ["N", "K"])])
script("scalar", Scalar(), [("x", "float32", [])], [("y", "float32", [])])
script("first", First(), [("x", "float32", ["N"])], [("y", "float32", [1])])
script("pairs", Pairs(), ROWS, [("y", "float32", ["M", 8])])

script("second", Second(), ROWS, [("y", "float32", ["?", 4])])
script("transposed", Transposed(), ROWS, [("y", "float32", [4, "N"])])
script("dictionary", InDictionary(), ROWS, [("twice", "float32", ["N", 4]), ("negative", "float32", ["N", 4])])
script("list", InList(), ROWS, [("negative", "float32", ["N", 4]), ("twice", "float32", ["N", 4])])
PAIR = [("x", "float32", ["N", 4]), ("y", "float32", ["N", 4])]
script("in_place", InPlace(), PAIR, [("z", "float32", ["N", 4])])
script("in_place_beneath", InPlaceBeneath(), PAIR, [("z", "float32", ["N", 4])])
script("in_place_by_set", InPlaceBySet(), PAIR, [("z", "float32", ["N", 4])])
script("in_place_behind_dropout", InPlaceBehindDropout(), PAIR, [("z", "float32", ["N", 4])])
script("dropout_only", DropoutOnly(), ROWS, [("y", "float32", ["N", 4])])
script("normalised", Normalised(), ROWS, [("y", "float32", ["N", 4])])
script("counting", Counting(), ROWS, [("count", "float32", [1])])
script("keeping", Keeping(), [("x", "float32", [1, 4])], [("before", "float32", [1, 4])])
script("summing", Summing(), ROWS, [("sum", "float32", [1])])
script("hungry", Hungry(), [("x", "int64", ["N"])], [("y", "uint8", [1])])
script("raising", Raising(), ROWS, [("y", "float32", ["N", 4])])
script("number", Number(), ROWS, [("y", "int64", [])])
script("sparse", Sparse(), ROWS, [("y", "float32", ["N", 4])])
script("nested", Nested(), ROWS, [("y", "float32", ["N", 4])])
script("complex", Complex(), ROWS, [("y", "float32", ["N", 4])])
script("negated", Negated(), [("x", "float32", ["N"])], [("y", "float32", ["N"])])
script("optional", Optional(), ROWS, [("y", "float32", ["N", 4])])
script("multiplied", Multiplied(), [("x", "float32", ["N", "N"])], [("y", "float32", [1])])
# Described as what they are not.
script("described_as_another_type", Double(), ROWS, [("y", "int64", ["N", 4])])
script("described_as_another_shape", Double(), ROWS, [("y", "float32", ["N", 5])])
script("described_with_one_output_more", Double(), ROWS, [("y", "float32", ["N", 4]), ("z", "float32", ["N", 4])])
script("described_with_one_input_less", TwoByTwo(), [("a", "float32", ["N", "K"])], [("sum", "float32", ["N", "K"])])
# Not described at all.
script("undescribed", TwoByTwo())

# A file that says that it is of a version which PyTorch does not know yet.
with zipfile.ZipFile(HERE / "double.pt") as old, zipfile.ZipFile(HERE / "newer.pt", "w") as new:
    for entry in old.infolist():
        content = old.read(entry)
        if entry.filename.endswith("/version"):
            content = b"99\n"
        new.writestr(entry, content)
shutil.copy(HERE / "double.toml", HERE / "newer.toml")

# Weights without code, a graph of torch.export.
torch.save({"weight": torch.zeros(2)}, HERE / "weights.pt")
N, K = (torch.export.Dim(name, min=0, max=1 << 20) for name in "NK")
exported = torch.export.export(Double(), (torch.ones(3, 4),), dynamic_shapes=({0: N},))
torch.export.save(exported, HERE / "exported.pt2")


def package(name, module, example, dynamic, inputs, outputs):
    """Compiles a module, and packs what is needed to run it."""
    import torch._inductor.config as config
    from torch._inductor import aoti_compile_and_package, cpp_builder

    flags = cpp_builder._get_optimization_cflags

    def for_any_processor(*arguments, **options):
        found, linked = flags(*arguments, **options)
        return [flag for flag in found if flag != "march=native"], linked

    cpp_builder._get_optimization_cflags = for_any_processor
    config.cpp.simdlen = 1
    exported = torch.export.export(module, example, dynamic_shapes=dynamic)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.pt2"
        aoti_compile_and_package(exported, package_path=str(path))
        shrink(path, HERE / f"{name}.pt2")
    describe(name, inputs, outputs)


def shrink(path, into):
    """Leaves out the sources and the symbols, and deflates the rest: a quarter is left."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(into, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as new:
        for entry in old.infolist():
            content = old.read(entry)
            if entry.filename.endswith(".cpp"):
                content = b""
            if entry.filename.endswith(".so"):
                library = path.with_name("library.so")
                library.write_bytes(content)
                subprocess.run(["strip", "--strip-all", library], check=True)
                content = library.read_bytes()
            new.writestr(zipfile.ZipInfo(entry.filename), content, zipfile.ZIP_DEFLATED, 9)


package("packaged", TwoByTwo(), (torch.ones(3, 5), torch.ones(3, 5)),
        ({0: N, 1: K}, {0: N, 1: K}), [("a", "float32", ["N", "K"]), ("b", "float32", ["N", "K"])],
        [("sum", "float32", ["N", "K"]), ("whole", "int64", ["N", "K"])])
package("packaged_in_place", InPlace(), (torch.ones(3, 4), torch.ones(3, 4)), ({0: N}, {0: N}), PAIR,
        [("z", "float32", ["N", 4])])
