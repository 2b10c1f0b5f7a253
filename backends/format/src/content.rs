//! All of a file, if it is one and no longer than its reader can bear.

use std::fmt::{Display, Formatter};
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

/// Why a file was not read. It follows the file's path; what to do about it is for who knows what the file is for.
#[derive(Debug)]
pub enum Unread {
    /// It is not there.
    Absent,
    /// It is a folder, a pipe, a socket or a device.
    NoFile,
    /// It has more bytes than these.
    Long(u64),
    /// The system does not let it be read.
    Refused(io::Error),
}

impl Display for Unread {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Unread::Absent => f.write_str("there is no such file"),
            Unread::NoFile => f.write_str("is not a regular file"),
            Unread::Long(bytes_max) => write!(f, "is longer than {bytes_max} bytes"),
            Unread::Refused(error) => write!(f, "cannot be read: {error}; it has to be readable by this user"),
        }
    }
}

impl From<io::Error> for Unread {
    fn from(error: io::Error) -> Unread {
        if error.kind() == ErrorKind::NotFound { Unread::Absent } else { Unread::Refused(error) }
    }
}

/// The bytes of a file, of which there may be so many.
pub fn content(path: &Path, bytes_max: u64) -> Result<Vec<u8>, Unread> {
    // Looked at before it is opened: opening a pipe would wait for somebody to write into it.
    let metadata = path.metadata()?;
    if !metadata.is_file() {
        return Err(Unread::NoFile);
    }
    if metadata.len() > bytes_max {
        return Err(Unread::Long(bytes_max));
    }
    let mut bytes = Vec::with_capacity(metadata.len() as usize);
    // It may have grown meanwhile.
    File::open(path)?.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max { Err(Unread::Long(bytes_max)) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_up_to_its_limit() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("f");
        std::fs::write(&path, "abcd").expect("a file");
        assert_eq!(content(&path, 4).expect("it has four"), b"abcd");
        assert!(matches!(content(&path, 3), Err(Unread::Long(3))));
        // A file that says of itself that it is empty, and is not.
        assert!(matches!(content(Path::new("/proc/self/status"), 3), Err(Unread::Long(3))));
    }

    #[test]
    fn what_is_no_file_is_not_opened() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        assert!(matches!(content(folder.path(), 3), Err(Unread::NoFile)));
        assert!(matches!(content(&folder.path().join("none"), 3), Err(Unread::Absent)));
        // Whoever opened it would wait for ever.
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().expect("it runs").success());
        assert!(matches!(content(&pipe, 3), Err(Unread::NoFile)));
    }
}
