//! Calls about where things come from.

use tern_protocol::rest::{LineageOf, LineageView, LineageWay};

use super::{Client, ClientError};

impl Client {
    /// `GET /lineage`.
    pub fn lineage(&self, of: &LineageOf, way: LineageWay) -> Result<LineageView, ClientError> {
        let parameters = [("of", of.to_string()), ("way", way.word().to_owned())];
        self.http.get(&self.path("/lineage"), &parameters)
    }
}
