//! A model as it is watched: what its versions were trained on, and windows read like that.

use std::collections::BTreeSet;

use tern_protocol::{
    id::{ModelName, ModelVersion, WorkspaceId},
    profile::Reference,
    rest::VersionRef,
    window::{FeatureCounts, Window},
};
use tern_watch::{Device, DeviceHour, Model, Site};

use crate::{
    app::App,
    registry::{self, ProfileError},
    store::{StoreError, chain},
};

/// Features that are watched one by one at most. Of a model with more, and of images, what is measured of inputs as a
/// whole is watched instead: no single pixel tells anything.
const FEATURES: usize = 64;

/// Versions whose references are held, besides the first: more than a fleet serves at the same time, since each that is
/// met again after it went is read again.
const VERSIONS: usize = 64;

/// The versions of a model that were met so far, the first one first.
#[derive(Debug, Clone)]
pub(super) struct Versions {
    model: Model,
    /// Those of whose inputs no single feature is watched.
    as_wholes: BTreeSet<ModelVersion>,
    /// Names of classes of the first version.
    classes: Vec<String>,
}

impl Versions {
    /// Those of a model that was first met with this version.
    pub(super) async fn new(
        app: &App,
        workspace: &WorkspaceId,
        model: &ModelName,
        first: ModelVersion,
    ) -> Result<Self, ProfileError> {
        let known = registry::classes(app.store.read(), workspace, Some(model)).await?;
        let of = VersionRef {
            model: model.clone(),
            version: first,
        };
        let classes = known.get(&of).cloned().unwrap_or_default();
        let mut reference = reference(app, workspace, model, first).await?;
        let as_wholes = is_whole(&reference).then_some(first).into_iter().collect();
        watched(&mut reference);
        if reference.classes.is_empty() {
            // Without a profile there is still what it predicts.
            reference.classes = vec![0; classes.len()];
        }
        Ok(Self {
            model: Model {
                versions: vec![(first, reference)],
            },
            as_wholes,
            classes,
        })
    }

    /// The model.
    pub(super) fn model(&self) -> &Model {
        &self.model
    }

    /// The version on whose scale all is read.
    pub(super) fn first(&self) -> ModelVersion {
        self.model
            .versions
            .first()
            .map_or(ModelVersion::FIRST, |(first, _)| *first)
    }

    /// Name of a class.
    pub(super) fn class(&self, class: u16) -> Option<&String> {
        self.classes.get(usize::from(class))
    }

    /// What a window says, in the order of what is watched.
    pub(super) fn read(&self, window: &Window, device: Device, site: Site) -> DeviceHour {
        let each = !self.as_wholes.contains(&window.version);
        let features = window.features.iter().filter(|_| each);
        let stuck = window.repeated.iter().filter(|_| each);
        DeviceHour {
            device,
            site,
            version: window.version,
            inferences: window.inferences,
            errors: window.errors,
            classes: window.classes.clone(),
            confidence: window.confidence.clone(),
            features: features
                .chain(&window.signals)
                .map(|counts| FeatureCounts(counts.0.clone()))
                .collect(),
            stuck: stuck.copied().collect(),
        }
    }

    /// Whether a version was met.
    pub(super) fn knows(&self, version: ModelVersion) -> bool {
        self.model
            .versions
            .iter()
            .any(|(known, _)| *known == version)
    }

    /// Adds a version; of one whose profile cannot be read, predictions alone are watched. Of many the one that was met first goes, but for the very first.
    pub(super) async fn add(
        &mut self,
        app: &App,
        workspace: &WorkspaceId,
        model: &ModelName,
        version: ModelVersion,
    ) -> Result<(), StoreError> {
        let mut reference = match reference(app, workspace, model, version).await {
            Ok(reference) => reference,
            Err(ProfileError::Store(err)) if !matches!(err, StoreError::Message { .. }) => {
                return Err(err);
            }
            Err(err) => {
                tracing::warn!(%model, %version, error = chain(&err), "inputs of a version are not watched");
                Reference::default()
            }
        };
        if is_whole(&reference) {
            self.as_wholes.insert(version);
        }
        watched(&mut reference);
        if self.model.versions.len() > VERSIONS {
            let (gone, _) = self.model.versions.remove(1);
            self.as_wholes.remove(&gone);
        }
        self.model.versions.push((version, reference));
        Ok(())
    }
}

/// What a version was trained on; nothing of one that came without a profile: its predictions are watched all the same.
async fn reference(
    app: &App,
    workspace: &WorkspaceId,
    model: &ModelName,
    version: ModelVersion,
) -> Result<Reference, ProfileError> {
    let profile = registry::profile(app, workspace, model, version).await?;
    let sound = profile
        .flatten()
        .filter(|profile| profile.problem().is_none());
    Ok(sound.unwrap_or_default())
}

/// Whether inputs are watched as wholes, and none of their features.
fn is_whole(reference: &Reference) -> bool {
    let image = reference.image.is_some() && !reference.signals.is_empty();
    image || reference.features.len() > FEATURES
}

/// Features, then signals, as features.
fn watched(reference: &mut Reference) {
    if is_whole(reference) {
        reference.features.clear();
    }
    reference.features.append(&mut reference.signals);
}
