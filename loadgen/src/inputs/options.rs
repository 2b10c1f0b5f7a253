//! What the command line says of each input, put together with what the server says. No file is opened here.

use super::{BYTES_MAX, Wanted};
use crate::signature::{Io, Signature};
use graphpipe_schema::DType;

/// One input, as the signature and the options say it together.
#[derive(Debug)]
pub struct Slot {
    /// Its name; empty where neither server nor options have said one.
    pub name: String,
    /// Its element type, if that is known.
    pub dtype: Option<DType>,
    /// Its element type where nobody says one, a file neither.
    pub dtype_default: Option<DType>,
    /// Its dimensions, `None` = open; `None` if not even the rank is known.
    pub dims: Option<Vec<Option<u64>>>,
    /// What `--shape` says of a first dimension that the signature leaves open.
    pub rows: Option<u64>,
    /// Whether the signature leaves the first dimension open, or all of them.
    pub open: bool,
}

/// All inputs in the signature's order. `named` are the names of options that come with files.
pub fn slots(signature: &Signature, wanted: &Wanted, named: &[Option<String>]) -> Result<Vec<Slot>, String> {
    let mut slots: Vec<Slot> = signature.inputs.iter().map(Slot::from_signature).collect::<Result<_, _>>()?;
    if slots.is_empty() {
        slots = made_up(wanted, named);
    }
    for text in &wanted.dtypes {
        let (name, value) = split(signature, text);
        let dtype = DType::ALL.into_iter().find(|dtype| dtype.name() == value).ok_or_else(|| {
            let known: Vec<_> = DType::ALL.iter().map(|dtype| dtype.name()).collect();
            format!("--dtype {text}: types are {}", known.join(", "))
        })?;
        let at = find(&slots, &format!("--dtype {text}"), name)?;
        let slot = &mut slots[at];
        if let Some(known) = slot.dtype.filter(|known| *known != dtype) {
            return Err(format!("--dtype {text}: {slot} is {known}"));
        }
        slot.dtype = Some(dtype);
    }
    for text in &wanted.shapes {
        let (name, value) = split(signature, text);
        let dims = dims(value).map_err(|problem| format!("--shape {text}: {problem}"))?;
        let at = find(&slots, &format!("--shape {text}"), name)?;
        slots[at].shape(&dims).map_err(|problem| format!("--shape {text}: {problem}"))?;
    }
    Ok(slots)
}

/// Which input an option is for.
pub fn find(slots: &[Slot], option: &str, name: Option<&str>) -> Result<usize, String> {
    match name {
        Some(name) => slots
            .iter()
            .position(|slot| slot.name == name)
            .ok_or_else(|| format!("{option}: there is no input \"{name}\"")),
        None if slots.len() == 1 => Ok(0),
        None => Err(format!("{option}: say for which of the {} inputs it is, as NAME=…", slots.len())),
    }
}

impl Slot {
    fn from_signature(io: &Io) -> Result<Slot, String> {
        let dims = io.shape.as_ref().map(|shape| shape.iter().map(|dim| u64::try_from(*dim).ok()).collect());
        let dims: Option<Vec<Option<u64>>> = dims;
        if dims.iter().flatten().any(|dim| *dim == Some(0)) {
            return Err(format!("input \"{}\" has a dimension of 0: there is nothing to send in it", io.name));
        }
        let open = dims.as_ref().is_none_or(|dims| dims.first() == Some(&None));
        let dtype = io.dtype.filter(|dtype| *dtype != DType::Null);
        Ok(Slot { name: io.name.clone(), dtype, dtype_default: None, dims, rows: None, open })
    }

    /// Fills open dimensions with those of a `--shape`.
    fn shape(&mut self, told: &[u64]) -> Result<(), String> {
        let Some(dims) = &self.dims else {
            self.dims = Some(told.iter().copied().map(Some).collect());
            return Ok(());
        };
        if dims.len() != told.len() {
            return Err(format!("these are {} dimensions, and {self} has {}", told.len(), dims.len()));
        }
        for (axis, (dim, told)) in dims.iter().zip(told).enumerate() {
            if let Some(dim) = dim.filter(|dim| dim != told) {
                return Err(format!("axis {axis} of {self} is {dim}, not {told}"));
            }
        }
        if dims.first() == Some(&None) {
            self.rows = told.first().copied();
        }
        self.dims = Some(told.iter().copied().map(Some).collect());
        Ok(())
    }
}

impl std::fmt::Display for Slot {
    /// `input "image"`, or `the input` where it has no name.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.name.is_empty() { f.write_str("the input") } else { write!(f, "input \"{}\"", self.name) }
    }
}

/// The inputs of a server that says nothing of them: those that options name, in the order of the kinds of options.
fn made_up(wanted: &Wanted, files: &[Option<String>]) -> Vec<Slot> {
    let nothing = Signature::default();
    let options = wanted.shapes.iter().chain(&wanted.dtypes).filter_map(|text| split(&nothing, text).0);
    let mut names: Vec<&str> = Vec::new();
    for name in options.chain(files.iter().flatten().map(String::as_str)) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    if names.is_empty() {
        names.push("");
    }
    let slot = |name: &str| Slot {
        name: name.to_owned(),
        dtype: None,
        dtype_default: Some(DType::Float32),
        dims: None,
        rows: None,
        open: true,
    };
    names.into_iter().map(slot).collect()
}

/// Splits `NAME=VALUE`; a value has no `=`, a name may.
fn split<'a>(signature: &Signature, text: &'a str) -> (Option<&'a str>, &'a str) {
    match known(signature, text).or_else(|| text.rsplit_once('=')) {
        Some((name, value)) => (Some(name), value),
        None => (None, text),
    }
}

/// Splits `NAME=…` behind the longest name of an input that it begins with.
pub fn known<'a>(signature: &Signature, text: &'a str) -> Option<(&'a str, &'a str)> {
    let names = signature.inputs.iter().map(|input| input.name.as_str()).filter(|name| !name.is_empty());
    let begins = names.filter(|name| text.strip_prefix(*name).is_some_and(|rest| rest.starts_with('=')));
    let longest = begins.map(str::len).max()?;
    Some((&text[..longest], &text[longest + 1..]))
}

/// Reads `1,784`; nothing is the shape of a scalar.
fn dims(text: &str) -> Result<Vec<u64>, String> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let dim = |text: &str| text.trim().parse().ok().filter(|dim| (1..=BYTES_MAX).contains(dim));
    let refused = |text: &str| format!("\"{text}\" is no dimension: 1 to {BYTES_MAX} are");
    text.split(',').map(|text| dim(text).ok_or_else(|| refused(text))).collect()
}
