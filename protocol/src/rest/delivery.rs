use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

use crate::{
    blob::BlobRef,
    rest::{Stages, VersionRef},
    time::WallTime,
};

/// `GET /delivery`: what leaves the hub for devices, now and before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct DeliveryView {
    /// What it may not exceed.
    pub limits: DeliveryLimits,
    /// Whether the broker that fans chunks out to devices is part of this hub: then each device's copy
    /// still leaves by the hub's own network.
    pub broker_inside: bool,
    /// Blobs that devices wait for, or that moved within the last seconds; the busiest first.
    pub now: Vec<BlobDelivery>,
    /// Versions by the time at which something of them last moved, newest first.
    pub versions: Vec<VersionDelivery>,
    /// All of the workspace, since the hub keeps count.
    pub totals: Moving,
    /// Signed metadata, which devices fetch in the same way.
    pub metadata: Moving,
}

/// Bytes a second that may leave, and downloads; absent: no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct DeliveryLimits {
    /// In all, by MQTT and HTTPS.
    pub hub_per_s: Option<u64>,
    /// For the devices of each site.
    pub site_per_s: Option<u64>,
    /// Of each blob.
    pub blob_per_s: Option<u64>,
    /// Downloads by HTTPS at a time.
    pub downloads: u64,
}

/// What moved, in bytes of blobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Moving {
    /// Published by MQTT, each chunk once however many devices listened.
    pub published_bytes: u64,
    /// Of these, sent again because a device lost them.
    pub repeated_bytes: u64,
    /// Chunks published.
    pub chunks: u64,
    /// Of these, sent again.
    pub chunks_repeated: u64,
    /// Downloaded by HTTPS.
    pub downloaded_bytes: u64,
    /// What devices took in all, by both ways.
    pub taken_bytes: u64,
    /// What devices took beyond what left: bytes saved by sending to many at once.
    pub saved_bytes: u64,
    /// What devices did not have to take because they made a file of a delta.
    #[serde(default)]
    pub spared_bytes: u64,
}

impl Moving {
    /// Bytes that left, by both ways.
    pub const fn left_bytes(&self) -> u64 {
        self.published_bytes.saturating_add(self.downloaded_bytes)
    }

    /// Adds what moved elsewhere, and counts anew what that saved.
    pub fn add(&mut self, other: &Self) {
        let pairs = [
            (&mut self.published_bytes, other.published_bytes),
            (&mut self.repeated_bytes, other.repeated_bytes),
            (&mut self.chunks, other.chunks),
            (&mut self.chunks_repeated, other.chunks_repeated),
            (&mut self.downloaded_bytes, other.downloaded_bytes),
            (&mut self.taken_bytes, other.taken_bytes),
            (&mut self.spared_bytes, other.spared_bytes),
        ];
        for (sum, more) in pairs {
            *sum = sum.saturating_add(more);
        }
        self.saved_bytes = self.taken_bytes.saturating_sub(self.left_bytes());
    }
}

/// What a blob is of what ships.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum BlobPart {
    /// The manifest: the bundle itself.
    Manifest,
    /// The ONNX file.
    Model,
    /// The golden samples.
    Golden,
    /// The reference profile.
    Reference,
    /// What changed since a version before, fetched in place of the ONNX file.
    Delta,
    /// Signed metadata.
    Metadata,
}

impl BlobPart {
    /// All parts.
    pub const ALL: [Self; 6] = [
        Self::Manifest,
        Self::Model,
        Self::Golden,
        Self::Reference,
        Self::Delta,
        Self::Metadata,
    ];

    /// The word for it, as in JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Manifest => "manifest",
            Self::Model => "model",
            Self::Golden => "golden",
            Self::Reference => "reference",
            Self::Delta => "delta",
            Self::Metadata => "metadata",
        }
    }
}

/// A blob on its way to devices.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct BlobDelivery {
    /// The blob.
    pub blob: BlobRef,
    /// What it is.
    pub part: BlobPart,
    /// Of which version; absent: of none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<VersionRef>,
    /// Chunks that it has.
    pub chunks: u64,
    /// Chunks that were sent at least once in this wave.
    pub chunks_sent: u64,
    /// Chunks that are still to be sent for the first time or for those who join late.
    pub chunks_waiting: u64,
    /// Chunks that are still to be sent again because somebody lost them.
    pub chunks_lost: u64,
    /// Devices that asked for it in this wave, by MQTT.
    pub devices: u64,
    /// Bytes a second over the last seconds, by both ways.
    pub per_s: u64,
    /// Of these, by HTTPS.
    pub downloaded_per_s: u64,
    /// Seconds until all chunks that wait are sent, at this rate; absent when none wait or nothing moves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds_left: Option<u64>,
    /// Bytes a second that repeats are held to because devices lose chunks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeats_per_s: Option<u64>,
}

/// How a version got to its devices.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct VersionDelivery {
    /// The version.
    pub version: VersionRef,
    /// When a device first asked for something of it.
    pub began: WallTime,
    /// When something of it last moved.
    pub latest: WallTime,
    /// How far it got on devices.
    pub stages: Stages,
    /// What moved.
    pub moved: Moving,
    /// The same by part.
    pub parts: Vec<PartDelivery>,
}

/// How a part of a version got to its devices. A part that several versions share counts for the one that
/// was wanted when it moved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PartDelivery {
    /// What it is.
    pub part: BlobPart,
    /// Its digest and length.
    pub blob: BlobRef,
    /// Devices that asked for it.
    pub devices_asked: u64,
    /// Of these, those that have all of the version.
    pub devices_done: u64,
    /// What moved.
    pub moved: Moving,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_is_what_was_taken_beyond_what_left() {
        let mut sum = Moving::default();
        let part = Moving {
            published_bytes: 100,
            downloaded_bytes: 20,
            taken_bytes: 320,
            ..Moving::default()
        };
        sum.add(&part);
        assert_eq!((sum.left_bytes(), sum.saved_bytes), (120, 200));
        let lost = Moving {
            published_bytes: 500,
            ..Moving::default()
        };
        sum.add(&lost);
        assert_eq!(sum.saved_bytes, 0, "more left than was taken");
    }

    #[test]
    fn words_are_those_of_json() {
        for part in BlobPart::ALL {
            let json = serde_json::to_string(&part).expect("a word");
            assert_eq!(json, alloc::format!("\"{}\"", part.word()));
        }
    }
}
