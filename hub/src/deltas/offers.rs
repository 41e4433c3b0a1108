//! What devices are offered with the version that they are to serve.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::{
    ColumnTrait as _, ConnectionTrait, EntityTrait as _, QueryFilter as _, QueryOrder as _,
};
use tern_protocol::{
    blob::BlobRef,
    desired::{DesiredSlot, Offer},
    digest::Digest,
    id::{ModelName, WorkspaceId},
    limits,
    rest::{DeltaState, VersionRef},
};

use super::{number, rows::delta, to_text};
use crate::store::{Doing as _, StoreError, parsed};

/// The deltas that are ready, by version, those from the newest base first.
#[derive(Debug, Clone, Default)]
pub struct Offers(BTreeMap<VersionRef, Vec<Offer>>);

/// The deltas to all versions of these models that are ready.
pub async fn offers(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    models: &BTreeSet<ModelName>,
) -> Result<Offers, StoreError> {
    if models.is_empty() {
        return Ok(Offers::default());
    }
    let rows = delta::Entity::find()
        .filter(delta::Column::Workspace.eq(workspace.as_str()))
        .filter(delta::Column::Model.is_in(models.iter().map(ModelName::as_str)))
        .filter(delta::Column::State.eq(to_text(DeltaState::Ready)))
        .order_by_desc(delta::Column::Base)
        .all(db)
        .await
        .doing("reading deltas to offer")?;
    let mut offers = Offers::default();
    for row in rows {
        let (Some(digest), Some(len)) = (&row.digest, row.len) else {
            continue;
        };
        let of = VersionRef {
            model: parsed("model name", &row.model)?,
            version: number(row.version)?,
        };
        offers.0.entry(of).or_default().push(Offer {
            base: parsed("digest", &row.base_onnx)?,
            delta: BlobRef {
                digest: parsed("digest", digest)?,
                len: u64::try_from(len).unwrap_or(0),
            },
        });
    }
    Ok(offers)
}

impl Offers {
    /// Adds what there is to the slots of one device, of which each is said to serve these weights.
    /// The message stays within its bounds: a first round gives each slot the one from what it serves,
    /// a second what room is left.
    pub fn add(&self, slots: &mut [(DesiredSlot, Option<Digest>)]) {
        let mut room = limits::OFFERS;
        for serving in [true, false] {
            for (slot, serves) in &mut *slots {
                let of = VersionRef {
                    model: slot.model.clone(),
                    version: slot.version,
                };
                let known = self.0.get(&of).into_iter().flatten();
                let wanted = known.filter(|offer| (Some(offer.base) == *serves) == serving);
                let before = slot.offers.len();
                slot.offers.extend(wanted.take(room));
                room -= slot.offers.len() - before;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tern_protocol::id::ModelVersion;

    use super::*;

    fn offer(base: u8) -> Offer {
        Offer {
            base: Digest::of(&[base]),
            delta: BlobRef::of(&[base, 1]),
        }
    }

    fn slot(model: &str) -> DesiredSlot {
        DesiredSlot {
            slot: model.parse().expect("a name"),
            model: model.parse().expect("a name"),
            version: ModelVersion::FIRST,
            bundle: BlobRef::of(b""),
            offers: Vec::new(),
        }
    }

    #[test]
    fn what_a_slot_serves_comes_first_and_no_message_grows_without_bound() {
        let of = |model: &str| VersionRef {
            model: model.parse().expect("a name"),
            version: ModelVersion::FIRST,
        };
        let known = (0..4).map(offer).collect::<Vec<_>>();
        let offers = Offers(BTreeMap::from([(of("a"), known.clone()), (of("b"), known)]));
        let mut slots: Vec<_> = (0..40)
            .map(|index| {
                let model = if index % 2 == 0 { "a" } else { "b" };
                (slot(model), Some(Digest::of(&[3])))
            })
            .collect();
        slots.push((slot("c"), None));
        offers.add(&mut slots);
        let counts: Vec<_> = slots.iter().map(|(slot, _)| slot.offers.len()).collect();
        assert!(counts.iter().sum::<usize>() <= limits::OFFERS, "{counts:?}");
        assert!(counts[..40].iter().all(|count| *count >= 1), "{counts:?}");
        assert_eq!(slots[0].0.offers[0], offer(3));
        assert_eq!(counts[40], 0);
    }
}
