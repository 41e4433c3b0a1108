//! What the hub makes again by itself: what it has made, of what it still has.

use tern_protocol::digest::Digest;

use crate::{
    app::App,
    deltas,
    registry::{PublishError, lacking},
    store::StoreError,
    trust::{self, TrustError},
};

/// Why a blob was not made again.
#[derive(Debug, thiserror::Error)]
pub(super) enum MendError {
    #[error("rewriting signed metadata")]
    Trust(#[from] TrustError),
    #[error("having a delta computed")]
    Delta(#[from] StoreError),
    #[error("rewriting a manifest")]
    Manifest(#[from] PublishError),
}

/// Makes a blob again, or has it made; what it is. None: only who published it has its bytes.
pub(super) async fn again(app: &App, digest: Digest) -> Result<Option<&'static str>, MendError> {
    if trust::rewrite(app, digest).await? {
        return Ok(Some("signed metadata"));
    }
    if deltas::again(app, digest).await? {
        return Ok(Some("delta"));
    }
    if lacking::manifest_again(app, digest).await? {
        return Ok(Some("manifest"));
    }
    Ok(None)
}
