//! How captures are shown: by their shapes and the reference profiles of their versions.

use std::collections::BTreeMap;

use tern_protocol::{
    id::WorkspaceId,
    profile::Reference,
    rest::{CaptureView, InputView, VersionRef},
};

use super::view::{summary, view};
use crate::{
    app::App,
    registry::{self, ProfileError},
};

/// One view for each capture, in their order. A profile is read once for each version among them.
pub async fn shown(
    app: &App,
    workspace: &WorkspaceId,
    captures: impl Iterator<Item = &CaptureView>,
) -> Result<Vec<InputView>, ProfileError> {
    let mut references: BTreeMap<VersionRef, Option<Reference>> = BTreeMap::new();
    let mut views = Vec::new();
    for capture in captures {
        let of = VersionRef {
            model: capture.model.clone(),
            version: capture.version,
        };
        if !references.contains_key(&of) {
            let profile = registry::profile(app, workspace, &of.model, of.version).await?;
            references.insert(of.clone(), profile.flatten());
        }
        let reference = references.get(&of).and_then(Option::as_ref);
        views.push(match &capture.summary {
            Some(kept) => summary(kept, reference),
            None => view(&capture.shape, &capture.input, reference),
        });
    }
    Ok(views)
}
