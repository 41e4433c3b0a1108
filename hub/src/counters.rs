//! What the hub counts while it runs.
//!
//! Counted by every part, rendered for Prometheus by the API. Two totals outlive the process: they
//! are kept in the table `counter`, written at most once a second and at shutdown, so a `kill -9`
//! loses at most the last second of them. Nothing is decided by a counter.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use sea_orm::{ConnectionTrait as _, Statement};

use crate::store::{Doing as _, Store, StoreError};

/// How often the lasting totals are written. Each write is a transaction that waits for the disk.
pub const FLUSH_EVERY: Duration = Duration::from_secs(1);

/// One number that only rises.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// Adds one.
    pub fn one(&self) {
        self.add(1);
    }

    /// What was counted so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Answers by route, method and status. Routes are those of the router and methods are few, so the number of keys is
/// bounded.
#[derive(Debug, Clone, Default)]
pub struct Answers(Arc<Mutex<BTreeMap<Answered, u64>>>);

/// Route, method, status.
pub type Answered = (String, &'static str, u16);

impl Answers {
    /// Counts one.
    pub fn count(&self, answered: Answered) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(answered).or_default() += 1;
    }

    /// All of them.
    pub fn all(&self) -> BTreeMap<Answered, u64> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $name:ident as $metric:literal;)+) => {
        /// Every counter of the hub.
        #[derive(Debug, Default)]
        pub struct Counters {
            $($(#[doc = $doc])+ pub $name: Counter,)+
        }

        impl Counters {
            /// Each counter as (Prometheus name, what it counts, value).
            pub fn all(&self) -> Vec<(&'static str, &'static str, u64)> {
                vec![$(($metric, concat!($($doc),+).trim_ascii(), self.$name.get()),)+]
            }
        }
    };
}

counters! {
    /// Bytes of chunks published, each once however many devices listened; lasting.
    egress_bytes as "tern_egress_bytes_total";
    /// Chunks published.
    chunks as "tern_chunks_total";
    /// MQTT messages that could not be read; lasting.
    malformed as "tern_malformed_total";
    /// MQTT messages that came in.
    mqtt_messages as "tern_mqtt_messages_total";
    /// Connections that the broker or its door refused.
    refused_connections as "tern_refused_connections_total";
    /// Subscriptions that the broker refused.
    refused_subscriptions as "tern_refused_subscriptions_total";
    /// Messages that the broker refused, each with the connection that it came by.
    refused_publishes as "tern_refused_publishes_total";
    /// Messages from devices over the limit of devices of a workspace.
    devices_refused as "tern_devices_refused_total";
    /// Batches of outbox entries that were handed to ingest.
    batches_offered as "tern_batches_offered_total";
    /// Batches that ingest took out of its queue.
    batches_gathered as "tern_batches_gathered_total";
    /// Batches of outbox entries that were stored.
    batches as "tern_batches_total";
    /// Batches that were dropped because the ingest queue was full; their devices send them again.
    batches_dropped as "tern_batches_dropped_total";
    /// Batches that did not follow what is stored; their devices were told where to go on.
    batches_gapped as "tern_batches_gapped_total";
    /// Windows stored.
    windows as "tern_windows_total";
    /// Windows of shadows stored.
    shadow_windows as "tern_shadow_windows_total";
    /// Windows stored whose time cannot be right: they count, and no chart draws them.
    quarantined as "tern_windows_quarantined_total";
    /// Metrics in windows that their versions do not declare, or declare of another form; left out.
    metrics_undeclared as "tern_metrics_undeclared_total";
    /// Windows that were left out of sums, since their bins are others than those of their version.
    rollups_refused as "tern_rollup_windows_refused_total";
    /// Outbox entries that were stored already.
    duplicates as "tern_duplicates_total";
    /// Outbox entries of a kind that this hub does not know.
    entries_unknown as "tern_entries_unknown_total";
    /// Captures and truths that came although they had been deleted, and were not stored.
    entries_deleted as "tern_entries_deleted_total";
    /// Captures stored.
    captures as "tern_captures_total";
    /// Labels stored.
    labels as "tern_labels_total";
    /// Acknowledgements that were handed to the broker.
    acks as "tern_acks_total";
    /// Desired states that were handed to the broker.
    desired as "tern_desired_total";
    /// Wants that came in.
    wants as "tern_wants_total";
    /// Wants for chunks that their device had been sent and lost.
    wants_lost as "tern_wants_lost_total";
    /// Bytes of blobs that devices downloaded by HTTPS.
    download_bytes as "tern_download_bytes_total";
    /// Downloads of devices by HTTPS that began.
    downloads as "tern_downloads_total";
    /// Downloads that found no place and were told to come again.
    downloads_refused as "tern_downloads_refused_total";
    /// Connections to the broker that the hub's own clients lost.
    link_lost as "tern_link_lost_total";
    /// Transactions of the fleet's intake.
    fleet_commits as "tern_fleet_commits_total";
    /// Deltas that were made and kept.
    deltas as "tern_deltas_total";
    /// Blobs that nothing referred to, removed by this process.
    blobs_collected as "tern_blobs_collected_total";
    /// Bytes of those blobs.
    blob_bytes_collected as "tern_blob_bytes_collected_total";
    /// Times that all blobs and the database were read to look whether they are sound.
    scrubs as "tern_scrubs_total";
    /// Notices that a receiver took.
    notices_sent as "tern_notifications_sent_total";
    /// Notices that were tried for a day, or refused for good, and given up.
    notices_failed as "tern_notifications_failed_total";
    /// Notices that were dropped since too many waited.
    notices_dropped as "tern_notifications_dropped_total";
    /// Transactions of telemetry ingest.
    ingest_commits as "tern_ingest_commits_total";
}

impl Counters {
    /// The totals that outlive the process, by their name in the table.
    fn lasting(&self) -> [(&'static str, &Counter); 2] {
        [
            ("egress_bytes", &self.egress_bytes),
            ("malformed", &self.malformed),
        ]
    }

    /// Counters that go on where the database says that the last process stopped.
    pub async fn load(store: &Store) -> Result<Self, StoreError> {
        let counters = Self::default();
        let select = Statement::from_string(store.backend(), "SELECT name, value FROM counter");
        let rows = store
            .read()
            .query_all_raw(select)
            .await
            .doing("reading counters")?;
        for row in rows {
            let name: String = row.try_get("", "name").doing("reading counters")?;
            let value: i64 = row.try_get("", "value").doing("reading counters")?;
            if let Some((_, counter)) = counters.lasting().iter().find(|(known, _)| *known == name)
            {
                counter.add(value.max(0).unsigned_abs());
            }
        }
        Ok(counters)
    }

    /// Writes the lasting totals.
    pub async fn flush(&self, store: &Store) -> Result<(), StoreError> {
        for (name, counter) in self.lasting() {
            let value = i64::try_from(counter.get()).unwrap_or(i64::MAX);
            let upsert = Statement::from_sql_and_values(
                store.backend(),
                "INSERT INTO counter (name, value) VALUES ($1, $2) \
                 ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                [name.into(), value.into()],
            );
            store
                .write()
                .execute_raw(upsert)
                .await
                .doing("writing counters")?;
        }
        Ok(())
    }

    /// A number that changes whenever a lasting total does.
    pub fn lasting_sum(&self) -> u64 {
        self.lasting()
            .iter()
            .fold(0, |sum, (_, counter)| sum.wrapping_add(counter.get()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn totals_outlive_the_process() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        for expected in [7, 14] {
            let store = Store::open(dir.path()).await.expect("opens");
            let counters = Counters::load(&store).await.expect("loads");
            counters.egress_bytes.add(7);
            counters.flush(&store).await.expect("flushes");
            assert_eq!(counters.egress_bytes.get(), expected);
            store.close().await;
        }
    }

    #[test]
    fn every_counter_has_a_name_and_a_meaning() {
        let counters = Counters::default();
        for (name, help, value) in counters.all() {
            assert!(
                name.starts_with("tern_") && name.ends_with("_total"),
                "{name}"
            );
            assert!(help.len() > 10, "{name}");
            assert_eq!(value, 0);
        }
    }
}
