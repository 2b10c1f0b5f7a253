//! What a framework goes on referring to: the memory of a run's inputs, and the word to the daemon when it does not any more.

use crate::memory::View;
use crate::socket::Socket;
use crate::wire::control::FromProcess;
use graphpiped_backend_api::{Keep, Kept};
use smallvec::SmallVec;
use std::cell::OnceCell;
use std::sync::Arc;

/// The memory of one run.
pub(super) struct RunMemory<'a> {
    pub run: u64,
    pub control: &'a Arc<Socket>,
    /// What its inputs lie in.
    pub views: SmallVec<[Option<Arc<View>>; 2]>,
    pub token: OnceCell<Arc<Token>>,
}

/// Dropped by the last who refers to the memory of a run.
pub(super) struct Token {
    run: u64,
    control: Arc<Socket>,
    /// Stays mapped for so long.
    views: SmallVec<[Option<Arc<View>>; 2]>,
    /// Whether nobody has to be told, because the run was still going on.
    is_silent: bool,
}

impl Keep for RunMemory<'_> {
    fn keep(&self) -> Kept {
        let token = self.token.get_or_init(|| {
            let (run, control, views) = (self.run, Arc::clone(self.control), self.views.clone());
            Arc::new(Token { run, control, views, is_silent: false })
        });
        let token: Arc<Token> = Arc::clone(token);
        token
    }
}

impl RunMemory<'_> {
    /// Ends the run. Whether somebody goes on referring to its memory; then the daemon hears when that ends, and not before
    /// this.
    pub fn end(self) -> bool {
        match self.token.into_inner().map(Arc::into_inner) {
            // Nobody has ever asked for it.
            None => false,
            // Whoever did has let it go.
            Some(Some(mut token)) => {
                token.is_silent = true;
                false
            }
            Some(None) => true,
        }
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        // Before the daemon hears that its memory is free.
        self.views.clear();
        if !self.is_silent {
            let mut message = Vec::new();
            FromProcess::Released { run: self.run }.write(&mut message);
            // It fails if the daemon is gone, and needs nothing any more.
            let _ = self.control.send(&message, &[]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::socket::Mailbag;

    #[test]
    fn the_daemon_hears_of_the_last_reference_unless_the_run_still_goes_on() {
        let (daemon, control) = Socket::pair().expect("a pair");
        let control = Arc::new(Socket::of(control));
        let memory = |run| RunMemory { run, control: &control, views: SmallVec::new(), token: OnceCell::new() };
        assert!(!memory(1).end());
        let second = memory(2);
        drop((second.keep(), second.keep()));
        assert!(!second.end());
        let third = memory(3);
        let (kept, again) = (third.keep(), third.keep());
        assert!(third.end());
        drop(kept);
        std::thread::spawn(move || drop(again)).join().expect("no panic");
        let mut mailbag = Mailbag::new();
        let (message, _) = daemon.receive(&mut mailbag).expect("a packet");
        assert_eq!(FromProcess::read(message), Ok(FromProcess::Released { run: 3 }));
        drop(control);
        assert!(daemon.receive(&mut mailbag).expect("the end").0.is_empty(), "nothing else was said");
    }
}
