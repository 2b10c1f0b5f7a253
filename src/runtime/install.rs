//! A framework's folder, which appears at once and whole, or not at all.
//!
//! Everything is made in a scratch folder beside it, on the same file system, and put in its place with one rename; a daemon
//! that has the old library open keeps it. Its stamp says what is in it, and that it was made here: a folder without one is
//! never replaced. A lock keeps a second installation waiting, which then finds that all is done.

use super::plan::{Made, Plan};
use super::stamp::{STAMP, finish, is_complete};
use super::unpack::{Amount, unpack};
use super::{pip, stub};
use crate::units::ByteSize;
use rustix::fs::{CWD, OFlags, RenameFlags, renameat_with};
use rustix::io::Errno;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Makes the folder of a framework in the library folder `into`, unless it is there. `say` tells whoever waits how it goes on.
pub fn install(plan: &Plan<'_>, into: &Path, python: &str, say: &dyn Fn(&str)) -> Result<(), String> {
    let (title, version) = (plan.framework.title(), plan.version);
    let folder = into.join(plan.framework.folder());
    let in_into = |error: io::Error| cannot_write(into, &error);
    if is_complete(&folder, plan) {
        say(&format!("{title} {version} is in {0} already; to fetch it again, remove {0} first", folder.display()));
        return Ok(());
    }
    refuse_what_is_not_ours(&folder)?;
    make_readable(into).map_err(in_into)?;
    let lock = open_lock(&into.join(LOCK))?;
    if lock.try_lock().is_err() {
        say("another installation goes on there; waiting for its end");
        lock.lock().map_err(in_into)?;
    }
    // Another one may have ended in the meantime.
    if is_complete(&folder, plan) {
        say(&format!("{title} {version} is in {}", folder.display()));
        return Ok(());
    }
    let scratch = Scratch::new(into.join(format!(".{}.new", plan.framework.folder()))).map_err(in_into)?;
    say(&format!("fetching {title} {version} from the package index ({})", ByteSize(plan.bytes())));
    let wheels = pip::download(plan, python, &scratch.0)?;
    let fresh = scratch.0.join("fresh");
    fs::create_dir(&fresh).map_err(in_into)?;
    let mut amount = Amount::default();
    for (wheel, path) in plan.wheels.iter().zip(&wheels) {
        say(&format!("unpacking {} {}", wheel.project, wheel.version));
        unpack(wheel, path, &fresh, &mut amount)?;
        // Half of the room on the disk.
        fs::remove_file(path).map_err(in_into)?;
    }
    plan.made.iter().try_for_each(|made| make(*made, &fresh)).map_err(in_into)?;
    finish(&fresh, plan).map_err(in_into)?;
    replace(&fresh, &folder, &scratch.0.join("old")).map_err(|error| cannot_write(&folder, &error))?;
    // The new name has to be on the disk too.
    File::open(into).and_then(|into| into.sync_all()).map_err(in_into)?;
    let Amount { files, bytes } = amount;
    let plural = if files == 1 { "" } else { "s" };
    say(&format!("{title} {version} is in {} ({files} file{plural}, {})", folder.display(), ByteSize(bytes)));
    Ok(())
}

/// Held by whoever installs.
const LOCK: &str = ".lock";

/// Opens the lock, which nobody reads: what is in it stays, and a link is not followed, because somebody may have put it there
/// for whoever may write more than he.
fn open_lock(path: &Path) -> Result<File, String> {
    let no_link = OFlags::NOFOLLOW.bits().cast_signed();
    let opened = OpenOptions::new().write(true).create(true).truncate(false).custom_flags(no_link).open(path);
    opened.map_err(|error| {
        if path.is_symlink() {
            format!("{}: is a link, and no lock of this command; remove it", path.display())
        } else {
            cannot_write(path, &error)
        }
    })
}

/// The folder is replaced as a whole, so it has to be one that was made here, or an empty one.
fn refuse_what_is_not_ours(folder: &Path) -> Result<(), String> {
    let shown = folder.display();
    match folder.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(format!("{shown}: cannot be looked at: {error}; name another folder with --into")),
        Ok(found) if !found.is_dir() => {
            Err(format!("{shown} is not a folder; move it away, or name another one with --into"))
        }
        Ok(_) if folder.join(STAMP).is_file() || folder.read_dir().is_ok_and(|mut all| all.next().is_none()) => Ok(()),
        Ok(_) => Err(format!(
            "{shown} holds files that this command has not put there; move them away, or name another folder with --into"
        )),
    }
}

/// Makes a folder and those around it. Everybody may look into those that were not there, whatever the umask is: the daemon is
/// another user. Somebody else may make the same ones at the same time, for nobody can hold a lock that is to lie in them.
pub fn make_readable(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    folder.parent().map_or(Ok(()), make_readable)?;
    match fs::create_dir(folder) {
        // By somebody else, who may never come to its mode; whose folder it is, he may.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => {
            let _ = open_to_all(folder);
            Ok(())
        }
        made => made.and_then(|()| open_to_all(folder)),
    }
}

fn open_to_all(folder: &Path) -> io::Result<()> {
    fs::set_permissions(folder, Permissions::from_mode(0o755))
}

fn make(made: Made<'_>, folder: &Path) -> io::Result<()> {
    match made {
        Made::Link(path, target) => std::os::unix::fs::symlink(target, folder.join(path)),
        Made::Text(path, text) => fs::write(folder.join(path), text),
        Made::Stub(path, needed) => {
            let name = Path::new(path).file_name().unwrap_or_default().to_string_lossy();
            fs::write(folder.join(path), stub::library(&name, needed))
        }
    }
}

/// Puts `fresh` where `folder` is. What was there comes to where `fresh` or `old` is, and stays where it is if this fails.
fn replace(fresh: &Path, folder: &Path, old: &Path) -> io::Result<()> {
    if folder.is_dir() { exchange(fresh, folder, old) } else { fs::rename(fresh, folder) }
}

/// Has two folders change places in one step, so that at no moment is there none.
pub fn exchange(fresh: &Path, folder: &Path, old: &Path) -> io::Result<()> {
    match renameat_with(CWD, fresh, CWD, folder, RenameFlags::EXCHANGE) {
        // The file system has no such step.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => replace_by_two_renames(fresh, folder, old),
        other => Ok(other?),
    }
}

/// The same in two steps; what was there goes back if the second one fails.
pub fn replace_by_two_renames(fresh: &Path, folder: &Path, old: &Path) -> io::Result<()> {
    fs::rename(folder, old)?;
    fs::rename(fresh, folder).inspect_err(|_| {
        // What is said is why the new one could not be put there; there is nothing better to do about the old one.
        let _ = fs::rename(old, folder);
    })
}

fn cannot_write(place: &Path, error: &io::Error) -> String {
    let place = place.display();
    match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => format!(
            "{place}: cannot be written: {error}; run this as root, or name a folder with --into DIR, which the daemon \
             finds with --runtime DIR"
        ),
        io::ErrorKind::StorageFull => {
            format!("{place}: cannot be written: {error}; make room, or name a folder with --into")
        }
        _ => format!("{place}: cannot be written: {error}; name another folder with --into"),
    }
}

/// A folder that goes away with everything in it. Whoever has the lock may remove one that was left behind.
struct Scratch(PathBuf);

impl Scratch {
    fn new(folder: PathBuf) -> io::Result<Scratch> {
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => fs::create_dir(&folder)?,
        }
        Ok(Scratch(folder))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed now is removed by the next installation.
        let _ = fs::remove_dir_all(&self.0);
    }
}
