//! How files begin, how long they are, and which words they never contain.

use super::{files, has_extension, text};
use std::path::Path;

/// Code that a program wrote: it follows the rules of that program.
fn is_generated(path: &Path) -> bool {
    path.components().any(|component| component.as_os_str() == "generated")
}

#[test]
fn every_source_file_says_first_what_lives_in_it() {
    let mut complaints = Vec::new();
    for path in files().into_iter().filter(|path| !is_generated(path)) {
        let Some(text) = text(&path) else { continue };
        let opens_well = match path.extension().and_then(|extension| extension.to_str()) {
            Some("rs") => text.starts_with("//! "),
            Some("py") => text.trim_start_matches("#!/usr/bin/env python3\n").starts_with("\"\"\""),
            _ => true,
        };
        if !opens_well {
            complaints.push(format!("{} does not open with what lives in it", path.display()));
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// Only said, not demanded: some things are long.
#[test]
fn long_files_are_named() {
    const LINES_MAX: usize = 500;
    for path in files().into_iter().filter(|path| has_extension(path, "rs") && !is_generated(path)) {
        let lines = text(&path).map_or(0, |text| text.lines().count());
        if lines >= LINES_MAX {
            println!("warning: {} has {lines} lines; split it before {LINES_MAX}", path.display());
        }
    }
}

/// Words of unfinished work, and of places that only one machine has. Written in two halves, because this file is checked
/// as well.
const BANNED: [&str; 9] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X:"),
    concat!("todo", "!("),
    concat!("unimplemented", "!("),
    concat!("dbg", "!("),
    concat!("To be", " written"),
    concat!("/work", "/"),
    concat!("allow(dead", "_code)"),
];

#[test]
fn nothing_unfinished_is_left_behind() {
    let mut complaints = Vec::new();
    for path in files().into_iter().filter(|path| !is_generated(path)) {
        let Some(text) = text(&path) else { continue };
        for (number, line) in text.lines().enumerate() {
            for word in BANNED.iter().filter(|word| line.contains(**word)) {
                complaints.push(format!("{}:{}: {word}", path.display(), number + 1));
            }
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn text_files_end_with_a_line_break_and_lines_do_not_end_with_blanks() {
    let mut complaints = Vec::new();
    for path in files().into_iter().filter(|path| !is_generated(path)) {
        let is_ours = ["rs", "py", "md", "toml", "service", "fbs"].iter().any(|known| has_extension(&path, known));
        let Some(text) = text(&path).filter(|_| is_ours) else { continue };
        if !text.is_empty() && !text.ends_with('\n') {
            complaints.push(format!("{} does not end with a line break", path.display()));
        }
        for (number, line) in text.lines().enumerate().filter(|(_, line)| line.ends_with([' ', '\t'])) {
            complaints.push(format!("{}:{}: a blank at the end of {line:?}", path.display(), number + 1));
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}
