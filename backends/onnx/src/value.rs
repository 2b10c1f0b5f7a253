//! Tensors as ONNX Runtime sees them, and the one call that runs a session over them. All `unsafe` of a run is here.
//!
//! A [`Value`] owns one `OrtValue`, and is released exactly once, by its `Drop`. What its elements live in:
//!
//! ```text
//! Readable::bytes     the caller's memory, only read        borrowed for 'a
//! Writable::bytes     the caller's memory, to be written    borrowed for 'a
//! Readable::strings   ONNX Runtime's
//! an output of run()  ONNX Runtime's, an initializer's,     not known: see Lent::new, which is
//!                     or an input's of the same run         the only way to read them
//! ```
//!
//! ONNX Runtime documents `Run` as safe to be called at the same time from many threads on one session, and it is so
//! for the CPU provider, which is the only one that sessions here have; the safe wrapper of `ort` asks for `&mut`
//! because other providers are not. ONNX Runtime never writes into the memory of an input.

use crate::library::Library;
use crate::types;
use graphpipe_schema::{DType, Shape};
use graphpiped_backend_api::check;
use ort::session::SharedSessionInner;
use ort::{AsPointer, sys};
use smallvec::SmallVec;
use std::ffi::CStr;
use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::sync::Arc;

/// An owned `OrtValue` whose elements live for `'a`.
#[derive(Debug)]
pub(crate) struct Value<'a> {
    ptr: NonNull<sys::OrtValue>,
    elements: PhantomData<&'a [u8]>,
}

// SAFETY: an OrtValue is a reference-counted handle without thread affinity: the count is atomic, and the allocators it
// may give memory back to lock themselves.
unsafe impl Send for Value<'_> {}
// SAFETY: every function here that takes `&Value` only reads the value.
unsafe impl Sync for Value<'_> {}

/// Most models have few inputs and outputs; their lists stay on the stack.
pub(crate) type List<T> = SmallVec<[T; 8]>;

impl<'a> Value<'a> {
    /// A tensor over memory that is not ONNX Runtime's. The memory has to be aligned to the element's size, and to be
    /// as long as the shape says; both are checked.
    ///
    /// # Safety
    ///
    /// `start` has `bytes` bytes that live for `'a`, and that nobody writes for as long; and nobody reads them either, if
    /// the value is passed to a run as an output.
    unsafe fn over(
        library: &Library,
        dtype: DType,
        shape: &[i64],
        start: *mut u8,
        bytes: usize,
    ) -> Result<Value<'a>, String> {
        check::sized(dtype, shape, bytes)?;
        // The start of an empty slice may dangle, and need not be aligned; any address that looks sound serves.
        let start = if bytes == 0 { ptr::without_provenance_mut(64) } else { start };
        check::aligned(dtype, start)?;
        let mut value = ptr::null_mut();
        // SAFETY: the memory description lives as long as the library; `start` and `bytes` are promised by the caller;
        // the shape is read during the call only, and asks for exactly `bytes` bytes, as was just checked.
        let status = unsafe {
            (ort::api().CreateTensorWithDataAsOrtValue)(
                library.memory(),
                start.cast(),
                bytes,
                shape.as_ptr(),
                shape.len(),
                types::to_ort(dtype),
                &raw mut value,
            )
        };
        check(status).map_err(|error| error.to_string())?;
        Value::adopt(value)
    }

    /// A tensor of byte strings, which are copied: ONNX Runtime keeps each in an object of its own.
    fn strings(library: &Library, shape: &[i64], elements: &[&[u8]]) -> Result<Value<'a>, String> {
        check::counted(shape, elements.len())?;
        let mut value = ptr::null_mut();
        // SAFETY: the default allocator lives as long as the library; the shape is read during the call only.
        let status = unsafe {
            (ort::api().CreateTensorAsOrtValue)(
                library.allocator(),
                shape.as_ptr(),
                shape.len(),
                types::to_ort(DType::String),
                &raw mut value,
            )
        };
        check(status).map_err(|error| error.to_string())?;
        let value = Value::adopt(value)?;
        for (index, element) in elements.iter().enumerate() {
            let mut start = ptr::null_mut();
            // SAFETY: the value is a tensor of strings that nobody else has, and has more than `index` elements.
            let status = unsafe {
                (ort::api().GetResizedStringTensorElementBuffer)(
                    value.ptr.as_ptr(),
                    index,
                    element.len(),
                    &raw mut start,
                )
            };
            check(status).map_err(|error| error.to_string())?;
            // SAFETY: the call returned a buffer of exactly this many bytes, which is new and thus overlaps nothing.
            unsafe { ptr::copy_nonoverlapping(element.as_ptr(), start.cast(), element.len()) };
        }
        Ok(value)
    }

    fn adopt(value: *mut sys::OrtValue) -> Result<Value<'a>, String> {
        let ptr = NonNull::new(value).ok_or("ONNX Runtime reported success and returned no value")?;
        Ok(Value { ptr, elements: PhantomData })
    }

    /// Its element type and shape, as far as the protocol has them.
    pub fn kind(&self) -> Result<(DType, Shape), String> {
        // A plain integer: a newer library may name types that the enumeration does not have.
        let mut element = 0_i32;
        let mut dims = ptr::null();
        let mut rank = 0;
        // SAFETY: the value is a tensor; the type is written as the C enumeration, which is a 32-bit integer; the shape
        // is lent for as long as the value lives.
        let status = unsafe {
            (ort::api().GetTensorElementTypeAndShapeDataReference)(
                self.ptr.as_ptr(),
                (&raw mut element).cast(),
                &raw mut dims,
                &raw mut rank,
            )
        };
        check(status).map_err(|error| error.to_string())?;
        // SAFETY: `dims` has `rank` sizes, which live as long as `self`; it may be null only if there are none.
        let dims = if rank == 0 { &[] } else { unsafe { std::slice::from_raw_parts(dims, rank) } };
        let dtype = types::from_ort(element).ok_or_else(|| format!("its elements are of ONNX type {element}"))?;
        let shape = Shape::new(dims).ok_or_else(|| format!("it has {rank} dimensions, which is too many"))?;
        Ok((dtype, shape))
    }

    /// Where its elements begin (fixed-size elements only).
    pub fn start(&self) -> Result<*const u8, String> {
        let mut start = ptr::null();
        // SAFETY: the value is a tensor, which the call only looks at.
        let status = unsafe { (ort::api().GetTensorData)(self.ptr.as_ptr(), &raw mut start) };
        check(status).map_err(|error| error.to_string())?;
        Ok(start.cast())
    }

    /// Copies out `count` byte strings, which is the number of its elements.
    pub fn read_strings(&self, count: usize) -> Result<Vec<Vec<u8>>, String> {
        let mut bytes = 0;
        // SAFETY: the value is a tensor of strings; the call fails on any other.
        let status = unsafe { (ort::api().GetStringTensorDataLength)(self.ptr.as_ptr(), &raw mut bytes) };
        check(status).map_err(|error| error.to_string())?;
        let mut all = vec![0_u8; bytes];
        let mut starts = vec![0_usize; count];
        // SAFETY: both lists have the lengths that are passed with them, and the call checks them against the value.
        let status = unsafe {
            (ort::api().GetStringTensorContent)(
                self.ptr.as_ptr(),
                all.as_mut_ptr().cast(),
                all.len(),
                starts.as_mut_ptr(),
                starts.len(),
            )
        };
        check(status).map_err(|error| error.to_string())?;
        let ends = starts.iter().skip(1).copied().chain(std::iter::once(bytes));
        Ok(starts.iter().zip(ends).map(|(&start, end)| all[start..end].to_vec()).collect())
    }
}

/// The elements of a value, kept for as long as somebody reads them.
pub(crate) struct Lent {
    // Dropped before the session, from whose arena its memory may come.
    _value: Value<'static>,
    start: NonNull<u8>,
    bytes: usize,
    _session: Arc<SharedSessionInner>,
}

// SAFETY: the value and the session may be released by any thread, and the elements are never written again.
unsafe impl Send for Lent {}
// SAFETY: the elements are only read.
unsafe impl Sync for Lent {}

impl Lent {
    /// # Safety
    ///
    /// `value` was made by a run of `session`; `start` and `bytes` are where its elements begin and how many bytes they
    /// have; and they lie in no input of that run, as they do if the graph names an input as an output.
    pub unsafe fn new(
        value: Value<'static>,
        start: NonNull<u8>,
        bytes: usize,
        session: Arc<SharedSessionInner>,
    ) -> Lent {
        Lent { _value: value, start, bytes, _session: session }
    }
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: `new` was promised that these are the elements of the value and not the caller's, so they live as
        // long as `self`. Nobody writes them: a run hands out each value once, and initializers never change.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.bytes) }
    }
}

/// A value for a run to read.
#[derive(Debug)]
pub(crate) struct Readable<'a>(Value<'a>);

impl<'a> Readable<'a> {
    /// A tensor of fixed-size elements, which stay where they are; see [`Value::over`] for what is checked.
    pub fn bytes(library: &Library, dtype: DType, shape: &[i64], bytes: &'a [u8]) -> Result<Readable<'a>, String> {
        // SAFETY: the memory is borrowed for 'a, which the value does not outlive; `run` takes a `Readable` as an input
        // only, so nobody writes.
        unsafe { Value::over(library, dtype, shape, bytes.as_ptr().cast_mut(), bytes.len()) }.map(Readable)
    }

    /// A tensor of byte strings.
    pub fn strings(library: &Library, shape: &[i64], elements: &[&[u8]]) -> Result<Readable<'a>, String> {
        Value::strings(library, shape, elements).map(Readable)
    }
}

/// A value for a run to write.
#[derive(Debug)]
pub(crate) struct Writable<'a>(Value<'a>);

impl<'a> Writable<'a> {
    /// A tensor of fixed-size elements, to be written where they are; see [`Value::over`] for what is checked.
    pub fn bytes(library: &Library, dtype: DType, shape: &[i64], bytes: &'a mut [u8]) -> Result<Writable<'a>, String> {
        // SAFETY: the memory is borrowed exclusively for 'a, which the value does not outlive.
        unsafe { Value::over(library, dtype, shape, bytes.as_mut_ptr(), bytes.len()) }.map(Writable)
    }
}

impl Drop for Value<'_> {
    fn drop(&mut self) {
        // SAFETY: this is the one owner of the value, and gives it up here.
        unsafe { (ort::api().ReleaseValue)(self.ptr.as_ptr()) };
    }
}

/// Runs the session once. An output that is given is written in place; the others are returned, in the order in which
/// they are asked for.
pub(crate) fn run(
    session: &SharedSessionInner,
    inputs: &[(&CStr, Readable<'_>)],
    outputs: &[(&CStr, Option<Writable<'_>>)],
) -> Result<List<Value<'static>>, ort::Error> {
    let input_names: List<_> = inputs.iter().map(|(name, _)| name.as_ptr()).collect();
    let input_values: List<*const sys::OrtValue> =
        inputs.iter().map(|(_, value)| value.0.ptr.as_ptr().cast_const()).collect();
    let output_names: List<_> = outputs.iter().map(|(name, _)| name.as_ptr()).collect();
    let given = |value: &Option<Writable<'_>>| value.as_ref().map_or(ptr::null_mut(), |value| value.0.ptr.as_ptr());
    let mut output_values: List<*mut sys::OrtValue> = outputs.iter().map(|(_, value)| given(value)).collect();
    // SAFETY: the session is alive; names are NUL-terminated and, like the values, borrowed for the call; every list
    // has the length that is passed with it; a null output asks for a new value. Concurrent calls: see the module's
    // head.
    let status = unsafe {
        (ort::api().Run)(
            session.ptr().cast_mut(),
            ptr::null(),
            input_names.as_ptr(),
            input_values.as_ptr(),
            input_values.len(),
            output_names.as_ptr(),
            output_values.len(),
            output_values.as_mut_ptr(),
        )
    };
    check(status)?;
    // A value that was not given is ours from here on.
    let made = outputs.iter().zip(output_values).filter(|((_, given), _)| given.is_none());
    made.map(|(_, value)| Value::adopt(value).map_err(ort::Error::new)).collect()
}

/// What ONNX Runtime returned, as a `Result`. To be called with nothing else.
pub(crate) fn check(status: sys::OrtStatusPtr) -> Result<(), ort::Error> {
    // SAFETY: the status has just been returned by ONNX Runtime, and is passed on exactly once.
    unsafe { ort::Error::result_from_status(status) }
}
