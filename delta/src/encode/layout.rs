//! Where the tensors of an ONNX file lie.
//!
//! Called by `pair`. Libraries that read protobuf give values and no places, and the places are what
//! a delta is about; so this reads the frame of the format itself: keys, lengths, nothing else. What
//! does not read as ONNX has no tensors and is still a file: nothing depends on this being right but
//! the size of a delta.

use std::ops::Range;

use crate::format::{Element, take_varint};

/// The bytes of one tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Payload {
    /// Where in the file.
    pub(super) range: Range<usize>,
    /// What they are.
    pub(super) element: Element,
    /// Names on the way to it, and its own.
    pub(super) name: String,
    /// Its shape.
    pub(super) dims: Vec<u64>,
}

/// Graphs within graphs that are followed. ONNX itself sets no limit; real ones have three or four.
const DEPTH: usize = 32;

/// Fewer bytes than this are no tensor of their own: telling where they are would take as many.
const SMALL: usize = 16;

/// The tensors of a file, in its order. None overlaps another.
pub(super) fn payloads(file: &[u8]) -> Vec<Payload> {
    let mut found = Found {
        file,
        payloads: Vec::new(),
    };
    let mut path = String::new();
    // What comes before bytes that do not read is kept: it was there.
    let _ = found.message(Message::Model, 0..file.len(), &mut path, 0);
    found.payloads.sort_by_key(|payload| payload.range.start);
    found.payloads
}

/// The messages in which there are tensors. Numbers are those of `onnx.proto`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Message {
    Model,
    Training,
    Function,
    Graph,
    Node,
    Attribute,
    Sparse,
    Tensor,
}

impl Message {
    /// What lies in a field, if it is a message with tensors in it.
    fn field(self, number: u64) -> Option<Self> {
        Some(match (self, number) {
            (Self::Model, 7) | (Self::Training, 1 | 2) | (Self::Attribute, 6 | 11) => Self::Graph,
            (Self::Model, 20) => Self::Training,
            (Self::Model, 25) => Self::Function,
            (Self::Function, 7) | (Self::Graph, 1) => Self::Node,
            (Self::Node, 5) => Self::Attribute,
            (Self::Graph, 15) | (Self::Attribute, 22 | 23) => Self::Sparse,
            (Self::Graph, 5) | (Self::Attribute, 5 | 10) | (Self::Sparse, 1 | 2) => Self::Tensor,
            _ => return None,
        })
    }

    /// The field that holds its name.
    fn name(self) -> Option<u64> {
        match self {
            Self::Function | Self::Attribute => Some(1),
            Self::Graph => Some(2),
            Self::Node => Some(3),
            Self::Tensor => Some(8),
            Self::Model | Self::Training | Self::Sparse => None,
        }
    }
}

/// One field.
struct Field {
    number: u64,
    /// Of a field with a length: its bytes.
    range: Option<Range<usize>>,
    /// Of a field that is a number: it.
    value: u64,
}

struct Found<'a> {
    file: &'a [u8],
    payloads: Vec<Payload>,
}

impl Found<'_> {
    /// Finds the tensors of a message; `None` if it does not read to its end.
    fn message(
        &mut self,
        message: Message,
        range: Range<usize>,
        path: &mut String,
        depth: usize,
    ) -> Option<()> {
        if depth > DEPTH {
            return None;
        }
        let known = path.len();
        if let Some(name) = self.name(message, range.clone()) {
            path.push('/');
            path.push_str(&name);
        }
        let read = if message == Message::Tensor {
            self.tensor(range, path)
        } else {
            self.fields(message, range, path, depth)
        };
        path.truncate(known);
        read
    }

    fn fields(
        &mut self,
        message: Message,
        mut range: Range<usize>,
        path: &mut String,
        depth: usize,
    ) -> Option<()> {
        while !range.is_empty() {
            let field = self.field(&mut range)?;
            if let (Some(inner), Some(range)) = (message.field(field.number), field.range) {
                self.message(inner, range, path, depth + 1)?;
            }
        }
        Some(())
    }

    /// The name may come after what it names.
    fn name(&self, message: Message, mut range: Range<usize>) -> Option<String> {
        let wanted = message.name()?;
        while !range.is_empty() {
            let field = self.field(&mut range)?;
            if let (true, Some(range)) = (field.number == wanted, field.range) {
                return Some(String::from_utf8_lossy(&self.file[range]).into_owned());
            }
        }
        None
    }

    fn tensor(&mut self, mut range: Range<usize>, path: &str) -> Option<()> {
        let mut dims = Vec::new();
        let mut kind = 0;
        let mut bytes: Vec<(u64, Range<usize>)> = Vec::new();
        while !range.is_empty() {
            let field = self.field(&mut range)?;
            match (field.number, field.range) {
                (1, Some(range)) => {
                    let mut packed = &self.file[range];
                    while !packed.is_empty() {
                        dims.push(take_varint(&mut packed)?);
                    }
                }
                (1, None) => dims.push(field.value),
                (2, None) => kind = field.value,
                // Values of fixed length, of any length, strings left out, and raw bytes.
                (number @ (4 | 5 | 7 | 9 | 10 | 11), Some(range)) => bytes.push((number, range)),
                _ => {}
            }
        }
        for (field, range) in bytes {
            if range.len() < SMALL {
                continue;
            }
            let element = match field {
                4 => Element::F32,
                9 => of_kind(kind),
                10 => Element::F64,
                // Numbers of any length do not lie in line with those of another file.
                _ => Element::I8,
            };
            let whole = range.len().is_multiple_of(element.width());
            self.payloads.push(Payload {
                range,
                element: if whole { element } else { Element::I8 },
                name: path.to_owned(),
                dims: dims.clone(),
            });
        }
        Some(())
    }

    /// Takes the first field off `range`.
    fn field(&self, range: &mut Range<usize>) -> Option<Field> {
        let key = self.varint(range)?;
        let mut field = Field {
            number: key >> 3,
            range: None,
            value: 0,
        };
        let skipped = match key & 7 {
            0 => {
                field.value = self.varint(range)?;
                return Some(field);
            }
            1 => 8,
            2 => usize::try_from(self.varint(range)?).ok()?,
            5 => 4,
            _ => return None,
        };
        let end = range.start.checked_add(skipped)?;
        if end > range.end {
            return None;
        }
        if key & 7 == 2 {
            field.range = Some(range.start..end);
        }
        range.start = end;
        Some(field)
    }

    fn varint(&self, range: &mut Range<usize>) -> Option<u64> {
        let mut rest = &self.file[range.clone()];
        let value = take_varint(&mut rest)?;
        range.start = range.end - rest.len();
        Some(value)
    }
}

/// What raw bytes are, by `TensorProto.DataType`.
fn of_kind(kind: u64) -> Element {
    match kind {
        4 | 5 => Element::I16,
        6 | 12 => Element::I32,
        7 | 13 => Element::I64,
        10 => Element::F16,
        16 => Element::Bf16,
        // Complex numbers are pairs.
        1 | 14 => Element::F32,
        11 | 15 => Element::F64,
        _ => Element::I8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        let mut field = vec![number << 3 | 2];
        crate::format::put_varint(&mut field, bytes.len() as u64);
        field.extend_from_slice(bytes);
        field
    }

    fn tensor(name: &str, values: &[f32]) -> Vec<u8> {
        let raw: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let dims = [8, values.len() as u8];
        [
            &dims[..],
            &[16, 1],
            &field(9, &raw),
            &field(8, name.as_bytes()),
        ]
        .concat()
    }

    #[test]
    fn tensors_are_found_wherever_they_are() {
        let values = [1.0, 2.0, 3.0, 4.0];
        let constant = [field(1, b"value"), field(5, &tensor("", &values))].concat();
        let node = [field(5, &constant), field(3, b"constant")].concat();
        let inner = [field(2, b"then"), field(5, &tensor("inner", &values))].concat();
        let branch = [field(5, &field(6, &inner)), field(3, b"if")].concat();
        let packed: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let packed = [vec![8, 4, 16, 1], field(8, b"packed"), field(4, &packed)].concat();
        let graph = [
            field(1, &node),
            field(1, &branch),
            field(2, b"g"),
            field(5, &tensor("weight", &values)),
            field(5, &packed),
        ]
        .concat();
        let file = [field(2, b"producer"), field(7, &graph)].concat();

        let found = payloads(&file);
        let names: Vec<_> = found.iter().map(|p| p.name.as_str()).collect();
        let wanted = [
            "/g/constant/value/",
            "/g/if/then/inner",
            "/g/weight",
            "/g/packed",
        ];
        assert_eq!(names[1..], wanted[1..]);
        assert!(names[0].starts_with("/g/constant/value"), "{names:?}");
        for payload in &found {
            let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
            assert_eq!(file[payload.range.clone()], bytes);
            assert_eq!(
                (payload.element, &payload.dims[..]),
                (Element::F32, &[4][..])
            );
        }
    }

    #[test]
    fn what_does_not_read_has_no_tensors() {
        assert_eq!(payloads(b"not a model"), []);
        assert_eq!(payloads(&[0xff; 64]), []);
        let deep = (0..200).fold(Vec::new(), |inner, _| {
            field(1, &field(5, &field(6, &inner)))
        });
        assert_eq!(payloads(&field(7, &deep)), []);
    }
}
