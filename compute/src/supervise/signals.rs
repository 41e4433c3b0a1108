//! Signals as something to wait for. They are held back, so that none of them ends the supervisor in the middle.

use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::{
    signal::{SigSet, Signal},
    signalfd::{SfdFlags, SignalFd},
};

pub(super) struct Signals(SignalFd);

/// What arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// A child ended.
    Child,
    /// We should end.
    Stop,
}

impl Signals {
    pub(super) fn hold() -> nix::Result<Self> {
        let set = held();
        set.thread_block()?;
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        Ok(Self(SignalFd::with_flags(&set, flags)?))
    }

    /// The next one that arrived.
    pub(super) fn next(&self) -> Option<Told> {
        let info = self.0.read_signal().ok()??;
        Some(if info.ssi_signo == Signal::SIGCHLD as u32 {
            Told::Child
        } else {
            Told::Stop
        })
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// For a command, which inherits what is held back, and expects nothing to be.
pub(super) fn release() -> nix::Result<()> {
    held().thread_unblock()
}

fn held() -> SigSet {
    [
        Signal::SIGCHLD,
        Signal::SIGTERM,
        Signal::SIGINT,
        Signal::SIGHUP,
        Signal::SIGQUIT,
    ]
    .into_iter()
    .collect()
}
