//! Types of the REST API: what the hub answers and what the command line reads. One definition for
//! both ends and for the OpenAPI document.
//!
//! Paths of a workspace lie under `/api/v1/w/{workspace}`, those of the hub under `/api/v1`. JSON names are the field names here; times are
//! milliseconds since 1970 UTC; sizes are bytes; durations say their unit.

mod access;
mod alert;
mod attention;
mod captures;
mod charts;
mod dataset;
mod decision;
mod delivery;
mod distances;
mod expression;
mod finding;
mod fleet;
#[cfg(feature = "tables")]
pub mod label_table;
mod labelling;
mod measured;
mod notify;
mod overview;
mod plan;
mod preparation;
mod problem;
mod quarantine;
mod registry;
mod rehearsal;
mod rollout;
mod tap;
mod timeline;
mod tracking;
mod trust;
mod truth;

pub use self::{
    access::*, alert::*, attention::*, captures::*, charts::*, dataset::*, decision::*,
    delivery::*, distances::*, expression::*, finding::*, fleet::*, labelling::*, measured::*,
    notify::*, overview::*, plan::*, preparation::*, problem::*, quarantine::*, registry::*,
    rehearsal::*, rollout::*, tap::*, timeline::*, tracking::*, trust::*, truth::*,
};

use alloc::{string::String, vec::Vec};
use serde::{Deserialize, Serialize};

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Ask for `?after=` this for the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

#[cfg(feature = "schema")]
impl<T: utoipa::ToSchema> utoipa::PartialSchema for Page<T> {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        use utoipa::openapi::{Ref, schema};
        let item = Ref::from_schema_name(T::name());
        let items = schema::ArrayBuilder::new()
            .items(item)
            .description(Some("The items."));
        let next = schema::ObjectBuilder::new()
            .schema_type(schema::SchemaType::from_iter([
                schema::Type::String,
                schema::Type::Null,
            ]))
            .description(Some(
                "Ask for `?after=` this for the next page; absent on the last.",
            ));
        schema::ObjectBuilder::new()
            .description(Some("A page of a list."))
            .property("items", items)
            .required("items")
            .property("next", next)
            .into()
    }
}

#[cfg(feature = "schema")]
impl<T: utoipa::ToSchema> utoipa::ToSchema for Page<T> {
    fn name() -> alloc::borrow::Cow<'static, str> {
        alloc::format!("Page_{}", T::name()).into()
    }

    fn schemas(
        schemas: &mut Vec<(
            String,
            utoipa::openapi::RefOr<utoipa::openapi::schema::Schema>,
        )>,
    ) {
        schemas.push((T::name().into(), T::schema()));
        T::schemas(schemas);
    }
}
