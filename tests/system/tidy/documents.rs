//! What the documents must mention: a flag, a metric or a page that nobody can read about does not exist.

use super::{files, has_extension, text};
use crate::support::daemon::root;
use crate::support::{Daemon, graphpiped};
use std::path::Path;

fn document(path: &str) -> String {
    text(Path::new(path)).unwrap_or_else(|| panic!("{path} is text"))
}

#[test]
fn every_flag_is_on_the_operators_page() {
    let page = document("docs/OPERATING.md");
    let commands = [
        (&["serve"][..], "--batch"),
        (&["check"], "--signature"),
        (&["runtime", "list"], "--runtime"),
        (&["runtime", "install"], "--into"),
    ];
    for (command, known) in commands {
        let output = graphpiped().args(command).arg("--help").output().expect("it runs");
        let help = String::from_utf8(output.stdout).expect("text");
        let flags: Vec<&str> = help
            .lines()
            .filter_map(|line| line.trim_start().split([' ', ',', '[']).find(|word| word.starts_with("--")))
            .filter(|flag| !["--help", "--version"].contains(flag))
            .collect();
        assert!(flags.contains(&known), "{help}");
        for flag in flags {
            assert!(page.contains(&format!("`{flag}")), "{flag} of {command:?} is not in docs/OPERATING.md");
        }
    }
}

#[test]
fn every_metric_is_on_the_operators_page() {
    let page = document("docs/OPERATING.md");
    let daemon = Daemon::echo(&[]);
    let metrics = daemon.metrics();
    assert!(metrics.names().len() > 10, "{}", metrics.text());
    for name in metrics.names() {
        assert!(page.contains(&format!("`{name}")), "{name} is not in docs/OPERATING.md");
    }
    daemon.stop();
}

#[test]
fn the_two_commands_of_the_readme_are_there() {
    let (readme, makefile) = (document("README.md"), document("Makefile"));
    for target in ["serve", "test"] {
        assert!(readme.contains(&format!("\nmake {target}")), "README.md does not show `make {target}`");
        assert!(makefile.contains(&format!("\n{target}:")), "Makefile does not know `{target}`");
    }
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut complaints = Vec::new();
    for path in files().into_iter().filter(|path| has_extension(path, "md")) {
        let text = text(&path).expect("a document is text");
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap_or_default();
            let folder = path.parent().expect("a file lies in a folder");
            if !target.is_empty() && !target.contains("://") && !root().join(folder).join(target).exists() {
                complaints.push(format!("{}: {link} is not there", path.display()));
            }
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}
