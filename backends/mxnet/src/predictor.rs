//! A predictor: a graph with its parameters and memory for inputs and outputs of one shape. All `unsafe` of a run is here.
//!
//! ```text
//! new          an owned handle, with parameters of its own
//! reshape      another one, which shares the parameters, and the memory of inputs: see `handles`
//! set_input    copies the caller's memory; MXNet reads nothing of it later
//! forward      computes, on this thread or on MXNet's
//! output       waits for the result and copies it out
//! drop         gives the handle up
//! ```
//!
//! The interface says `float *` of all elements and means bytes of the tensor's own type, whose number it tells: so elements of any
//! type are passed under that name, and lengths, which it counts in elements, are compared with the tensor's bytes before.

use crate::graph::Named;
use crate::home::Making;
use crate::library::{Handle, Library};
use crate::types;
use graphpipe_schema::{DType, Shape};
use std::ffi::{CStr, CString, c_int};
use std::ptr;

/// What predictors are made from, besides the parameters.
pub(crate) struct Recipe {
    /// The library.
    pub library: &'static Library,
    /// The symbol.
    pub json: CString,
    /// Inputs: their names and MXNet's numbers of their types.
    pub inputs: Vec<(CString, c_int)>,
    /// Names of nodes whose outputs are wanted instead of the symbol's own; empty: the symbol's own.
    pub partial: Vec<CString>,
    /// How many outputs there are.
    pub outputs: usize,
}

/// An owned predictor.
pub(crate) struct Predictor {
    library: &'static Library,
    handle: Handle,
}

// SAFETY: a predictor has no thread affinity of its own. The thread that has made it owns temporary memory of its operators, and
// lives longer: see `home` and `handles`. It is used by one thread at a time, because it is not `Sync`.
unsafe impl Send for Predictor {}

/// The number of the CPU among the kinds of devices.
const CPU: c_int = 1;

impl Predictor {
    /// Makes one for inputs (and labels) of these shapes, with a copy of the parameters, whose file has been read.
    pub fn new(recipe: &Recipe, params: &[u8], shapes: &Named<'_>, _: &Making) -> Result<Predictor, String> {
        let library = recipe.library;
        let length = c_int::try_from(params.len()).map_err(|_| "the parameters are too long".to_string())?;
        let (mut handle, json, params) = (ptr::null_mut(), recipe.json.as_ptr(), params.as_ptr().cast());
        let (count, names, starts, sizes) = (shapes.count(), shapes.names(), shapes.starts(), shapes.sizes());
        let returned = if recipe.partial.is_empty() {
            let typed: Vec<_> = recipe.inputs.iter().map(|(name, _)| name.as_ptr()).collect();
            let numbers: Vec<_> = recipe.inputs.iter().map(|(_, number)| *number).collect();
            // SAFETY: texts end with NUL; every list has the length that is passed with it; all is read during the call; the
            // handle is ours.
            unsafe {
                (library.functions.create_typed)(
                    json,
                    params,
                    length,
                    CPU,
                    0,
                    count,
                    names,
                    starts,
                    sizes,
                    typed.len() as u32,
                    typed.as_ptr(),
                    numbers.as_ptr(),
                    &raw mut handle,
                )
            }
        } else {
            let wanted: Vec<_> = recipe.partial.iter().map(|name| name.as_ptr()).collect();
            // SAFETY: as above.
            unsafe {
                (library.functions.create_partial)(
                    json,
                    params,
                    length,
                    CPU,
                    0,
                    count,
                    names,
                    starts,
                    sizes,
                    wanted.len() as u32,
                    wanted.as_ptr(),
                    &raw mut handle,
                )
            }
        };
        library.check(returned)?;
        Ok(Predictor { library, handle })
    }

    /// Makes another one for inputs (and labels) of other shapes. Where an input is larger than in this and in all others made
    /// from it, its memory is allocated anew for all of them, and none of them may be run any more, even if this fails.
    pub fn reshape(&self, shapes: &Named<'_>, _: &Making) -> Result<Predictor, String> {
        let mut handle = ptr::null_mut();
        // SAFETY: the predictor is alive; names and shapes are as `Named` describes them; the new handle is ours.
        let returned = unsafe {
            (self.library.functions.reshape)(
                shapes.count(),
                shapes.names(),
                shapes.starts(),
                shapes.sizes(),
                self.handle,
                &raw mut handle,
            )
        };
        self.library.check(returned)?;
        Ok(Predictor { library: self.library, handle })
    }

    /// The shape of an output.
    pub fn output_shape(&self, output: usize) -> Result<Shape, String> {
        let (mut sizes, mut rank) = (ptr::null_mut(), 0);
        // SAFETY: the predictor is alive, and compares the index with the number it has; both are written to.
        let returned =
            unsafe { (self.library.functions.output_shape)(self.handle, output as u32, &raw mut sizes, &raw mut rank) };
        self.library.check(returned)?;
        // SAFETY: the library has lent a shape of this rank, until the next call.
        let sizes = if rank == 0 { &[] } else { unsafe { std::slice::from_raw_parts(sizes, rank as usize) } };
        let sizes: Vec<i64> = sizes.iter().map(|&size| size.into()).collect();
        Shape::new(&sizes).ok_or_else(|| format!("output {output} has {rank} dimensions, which is too many"))
    }

    /// The type of an output of so many.
    pub fn output_dtype(&self, output: usize, outputs: usize) -> Result<DType, String> {
        // MXNet 1.9.1 writes the number not to the first place, but to that of the output.
        let mut numbers: Vec<c_int> = vec![-1; outputs.max(output + 1)];
        // SAFETY: the predictor is alive, and compares the index with the number it has; there is a place for each.
        let returned =
            unsafe { (self.library.functions.output_type)(self.handle, output as u32, numbers.as_mut_ptr()) };
        self.library.check(returned)?;
        let number = numbers[output];
        types::from_number(number)
            .ok_or_else(|| format!("output {output} is of MXNet's type {number}, which is not taken"))
    }

    /// Copies an input in. `elements` is the number of elements that the predictor was made for.
    pub fn set_input(&mut self, name: &CStr, dtype: DType, elements: u32, bytes: &[u8]) -> Result<(), String> {
        check(bytes, dtype, elements)?;
        // SAFETY: the predictor is alive; the name ends with NUL; `bytes` has as many elements of the input's type as is said,
        // which MXNet compares with the number it expects, and has copied when the call returns.
        let returned =
            unsafe { (self.library.functions.set_input)(self.handle, name.as_ptr(), bytes.as_ptr().cast(), elements) };
        self.library.check(returned)
    }

    /// Computes the outputs.
    pub fn forward(&mut self) -> Result<(), String> {
        // SAFETY: the predictor is alive.
        let returned = unsafe { (self.library.functions.forward)(self.handle) };
        self.library.check(returned)
    }

    /// Copies an output out, which is of this type and has so many elements.
    pub fn output(&mut self, output: usize, dtype: DType, elements: u32, bytes: &mut [u8]) -> Result<(), String> {
        check(bytes, dtype, elements)?;
        // SAFETY: the predictor is alive; `bytes` has room for as many elements of the output's type as is said, which MXNet
        // compares with the number it has, and has copied when the call returns.
        let returned =
            unsafe { (self.library.functions.output)(self.handle, output as u32, bytes.as_mut_ptr().cast(), elements) };
        self.library.check(returned)
    }
}

/// Whether these are so many elements, aligned to their size.
fn check(bytes: &[u8], dtype: DType, elements: u32) -> Result<(), String> {
    let size = dtype.size().ok_or("strings are no numbers")?;
    if bytes.len() as u64 != u64::from(elements) * size as u64 || !bytes.as_ptr().addr().is_multiple_of(size) {
        return Err(format!("{} bytes are not {elements} aligned elements of {dtype}", bytes.len()));
    }
    Ok(())
}

impl Drop for Predictor {
    fn drop(&mut self) {
        // SAFETY: this is the one owner of the handle, and gives it up here. What other predictors share is counted.
        unsafe { (self.library.functions.free)(self.handle) };
    }
}
