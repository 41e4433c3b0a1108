//! Files with the frame of ONNX, written byte by byte.

/// A model of some nodes and tensors.
#[derive(Debug, Clone)]
pub struct Model {
    pub producer: String,
    pub nodes: Vec<String>,
    /// Name, shape, values.
    pub tensors: Vec<(String, Vec<u64>, Vec<f32>)>,
    /// Whether values are raw bytes, or numbers of the format.
    pub raw: bool,
}

/// Numbers between -1 and 1, always the same for a seed.
pub fn noise(seed: u64, len: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..len).map(next).collect()
}

impl Model {
    /// About a megabyte and a half: more than two blocks.
    pub fn new(seed: u64) -> Self {
        Self::of(
            seed,
            &[&[128, 64], &[64], &[3, 100_000], &[17, 1000], &[1000, 4]],
        )
    }

    /// A few hundred bytes.
    pub fn tiny(seed: u64) -> Self {
        Self::of(seed, &[&[5, 4], &[4], &[4, 2]])
    }

    fn of(seed: u64, shapes: &[&[u64]]) -> Self {
        let tensor = |(index, shape): (usize, &&[u64])| {
            let len = shape.iter().product::<u64>() as usize;
            let values = noise(seed.wrapping_add(index as u64), len);
            (format!("layer.{index}.weight"), shape.to_vec(), values)
        };
        Self {
            producer: "a test".into(),
            nodes: (0..20).map(|i| format!("/layer/{i}/Gemm")).collect(),
            tensors: shapes.iter().enumerate().map(tensor).collect(),
            raw: true,
        }
    }

    pub fn file(&self) -> Vec<u8> {
        let mut graph = Vec::new();
        for (index, name) in self.nodes.iter().enumerate() {
            let mut node = field(1, format!("in_{index}").as_bytes());
            node.extend(field(2, format!("out_{index}").as_bytes()));
            node.extend(field(3, name.as_bytes()));
            node.extend(field(4, b"Gemm"));
            graph.extend(field(1, &node));
        }
        graph.extend(field(2, b"graph"));
        for (name, dims, values) in &self.tensors {
            let mut tensor = Vec::new();
            for dim in dims {
                tensor.push(8);
                varint(&mut tensor, *dim);
            }
            tensor.extend([16, 1]);
            let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
            tensor.extend(field(8, name.as_bytes()));
            tensor.extend(field(if self.raw { 9 } else { 4 }, &bytes));
            graph.extend(field(5, &tensor));
        }
        [
            vec![8, 8],
            field(2, self.producer.as_bytes()),
            field(7, &graph),
            field(8, &[16, 13]),
        ]
        .concat()
    }
}

fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2];
    varint(&mut field, bytes.len() as u64);
    field.extend_from_slice(bytes);
    field
}

fn varint(to: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        to.push(value as u8 | 0x80);
        value >>= 7;
    }
    to.push(value as u8);
}
