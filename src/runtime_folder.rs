//! The folder for sockets that nobody named: `$RUNTIME_DIRECTORY` (systemd makes it), else `$XDG_RUNTIME_DIR` (the login
//! makes it), else a private one under the temporary directory, made here.

use rustix::process::getuid;
use std::ffi::OsString;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// The folder, made if it has to be. `variable` looks up an environment variable.
pub fn runtime_folder(variable: impl Fn(&str) -> Option<OsString>) -> Result<PathBuf, String> {
    let named = |name: &str| variable(name).filter(|value| !value.is_empty());
    if let Some(folders) = named("RUNTIME_DIRECTORY") {
        // systemd separates several by colons; the first one is ours.
        let folders = folders.to_string_lossy().into_owned();
        return Ok(folders.split(':').next().unwrap_or_default().into());
    }
    if let Some(folder) = named("XDG_RUNTIME_DIR") {
        return Ok(folder.into());
    }
    let temporary = named("TMPDIR").map_or_else(|| PathBuf::from("/tmp"), PathBuf::from);
    private(temporary.join(format!("graphpiped-{}", getuid().as_raw())))
}

/// A folder that belongs to us and is closed to everybody else. In a directory that all may write to, one that is there
/// already may be a trap: then it is not used.
fn private(folder: PathBuf) -> Result<PathBuf, String> {
    let made = DirBuilder::new().mode(0o700).create(&folder);
    match made {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(format!("cannot make the folder {} for the socket: {error}; name one with --listen", folder.display()))
        }
        _ if is_private(&folder) => Ok(folder),
        _ => Err(format!(
            "{} is not a folder that belongs to this user alone; remove it, or name a socket with --listen",
            folder.display()
        )),
    }
}

fn is_private(folder: &Path) -> bool {
    // Not following a link: somebody else could turn it.
    folder
        .symlink_metadata()
        .is_ok_and(|found| found.is_dir() && found.uid() == getuid().as_raw() && found.mode().trailing_zeros() >= 6)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn with<'a>(variables: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<OsString> + 'a {
        |name| variables.iter().find(|(other, _)| *other == name).map(|(_, value)| value.into())
    }

    #[test]
    fn systemds_folder_goes_before_the_logins_and_both_before_our_own() {
        let both = [("RUNTIME_DIRECTORY", "/run/graphpiped:/run/other"), ("XDG_RUNTIME_DIR", "/run/user/1")];
        assert_eq!(runtime_folder(with(&both)), Ok("/run/graphpiped".into()));
        assert_eq!(runtime_folder(with(&both[1..])), Ok("/run/user/1".into()));
        assert_eq!(runtime_folder(with(&[("RUNTIME_DIRECTORY", ""), both[1]])), Ok("/run/user/1".into()));
    }

    #[test]
    fn our_own_folder_is_private_and_can_be_used_again() {
        let temporary = tempfile::tempdir().unwrap();
        let variables = [("TMPDIR", temporary.path().to_str().unwrap())];
        let folder = runtime_folder(with(&variables)).unwrap();
        assert!(folder.starts_with(temporary.path()));
        assert_eq!(folder.metadata().unwrap().mode() & 0o777, 0o700);
        assert_eq!(runtime_folder(with(&variables)).unwrap(), folder);
    }

    #[test]
    fn a_folder_that_others_may_enter_or_have_placed_there_is_not_used() {
        let temporary = tempfile::tempdir().unwrap();
        let open = temporary.path().join("open");
        std::fs::create_dir(&open).unwrap();
        std::fs::set_permissions(&open, PermissionsExt::from_mode(0o750)).unwrap();
        assert!(private(open).unwrap_err().contains("belongs to this user alone"));
        let link = temporary.path().join("link");
        std::os::unix::fs::symlink(temporary.path(), &link).unwrap();
        assert!(private(link).is_err());
        assert!(private(temporary.path().join("not/there")).unwrap_err().contains("cannot make the folder"));
    }
}
