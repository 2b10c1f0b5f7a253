//! The files of `--input`: which input each is for, and what it holds as a tensor of that input's type. Whether the shape
//! is one that the input takes is not looked at here.

use super::archive::{arrays, extension};
use super::options::{Slot, find, known};
use super::picture;
use crate::signature::Signature;
use crate::tensor::Tensor;
use image::DynamicImage;
use std::path::Path;

/// What one `--input` gives one input.
#[derive(Debug)]
pub struct Given {
    /// The input's name; `None` if it goes to the only one.
    pub name: Option<String>,
    /// The file, as it was written.
    file: String,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Array(Tensor),
    Picture(DynamicImage),
}

/// All that files give one input.
#[derive(Debug)]
pub struct Array {
    /// The file; the first, if it is several pictures.
    pub file: String,
    /// What it holds.
    pub tensor: Tensor,
}

/// Reads the files.
pub fn load(signature: &Signature, texts: &[String]) -> Result<Vec<Given>, String> {
    let mut all = Vec::new();
    for text in texts {
        let (name, file) = split(signature, text);
        let path = Path::new(file);
        match extension(path).as_str() {
            "png" | "jpg" | "jpeg" => {
                let content = Content::Picture(picture::read(path)?);
                all.push(Given { name: name.map(str::to_owned), file: file.to_owned(), content });
            }
            "npy" => all.extend(arrays(path)?.into_iter().map(|tensor| Given::new(name, file, tensor))),
            "npz" => match name {
                None => all.extend(arrays(path)?.into_iter().map(|tensor| {
                    let name = tensor.name.clone();
                    Given::new(Some(&name), file, tensor)
                })),
                Some(name) => all.push(Given::new(Some(name), file, pick(arrays(path)?, name, file)?)),
            },
            _ => return Err(format!("--input {text}: files are .npy, .npz, .png or .jpg")),
        }
    }
    Ok(all)
}

/// Gives each input what its files hold.
pub fn assign(slots: &[Slot], given: Vec<Given>) -> Result<Vec<Option<Array>>, String> {
    let mut of_slot: Vec<Vec<Given>> = slots.iter().map(|_| Vec::new()).collect();
    for given in given {
        of_slot[find(slots, &format!("--input {}", given.file), given.name.as_deref())?].push(given);
    }
    slots.iter().zip(of_slot).map(|(slot, given)| Array::new(slot, given)).collect()
}

impl Given {
    fn new(name: Option<&str>, file: &str, tensor: Tensor) -> Given {
        Given { name: name.map(str::to_owned), file: file.to_owned(), content: Content::Array(tensor) }
    }
}

impl Array {
    fn new(slot: &Slot, given: Vec<Given>) -> Result<Option<Array>, String> {
        let Some(file) = given.first().map(|given| given.file.clone()) else { return Ok(None) };
        let count = given.len();
        let mut pictures = Vec::new();
        for given in given {
            match given.content {
                Content::Array(tensor) if count == 1 => {
                    return Ok(Some(Array { file, tensor }));
                }
                Content::Array(_) => return Err(format!("{slot} is given twice, the second time by {}", given.file)),
                Content::Picture(picture) => pictures.push((given.file, picture)),
            }
        }
        Ok(Some(Array { file, tensor: picture::tensor(pictures, slot)? }))
    }
}

/// Splits `NAME=FILE`. What is no input's name may be a part of the file's.
fn split<'a>(signature: &Signature, text: &'a str) -> (Option<&'a str>, &'a str) {
    let unknown = || text.split_once('=').filter(|_| !Path::new(text).exists());
    match known(signature, text).or_else(unknown) {
        Some((name, file)) => (Some(name), file),
        None => (None, text),
    }
}

/// Of an archive for one input: the array of its name, or the only one.
fn pick(mut tensors: Vec<Tensor>, name: &str, file: &str) -> Result<Tensor, String> {
    let at = if tensors.len() == 1 { Some(0) } else { tensors.iter().position(|tensor| tensor.name == name) };
    match at {
        Some(at) => Ok(tensors.swap_remove(at)),
        None => Err(format!("{file} has {} arrays, of which none is \"{name}\"", tensors.len())),
    }
}
