//! What the program starts ends with it, however it ends. A shell stands for the program, because it is to be killed; `cat`
//! for a daemon, because it says whether it is still there.
#![forbid(unsafe_code)]

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};

/// Starts a companion in the background, whose standard input a shell would otherwise take away.
const SCRIPT: &str = r#"exec 3<&0; "$0" companion $$ cat <&3 & wait"#;

#[test]
fn a_companion_ends_with_a_program_that_is_killed() {
    let mut shell = Command::new("sh");
    shell.args(["-c", SCRIPT, env!("CARGO_BIN_EXE_graphpiped-benches")]);
    let mut shell = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut input, mut output) = (shell.stdin.take().unwrap(), BufReader::new(shell.stdout.take().unwrap()));

    input.write_all(b"ready\n").unwrap();
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n", "the companion did not become cat");

    shell.kill().unwrap();
    // The kernel sends the signal to the companion before it says that the shell has ended.
    shell.wait().unwrap();
    // Where nobody reads any more this fails, and that is as it should be.
    let _ = input.write_all(b"stayed\n");
    drop(input);
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "", "the companion has outlived the program");
}
