//! Cameras: many meters whose pictures go to their agents over the Open Inference Protocol.
//!
//! Called by `tern-models camera`. One thread a camera, one for the commands, and this one, which
//! takes every event from a single queue and alone writes the truth and the counts.
//!
//! Must never break:
//! - a truth is written only for a prediction that an agent gave, as soon as it gave it;
//! - an agent that is away costs failed pictures, never a camera;
//! - the number of cameras and of waiting events is bounded.

mod command;
mod eye;
mod oip;
mod pace;
mod truth;

use std::{
    collections::BTreeMap,
    io::{self, BufRead, Write},
    sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use tern_protocol::id::{DeviceId, SiteName};

pub use self::{command::CommandError, truth::TruthError};
use self::{
    command::{Command, Meter, Scene},
    eye::{Eye, Order, Shot},
    truth::Truth,
};
use crate::data::{DataError, Part, load};

/// Cameras of one process: each is a thread, and a demo has twelve.
pub const CAMERAS: usize = 64;

/// Sites whose scene is remembered for cameras to come.
const SITES: usize = 1024;

/// Events that wait to be written. When it is full, cameras wait.
const EVENTS: usize = 1024;

/// How often counts are printed.
const COUNTS_EVERY: Duration = Duration::from_secs(1);

/// How long cameras may take to end: one request and a little.
const GOODBYE: Duration = oip::TIMEOUT.saturating_add(Duration::from_secs(1));

/// Why the cameras cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum CameraError {
    /// The pictures cannot be read.
    #[error("reading the digits")]
    Data(#[from] DataError),
    /// Truths cannot be written, and without them pictures are worth nothing.
    #[error(transparent)]
    Truth(#[from] TruthError),
    /// Nobody reads the counts.
    #[error("writing counts")]
    Counts(#[from] io::Error),
}

/// All that can wake the writer.
#[derive(Debug)]
enum Event {
    /// A line of standard input.
    Line(Result<Command, CommandError>),
    /// A camera took a picture.
    Shot(Shot),
    /// A camera ended.
    Closed,
    /// Standard input ended, or somebody pressed Ctrl-C.
    Stop,
}

/// Asks running cameras to stop, from a signal handler.
#[derive(Debug, Clone)]
pub struct Stop(SyncSender<Event>);

impl Stop {
    /// Does it. Harmless when they have stopped already.
    pub fn stop(&self) {
        // Full means that the writer is busy; it is woken when it gets here.
        let _ = self.0.send(Event::Stop);
    }
}

/// Cameras, ready to run.
#[derive(Debug)]
pub struct Cameras {
    events: (SyncSender<Event>, Receiver<Event>),
}

impl Default for Cameras {
    fn default() -> Self {
        Self {
            events: mpsc::sync_channel(EVENTS),
        }
    }
}

impl Cameras {
    /// For a signal handler.
    pub fn stop(&self) -> Stop {
        Stop(self.events.0.clone())
    }

    /// Obeys the commands, one JSON object a line, until they end or say stop. Truths are appended
    /// to `truth`, counts go to `counts` once a second.
    pub fn run(
        self,
        commands: impl BufRead + Send + 'static,
        truth: &std::path::Path,
        counts: impl Write,
    ) -> Result<(), CameraError> {
        let (sender, events) = self.events;
        let mut room = Room {
            field: load()?.part(Part::Field).into(),
            truth: Truth::open(truth)?,
            counts,
            sender: sender.clone(),
            cameras: BTreeMap::new(),
            scenes: BTreeMap::new(),
            second: Tally::default(),
            all: Tally::default(),
        };
        // Detached: it may wait in a read for ever, and ends with the process.
        thread::spawn(move || listen(commands, &sender));
        room.watch(&events)?;
        room.close(&events)
    }
}

/// Sends each command, and Stop at the end.
fn listen(mut commands: impl BufRead, events: &SyncSender<Event>) {
    while let Some(line) = command::next(&mut commands) {
        let fatal = matches!(line, Err(CommandError::Unreadable(_)));
        if events.send(Event::Line(line)).is_err() || fatal {
            break;
        }
    }
    let _ = events.send(Event::Stop);
}

/// Pictures that got an answer, and others.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    sent: u64,
    failed: u64,
}

/// What one line of counts says.
#[derive(serde::Serialize)]
struct Counts {
    sent: u64,
    failed: u64,
    sent_in_all: u64,
    failed_in_all: u64,
}

/// A camera's thread. Dropping the sender ends it.
struct Camera {
    site: SiteName,
    orders: mpsc::SyncSender<Order>,
    thread: JoinHandle<()>,
}

/// Everything that the writer keeps.
struct Room<W> {
    field: std::sync::Arc<[crate::data::Sample]>,
    truth: Truth,
    counts: W,
    sender: SyncSender<Event>,
    cameras: BTreeMap<DeviceId, Camera>,
    scenes: BTreeMap<SiteName, Scene>,
    second: Tally,
    all: Tally,
}

impl<W: Write> Room<W> {
    fn watch(&mut self, events: &Receiver<Event>) -> Result<(), CameraError> {
        let mut due = Instant::now() + COUNTS_EVERY;
        loop {
            let wait = due.saturating_duration_since(Instant::now());
            match events.recv_timeout(wait) {
                Ok(Event::Line(Ok(Command::Stop)) | Event::Stop)
                | Err(RecvTimeoutError::Disconnected) => return Ok(()),
                Ok(Event::Line(Ok(command))) => self.obey(command),
                Ok(Event::Line(Err(err))) => eprintln!("{err}"),
                Ok(Event::Shot(shot)) => self.note(&shot)?,
                Ok(Event::Closed) | Err(RecvTimeoutError::Timeout) => {}
            }
            if Instant::now() >= due {
                self.print()?;
                due += COUNTS_EVERY;
            }
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Add(meter) => self.add(meter),
            Command::Scene { site, scene } => {
                let cameras = self.cameras.values().filter(|camera| camera.site == site);
                for camera in cameras {
                    camera.order(Order::Scene(scene));
                }
                if self.scenes.contains_key(&site) || self.scenes.len() < SITES {
                    self.scenes.insert(site, scene);
                } else {
                    eprintln!("over {SITES} sites; {site} is not remembered for later cameras");
                }
            }
            Command::Stop => {}
        }
    }

    /// A new camera, or one whose agent has moved.
    fn add(&mut self, meter: Meter) {
        if let Some(camera) = self.cameras.get_mut(&meter.device) {
            camera.site = meter.site.clone();
            camera.order(Order::Meter(Box::new(meter)));
            return;
        }
        if self.cameras.len() == CAMERAS {
            let device = meter.device;
            eprintln!("{device}: over {CAMERAS} cameras; start another process for more");
            return;
        }
        let (orders, inbox) = mpsc::sync_channel(eye::ORDERS);
        let (device, site) = (meter.device.clone(), meter.site.clone());
        let scene = self.scenes.get(&site).copied().unwrap_or_default();
        let eye = Eye::new(meter, scene, self.field.clone());
        let events = self.sender.clone();
        let thread = thread::spawn(move || {
            eye.run(&inbox, |shot| events.send(Event::Shot(shot)).is_ok());
            let _ = events.send(Event::Closed);
        });
        let camera = Camera {
            site,
            orders,
            thread,
        };
        self.cameras.insert(device, camera);
    }

    fn note(&mut self, shot: &Shot) -> Result<(), CameraError> {
        match &shot.answer {
            Ok(answer) => {
                self.truth.append(&shot.device, *answer, shot.digit)?;
                self.second.sent += 1;
                self.all.sent += 1;
            }
            Err(why) => {
                // Said once each time it begins: an agent may be away for long.
                if shot.first_failure {
                    eprintln!("{}: {why}; trying again", shot.device);
                }
                self.second.failed += 1;
                self.all.failed += 1;
            }
        }
        Ok(())
    }

    fn print(&mut self) -> Result<(), CameraError> {
        let second = std::mem::take(&mut self.second);
        let counts = Counts {
            sent: second.sent,
            failed: second.failed,
            sent_in_all: self.all.sent,
            failed_in_all: self.all.failed,
        };
        let text = serde_json::to_string(&counts).expect("numbers become JSON");
        writeln!(self.counts, "{text}")?;
        Ok(self.counts.flush()?)
    }

    /// Lets the cameras finish the picture they are at, and writes those truths too.
    fn close(mut self, events: &Receiver<Event>) -> Result<(), CameraError> {
        let cameras = std::mem::take(&mut self.cameras);
        let mut open = cameras.len();
        let threads: Vec<_> = cameras.into_values().map(|camera| camera.thread).collect();
        let due = Instant::now() + GOODBYE;
        while open > 0 {
            match events.recv_timeout(due.saturating_duration_since(Instant::now())) {
                Ok(Event::Shot(shot)) => self.note(&shot)?,
                Ok(Event::Closed) => open -= 1,
                Ok(Event::Line(_) | Event::Stop) => {}
                Err(_) => break,
            }
        }
        if open == 0 {
            for thread in threads {
                let _ = thread.join();
            }
        }
        self.print()
    }
}

impl Camera {
    /// A camera that has not read its last orders yet is waiting for an agent that is away; it
    /// will see only a bounded number of them.
    fn order(&self, order: Order) {
        if self.orders.try_send(order).is_err() {
            eprintln!(
                "a camera at {} does not follow; an order was dropped",
                self.site
            );
        }
    }
}

#[cfg(test)]
mod tests;
