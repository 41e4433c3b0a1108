//! Gates that ask another program.
//!
//! Nothing of it is stored but the answer: after a start of the hub it is asked again.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use serde::Deserialize;
use tern_protocol::{
    rest::{Gate, Verdict},
    time::WallTime,
};
use tern_rollout::{
    Engine,
    event::{Answer, Event, GateIndex},
};

use crate::{app::App, rollout::plan::Rollout};

/// Longest reason that is kept, in characters.
const REASON: usize = 300;

/// Questions that are out, and answers that came.
#[derive(Debug, Default)]
pub(super) struct Asking {
    asked: HashMap<(usize, u8), Asked>,
    answers: Arc<Mutex<Vec<Came>>>,
}

/// Where a question is, by its stage and gate.
#[derive(Debug, Clone, Copy)]
enum Asked {
    /// Out. It is not asked once more before there is an answer, which may be that none came in time.
    Out,
    /// Answered, then.
    Answered(WallTime),
}

/// An answer that came.
#[derive(Debug)]
struct Came {
    stage: usize,
    gate: GateIndex,
    at: WallTime,
    verdict: Verdict,
    reason: String,
}

/// What the other program says.
#[derive(Debug, Deserialize)]
struct Said {
    verdict: Verdict,
    #[serde(default)]
    reason: String,
}

impl Asking {
    /// Answers that came since the last look, to questions about this stage.
    pub(super) fn answers(&mut self, stage: usize) -> Vec<Event> {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let mut events = Vec::new();
        for came in answers.drain(..) {
            let key = (came.stage, came.gate.0);
            self.asked.insert(key, Asked::Answered(came.at));
            if came.stage == stage {
                let answer = Answer(came.verdict);
                events.push(Event::Answered(came.gate, answer, came.reason));
            }
        }
        events
    }

    /// Asks what is due.
    pub(super) fn ask(&mut self, app: &App, rollout: &Rollout, engine: &Engine) {
        let (stage, now) = (engine.stage(), app.clock.now());
        for gate in engine.asks() {
            let Some(Gate::Webhook(webhook)) = engine.setup().plan.gates.get(usize::from(gate.0))
            else {
                continue;
            };
            let key = (stage, gate.0);
            let waited = |at: WallTime| now.0.saturating_sub(at.0).max(0).unsigned_abs();
            match self.asked.get(&key) {
                Some(Asked::Out) => continue,
                Some(Asked::Answered(at)) if waited(*at) < webhook.every.ms() => continue,
                _ => {}
            }
            self.asked.insert(key, Asked::Out);
            let question = serde_json::json!({
                "workspace": rollout.workspace,
                "rollout": rollout.id,
                "model": rollout.target.model,
                "version": rollout.target.version,
                "stage": stage + 1,
                "devices": engine.counts(),
                "gates": engine.detailed(),
            });
            let (app, url) = (app.clone(), webhook.url.clone());
            let answers = Arc::clone(&self.answers);
            tokio::spawn(async move {
                let answer = app
                    .courier
                    .ask(&url, question.to_string().into_bytes())
                    .await;
                let (verdict, reason) = read(answer);
                let came = Came {
                    stage,
                    gate,
                    at: app.clock.now(),
                    verdict,
                    reason: reason.chars().take(REASON).collect(),
                };
                let mut answers = answers.lock().unwrap_or_else(PoisonError::into_inner);
                answers.push(came);
                drop(answers);
                app.wake.notify();
            });
        }
    }
}

/// What an answer says; whatever it is, only a pass is a pass.
fn read(answer: Result<Vec<u8>, String>) -> (Verdict, String) {
    let bytes = match answer {
        Ok(bytes) => bytes,
        Err(why) => return (Verdict::Inconclusive, why),
    };
    if let Ok(said) = serde_json::from_slice::<Said>(&bytes) {
        (said.verdict, said.reason)
    } else {
        let why = "its answer is not {\"verdict\": \"pass\" | \"fail\" | \"inconclusive\", \"reason\": …}";
        (Verdict::Inconclusive, why.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_pass_is_a_pass() {
        let said = |text: &str| read(Ok(text.as_bytes().to_vec())).0;
        assert_eq!(said(r#"{"verdict":"pass"}"#), Verdict::Pass);
        assert_eq!(said(r#"{"verdict":"fail","reason":"no"}"#), Verdict::Fail);
        for text in ["", "ok", "{}", r#"{"verdict":"yes"}"#] {
            assert_eq!(said(text), Verdict::Inconclusive, "{text}");
        }
        assert_eq!(
            read(Err("late".into())),
            (Verdict::Inconclusive, "late".into())
        );
    }
}
