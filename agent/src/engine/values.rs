//! Tensors of the protocol into tract's and back, one copy each way.

use tern_protocol::tensor::{Dtype, Tensor};
use tract_onnx::prelude::{IntoTValue as _, TValue, TVec, Tensor as Value};

use super::{
    Port, ROWS_MAX, RunError,
    check::{datum_type, shown},
};

/// How many rows these inputs have; an error if they are not what the model takes.
pub(super) fn rows(inputs: &[Port], outputs: &[Port], given: &[Tensor]) -> Result<usize, RunError> {
    if given.len() != inputs.len() {
        return Err(RunError::Inputs {
            expected: inputs.len(),
            found: given.len(),
        });
    }
    let mut rows = None;
    for (port, tensor) in inputs.iter().zip(given) {
        let found = port.rows_of(tensor).ok_or_else(|| RunError::Input {
            name: port.spec.name.clone(),
            expected: described(port.spec.dtype, &port.spec.shape),
            found: described(tensor.dtype, &tensor.shape),
        })?;
        if !port.batched {
            continue;
        }
        let most = if outputs.iter().all(|port| port.batched) {
            ROWS_MAX
        } else {
            1
        };
        let expected = rows.map_or(1..=most, |rows| rows..=rows);
        if !expected.contains(&found) {
            return Err(RunError::Rows {
                name: port.spec.name.clone(),
                expected: format!("{} to {}", expected.start(), expected.end()),
                found,
            });
        }
        rows = Some(found);
    }
    Ok(rows.unwrap_or(1))
}

/// The inputs of one row, as tract takes them.
pub(super) fn row(ports: &[Port], given: &[Tensor], row: usize) -> Result<TVec<TValue>, RunError> {
    let values = ports.iter().zip(given).map(|(port, tensor)| {
        let start = if port.batched { row * port.bytes } else { 0 };
        let bytes = &tensor.data[start..start + port.bytes];
        let mut value = Value::zero_dt(datum_type(port.spec.dtype), &port.row).map_err(|err| {
            RunError::Engine {
                detail: format!("{err:#}"),
            }
        })?;
        copy(port.spec.dtype, bytes, value.as_bytes_mut());
        Ok(value.into_tvalue())
    });
    values.collect()
}

/// Output tensors with room for the rows to come.
pub(super) fn empty(ports: &[Port], rows: usize) -> Vec<Tensor> {
    let tensors = ports.iter().map(|port| {
        let mut shape: Vec<u32> = port.row.iter().map(|dim| *dim as u32).collect();
        if port.batched {
            shape[0] = rows as u32;
        }
        Tensor {
            dtype: port.spec.dtype,
            shape,
            data: Vec::with_capacity(port.bytes * rows),
        }
    });
    tensors.collect()
}

/// Adds the outputs of one row.
pub(super) fn append(
    ports: &[Port],
    outputs: &mut [Tensor],
    found: &[TValue],
) -> Result<(), RunError> {
    for ((port, output), value) in ports.iter().zip(outputs).zip(found) {
        if value.datum_type() != datum_type(port.spec.dtype) || value.shape() != &port.row[..] {
            return Err(RunError::Output {
                name: port.spec.name.clone(),
                declared: described(port.spec.dtype, &port.spec.shape),
                found: format!("{:?} {}", value.datum_type(), shown(value.shape())),
            });
        }
        let start = output.data.len();
        output.data.resize(start + port.bytes, 0);
        copy(port.spec.dtype, value.as_bytes(), &mut output.data[start..]);
    }
    Ok(())
}

impl Port {
    /// How many rows the tensor has, if it is one for this port.
    fn rows_of(&self, tensor: &Tensor) -> Option<usize> {
        let shape = tensor.shape.iter().map(|dim| *dim as usize);
        let skip = usize::from(self.batched);
        let fits = tensor.dtype == self.spec.dtype
            && shape.len() == self.row.len()
            && shape.skip(skip).eq(self.row.iter().copied().skip(skip));
        let rows = if self.batched {
            *tensor.shape.first()? as usize
        } else {
            1
        };
        let whole = rows.checked_mul(self.bytes) == Some(tensor.data.len());
        (fits && whole).then_some(rows)
    }
}

/// Little-endian bytes of the wire from or to those of this machine.
fn copy(dtype: Dtype, from: &[u8], to: &mut [u8]) {
    to.copy_from_slice(from);
    if cfg!(target_endian = "big") {
        to.chunks_exact_mut(dtype.size()).for_each(<[u8]>::reverse);
    }
}

fn described<T: ToString>(dtype: Dtype, shape: &[T]) -> String {
    format!("{dtype} {}", shown(shape))
}
