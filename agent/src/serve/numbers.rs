//! JSON numbers of the Open Inference Protocol into tensors and back.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, SeqAccess, Visitor},
    ser::SerializeSeq as _,
};
use tern_protocol::tensor::{Dtype, Tensor};

/// Nesting of arrays: tensors have no more dimensions than this.
const DEPTH_MAX: u8 = 16;

/// The `data` of a tensor: numbers, flat or nested as the shape is.
#[derive(Debug, Default)]
pub struct Numbers {
    floats: Vec<f64>,
    /// Filled instead of `floats` as long as all are whole: an `i64` does not fit an `f64`.
    whole: Vec<i64>,
}

impl Numbers {
    /// How many.
    pub fn len(&self) -> usize {
        self.whole.len().max(self.floats.len())
    }

    fn push_whole(&mut self, number: i64) {
        if self.floats.is_empty() {
            self.whole.push(number);
        } else {
            self.floats.push(number as f64);
        }
    }

    fn push_float(&mut self, number: f64) {
        if self.floats.is_empty() {
            // Room for as many as there will be, as far as one can know.
            self.floats.reserve(self.whole.capacity());
            self.floats.extend(self.whole.drain(..).map(|n| n as f64));
        }
        self.floats.push(number);
    }

    /// The bytes of a tensor of this type; `None` if a number does not fit it.
    pub fn into_bytes(self, dtype: Dtype) -> Option<Vec<u8>> {
        let mut bytes = Vec::with_capacity(self.len() * dtype.size());
        match dtype {
            Dtype::F32 => {
                let whole = self.whole.iter().map(|n| *n as f32);
                let all = self.floats.iter().map(|n| *n as f32).chain(whole);
                all.for_each(|n| bytes.extend(n.to_le_bytes()));
            }
            Dtype::F64 => {
                let whole = self.whole.iter().map(|n| *n as f64);
                let all = self.floats.iter().copied().chain(whole);
                all.for_each(|n| bytes.extend(n.to_le_bytes()));
            }
            _ if !self.floats.is_empty() => return None,
            Dtype::I64 => self
                .whole
                .iter()
                .for_each(|n| bytes.extend(n.to_le_bytes())),
            Dtype::I32 => {
                for n in self.whole {
                    bytes.extend(i32::try_from(n).ok()?.to_le_bytes());
                }
            }
            Dtype::U8 => {
                for n in self.whole {
                    bytes.push(u8::try_from(n).ok()?);
                }
            }
        }
        Some(bytes)
    }
}

impl<'de> Deserialize<'de> for Numbers {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let mut numbers = Self::default();
        d.deserialize_seq(Filler {
            numbers: &mut numbers,
            depth: 0,
        })?;
        Ok(numbers)
    }
}

/// Fills numbers from an array, and from the arrays in it.
struct Filler<'a> {
    numbers: &'a mut Numbers,
    depth: u8,
}

impl<'de> Visitor<'de> for Filler<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, or an array of numbers")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        if self.depth == DEPTH_MAX {
            return Err(de::Error::custom("arrays are nested too deeply"));
        }
        let depth = self.depth + 1;
        let numbers = self.numbers;
        while seq.next_element_seed(Filler { numbers, depth })?.is_some() {}
        Ok(())
    }

    /// A value that is missing; of whole numbers none can be.
    fn visit_unit<E>(self) -> Result<(), E> {
        self.numbers.push_float(f64::NAN);
        Ok(())
    }

    fn visit_f64<E>(self, number: f64) -> Result<(), E> {
        self.numbers.push_float(number);
        Ok(())
    }

    fn visit_i64<E>(self, number: i64) -> Result<(), E> {
        self.numbers.push_whole(number);
        Ok(())
    }

    fn visit_u64<E>(self, number: u64) -> Result<(), E> {
        match i64::try_from(number) {
            Ok(number) => self.numbers.push_whole(number),
            Err(_) => self.numbers.push_float(number as f64),
        }
        Ok(())
    }
}

impl<'de> de::DeserializeSeed<'de> for Filler<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<(), D::Error> {
        d.deserialize_any(self)
    }
}

/// The values of a tensor as a flat JSON array, written without a copy.
#[derive(Debug)]
pub struct Values<'a>(pub &'a Tensor);

impl Serialize for Values<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let data = &self.0.data;
        match self.0.dtype {
            Dtype::F32 => each(s, data, f32::from_le_bytes),
            Dtype::F64 => each(s, data, f64::from_le_bytes),
            Dtype::I32 => each(s, data, i32::from_le_bytes),
            Dtype::I64 => each(s, data, i64::from_le_bytes),
            Dtype::U8 => each(s, data, u8::from_le_bytes),
        }
    }
}

fn each<const N: usize, T: Serialize, S: Serializer>(
    s: S,
    data: &[u8],
    one: impl Fn([u8; N]) -> T,
) -> Result<S::Ok, S::Error> {
    let chunks = data.as_chunks::<N>().0;
    let mut seq = s.serialize_seq(Some(chunks.len()))?;
    for chunk in chunks {
        seq.serialize_element(&one(*chunk))?;
    }
    seq.end()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(json: &str, dtype: Dtype) -> Option<Vec<u8>> {
        let numbers: Numbers = serde_json::from_str(json).ok()?;
        numbers.into_bytes(dtype)
    }

    #[test]
    fn flat_and_nested_numbers_become_bytes() {
        let floats: Vec<u8> = [1f32, 2.5, -3.0]
            .iter()
            .flat_map(|n| n.to_le_bytes())
            .collect();
        assert_eq!(bytes("[1, 2.5, -3]", Dtype::F32), Some(floats.clone()));
        assert_eq!(bytes("[[1], [2.5, -3]]", Dtype::F32), Some(floats));
        assert_eq!(bytes("[255, 0]", Dtype::U8), Some(vec![255, 0]));
        let large = 9_007_199_254_740_993i64;
        assert_eq!(
            bytes(&format!("[{large}]"), Dtype::I64),
            Some(large.to_le_bytes().into())
        );
        assert_eq!(bytes("[]", Dtype::F64), Some(vec![]));
        let missing = bytes("[1, null]", Dtype::F32).expect("floats");
        let missing = f32::from_le_bytes(missing[4..].try_into().expect("four"));
        assert!(missing.is_nan());
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let deep = format!("{}1{}", "[".repeat(40), "]".repeat(40));
        let cases = [
            ("[256]", Dtype::U8),
            ("[-1]", Dtype::U8),
            ("[1.5]", Dtype::I64),
            ("[3000000000]", Dtype::I32),
            ("[18446744073709551615]", Dtype::I64),
            ("[\"1\"]", Dtype::F32),
            ("[null]", Dtype::I32),
            ("null", Dtype::F32),
            ("7", Dtype::F32),
            (&deep, Dtype::F32),
        ];
        for (json, dtype) in cases {
            assert_eq!(bytes(json, dtype), None, "{json}");
        }
    }

    #[test]
    fn values_are_written_flat() {
        let tensor = Tensor::from_f32(&[2, 2], &[0.5, 1.0, -2.0, 1e-9]);
        let json = serde_json::to_string(&Values(&tensor)).expect("it is written");
        assert_eq!(json, "[0.5,1.0,-2.0,1e-9]");
    }
}
