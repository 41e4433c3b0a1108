//! Load: clients that ask agents for inferences until they are told to stop.

use std::{
    net::SocketAddr,
    sync::mpsc::{self, Sender},
    thread::{self, JoinHandle},
    time::Duration,
};

use crate::{
    agent::SLOT,
    http::Http,
    oip::{self, Inferred, Input},
    wait::{self, Go},
};

/// Pause of one client between two requests: a steady load that leaves room for other tests.
const PACE: Duration = Duration::from_millis(5);

/// Running clients.
pub struct Traffic(Vec<(Sender<()>, JoinHandle<Answers>)>);

/// What clients were answered.
#[derive(Debug, Default)]
pub struct Answers {
    /// Answers to inputs, as (index of the input, answer).
    pub inferred: Vec<(usize, Inferred)>,
    /// Requests that got anything else.
    pub failed: Vec<String>,
}

impl Traffic {
    /// Starts one client for each address given; the same address may be given more than once.
    pub fn start(agents: impl IntoIterator<Item = SocketAddr>, inputs: &[Input]) -> Self {
        let requests: Vec<String> = inputs.iter().map(Input::request).collect();
        let clients = agents.into_iter().map(|address| {
            let (stop, stopped) = mpsc::channel();
            let requests = requests.clone();
            let client = thread::spawn(move || {
                let (http, mut answers) = (Http::default(), Answers::default());
                let url = format!("http://{address}{}", oip::path(SLOT));
                for (index, request) in requests.iter().enumerate().cycle() {
                    match http.post(&url, request) {
                        Ok(answer) if answer.status == 200 => match Inferred::parse(&answer.body) {
                            Ok(inferred) => answers.inferred.push((index, inferred)),
                            Err(what) => answers.failed.push(what),
                        },
                        Ok(answer) => answers.failed.push(format!("{answer:?}")),
                        Err(err) => answers.failed.push(err),
                    }
                    if wait::paced(&stopped, PACE) == Go::Stop {
                        break;
                    }
                }
                answers
            });
            (stop, client)
        });
        Self(clients.collect())
    }

    /// Stops all clients and returns what they were answered.
    #[track_caller]
    pub fn stop(self) -> Answers {
        let (stops, clients): (Vec<_>, Vec<_>) = self.0.into_iter().unzip();
        drop(stops);
        let mut all = Answers::default();
        for client in clients {
            let answers = client.join().expect("a client of ours does not panic");
            all.inferred.extend(answers.inferred);
            all.failed.extend(answers.failed);
        }
        all
    }
}
