"""Writes the files beside it: tensors with numpy and ml_dtypes, pictures with Pillow, so that what reads them is held
against those and not against itself. Run it in this folder."""

import ml_dtypes
import numpy as np
from PIL import Image

counting = np.arange(12)
np.save("float32.npy", (counting / 4).astype("<f4").reshape(6, 2))
np.save("float32-big-endian.npy", (counting / 4).astype(">f4").reshape(6, 2))
np.save("int64-fortran.npy", np.asfortranarray(counting.astype("<i8").reshape(2, 3, 2)))
np.save("float16.npy", np.array([0, 1, -2, 0.333251953125, 65504, np.inf], "<f2"))
np.save("bfloat16.npy", np.array([1, -2.5], ml_dtypes.bfloat16))
np.save("bool.npy", np.array([True, False, True]))
np.save("scalar.npy", np.float32(3))
np.save("bytes.npy", np.array([b"a", b"", b"bcd"]))
np.save("unicode.npy", np.array([["grün", "😀"]], "<U4"))
np.save("unicode-big-endian.npy", np.array([["grün", "😀"]], ">U4"))
np.save("surrogate.npy", np.array(["\ud800"]))
np.save("complex.npy", np.zeros(2, "<c8"))
np.save("structured.npy", np.zeros(2, "i4,f4"))
with open("version-3.npy", "wb") as file:
    np.lib.format.write_array(file, np.array([7, 8], "u1"), version=(3, 0))
np.savez("two.npz", ids=counting.astype("<i4").reshape(6, 2), image=(counting / 4).astype("<f4").reshape(6, 2))
np.savez_compressed("compressed.npz", zeros=np.zeros((100, 10), "<f4"))

# Four pixels by two: rows of reds, greens and blues that name their place.
picture = np.array([[[10 * x, 100 * y, 255 - x] for x in range(4)] for y in range(2)], "u1")
Image.fromarray(picture).save("colours.png")
Image.fromarray(np.dstack([picture, np.full((2, 4), 9, "u1")])).save("transparent.png")
Image.fromarray(np.array([[0, 51], [102, 255]], "u1")).save("grey.png")
# A smooth picture, which survives JPEG, and what Pillow makes of it at a quarter of its size.
slope = np.array([[[8 * x, 8 * y, 128] for x in range(32)] for y in range(32)], "u1")
Image.fromarray(slope).save("slope.jpg", quality=95, subsampling=0)
Image.fromarray(slope).save("slope.png")
with Image.open("slope.jpg") as file:
    np.save("slope-jpg.npy", np.asarray(file))
np.save("slope-8x8.npy", np.asarray(Image.fromarray(slope).resize((8, 8), Image.BILINEAR)))
