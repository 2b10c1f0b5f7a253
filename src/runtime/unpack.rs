//! What is needed of a wheel, which is a zip archive. Its hash is known by then, but its sizes are bounded all the same.

use super::plan::{Take, Wheel};
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Component, Path};
use zip::ZipArchive;
use zip::read::ZipFile;

/// How much was unpacked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// Files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// More than any framework has; a few bytes may unpack to terabytes.
pub const BYTES_MAX: u64 = 4 << 30;
/// PyTorch's headers are 10 000.
pub const FILES_MAX: u64 = 50_000;

/// Unpacks what is taken of a wheel that lies at `path` into a folder. `amount` is what was unpacked before, and counts on.
pub fn unpack(wheel: &Wheel<'_>, path: &Path, folder: &Path, amount: &mut Amount) -> Result<(), String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let failed = |why: String| format!("{name} is not the wheel that it should be: {why}; fetch it again");
    let file = File::open(path).map_err(|error| failed(error.to_string()))?;
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(|error| failed(error.to_string()))?;
    for take in wheel.takes {
        match *take {
            Take::File(from, to) => {
                let member = archive.by_name(from).map_err(|error| failed(format!("{from}: {error}")))?;
                write(member, &folder.join(to), amount).map_err(failed)?;
            }
            Take::Folder(from, to) => take_folder(&mut archive, from, &folder.join(to), amount).map_err(failed)?,
        }
    }
    Ok(())
}

type Archive = ZipArchive<BufReader<File>>;

fn take_folder(archive: &mut Archive, from: &str, to: &Path, amount: &mut Amount) -> Result<(), String> {
    let before = amount.files;
    for index in 0..archive.len() {
        let member = archive.by_index(index).map_err(|error| error.to_string())?;
        let name = member.name().map_err(|error| error.to_string())?.into_owned();
        let Some(rest) = name.strip_prefix(from).filter(|_| !member.is_dir()) else { continue };
        // A member may lie in the folder, and nowhere else.
        if !Path::new(rest).components().all(|part| matches!(part, Component::Normal(_))) {
            return Err(format!("{name} would lie outside of its folder"));
        }
        write(member, &to.join(rest), amount)?;
    }
    if amount.files == before { Err(format!("there is nothing in {from}")) } else { Ok(()) }
}

fn write(mut member: ZipFile<'_, BufReader<File>>, to: &Path, amount: &mut Amount) -> Result<(), String> {
    let place = |error: io::Error| format!("{}: {error}", to.display());
    let size = member.size();
    amount.files += 1;
    amount.bytes = amount.bytes.saturating_add(size);
    if amount.bytes > BYTES_MAX || amount.files > FILES_MAX {
        return Err(format!("it has more than {FILES_MAX} files, or more than {BYTES_MAX} bytes"));
    }
    fs::create_dir_all(to.parent().unwrap_or(Path::new("."))).map_err(place)?;
    let mut file = File::create_new(to).map_err(place)?;
    // What the archive says of the size is a promise; the checksum at the end is compared by the reader.
    let copied = io::copy(&mut (&mut member).take(size + 1), &mut file).map_err(place)?;
    if copied != size {
        return Err(format!("{} has {copied} bytes, and {size} were promised", to.display()));
    }
    Ok(())
}
