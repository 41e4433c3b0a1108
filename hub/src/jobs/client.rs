//! How a cluster is asked: few bytes, little time, and as who its settings say.
//!
//! Must never break: a token is in no error and no log.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tern_compute::request::Request;
use tern_protocol::{
    id::ComputeName,
    rest::{ComputeSettings, ComputeToken},
};
use ureq::{Agent, http};

use super::computes::Compute;
use crate::outgoing;

/// Longest that an answer may take.
const TIME: Duration = Duration::from_secs(10);

/// How long one is read that goes on and on: what a slow line brings until then has to do.
const READING: Duration = Duration::from_secs(8);

/// Bytes that are read at once.
const PIECE: usize = 64 * 1024;

/// Bytes of an answer that are read: a log of Ray comes whole.
pub(super) const ANSWER: u64 = 16 * 1024 * 1024;

/// Bytes of a token's file.
const TOKEN: u64 = 16 * 1024;

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: String,
    /// Whether there is more than was read.
    pub(super) is_cut: bool,
}

/// Ways to clusters. Clones share connections.
#[derive(Clone, Default)]
pub(super) struct Clients(Arc<Mutex<HashMap<ComputeName, (Settled, Agent)>>>);

/// What a way hangs on: with other settings it is another.
type Settled = (Option<String>, Option<String>);

/// The certificates in a text.
pub(super) fn authorities(pem: &str) -> Result<Vec<ureq::tls::Certificate<'static>>, String> {
    outgoing::certificates(pem)
}

impl Clients {
    fn agent(&self, compute: &Compute) -> Result<Agent, String> {
        let settings = &compute.settings;
        let settled = (settings.url.clone(), settings.ca.clone());
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, agent)) = all.get(&compute.name)
            && *known == settled
        {
            return Ok(agent.clone());
        }
        let roots = settings.ca.as_deref().map(authorities).transpose()?;
        let agent = outgoing::agent(roots.as_deref(), TIME);
        all.insert(compute.name.clone(), (settled, agent.clone()));
        Ok(agent)
    }

    /// Asks, on a thread that may wait.
    pub(super) async fn ask(&self, compute: &Compute, request: Request) -> Result<Answer, String> {
        let agent = self.agent(compute)?;
        let settings = compute.settings.clone();
        let asked = tokio::task::spawn_blocking(move || ask(&agent, &settings, &request));
        asked
            .await
            .unwrap_or_else(|_| Err("asking it broke".into()))
    }
}

fn ask(agent: &Agent, settings: &ComputeSettings, request: &Request) -> Result<Answer, String> {
    let begun = Instant::now();
    let base = settings.url.as_deref().unwrap_or_default();
    let url = format!("{}{}", base.trim_end_matches('/'), request.path);
    let body = request.body.as_ref().map(ToString::to_string);
    let mut building = http::Request::builder()
        .method(request.method)
        .uri(url)
        .header("accept", "application/json, text/plain, */*");
    if let Some(token) = &settings.token {
        let token = match token {
            ComputeToken::Token(token) => token.clone(),
            ComputeToken::File(path) => read(path)?,
        };
        building = building.header("authorization", format!("Bearer {token}"));
    }
    let wrong = |_| "its address or token does not fit into a request".to_owned();
    let answer = match body {
        None => agent.run(building.body(()).map_err(wrong)?),
        Some(body) => {
            let building = building.header("content-type", "application/json");
            agent.run(building.body(body).map_err(wrong)?)
        }
    };
    let answer = answer.map_err(|err| format!("it does not answer: {err}"))?;
    let status = answer.status().as_u16();
    let read = beginning(answer.into_body().into_reader(), begun + READING);
    let (body, is_cut) = read.map_err(|err| format!("its answer: {err}"))?;
    Ok(Answer {
        status,
        body: String::from_utf8_lossy(&body).into_owned(),
        is_cut,
    })
}

/// What there is to read until then, and no more than [`ANSWER`]; whether there may be more.
fn beginning(mut from: impl Read, until: Instant) -> io::Result<(Vec<u8>, bool)> {
    let (mut all, mut piece) = (Vec::new(), vec![0; PIECE]);
    loop {
        match from.read(&mut piece) {
            Ok(0) => return Ok((all, false)),
            Ok(read) => all.extend_from_slice(&piece[..read]),
            Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
            Err(err) => return Err(err),
        }
        if all.len() as u64 >= ANSWER || Instant::now() >= until {
            return Ok((all, true));
        }
    }
}

fn read(path: &str) -> Result<String, String> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(TOKEN).read_to_string(&mut text));
    read.map_err(|err| format!("the token in {path}: {err}"))?;
    Ok(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_on_and_on_is_read_so_far() {
        let later = Instant::now() + Duration::from_hours(1);
        let (all, is_cut) = beginning(&b"whole"[..], later).expect("read");
        assert_eq!((all.as_slice(), is_cut), (&b"whole"[..], false));
        let (all, is_cut) = beginning(io::repeat(b'x'), later).expect("read");
        assert!(is_cut && (ANSWER..ANSWER + PIECE as u64).contains(&(all.len() as u64)));
        let (all, is_cut) = beginning(io::repeat(b'x'), Instant::now()).expect("read");
        assert_eq!((all.len(), is_cut), (PIECE, true));
    }
}
