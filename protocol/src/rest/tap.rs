use alloc::string::String;
use serde::{Deserialize, Serialize};

use crate::time::WallTime;

/// `GET /tap`, server-sent events: what devices and hub say to each other, as it is said. The SSE
/// event's name is the variant's, its data this as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "tapped")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Tapped {
    /// A message.
    Message {
        /// When the hub heard or said it.
        at: WallTime,
        /// Its MQTT topic.
        topic: String,
        /// Whether the broker keeps it, or had kept it.
        retained: bool,
        /// Its bytes, as Base64.
        payload: String,
    },
    /// Messages that went by too fast to be told.
    Missed {
        /// How many.
        messages: u64,
    },
}
