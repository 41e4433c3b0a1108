//! Recomputes what was decided from what is stored.

use tern_protocol::rest::Decision;

use crate::{
    engine::{Engine, Setup},
    event::Batch,
};

/// What came of a replay.
#[derive(Debug, Clone, PartialEq)]
pub struct Replayed {
    /// The engine after the last batch.
    pub engine: Engine,
    /// All decisions.
    pub decisions: Vec<Decision>,
}

/// Folds batches, in order, into what follows from them.
pub fn replay<'a>(setup: Setup, batches: impl IntoIterator<Item = &'a Batch>) -> Replayed {
    let mut engine = Engine::new(setup);
    let mut decisions = Vec::new();
    for batch in batches {
        decisions.extend(engine.apply(batch).decisions);
    }
    Replayed { engine, decisions }
}

/// The bytes of a decision as they are stored and compared: JSON with the fields in their order.
pub fn bytes(decision: &Decision) -> Vec<u8> {
    serde_json::to_vec(decision).expect("plain data is JSON")
}
