//! `wrk`, the load generator that everybody knows, over HTTP on this program's core. What to send it learns from a script in
//! Lua, and what it has found the script says in one line.

use crate::address::Address;
use crate::companion;
use crate::generator::Found;
use crate::watch;
use anyhow::{Context, Result, bail, ensure};
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// How to get it.
const REMEDY: &str = "wrk is needed; get it with `apt-get install wrk`";
/// How long it asks before it is measured: it has no warm-up of its own.
const WARM_UP: Duration = Duration::from_secs(1);
/// What the line begins with.
const MARK: &str = "found:";

/// wrk with a body to post.
#[derive(Debug)]
pub struct Wrk {
    folder: TempDir,
}

impl Wrk {
    /// Writes its script and the body.
    pub fn new(body: &[u8]) -> Result<Wrk> {
        let folder = tempfile::tempdir().context("a temporary folder")?;
        std::fs::write(folder.path().join(BODY), body).context("the body for wrk")?;
        std::fs::write(folder.path().join(SCRIPT), script(&folder.path().join(BODY))).context("the script for wrk")?;
        Ok(Wrk { folder })
    }

    /// Posts for so long, in whole seconds, after another run that only warms the server up. What wrk counts begins with
    /// connecting all the same.
    pub fn run(&self, server: &Address, connections: usize, window: Duration) -> Result<Found> {
        self.ask(server, connections, WARM_UP)?;
        self.ask(server, connections, window)
    }

    fn ask(&self, server: &Address, connections: usize, window: Duration) -> Result<Found> {
        let Address::Tcp(address) = server else { bail!("wrk speaks HTTP over TCP only") };
        let mut command = companion::command("wrk")?;
        command
            .args(["--threads", "1", "--connections", &connections.to_string()])
            .args(["--duration", &format!("{}s", window.as_secs().max(1))])
            .arg("--script")
            .arg(self.folder.path().join(SCRIPT))
            .arg(format!("http://{address}/"));
        let (output, busy) = watch::run("wrk", &mut command, window.mul_f64(0.1), window.mul_f64(0.9))?;
        let said = String::from_utf8_lossy(&output.stdout);
        let complaint = || format!("wrk said:\n{said}{}", String::from_utf8_lossy(&output.stderr));
        ensure!(output.status.success(), "wrk ended with {}; {}", output.status, complaint());
        let line = said.lines().find_map(|line| line.strip_prefix(MARK)).with_context(complaint)?;
        let mut found = read(line).with_context(complaint)?;
        found.client_us = busy? * 1e6 / found.rate;
        Ok(found)
    }
}

/// Checks that it is there.
pub fn check() -> Result<()> {
    // It has no flag that only prints; without arguments it says how it is used, and that it was used wrongly.
    Command::new("wrk").output().map(drop).context(REMEDY)
}

const BODY: &str = "body";
const SCRIPT: &str = "post.lua";

/// Posts the body, and at the end prints requests, microseconds, percentiles in microseconds, and the errors of all kinds.
fn script(body: &Path) -> String {
    format!(
        r#"local file = assert(io.open("{}", "rb"))
wrk.method = "POST"
wrk.body = file:read("*all")
wrk.headers["Content-Type"] = "application/octet-stream"
file:close()

function done(summary, latency, requests)
    local errors = summary.errors
    local count = errors.connect + errors.read + errors.write + errors.status + errors.timeout
    io.write(string.format("{MARK} %d %d %f %f %d\n", summary.requests, summary.duration,
        latency:percentile(50), latency:percentile(99), count))
end
"#,
        body.display()
    )
}

fn read(line: &str) -> Result<Found> {
    let numbers: Vec<f64> = line.split_whitespace().map(str::parse).collect::<Result<_, _>>().context("numbers")?;
    let [requests, microseconds, p50_us, p99_us, errors] = numbers[..] else { bail!("{line:?} has not five numbers") };
    ensure!(errors == 0.0, "there were {errors} errors");
    ensure!(requests > 0.0 && microseconds > 0.0, "nothing was answered");
    Ok(Found { rate: requests * 1e6 / microseconds, p50_us, p99_us, ..Found::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_five_numbers_of_which_the_last_is_errors() {
        let found = read(" 30000 1500000 48.0 77.5 0").unwrap();
        assert_eq!((found.rate, found.p50_us, found.p99_us), (20_000.0, 48.0, 77.5));
        assert!(read(" 30000 1500000 48.0 77.5 1").unwrap_err().to_string().contains("1 errors"));
        assert!(read(" 30000 1500000 48.0").is_err());
    }
}
