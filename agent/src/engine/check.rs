//! Compares what was declared with what the graph has.

use tern_protocol::tensor::Dtype;
use tract_onnx::{
    prelude::{DatumType, InferenceFact, TypedFact},
    tract_hir::{infer::Factoid, internal::ToDim},
};

use super::{LoadError, Place, Port};

/// The declared inputs or outputs.
pub(super) struct Declared<'a> {
    place: Place,
    ports: &'a [Port],
}

impl<'a> Declared<'a> {
    pub(super) fn new(place: Place, ports: &'a [Port]) -> Self {
        Self { place, ports }
    }

    /// Names and their order are those of the graph.
    pub(super) fn check_names(&self, found: &[&str]) -> Result<(), LoadError> {
        let declared: Vec<_> = self.ports.iter().map(|p| p.spec.name.as_str()).collect();
        if declared == found {
            return Ok(());
        }
        let place = self.place;
        let odd = declared.iter().zip(found).position(|(d, f)| d != f);
        let index = odd.unwrap_or(declared.len().min(found.len()));
        let name = declared.get(index).or_else(|| found.get(index));
        Err(LoadError::Port {
            place,
            name: name.map_or_else(|| "none".into(), ToString::to_string),
            declared: match declared.get(index) {
                Some(_) => format!("as {place} {}", index + 1),
                None => "not at all".into(),
            },
            found: format!("the {place}s {}", listed(found)),
        })
    }
}

/// What the graph says of an input, before its shape is bound.
pub(super) fn input(port: &Port, fact: &InferenceFact) -> Result<(), LoadError> {
    if let Some(found) = fact.datum_type.concretize() {
        dtype(Place::Input, port, found)?;
    }
    let dims: Vec<_> = fact.shape.dims().map(Factoid::concretize).collect();
    let fits = fact.shape.is_open()
        || dims.len() == port.row.len()
            && dims.iter().zip(&port.row).all(|(dim, bound)| {
                // A dimension that the graph leaves open, or names, is bound by the declaration.
                let fixed = dim.as_ref().and_then(|dim| dim.to_i64().ok());
                fixed.is_none_or(|fixed| fixed == *bound as i64)
            });
    if fits {
        return Ok(());
    }
    let found = dims.iter().map(|dim| match dim {
        Some(dim) => dim.to_string(),
        None => "?".into(),
    });
    Err(LoadError::Shape {
        place: Place::Input,
        name: port.spec.name.clone(),
        declared: shown(&port.spec.shape),
        found: format!("[{}]", found.collect::<Vec<_>>().join(", ")),
    })
}

/// What the optimised graph gives, with the batch bound to one.
pub(super) fn output(port: &Port, fact: &TypedFact) -> Result<(), LoadError> {
    dtype(Place::Output, port, fact.datum_type)?;
    let bound = port.row.iter().map(ToDim::to_dim);
    if fact.shape.iter().cloned().eq(bound) {
        return Ok(());
    }
    let found: Vec<_> = fact.shape.iter().map(ToString::to_string).collect();
    Err(LoadError::Shape {
        place: Place::Output,
        name: port.spec.name.clone(),
        declared: shown(&port.spec.shape),
        found: format!("[{}] for a batch of one", found.join(", ")),
    })
}

fn dtype(place: Place, port: &Port, found: DatumType) -> Result<(), LoadError> {
    if found == datum_type(port.spec.dtype) {
        return Ok(());
    }
    Err(LoadError::Dtype {
        place,
        name: port.spec.name.clone(),
        declared: port.spec.dtype,
        found: format!("{found:?}").to_lowercase(),
    })
}

/// The engine's name for an element type.
pub(super) fn datum_type(dtype: Dtype) -> DatumType {
    match dtype {
        Dtype::F32 => DatumType::F32,
        Dtype::F64 => DatumType::F64,
        Dtype::I32 => DatumType::I32,
        Dtype::I64 => DatumType::I64,
        Dtype::U8 => DatumType::U8,
    }
}

/// A shape for people.
pub(super) fn shown<T: ToString>(shape: &[T]) -> String {
    let dims: Vec<_> = shape.iter().map(ToString::to_string).collect();
    format!("[{}]", dims.join(", "))
}

fn listed(names: &[&str]) -> String {
    match names {
        [] => "none".into(),
        names => names
            .iter()
            .map(|name| format!("`{name}`"))
            .collect::<Vec<_>>()
            .join(", "),
    }
}
