//! Tensors as TensorFlow sees them: references that are counted, to elements that are somebody's.
//!
//! A [`Tensor`] owns one reference (`TF_Tensor`), given up exactly once, by its `Drop`. TensorFlow may have others, in
//! variables, in queues and in outputs, and may have them for longer than a run. Where the elements are:
//!
//! ```text
//! Tensor::over        the caller's memory     kept by a `Kept`, which Release drops with the last reference
//! Tensor::copied      TensorFlow's            counted
//! Tensor::strings     a `Texts` of ours       freed by Release with the last reference
//! an output of a run  TensorFlow's, or one of the above
//! ```
//!
//! TensorFlow writes into the elements of a tensor only if the tensor owns them and nobody else refers to them. What
//! `TF_NewTensor` makes does not own its elements, so the caller's memory is only read; that it takes a pointer to mutable
//! memory is C. Elements that somebody refers to are not written either, so an output stays as it is for as long as its
//! `Tensor` is there. (But for one relic: a graph of TensorFlow 1 that gives out a variable, not a copy of it, and
//! changes it in another run meanwhile. TensorFlow calls that a race of the model, and so it is.)

use crate::sys::{self, Api, Text};
use crate::types;
use graphpipe_schema::{DType, Shape};
use graphpiped_backend_api::{Kept, check};
use std::ffi::{c_int, c_void};
use std::ptr::{self, NonNull};

/// Memory that begins at a multiple of this is read where it lies: TensorFlow computes with vectors of this size, and
/// ends the process when it is given less.
pub(crate) const ALIGN: usize = 64;

/// One reference to a tensor.
#[derive(Debug)]
pub(crate) struct Tensor {
    api: &'static Api,
    ptr: NonNull<sys::Tensor>,
}

// SAFETY: the count of references is atomic, and whoever is called with the last one may be called by any thread: `Kept`
// and `Texts` are `Send`, and TensorFlow's allocators lock themselves.
unsafe impl Send for Tensor {}
// SAFETY: every function here that takes `&Tensor` only reads.
unsafe impl Sync for Tensor {}

impl Tensor {
    /// A tensor of these elements, which stay where they are. They have to begin at a multiple of [`ALIGN`], and to be as
    /// many as the shape says; that is checked.
    ///
    /// # Safety
    ///
    /// `kept` keeps `bytes` as they are for as long as it is not dropped.
    pub unsafe fn over(
        api: &'static Api,
        dtype: DType,
        shape: &[i64],
        bytes: &[u8],
        kept: Kept,
    ) -> Result<Tensor, String> {
        let shape = countable(check::sized(dtype, shape, bytes.len())?)?;
        let start = bytes.as_ptr().cast_mut();
        if !start.addr().is_multiple_of(ALIGN) {
            return Err(format!("its elements do not begin at a multiple of {ALIGN}"));
        }
        let argument = Box::into_raw(Box::new(kept));
        // SAFETY: the caller promises that the elements stay until `argument` is dropped, which `release_kept` does when
        // the last reference is gone; TensorFlow only reads them (see the module's head). The shape is read during the
        // call, and asks for exactly these bytes, as was just checked.
        let ptr = unsafe {
            (api.TF_NewTensor)(
                types::to_tensorflow(dtype),
                shape.dims().as_ptr(),
                shape.rank() as c_int,
                start.cast(),
                bytes.len(),
                Some(release_kept),
                argument.cast(),
            )
        };
        Tensor::adopt(api, ptr)
    }

    /// A tensor of a copy of these elements.
    pub fn copied(api: &'static Api, dtype: DType, shape: &[i64], bytes: &[u8]) -> Result<Tensor, String> {
        let shape = countable(check::sized(dtype, shape, bytes.len())?)?;
        let (number, rank) = (types::to_tensorflow(dtype), shape.rank() as c_int);
        // SAFETY: the shape is read during the call, and asks for exactly these bytes.
        let ptr = unsafe { (api.TF_AllocateTensor)(number, shape.dims().as_ptr(), rank, bytes.len()) };
        let tensor = Tensor::adopt(api, ptr)?;
        match NonNull::new(tensor.start().cast_mut()) {
            // SAFETY: it has room for as many bytes, which are new and thus overlap nothing.
            Some(start) if !bytes.is_empty() => unsafe {
                ptr::copy_nonoverlapping(bytes.as_ptr(), start.as_ptr(), bytes.len());
            },
            None if !bytes.is_empty() => return Err(format!("there is no memory for {} bytes", bytes.len())),
            _ => {}
        }
        Ok(tensor)
    }

    /// A tensor of copies of these byte strings.
    pub fn strings(api: &'static Api, shape: &[i64], elements: &[&[u8]]) -> Result<Tensor, String> {
        let shape = countable(check::counted(shape, elements.len())?)?;
        let texts = Box::into_raw(Box::new(Texts::new(api, elements)));
        // SAFETY: it comes from a box, and nobody else has it.
        let start = unsafe { (*texts).start() };
        // SAFETY: `start` has as many texts as the shape says, which stay until `release_texts` frees them with the last
        // reference; they begin at a multiple of `ALIGN`; the shape is read during the call.
        let ptr = unsafe {
            (api.TF_NewTensor)(
                types::to_tensorflow(DType::String),
                shape.dims().as_ptr(),
                shape.rank() as c_int,
                start.cast(),
                size_of::<Text>() * elements.len(),
                Some(release_texts),
                texts.cast(),
            )
        };
        Tensor::adopt(api, ptr)
    }

    /// Takes over a reference that TensorFlow has just given.
    pub fn adopt(api: &'static Api, ptr: *mut sys::Tensor) -> Result<Tensor, String> {
        // What TensorFlow refuses, it has released.
        let ptr = NonNull::new(ptr).ok_or("TensorFlow does not make a tensor of it")?;
        Ok(Tensor { api, ptr })
    }

    /// The reference, which stays ours.
    pub fn as_ptr(&self) -> *mut sys::Tensor {
        self.ptr.as_ptr()
    }

    /// Its element type and shape, as far as the protocol has them.
    pub fn kind(&self) -> Result<(DType, Shape), String> {
        // SAFETY: the tensor is alive.
        let number = unsafe { (self.api.TF_TensorType)(self.as_ptr()) };
        // SAFETY: as above.
        let rank = unsafe { (self.api.TF_NumDims)(self.as_ptr()) };
        let mut shape = Shape::SCALAR;
        for axis in 0..rank {
            // SAFETY: as above; it has this axis.
            let size = unsafe { (self.api.TF_Dim)(self.as_ptr(), axis) };
            shape.push(size).ok_or_else(|| format!("it has {rank} dimensions, which is too many"))?;
        }
        let dtype = types::from_tensorflow(number).ok_or_else(|| format!("it is {}", types::stranger(number)))?;
        Ok((dtype, shape))
    }

    /// Where its elements begin.
    pub fn start(&self) -> *const u8 {
        // SAFETY: the tensor is alive.
        unsafe { (self.api.TF_TensorData)(self.as_ptr()) }.cast_const().cast()
    }

    /// How many bytes its elements have; of strings, without what they point to.
    pub fn bytes(&self) -> usize {
        // SAFETY: the tensor is alive.
        unsafe { (self.api.TF_TensorByteSize)(self.as_ptr()) }
    }

    /// Copies out its byte strings, of which there are `count`.
    pub fn read_strings(&self, count: usize) -> Result<Vec<Vec<u8>>, String> {
        let (dtype, _) = self.kind()?;
        let start: *const Text = self.start().cast();
        let wanted = count.checked_mul(size_of::<Text>());
        if dtype != DType::String || wanted != Some(self.bytes()) || (start.is_null() && count > 0) {
            return Err(format!("it does not have {count} strings"));
        }
        Ok((0..count).map(|index| self.read_string(start.wrapping_add(index))).collect())
    }

    /// Copies out one of its strings.
    fn read_string(&self, text: *const Text) -> Vec<u8> {
        // SAFETY: the caller has found `text` to be an element of this tensor, which is alive.
        let bytes = unsafe { (self.api.TF_StringGetSize)(text) };
        // SAFETY: as above.
        let start = unsafe { (self.api.TF_StringGetDataPointer)(text) };
        if bytes == 0 || start.is_null() {
            return Vec::new();
        }
        // SAFETY: a text has so many bytes there, which nobody writes while the tensor refers to them.
        unsafe { std::slice::from_raw_parts(start.cast::<u8>(), bytes) }.to_vec()
    }
}

impl Drop for Tensor {
    fn drop(&mut self) {
        // SAFETY: this is the one owner of the reference, and gives it up here.
        unsafe { (self.api.TF_DeleteTensor)(self.as_ptr()) };
    }
}

/// The elements of an output, for as long as somebody reads them.
pub(crate) struct Lent {
    _tensor: Tensor,
    start: NonNull<u8>,
    bytes: usize,
}

// SAFETY: the tensor may be given up by any thread, and its elements are only read.
unsafe impl Send for Lent {}
// SAFETY: the elements are only read.
unsafe impl Sync for Lent {}

impl Lent {
    /// All elements of a tensor of numbers, which has some.
    pub fn new(tensor: Tensor) -> Option<Lent> {
        let (start, bytes) = (NonNull::new(tensor.start().cast_mut())?, tensor.bytes());
        Some(Lent { _tensor: tensor, start, bytes })
    }
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: these are the elements of the tensor, which live as long as its reference and are not written
        // meanwhile; see the module's head.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.bytes) }
    }
}

/// Strings of ours, in the form that TensorFlow has for them.
struct Texts {
    api: &'static Api,
    blocks: Vec<Block>,
    count: usize,
}

/// What makes the first of them begin at a multiple of [`ALIGN`].
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Block([u8; ALIGN]);

impl Texts {
    fn new(api: &'static Api, elements: &[&[u8]]) -> Texts {
        let blocks = vec![Block([0; ALIGN]); (elements.len() * size_of::<Text>()).div_ceil(ALIGN)];
        let mut texts = Texts { api, blocks, count: elements.len() };
        for (index, element) in elements.iter().enumerate() {
            let text = texts.start().wrapping_add(index);
            // SAFETY: the blocks have room for `count` texts, of which this is one.
            unsafe { (api.TF_StringInit)(text) };
            // SAFETY: the text has just been made; the bytes are read during the call.
            unsafe { (api.TF_StringCopy)(text, element.as_ptr().cast(), element.len()) };
        }
        texts
    }

    fn start(&mut self) -> *mut Text {
        self.blocks.as_mut_ptr().cast()
    }
}

impl Drop for Texts {
    fn drop(&mut self) {
        for index in 0..self.count {
            let text = self.start().wrapping_add(index);
            // SAFETY: `new` has made this text, and it is given up here.
            unsafe { (self.api.TF_StringDealloc)(text) };
        }
    }
}

/// Gives back memory that was kept.
unsafe extern "C" fn release_kept(_start: *mut c_void, _bytes: usize, argument: *mut c_void) {
    // SAFETY: `over` has made it from such a box, and TensorFlow calls this once.
    drop(unsafe { Box::from_raw(argument.cast::<Kept>()) });
}

/// Frees strings.
unsafe extern "C" fn release_texts(_start: *mut c_void, _bytes: usize, argument: *mut c_void) {
    // SAFETY: `strings` has made it from such a box, and TensorFlow calls this once.
    drop(unsafe { Box::from_raw(argument.cast::<Texts>()) });
}

/// The shape, if TensorFlow can count its elements.
fn countable(shape: Shape) -> Result<Shape, String> {
    if is_sane(&shape) { Ok(shape) } else { Err(format!("the sizes of {shape:?} are more than TensorFlow can count")) }
}

/// Whether the sizes of a shape that are not 0 could be those of a tensor. TensorFlow multiplies them whether or not one
/// of the others is 0, and ends the process when the product does not fit.
fn is_sane(shape: &Shape) -> bool {
    let max = if shape.dims().contains(&0) { SIZES_OF_NOTHING_MAX } else { ELEMENTS_MAX };
    let mut sizes = shape.dims().iter().filter(|&&size| size != 0);
    sizes.try_fold(1_i64, |product, &size| product.checked_mul(size)).is_some_and(|product| product <= max)
}

/// No memory holds as many; and kernels that multiply once or twice more do not overflow either.
const ELEMENTS_MAX: i64 = 1 << 40;

/// The product of the other sizes where one is 0. Elements cost a client memory, and these cost nothing, but a kernel may make
/// a tensor of them that has some: a product of matrices `[m, 0]` and `[0, n]` has `m * n`, and TensorFlow ends the process if it
/// cannot count them. Three such factors can be counted.
const SIZES_OF_NOTHING_MAX: i64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_that_tensorflow_could_not_count_are_not_shapes() {
        for shape in [[4, 4].as_slice(), &[], &[0], &[0, 7], &[1 << 20, 1 << 20], &[0, 1 << 20]] {
            assert!(is_sane(&Shape::new(shape).expect("few axes")), "{shape:?}");
        }
        let uncounted = [[i64::MAX, 0].as_slice(), &[0, 1 << 62, 2], &[1 << 32, 1 << 32, 0], &[(1 << 40) + 1]];
        for shape in uncounted.into_iter().chain([[1 << 40, 0].as_slice(), &[1 << 20, 0, 2]]) {
            assert!(!is_sane(&Shape::new(shape).expect("few axes")), "{shape:?}");
        }
    }

    #[test]
    fn texts_are_as_large_as_tensorflows() {
        // `static_assert(sizeof(TF_TString) == 24)` in ctstring_internal.h.
        assert_eq!(size_of::<Text>(), 24);
        assert_eq!(align_of::<Block>(), ALIGN);
    }
}
