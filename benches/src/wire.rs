//! Two hosts and a wire, made of what the kernel has: two network namespaces, joined by a pair of virtual Ethernet devices.
//! Nothing has a name outside of them, so the kernel removes it all when the last process in them ends and nobody has them
//! open, whatever ends this program.

use anyhow::{Context, Result, ensure};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};

/// The server's address on the wire.
pub const SERVER: Ipv4Addr = Ipv4Addr::new(10, 211, 0, 1);
/// The client's.
pub const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 211, 0, 2);
/// What the device is called on both ends.
const DEVICE: &str = "wire";

/// A network namespace.
#[derive(Debug)]
pub struct Host {
    namespace: File,
}

/// The two ends.
#[derive(Debug)]
pub struct Wire {
    /// Where the server runs.
    pub server: Host,
    /// Where the client connects from.
    pub client: Host,
}

impl Wire {
    /// Lays it.
    pub fn lay() -> Result<Wire> {
        let (server, client) = (Keeper::start()?, Keeper::start()?);
        let wire = Wire { server: server.host()?, client: client.host()? };
        let peer = client.process.id().to_string();
        wire.server.within(|| {
            ip(&["link", "add", DEVICE, "type", "veth", "peer", "name", DEVICE, "netns", &peer])?;
            bring_up(SERVER)
        })??;
        wire.client.within(|| bring_up(CLIENT))??;
        Ok(wire)
    }
}

impl Host {
    /// Does something there: sockets that are made by this thread, and processes that it starts, are there for good. This
    /// thread comes back.
    pub fn within<T>(&self, act: impl FnOnce() -> T) -> Result<T> {
        let here = File::open("/proc/thread-self/ns/net").context("the network namespace of this thread")?;
        enter(&self.namespace)?;
        let outcome = act();
        enter(&here).context("back to where this thread was")?;
        Ok(outcome)
    }
}

fn enter(namespace: &File) -> Result<()> {
    let network = Some(LinkNameSpaceType::Network);
    move_into_link_name_space(namespace.as_fd(), network).context("setns, for which one has to be root")
}

fn bring_up(address: Ipv4Addr) -> Result<()> {
    ip(&["link", "set", "lo", "up"])?;
    ip(&["address", "add", &format!("{address}/24"), "dev", DEVICE])?;
    ip(&["link", "set", DEVICE, "up"])
}

fn ip(arguments: &[&str]) -> Result<()> {
    let output = Command::new("ip").args(arguments).output().context("starting ip, of the package iproute2")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "ip {}: {}", arguments.join(" "), said.trim());
    Ok(())
}

/// A process that does nothing but have a namespace of its own, until it is dropped.
#[derive(Debug)]
struct Keeper {
    process: Child,
}

impl Keeper {
    /// It ends by itself when its input does, which is when this process does.
    fn start() -> Result<Keeper> {
        let mut command = Command::new("unshare");
        command.args(["--net", "cat"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let process = command.spawn().context("starting unshare, of the package util-linux")?;
        let mut keeper = Keeper { process };
        let stdin = keeper.process.stdin.as_mut().context("it is piped")?;
        // A pipe that is closed already: what it has to say stands in the other one.
        let _ = stdin.write_all(b"\n");
        let mut line = String::new();
        // What comes back has gone through the namespace's own process, which is made by then.
        BufReader::new(keeper.process.stdout.take().context("it is piped")?).read_line(&mut line)?;
        if line.is_empty() {
            let said = std::io::read_to_string(keeper.process.stderr.take().context("it is piped")?)?;
            anyhow::bail!("network namespaces cannot be made here; one has to be root: {}", said.trim());
        }
        Ok(keeper)
    }

    fn host(&self) -> Result<Host> {
        let path = format!("/proc/{}/ns/net", self.process.id());
        Ok(Host { namespace: File::open(path).context("the network namespace")? })
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        // It ends, because its input has.
        let _ = self.process.wait();
    }
}
