//! Whether a file is what an input takes, and which rows of it are a request. Sizes are looked at in `build`.

use super::options::Slot;
use super::source::Array;
use crate::tensor::Tensor;
use graphpipe_schema::DType;

/// Where the tensors of one input come from.
#[derive(Debug)]
pub enum Source {
    /// Made from the seed.
    Generated(DType, Vec<i64>),
    /// The same in each request.
    Whole(Tensor),
    /// So many rows of it in each request, which the tensor has at least once.
    Rows(Tensor, u64),
}

impl Source {
    /// Type and shape in one request.
    pub fn form(&self) -> (DType, Vec<i64>) {
        match self {
            Source::Generated(dtype, shape) => (*dtype, shape.clone()),
            Source::Whole(tensor) => (tensor.dtype, tensor.shape.clone()),
            Source::Rows(tensor, rows) => {
                let mut shape = tensor.shape.clone();
                shape[0] = *rows as i64;
                (tensor.dtype, shape)
            }
        }
    }
}

/// The rows of a request: what open first dimensions are.
pub fn rows(slots: &[Slot], arrays: &[Option<Array>], told: Option<u32>) -> Result<u64, String> {
    if let Some(rows) = told.map(u64::from) {
        if rows == 0 {
            return Err("--rows 0: a request has a row at least".to_owned());
        }
        if let Some(slot) = slots.iter().find(|slot| slot.rows.is_some_and(|of_slot| of_slot != rows)) {
            return Err(format!("--rows {rows} is not what --shape says of {slot}"));
        }
        let first = |slot: &Slot| slot.dims.as_ref().map_or(Some(None), |dims| dims.first().copied());
        if !slots.iter().any(|slot| first(slot).is_some_and(|dim| dim.is_none_or(|dim| dim == rows))) {
            return Err(format!("--rows {rows}: no input has an open first dimension"));
        }
        return Ok(rows);
    }
    let mut found: Option<(String, u64)> = None;
    for (slot, array) in slots.iter().zip(arrays) {
        let Some((name, rows)) = own_rows(slot, array.as_ref()) else { continue };
        match &found {
            Some((other, of_other)) if *of_other != rows => {
                return Err(format!("{other} has {of_other} rows, {name} has {rows}"));
            }
            _ => found = Some((name, rows)),
        }
    }
    Ok(found.map_or(1, |(_, rows)| rows))
}

/// The rows that a `--shape` or a file gives an input whose first dimension is open, and the name of who says so.
fn own_rows(slot: &Slot, array: Option<&Array>) -> Option<(String, u64)> {
    if let Some(rows) = slot.rows {
        return Some((format!("by --shape {slot}"), rows));
    }
    let open = slot.dims.as_ref().is_none_or(|dims| dims.first() == Some(&None));
    let array = array.filter(|_| open)?;
    Some((array.file.clone(), *array.tensor.shape.first()? as u64))
}

/// Where an input's tensors come from.
pub fn source(slot: &Slot, array: Option<Array>, rows: u64, told: Option<u32>) -> Result<Source, String> {
    match array {
        Some(array) => from_file(slot, array, rows, told),
        None => generated(slot, rows),
    }
}

fn generated(slot: &Slot, rows: u64) -> Result<Source, String> {
    let option = |flag: &str| match slot.name.as_str() {
        "" => format!("say it with --{flag} …"),
        name => format!("say it with --{flag} {name}=…"),
    };
    let dtype = slot.dtype.or(slot.dtype_default);
    let dtype = dtype.ok_or_else(|| format!("the type of {slot} is not known: {}", option("dtype")))?;
    let Some(dims) = &slot.dims else { return Err(format!("the shape of {slot} is not known: {}", option("shape"))) };
    let mut shape = Vec::new();
    for (axis, dim) in dims.iter().enumerate() {
        let dim = dim.or((axis == 0).then_some(rows));
        let dim = dim.ok_or_else(|| format!("axis {axis} of {slot} is open: {}", option("shape")))?;
        shape.push(dim as i64);
    }
    Ok(Source::Generated(dtype, shape))
}

fn from_file(slot: &Slot, array: Array, rows: u64, told: Option<u32>) -> Result<Source, String> {
    let Array { file, mut tensor } = array;
    tensor.name.clone_from(&slot.name);
    let holds = format!("{file} holds {}", tensor.form());
    if let Some(dtype) = slot.dtype.filter(|dtype| *dtype != tensor.dtype) {
        return Err(format!("{holds}, and {slot} is {dtype}"));
    }
    // Of a rank that nobody has said, the file's is right, and its first dimension is open.
    let open = || vec![None; tensor.shape.len()];
    let dims = slot.dims.clone().unwrap_or_else(open);
    if dims.len() != tensor.shape.len() {
        return Err(format!("{holds}, and {slot} has {} dimensions", dims.len()));
    }
    for (axis, (dim, of_file)) in dims.iter().zip(&tensor.shape).enumerate().skip(1) {
        if let Some(dim) = dim.filter(|dim| *dim != *of_file as u64) {
            return Err(format!("{holds}, and axis {axis} of {slot} is {dim}"));
        }
    }
    let Some(of_file) = tensor.shape.first().map(|dim| *dim as u64) else { return Ok(Source::Whole(tensor)) };
    let cuts = told.is_some_and(|told| dims[0].is_none_or(|dim| dim == u64::from(told)));
    match dims[0] {
        Some(dim) if dim == of_file => Ok(Source::Whole(tensor)),
        Some(dim) if dim > of_file || !cuts => Err(format!("{holds}, and axis 0 of {slot} is {dim}")),
        None if of_file == 0 => Err(format!("{holds}, which is no row")),
        None if of_file < rows => Err(format!("{holds}, which is less than the {rows} rows of a request")),
        _ if cuts => Ok(Source::Rows(tensor, rows)),
        _ => Ok(Source::Whole(tensor)),
    }
}
