//! Metadata that came from the hub, as `tough` fetches files.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use futures::stream;
use tough::{Transport, TransportError, TransportErrorKind, TransportStream};
use url::Url;

use crate::client::Offered;

/// Files in memory. Versions in the names of snapshot and targets are not looked at: `tough` compares
/// what is inside with what is signed.
#[derive(Debug, Clone)]
pub(crate) struct Files(Arc<BTreeMap<String, Vec<u8>>>);

impl From<&Offered> for Files {
    fn from(offered: &Offered) -> Self {
        let roots = offered.roots.iter();
        let mut files: BTreeMap<_, _> = roots
            .map(|(version, bytes)| (format!("{version}.root.json"), bytes.clone()))
            .collect();
        files.insert("timestamp.json".into(), offered.timestamp.clone());
        files.insert("snapshot.json".into(), offered.snapshot.clone());
        files.insert("targets.json".into(), offered.targets.clone());
        Self(Arc::new(files))
    }
}

#[async_trait]
impl Transport for Files {
    async fn fetch(&self, url: Url) -> Result<TransportStream, TransportError> {
        let name = url.path().trim_start_matches('/');
        let file = self.0.get(name).or_else(|| {
            let (version, unversioned) = name.split_once('.')?;
            version.parse::<u64>().ok()?;
            self.0.get(unversioned)
        });
        match file {
            Some(bytes) => {
                let bytes = bytes.clone().into();
                Ok(Box::pin(stream::once(async move { Ok(bytes) })))
            }
            None => Err(TransportError::new(TransportErrorKind::FileNotFound, url)),
        }
    }
}
