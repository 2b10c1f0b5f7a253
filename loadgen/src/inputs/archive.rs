//! Files of tensors, whole: `.npy`, and `.npz`, which is a zip of them. How one `.npy` is read stands in `npy`.

use super::{BYTES_MAX, npy};
use crate::tensor::Tensor;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

/// The tensors in a `.npz` with their names, or the one in a `.npy` without a name. The error is a sentence.
pub fn arrays(path: &Path) -> Result<Vec<Tensor>, String> {
    let read = if extension(path) == "npz" { archive(path) } else { single(path).map(|tensor| vec![tensor]) };
    read.map_err(|problem| format!("cannot read {}: {problem}", path.display()))
}

/// What a file's name says that it is, in lower case.
pub fn extension(path: &Path) -> String {
    path.extension().map(|extension| extension.to_string_lossy().to_lowercase()).unwrap_or_default()
}

fn single(path: &Path) -> Result<Tensor, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let mut left = BYTES_MAX;
    npy::read(&bounded(file, &mut left)?)
}

fn archive(path: &Path) -> Result<Vec<Tensor>, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let mut archive = zip::ZipArchive::new(BufReader::new(file)).map_err(|error| error.to_string())?;
    let mut left = BYTES_MAX;
    let mut tensors: Vec<Tensor> = Vec::new();
    for at in 0..archive.len() {
        let entry = archive.by_index(at).map_err(|error| error.to_string())?;
        let file = entry.name().map_err(|error| error.to_string())?.into_owned();
        let name = file.strip_suffix(".npy").ok_or_else(|| format!("{file:?} in it is no .npy"))?;
        if tensors.iter().any(|tensor| tensor.name == name) {
            return Err(format!("it has {name:?} twice"));
        }
        let tensor = bounded(entry, &mut left).and_then(|bytes| npy::read(&bytes));
        let tensor = tensor.map_err(|problem| format!("{file:?}: {problem}"))?;
        tensors.push(Tensor { name: name.to_owned(), ..tensor });
    }
    if tensors.is_empty() {
        return Err("it holds no arrays".to_owned());
    }
    Ok(tensors)
}

/// Reads all of it, or refuses where that is more than `left`, whatever its head says: a few bytes unpack to gigabytes.
fn bounded(reader: impl Read, left: &mut u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    reader.take(*left + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    *left = left.checked_sub(bytes.len() as u64).ok_or_else(|| format!("it is larger than {BYTES_MAX} bytes"))?;
    Ok(bytes)
}
