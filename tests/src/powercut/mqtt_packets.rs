//! MQTT 3.1.1 publishes in what went through sockets. Pure.

use std::collections::BTreeMap;

/// A message that went through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// Its topic.
    pub topic: String,
    /// Its payload.
    pub payload: Vec<u8>,
}

/// Puts packets together, each socket and direction by itself.
#[derive(Debug, Default)]
pub struct Packets {
    rest: BTreeMap<String, Vec<u8>>,
}

/// The kind of a publish, in the upper half of a packet's first byte.
const PUBLISH: u8 = 3;

impl Packets {
    /// Takes the next bytes of a stream; gives the publishes that they complete.
    pub fn take(&mut self, stream: &str, bytes: &[u8]) -> Vec<Published> {
        let rest = self.rest.entry(stream.to_owned()).or_default();
        rest.extend_from_slice(bytes);
        let mut done = Vec::new();
        while let Some((kind, header, len)) = frame(rest) {
            let packet: Vec<u8> = rest.drain(..header + len).skip(header).collect();
            if kind >> 4 == PUBLISH {
                done.extend(published(kind, &packet));
            }
        }
        done
    }
}

/// The first byte, the length of the fixed header and that of the rest, if the packet is all here.
fn frame(bytes: &[u8]) -> Option<(u8, usize, usize)> {
    let (kind, rest) = bytes.split_first()?;
    let mut len = 0;
    for (index, byte) in rest.iter().take(4).enumerate() {
        len |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            let header = index + 2;
            return (bytes.len() >= header + len).then_some((*kind, header, len));
        }
    }
    None
}

fn published(kind: u8, packet: &[u8]) -> Option<Published> {
    let (len, rest) = packet.split_first_chunk::<2>()?;
    let (topic, rest) = rest.split_at_checked(u16::from_be_bytes(*len).into())?;
    // With a quality of service it has a number.
    let number = if kind & 0b110 == 0 { 0 } else { 2 };
    Some(Published {
        topic: String::from_utf8(topic.to_vec()).ok()?,
        payload: rest.get(number..)?.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn publishes_are_found_however_they_were_cut() {
        let mut stream = vec![0x30, 6, 0, 1, b'a', b'x', b'y', b'z', 0xc0, 0];
        stream.extend([0x32, 0x82, 0x01, 0, 1, b'b', 0, 7]);
        stream.extend([9; 125]);
        let all = |pieces: usize| {
            let mut packets = Packets::default();
            let cut = stream.chunks(pieces).map(|bytes| packets.take("s", bytes));
            cut.collect::<Vec<_>>().concat()
        };
        let whole = all(stream.len());
        assert_eq!(whole.len(), 2);
        assert_eq!(
            (whole[0].topic.as_str(), whole[0].payload.as_slice()),
            ("a", &b"xyz"[..])
        );
        assert_eq!(
            (whole[1].topic.as_str(), whole[1].payload.len()),
            ("b", 125)
        );
        for pieces in [1, 2, 3, 7, 100] {
            assert_eq!(all(pieces), whole);
        }
    }
}
