//! The watch over models.

pub mod schema;
