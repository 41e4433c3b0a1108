//! What cameras are told: one JSON object a line.

use std::{
    io::{self, BufRead, Read},
    net::SocketAddr,
};

use serde::Deserialize;
use tern_protocol::id::{DeviceId, SiteName, SlotName};

use crate::{
    corruption::{Corruption, StrengthError},
    frames::Images,
};

/// Longest command, in bytes; a real one has two hundred.
const LINE: u64 = 16 * 1024;

/// Fastest camera, in pictures a second. An agent of this demo answers some thousand.
const RATE: f64 = 1000.0;

/// A command.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Command {
    /// A new camera, or new facts about one.
    Add(Meter),
    /// What all cameras of a site see from now on.
    Scene { site: SiteName, scene: Scene },
    /// The end.
    Stop,
}

/// A meter with a camera and an agent.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Meter {
    pub(super) device: DeviceId,
    pub(super) site: SiteName,
    pub(super) agent: SocketAddr,
    pub(super) slot: SlotName,
    /// Decides the order of the images and how each is corrupted.
    pub(super) seed: u64,
    /// Pictures a second.
    pub(super) rate: f64,
}

/// What is wrong at a site, and which images its meters show.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Scene {
    pub(super) corruption: Corruption,
    pub(super) images: Images,
}

/// What is wrong with a command. The cameras go on without it.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// Not a JSON object as documented.
    #[error("a command was ignored: {0}")]
    Json(#[from] serde_json::Error),
    /// More or less than one thing to do.
    #[error("a command was ignored: it is one of add, site and stop")]
    Unclear,
    /// A strength that is none.
    #[error("a command was ignored: {0}")]
    Strength(#[from] StrengthError),
    /// A rate that no camera has.
    #[error("a command was ignored: the rate is {0}, not over 0 and up to {RATE} a second")]
    Rate(f64),
    /// Commands cannot be read any more.
    #[error("commands end here: {0}")]
    Unreadable(io::Error),
}

/// A command as typed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    add: Option<Meter>,
    stop: Option<bool>,
    site: Option<SiteName>,
    #[serde(default)]
    images: Images,
    #[serde(default)]
    fog: f32,
    #[serde(default)]
    stuck: f32,
    #[serde(default)]
    tilt: f32,
    #[serde(default)]
    fade: f32,
}

/// The next command; `None` at the end. Empty lines are skipped.
pub(super) fn next(from: &mut impl BufRead) -> Option<Result<Command, CommandError>> {
    loop {
        let mut line = Vec::new();
        match from.by_ref().take(LINE).read_until(b'\n', &mut line) {
            Ok(0) => return None,
            Ok(_) if line.len() as u64 == LINE && !line.ends_with(b"\n") => {
                let long = io::Error::other(format!("a line is over {LINE} bytes"));
                return Some(Err(CommandError::Unreadable(long)));
            }
            Ok(_) if line.trim_ascii().is_empty() => {}
            Ok(_) => return Some(parse(&line)),
            Err(err) => return Some(Err(CommandError::Unreadable(err))),
        }
    }
}

fn parse(line: &[u8]) -> Result<Command, CommandError> {
    let line: Line = serde_json::from_slice(line)?;
    match (line.add, line.site, line.stop) {
        (Some(meter), None, None) => {
            let possible = meter.rate > 0.0 && meter.rate <= RATE;
            possible
                .then_some(Command::Add(meter.clone()))
                .ok_or(CommandError::Rate(meter.rate))
        }
        (None, Some(site), None) => {
            let corruption = Corruption {
                fog: line.fog,
                stuck: line.stuck,
                tilt: line.tilt,
                fade: line.fade,
            };
            let scene = Scene {
                corruption: corruption.check()?,
                images: line.images,
            };
            Ok(Command::Scene { site, scene })
        }
        (None, None, Some(true)) => Ok(Command::Stop),
        _ => Err(CommandError::Unclear),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> String {
        let mut from = text.as_bytes();
        let mut all = Vec::new();
        while let Some(line) = next(&mut from) {
            all.push(match line {
                Ok(Command::Add(meter)) => format!("add {} {}", meter.device, meter.agent),
                Ok(Command::Scene { site, scene }) => {
                    format!("{site} {} {:?}", scene.corruption.fog, scene.images)
                }
                Ok(Command::Stop) => "stop".into(),
                Err(err) => err.to_string(),
            });
        }
        all.join("\n")
    }

    #[test]
    fn commands() {
        let add = r#"{"add":{"device":"meter-01","site":"harbour","agent":"127.0.0.1:8070","slot":"digit-reader","seed":7,"rate":5.0}}"#;
        let text = format!(
            "{add}\n\n{}\r\n{}\n{}",
            r#"{"site":"harbour","fog":0.5,"stuck":0,"tilt":0,"fade":0}"#,
            r#"{"site":"hill","images":"late"}"#,
            r#"{"stop":true}"#
        );
        let expected = "add meter-01 127.0.0.1:8070\nharbour 0.5 All\nhill 0 Late\nstop";
        assert_eq!(said(&text), expected);
        let fast = said(&add.replace("5.0", "0"));
        assert!(fast.contains("the rate is 0,"), "{fast}");
    }

    #[test]
    fn lines_that_are_no_command() {
        for (line, expected) in [
            ("{}", "one of add, site and stop"),
            (r#"{"stop":false}"#, "one of add, site and stop"),
            (r#"{"site":"a","stop":true}"#, "one of add, site and stop"),
            (r#"{"site":"a","fog":1.5}"#, "the strength of fog is 1.5"),
            (r#"{"site":"a","frog":1}"#, "unknown field `frog`"),
            (r#"{"site":"../a"}"#, "is not a name"),
            ("[1", "a command was ignored"),
            ("\u{fffd}", "a command was ignored"),
        ] {
            assert!(said(line).contains(expected), "{line} gave {}", said(line));
        }
        assert!(said(&"x".repeat(20_000)).contains("over 16384 bytes"));
    }
}
