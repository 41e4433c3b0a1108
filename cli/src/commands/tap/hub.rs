//! By the API, from a secured hub: it passes on what goes by.

use std::{
    sync::mpsc::{self, RecvTimeoutError, SyncSender},
    thread,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use tern_cli::client::{Client, ClientError};
use tern_protocol::{id::DeviceId, rest::Tapped};

use super::{AGAIN, TRIES, Tap, TapError};
use crate::{
    commands::Answer,
    out::talk,
    show::words::things,
    tap::{Heard, Said},
};

/// Messages read and not yet printed.
const WAITING: usize = 64;

/// What the thread that reads has to say.
enum Told {
    /// The hub answers: from now on messages come.
    Listening,
    /// Something went by.
    Tapped(Tapped),
    /// It reads no more.
    Over(ClientError),
}

/// Prints what the hub passes on.
pub(super) fn listen(tap: &mut Tap<'_>, client: &Client) -> Result<Answer, TapError> {
    let (told_in, told) = mpsc::sync_channel(WAITING);
    let (reader, device) = (client.clone(), tap.args.device.clone());
    // A thread, because reading waits for ever and --timeout does not. It ends with the process.
    thread::spawn(move || read(&reader, device.as_ref(), &told_in));
    let mut announced = false;
    loop {
        let next = match tap.left() {
            None => told.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(left) => told.recv_timeout(left),
        };
        match next {
            Ok(Told::Listening) if !announced => {
                announced = true;
                tap.listening(format_args!(
                    "workspace {} at {}",
                    client.workspace(),
                    client.hub()
                ));
            }
            Ok(Told::Listening) => {}
            Ok(Told::Tapped(tapped)) => {
                if let Some(heard) = heard(tapped)
                    && tap.print(&heard)?
                {
                    return Ok(Answer::Yes);
                }
            }
            Ok(Told::Over(err)) => return Err(err.into()),
            Err(_) => return Ok(tap.on_timeout()),
        }
    }
}

/// The message; what was missed is said at once.
fn heard(tapped: Tapped) -> Option<Heard> {
    match tapped {
        Tapped::Missed { messages } => {
            let messages = things(messages, "message");
            talk(format_args!("{messages} went by too fast to be shown"));
            None
        }
        Tapped::Message {
            at,
            topic,
            retained,
            payload,
        } => Some(match BASE64_STANDARD.decode(payload) {
            Ok(payload) => Heard::read(at, &topic, &payload, retained),
            Err(_) => Heard {
                said: Said::Unreadable {
                    why: "the hub passed it on in another form".into(),
                },
                ..Heard::read(at, &topic, &[], retained)
            },
        }),
    }
}

/// Reads until nobody listens. The hub ends a stream now and then, to see again who listens.
fn read(client: &Client, device: Option<&DeviceId>, told: &SyncSender<Told>) {
    let mut tries = None;
    loop {
        let err = match client.tap(device) {
            Ok(stream) => {
                tries = Some(0);
                if told.send(Told::Listening).is_err() {
                    return;
                }
                match pass_on(stream, told) {
                    Some(err) => err,
                    None => continue,
                }
            }
            Err(err) => err,
        };
        match tries {
            Some(count @ 0..TRIES) if err.is_passing() => tries = Some(count + 1),
            _ => {
                // Nobody left to tell is an end as well.
                let _ = told.send(Told::Over(err));
                return;
            }
        }
        thread::sleep(AGAIN);
    }
}

/// Passes on until the stream ends; why, if it should not have.
fn pass_on(
    stream: impl Iterator<Item = Result<Tapped, ClientError>>,
    told: &SyncSender<Told>,
) -> Option<ClientError> {
    for tapped in stream {
        match tapped.map(|tapped| told.send(Told::Tapped(tapped))) {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return None,
            Err(err) => return Some(err),
        }
    }
    None
}
