//! How an attempt ended. Pure.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// The command ended by itself with this exit code; 0 is success.
    Exited(i32),
    /// A signal that nobody here sent ended the command.
    Signalled(i32),
    /// It took more memory than it asked for.
    OutOfMemory(Evidence),
    /// It ran longer than it said it would, and was ended.
    TimeLimit,
    /// Somebody wanted it to end.
    Cancelled,
    /// The supervisor was told to stop, by the machine and not by a person: a shutdown, say.
    Interrupted,
    /// Its environment could not be made, or is not there.
    Environment(String),
    /// The command could not be started.
    NotStarted(String),
    /// Nobody knows how it ended.
    Lost(LostBecause),
}

/// How it is known that memory ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Evidence {
    /// The kernel ended it for its control group's limit.
    Kernel,
    /// Its processes together held so many bytes, and were ended for it.
    Held(u64),
    /// Memory was refused to it and its last words say so.
    LastWords,
    /// The engine that ran it says so.
    Engine,
}

/// Why nobody knows how an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LostBecause {
    /// The machine was started again since.
    OtherBoot,
    /// Its supervisor died.
    SupervisorGone,
    /// Its files are damaged or not there.
    FilesGone,
    /// The engine that ran it does not know it any more.
    EngineForgot,
}

impl Ended {
    /// Whether the command did what it should.
    pub fn is_success(&self) -> bool {
        *self == Self::Exited(0)
    }

    /// Whether the same once more may end otherwise. What ran out of memory or of time does so again; what a person
    /// ended stays ended.
    pub fn may_go_better(&self) -> bool {
        match self {
            Self::Exited(code) => *code != 0,
            Self::Signalled(_)
            | Self::Interrupted
            | Self::Environment(_)
            | Self::NotStarted(_)
            | Self::Lost(_) => true,
            Self::OutOfMemory(_) | Self::TimeLimit | Self::Cancelled => false,
        }
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(0) => f.write_str("succeeded"),
            Self::Exited(code) => write!(f, "ended with exit code {code}"),
            Self::Signalled(signal) => {
                let name = nix::sys::signal::Signal::try_from(*signal);
                match name {
                    Ok(name) => write!(f, "ended by {name}, which Tern did not send"),
                    Err(_) => write!(f, "ended by signal {signal}, which Tern did not send"),
                }
            }
            Self::OutOfMemory(evidence) => match evidence {
                Evidence::Kernel => f.write_str("out of memory: the kernel ended it at its limit"),
                Evidence::Held(bytes) => write!(
                    f,
                    "out of memory: its processes held {} MiB",
                    bytes / (1024 * 1024)
                ),
                Evidence::LastWords => f.write_str("out of memory, by its last words"),
                Evidence::Engine => f.write_str("out of memory, says the engine that ran it"),
            },
            Self::TimeLimit => f.write_str("ran into its time limit"),
            Self::Cancelled => f.write_str("cancelled"),
            Self::Interrupted => f.write_str("interrupted: its supervisor was told to stop"),
            Self::Environment(what) => write!(f, "no environment: {what}"),
            Self::NotStarted(what) => write!(f, "not started: {what}"),
            Self::Lost(because) => f.write_str(match because {
                LostBecause::OtherBoot => "lost: the machine was started again",
                LostBecause::SupervisorGone => "lost: its supervisor died",
                LostBecause::FilesGone => "lost: its files are damaged or gone",
                LostBecause::EngineForgot => "lost: the engine that ran it does not know it",
            }),
        }
    }
}
