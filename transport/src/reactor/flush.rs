//! From wishes to operations: what connections want after something happened to them, and the end of those that want
//! nothing any more.

use super::Reactor;
use super::slots::{Armed, Sending};
use crate::connection::Want;
use crate::ring::Key;
use crate::service::Service;
use std::os::fd::AsFd;

impl<S: Service> Reactor<S> {
    /// Turns the wishes of every connection that anything happened to into operations.
    pub(super) fn flush(&mut self) {
        while let Some(key) = self.slots.next_touched() {
            self.receivers.note(&mut self.slots, key, self.world.now);
            let Some(slot) = self.slots.get(key) else { continue };
            let connection = &mut slot.connection;
            if let Some(batch) = connection.next_batch(&mut self.world.spare) {
                let lent_bytes_min = match slot.sending {
                    Sending::Copied => usize::MAX,
                    Sending::Lent => self.world.limits.zero_copy_send_bytes_min,
                };
                self.ring.send(key, slot.socket.as_fd(), batch, lent_bytes_min);
                slot.operations += 1;
                self.transfers += 1;
            }
            if connection.take_shutdown() {
                // A socket that is already gone says so with its next completion.
                let _ = rustix::net::shutdown(&slot.socket, rustix::net::Shutdown::Write);
            }
            if connection.is_finished() {
                self.close(key);
                continue;
            }
            let want = connection.wants(&self.world.limits);
            match (slot.armed, want) {
                (Armed::Nothing, Want::Stream) => {
                    slot.armed = Armed::Stream(self.ring.receive(key, slot.socket.as_fd(), None));
                }
                (Armed::Nothing, Want::Bytes(bytes)) => {
                    self.ring.receive(key, slot.socket.as_fd(), Some(bytes));
                    slot.armed = Armed::Once;
                }
                (Armed::Nothing, Want::Fill) => {
                    let Some((destination, range)) = connection.take_fill() else { continue };
                    slot.armed = Armed::Fill(self.ring.fill(key, slot.socket.as_fd(), destination, range));
                    self.transfers += 1;
                }
                (Armed::Stream(handle), want) if want != Want::Stream => {
                    self.ring.cancel(handle);
                    slot.armed = Armed::Once;
                    continue;
                }
                _ => continue,
            }
            slot.operations += 1;
            self.receivers.armed(slot.receiver, self.world.now);
        }
    }

    /// Ends a connection: its slot is free when its operations have ended, which a shutdown makes them do.
    fn close(&mut self, key: Key) {
        let Some(slot) = self.slots.get(key) else { return };
        if slot.operations > 0 {
            if !slot.is_closing {
                slot.is_closing = true;
                // A socket that is already gone needs no shutdown.
                let _ = rustix::net::shutdown(&slot.socket, rustix::net::Shutdown::Both);
            }
            return;
        }
        self.slots.remove(key);
        self.world.counters.connections_closed.add(1);
        self.control.closed();
    }
}
