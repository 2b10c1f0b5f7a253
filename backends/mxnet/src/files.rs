//! The files of a model, found from the name of one of them, and read with a bound.

use graphpiped_model_description::path_of;
use graphpiped_model_format::{Unread, content};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// Where a model's files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Files {
    /// The graph.
    pub symbol: PathBuf,
    /// The parameters.
    pub params: PathBuf,
    /// All epochs that there are parameters of, if they were chosen here and there was a choice.
    pub epochs: Vec<u64>,
    /// What the operator may say about the model; need not be there.
    pub description: PathBuf,
}

const SYMBOL: &str = "-symbol.json";
const PARAMS: &str = ".params";

impl Files {
    /// The files that belong to `path`, which is the symbol, the parameters, or what the names of both begin with. Of several
    /// epochs the last is taken. Otherwise: what is the matter, to follow the path.
    pub fn find(path: &Path) -> Result<Files, String> {
        let Some(name) = path.file_name().and_then(OsStr::to_str) else {
            return Err(format!("is no file; name the model's {{NAME}}{SYMBOL}"));
        };
        let begun = path.with_file_name(format!("{name}{SYMBOL}"));
        let is_there = path.try_exists().map_err(|error| format!("cannot be read: {error}"))?;
        if begun.exists() && (!is_there || path.is_dir()) {
            return of_symbol(&begun, name);
        }
        if !is_there {
            return Err(format!("there is no such file, and no {name}{SYMBOL}; check the path of the model"));
        }
        if path.is_dir() {
            return Err(format!("is a folder; name the model's {{NAME}}{SYMBOL} in it"));
        }
        let Some(begin) = name.strip_suffix(PARAMS) else {
            let begin = name.strip_suffix(SYMBOL).or_else(|| name.strip_suffix(".json")).unwrap_or(name);
            return of_symbol(path, begin);
        };
        let begin = epoch_of(name, "").map_or(begin, |(begin, _)| begin);
        let symbol = path.with_file_name(format!("{begin}{SYMBOL}"));
        if !symbol.exists() {
            return Err(format!("there is no {begin}{SYMBOL} beside it; put the model's symbol there"));
        }
        let description = path_of(&symbol);
        Ok(Files { symbol, params: path.to_path_buf(), epochs: Vec::new(), description })
    }
}

/// The files of a symbol that is there, when the names of the others begin with `begin`.
fn of_symbol(symbol: &Path, begin: &str) -> Result<Files, String> {
    let folder = match symbol.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let entries = folder.read_dir().map_err(|error| format!("its folder cannot be read: {error}"))?;
    let mut found: Vec<(u64, PathBuf)> = Vec::new();
    for path in entries.filter_map(Result::ok).map(|entry| entry.path()) {
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        if let Some((_, epoch)) = epoch_of(name, begin).filter(|(other, _)| *other == begin) {
            found.push((epoch, path));
        }
    }
    found.sort();
    let epochs = if found.len() > 1 { found.iter().map(|(epoch, _)| *epoch).collect() } else { Vec::new() };
    let Some((_, params)) = found.pop() else {
        return Err(format!(
            "there are no parameters beside it ({begin}-0000{PARAMS}, or another number); put them there"
        ));
    };
    Ok(Files { symbol: symbol.to_path_buf(), params, epochs, description: path_of(symbol) })
}

/// What stands before the epoch in the name of a file of parameters, and the epoch. `begin` is there already.
fn epoch_of<'a>(name: &'a str, begin: &str) -> Option<(&'a str, u64)> {
    let (begin, digits) = name.strip_suffix(PARAMS).filter(|name| name.starts_with(begin))?.rsplit_once('-')?;
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    Some((begin, is_number.then(|| digits.parse().ok()).flatten()?))
}

/// The content of a file that has at most so many bytes. Otherwise: what is the matter, to follow the path.
pub(crate) fn read(path: &Path, bytes_max: u64) -> Result<Vec<u8>, String> {
    content(path, bytes_max).map_err(|unread| match unread {
        Unread::NoFile => format!("{unread}; name the model's own files"),
        Unread::Long(_) => format!("{unread}, which is the most that is read; save a smaller model"),
        Unread::Absent | Unread::Refused(_) => unread.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use tempfile::TempDir;

    fn folder(names: &[&str]) -> TempDir {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for name in names {
            fs::write(folder.path().join(name), "x").expect("a file");
        }
        folder
    }

    #[test]
    fn the_symbol_the_parameters_and_their_common_name_lead_to_the_same_model() {
        let folder = folder(&["m-symbol.json", "m-0000.params"]);
        let at = |name: &str| folder.path().join(name);
        let expected = Files {
            symbol: at("m-symbol.json"),
            params: at("m-0000.params"),
            epochs: vec![],
            description: at("m-symbol.toml"),
        };
        for name in ["m-symbol.json", "m-0000.params", "m"] {
            assert_eq!(Files::find(&at(name)).as_ref(), Ok(&expected), "{name}");
        }
        // Where a folder has the name as well, the files are meant.
        fs::create_dir(at("m")).expect("a folder");
        assert_eq!(Files::find(&at("m")), Ok(expected));
    }

    #[test]
    fn the_last_epoch_is_taken_by_its_number_and_an_epoch_that_is_named_is() {
        let names =
            ["m-symbol.json", "m-0009.params", "m-10000.params", "m-0100.params", "m-best.params", "mm-20000.params"];
        let folder = folder(&names);
        let found = Files::find(&folder.path().join("m")).expect("files");
        assert_eq!((found.params, found.epochs), (folder.path().join("m-10000.params"), vec![9, 100, 10000]));
        let named = folder.path().join("m-0009.params");
        let found = Files::find(&named).expect("files");
        assert_eq!((found.params, found.epochs), (named, vec![]));
    }

    #[test]
    fn names_with_more_of_the_dashes_are_kept_apart() {
        let folder = folder(&["a-b-symbol.json", "a-b-0001.params", "a-0002.params", "net.json", "net-0003.params"]);
        let find = |name: &str| Files::find(&folder.path().join(name)).map(|files| files.params);
        assert_eq!(find("a-b"), Ok(folder.path().join("a-b-0001.params")));
        assert_eq!(find("net.json"), Ok(folder.path().join("net-0003.params")));
        let error = find("a-0002.params").expect_err("it has no symbol");
        assert_eq!(error, "there is no a-symbol.json beside it; put the model's symbol there");
    }

    #[test]
    fn what_is_missing_is_said() {
        let folder = folder(&["m-symbol.json"]);
        let find = |name: &str| Files::find(&folder.path().join(name)).expect_err("it is not there");
        let expected = "there are no parameters beside it (m-0000.params, or another number); put them there";
        assert_eq!(find("m-symbol.json"), expected);
        assert_eq!(find("x"), "there is no such file, and no x-symbol.json; check the path of the model");
        assert_eq!(find(""), "is a folder; name the model's {NAME}-symbol.json in it");
    }

    #[test]
    fn a_file_is_read_up_to_its_limit() {
        let folder = folder(&[]);
        let path = folder.path().join("f");
        fs::write(&path, "abcd").expect("a file");
        assert_eq!(read(&path, 4), Ok(b"abcd".to_vec()));
        assert!(read(&path, 3).expect_err("too long").starts_with("is longer than 3 bytes"));
        assert!(read(folder.path(), 3).expect_err("a folder").starts_with("is not a regular file"));
        assert_eq!(read(&folder.path().join("none"), 3), Err("there is no such file".to_string()));
    }
}
