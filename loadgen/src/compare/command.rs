//! Runs a command of `ab` and reads the report that it writes. The command is somebody's shell script: it may fail, write
//! something else, or start programs of its own, and none of these outlives it or us.
//!
//! Each command runs in a process group of its own, led by a watchdog: a shell that waits for the end of a pipe whose other
//! end only we hold. The kernel closes it when we end, however we end, and the watchdog then ends the group. As the group's
//! leader it also keeps the group's number from being given to anyone else while we hold it.

use crate::result::{Report, json};
use anyhow::{Context as _, Result, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process_group};
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

/// The variable that says into which file a command may write its report.
pub const JSON_PATH: &str = "GRAPHPIPE_LOADGEN_JSON";

/// Lines of a failed command's messages that are repeated, and the most bytes of them.
const LINES_MAX: usize = 10;
const MESSAGE_BYTES_MAX: u64 = 4_096;

/// `$1` is the report's file, which nobody else would remove. What ignores the polite signal is ended after five seconds.
const WATCHDOG: &str = "read -r _; rm -f -- \"$1\"; trap '' TERM; kill -TERM 0; sleep 5; kill -KILL 0";

/// Runs `command` to its end and reads its report, from the file named by [`JSON_PATH`] or from its standard output. `name`
/// is what errors call it. Programs that it has left behind are told to end.
pub fn run(name: &str, command: &str) -> Result<Report> {
    let report = tempfile::Builder::new().prefix("graphpipe-loadgen-").suffix(".json").tempfile();
    let report = report.context("no file for the command's report")?;
    // Files and not pipes: a program that is left behind could hold a pipe open for ever.
    let mut output = tempfile::tempfile().context("no file for the command's output")?;
    let mut messages = tempfile::tempfile().context("no file for the command's messages")?;
    let group = Group::start(report.path())?;
    let mut child = group.spawn(command, report.path(), &output, &messages)?;
    let status = child.wait().with_context(|| format!("command {name} cannot be waited for"))?;
    drop(group);
    let said = last_lines(&mut messages).unwrap_or_default();
    // A run of our own program that was not clean says so in its report, and so will the comparison.
    if !status.success() && status.code() != Some(crate::NOT_CLEAN.into()) {
        bail!("command {name} {}: {command}{said}", words(status));
    }
    // Opened again by its name, since the command may have put another file in its place.
    let mut written = File::open(report.path()).with_context(|| format!("command {name} has removed its report"))?;
    let found = match (is_empty(&written)?, is_empty(&output)?) {
        (false, _) => json::read_from(&mut written, &format!("the file that command {name} has written")),
        (true, false) => {
            output.seek(SeekFrom::Start(0))?;
            json::read_from(&mut output, &format!("the output of command {name}"))
        }
        (true, true) => {
            bail!("command {name} printed no report; does it have `--json -`? It is: {command}{said}")
        }
    };
    found.map_err(|error| anyhow!("{error}; command {name} is: {command}{said}"))
}

/// The process group of one command.
struct Group {
    watchdog: Child,
}

impl Group {
    fn start(report: &Path) -> Result<Self> {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", WATCHDOG, "watchdog"]).arg(report).process_group(0);
        shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Self { watchdog: shell.spawn().context("/bin/sh cannot be started")? })
    }

    fn spawn(&self, command: &str, report: &Path, output: &File, messages: &File) -> Result<Child> {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", command]).env(JSON_PATH, report).process_group(self.watchdog.id().cast_signed());
        shell.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(messages.try_clone()?);
        shell.spawn().context("/bin/sh cannot be started")
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Nobody has waited for the watchdog, so its number is still that of this group. The signal fails only where there is
        // nothing left to end.
        let _ = kill_process_group(Pid::from_child(&self.watchdog), Signal::TERM);
        // Waiting can only fail for a process that is not our child.
        let _ = self.watchdog.wait();
    }
}

fn is_empty(file: &File) -> Result<bool> {
    Ok(file.metadata().context("the report's length is unknown")?.len() == 0)
}

fn words(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("failed with exit status {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => format!("ended with {status}"),
    }
}

/// The end of what a command has said, as indented lines after a line of introduction; empty if it has said nothing.
fn last_lines(messages: &mut File) -> Result<String> {
    let length = messages.metadata()?.len();
    messages.seek(SeekFrom::Start(length.saturating_sub(MESSAGE_BYTES_MAX)))?;
    let mut end = Vec::new();
    messages.take(MESSAGE_BYTES_MAX).read_to_end(&mut end)?;
    let text = String::from_utf8_lossy(&end);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = &lines[lines.len().saturating_sub(LINES_MAX)..];
    if last.is_empty() {
        return Ok(String::new());
    }
    let written: Vec<String> = last.iter().map(|line| format!("\n  {}", crate::result::grid::plain(line))).collect();
    Ok(format!("\nIts last lines:{}", written.concat()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::examples::{point, report, round};
    use std::path::PathBuf;
    use std::thread::{self, JoinHandle};

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn report(&self) -> PathBuf {
            let path = self.0.path().join("a.json");
            json::write(&path, &an_example()).unwrap();
            path
        }

        /// A pipe with a name, and a thread that reads it until nobody holds it open for writing.
        fn pipe(&self) -> (PathBuf, JoinHandle<String>) {
            let path = self.0.path().join("pipe");
            assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
            let reader = path.clone();
            (path, thread::spawn(move || std::fs::read_to_string(reader).unwrap()))
        }
    }

    fn an_example() -> Report {
        report(vec![point("", vec![round(1.0, &[1.0])])])
    }

    #[test]
    fn a_report_is_read_from_the_file_or_from_the_output() {
        let folder = Folder::new();
        let path = folder.report().display().to_string();
        assert_eq!(run("a", &format!("cat '{path}'")).unwrap(), an_example());
        let to_file = format!("echo 'a table'; cat '{path}' > \"$GRAPHPIPE_LOADGEN_JSON\"");
        assert_eq!(run("a", &to_file).unwrap(), an_example());
        let renamed = format!("cp '{path}' '{path}.new' && mv '{path}.new' \"$GRAPHPIPE_LOADGEN_JSON\"");
        assert_eq!(run("a", &renamed).unwrap(), an_example());
    }

    #[test]
    fn a_command_that_fails_is_named_with_its_status_and_last_words() {
        let error = run("b", "seq 1 100 >&2; exit 3").unwrap_err().to_string();
        let expected = "command b failed with exit status 3: seq 1 100 >&2; exit 3\nIts last lines:\n  \
                        91\n  92\n  93\n  94\n  95\n  96\n  97\n  98\n  99\n  100";
        assert_eq!(error, expected);
        assert_eq!(
            run("a", "kill -KILL $$").unwrap_err().to_string(),
            "command a was ended by signal 9: kill -KILL $$"
        );
    }

    #[test]
    fn a_command_without_a_report_is_named() {
        let silent = run("a", "true").unwrap_err().to_string();
        assert_eq!(silent, "command a printed no report; does it have `--json -`? It is: true");
        let talking = run("b", "echo 12 K/s; echo done >&2").unwrap_err().to_string();
        assert!(talking.starts_with("the output of command b is not JSON: "), "{talking}");
        assert!(talking.ends_with("command b is: echo 12 K/s; echo done >&2\nIts last lines:\n  done"), "{talking}");
        let removed = run("a", "rm \"$GRAPHPIPE_LOADGEN_JSON\"").unwrap_err().to_string();
        assert_eq!(removed, "command a has removed its report");
    }

    #[test]
    fn what_a_command_leaves_behind_is_ended() {
        let folder = Folder::new();
        let (pipe, reader) = folder.pipe();
        let (pipe, path) = (pipe.display(), folder.report().display().to_string());
        // The pipe is open before anything is left behind, and ends with whoever holds it last.
        run("a", &format!("exec 3> '{pipe}'; (sleep 20; echo survived >&3) & exec 3>&-; cat '{path}'")).unwrap();
        assert_eq!(reader.join().unwrap(), "");
    }

    #[test]
    fn a_command_is_ended_and_its_file_removed_when_we_end() {
        let folder = Folder::new();
        let (pipe, reader) = folder.pipe();
        let path = folder.report();
        let nothing = tempfile::tempfile().unwrap();
        let mut group = Group::start(&path).unwrap();
        let command = format!("exec 3> '{}'; sleep 20; echo survived >&3", pipe.display());
        let mut child = group.spawn(&command, &path, &nothing, &nothing).unwrap();
        // What the kernel does with our end of the pipe when we end.
        drop(group.watchdog.stdin.take());
        assert_eq!(child.wait().unwrap().signal(), Some(Signal::TERM.as_raw()));
        assert!(!path.exists());
        // The command may have been ended before it opened the pipe, and then nobody else would.
        drop(File::options().read(true).write(true).open(&pipe).unwrap());
        assert_eq!(reader.join().unwrap(), "");
    }
}
