//! The files of a version, as they were uploaded.

use tern_protocol::{
    blob::BlobRef,
    digest::Digest,
    limits,
    rest::{Finding, NewVersion},
};

use super::{super::facts, ONNX, PublishError};
use crate::app::App;

/// The uploaded files of a version.
#[derive(Clone, Copy)]
pub(super) struct Files {
    pub(super) onnx: BlobRef,
    pub(super) golden: BlobRef,
    pub(super) reference: Option<BlobRef>,
}

impl Files {
    /// Finds all files, or says which were not uploaded or are too large.
    pub(super) async fn find(app: &App, new: &NewVersion) -> Result<Self, PublishError> {
        let wanted = [
            ("onnx", Some(new.onnx), ONNX),
            ("golden", Some(new.golden), limits::PROFILE as u64),
            ("reference", new.reference, limits::PROFILE as u64),
        ];
        let mut found = [None; 3];
        let mut findings = Vec::new();
        for (place, (name, digest, limit)) in found.iter_mut().zip(wanted) {
            let Some(digest) = digest else { continue };
            match app.blobs.claim_known(digest).await?.map(|blob| blob.len) {
                None => findings.push(not_uploaded(name, digest)),
                Some(len) if len > limit => findings.push(Finding {
                    check: "manifest".into(),
                    subject: name.into(),
                    message: format!("the file has {len} bytes, the limit is {limit}"),
                    remedy: "publish a smaller model; a device of this fleet could not run it"
                        .into(),
                }),
                Some(len) => *place = Some(BlobRef { digest, len }),
            }
        }
        match found {
            [Some(onnx), Some(golden), reference] if findings.is_empty() => Ok(Self {
                onnx,
                golden,
                reference,
            }),
            _ => Err(PublishError::Refused(findings)),
        }
    }

    /// Makes sure that all of them are there, and a bundle, and stay for a while.
    pub(super) async fn claim(
        &self,
        app: &App,
        bundle: Option<BlobRef>,
    ) -> Result<(), PublishError> {
        let all = [
            ("onnx", Some(self.onnx)),
            ("golden", Some(self.golden)),
            ("reference", self.reference),
            ("bundle", bundle),
        ];
        for (name, blob) in all {
            let Some(BlobRef { digest, .. }) = blob else {
                continue;
            };
            if app.blobs.claim(digest).await?.is_none() {
                return Err(PublishError::Refused(vec![not_uploaded(name, digest)]));
            }
        }
        Ok(())
    }
}

fn not_uploaded(name: &str, digest: Digest) -> Finding {
    facts::finding(
        "manifest",
        name,
        format!("blob {digest} was not uploaded"),
        format!("upload the file with PUT /blobs/{digest}, then publish again"),
    )
}
