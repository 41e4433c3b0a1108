//! Small tensors: golden samples, captured inputs.

use alloc::{string::String, vec::Vec};

use minicbor::{Decode, Encode};

/// Element types that models take and give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
#[cfg_attr(feature = "rest", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "rest", serde(rename_all = "lowercase"))]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Dtype {
    /// 32-bit float.
    #[n(0)]
    F32,
    /// 64-bit float.
    #[n(1)]
    F64,
    /// 32-bit signed integer.
    #[n(2)]
    I32,
    /// 64-bit signed integer.
    #[n(3)]
    I64,
    /// 8-bit unsigned integer.
    #[n(4)]
    U8,
}

impl Dtype {
    /// Bytes of one element.
    pub const fn size(self) -> usize {
        match self {
            Self::F32 | Self::I32 => 4,
            Self::F64 | Self::I64 => 8,
            Self::U8 => 1,
        }
    }
}

impl core::fmt::Display for Dtype {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::U8 => "u8",
        })
    }
}

/// Name, element type and shape of one input or output of a model.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
#[cfg_attr(feature = "rest", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TensorSpec {
    /// Its name in the ONNX graph.
    #[n(0)]
    pub name: String,
    /// Its element type.
    #[n(1)]
    pub dtype: Dtype,
    /// Its dimensions; -1 stands for the batch and is allowed in the first place only.
    #[n(2)]
    pub shape: Vec<i64>,
}

impl TensorSpec {
    /// Elements in one sample: the product of all dimensions but the batch. `None` if it
    /// overflows or a dimension other than the batch is not positive.
    pub fn sample_len(&self) -> Option<usize> {
        let fixed = match self.shape.split_first() {
            Some((-1, rest)) => rest,
            _ => &self.shape[..],
        };
        fixed.iter().try_fold(1usize, |len, dim| {
            let dim = usize::try_from(*dim).ok().filter(|dim| *dim > 0)?;
            len.checked_mul(dim)
        })
    }
}

/// A tensor with its values, row-major, little-endian.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Tensor {
    /// Element type.
    #[n(0)]
    pub dtype: Dtype,
    /// Dimensions, all concrete.
    #[n(1)]
    pub shape: Vec<u32>,
    /// The elements' bytes, little-endian.
    #[n(2)]
    #[cbor(with = "minicbor::bytes")]
    pub data: Vec<u8>,
}

impl Tensor {
    /// A tensor of 32-bit floats. `values` has as many elements as `shape` says.
    pub fn from_f32(shape: &[u32], values: &[f32]) -> Self {
        let data = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        Self {
            dtype: Dtype::F32,
            shape: shape.into(),
            data,
        }
    }

    /// Whether the data's length is what shape and element type say.
    pub fn is_whole(&self) -> bool {
        let elements = self
            .shape
            .iter()
            .try_fold(1usize, |len, dim| len.checked_mul(*dim as usize));
        elements.and_then(|n| n.checked_mul(self.dtype.size())) == Some(self.data.len())
    }

    /// The values as 32-bit floats, whatever their type; `None` unless [`Self::is_whole`].
    pub fn to_f32(&self) -> Option<Vec<f32>> {
        fn each<const N: usize>(data: &[u8], one: impl Fn([u8; N]) -> f32) -> Vec<f32> {
            let chunks = data.chunks_exact(N);
            chunks
                .map(|chunk| one(chunk.try_into().expect("chunks_exact gives N")))
                .collect()
        }
        if !self.is_whole() {
            return None;
        }
        Some(match self.dtype {
            Dtype::F32 => each(&self.data, f32::from_le_bytes),
            Dtype::F64 => each(&self.data, |b| f64::from_le_bytes(b) as f32),
            Dtype::I32 => each(&self.data, |b| i32::from_le_bytes(b) as f32),
            Dtype::I64 => each(&self.data, |b| i64::from_le_bytes(b) as f32),
            Dtype::U8 => each(&self.data, |[b]: [u8; 1]| f32::from(b)),
        })
    }
}
