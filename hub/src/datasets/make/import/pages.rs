//! What reading a Parquet file takes, said by its own headers before anything of it is read.
//!
//! The crate that reads files makes room for whatever a header says, whether that is there or not, so a few bytes may ask
//! for all the memory of the machine. Must never break: of a file whose headers say more than [`HELD`], or leave it to
//! decoding how much it is, no page is read.

use std::{fs::File, io, os::unix::fs::FileExt as _};

use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};

/// The last bytes of a file, after the length of its footer.
const MAGIC: &[u8] = b"PAR1";

/// Longest footer, which lists columns and row groups, in bytes.
const FOOTER: u32 = 16 * 1024 * 1024;

/// Longest header of a page, in bytes. Nearly all are shorter than [`SHORT`].
const HEADER: usize = 64 * 1024;
const SHORT: usize = 512;

/// Bytes that are held at once, of a row group: a page of each column, and its dictionary.
const HELD: u64 = 512 * 1024 * 1024;

/// What a value of a dictionary takes beside its bytes.
const VALUE: u64 = 32;

/// Pages of a column that need not have a row.
const EMPTY: u64 = 16;

/// Encodings in which a page is about as long as what it holds: plain, by dictionary (two numbers), run lengths,
/// differences of numbers, split bytes. Texts that are told by their differences are as long as they like.
const ENCODINGS: [i32; 6] = [0, 2, 3, 5, 8, 9];

fn unread(err: &io::Error) -> String {
    format!("it cannot be read: {err}")
}

/// Refuses a file whose footer is too long. What is no footer at all whoever reads it says.
pub(super) fn check_footer(file: &File) -> Result<(), String> {
    let len = file.metadata().map_err(|err| unread(&err))?.len();
    let mut end = [0; 8];
    let Some(at) = len.checked_sub(end.len() as u64) else {
        return Ok(());
    };
    file.read_exact_at(&mut end, at)
        .map_err(|err| unread(&err))?;
    let [a, b, c, d, magic @ ..] = end;
    let footer = u32::from_le_bytes([a, b, c, d]);
    if magic == MAGIC && footer > FOOTER {
        return Err(format!(
            "its list of columns and row groups has {footer} bytes, the limit is {FOOTER}; write larger row groups"
        ));
    }
    Ok(())
}

/// Refuses a file that takes too much to read.
pub(super) fn check(file: &File, metadata: &ParquetMetaData) -> Result<(), String> {
    let len = file.metadata().map_err(|err| unread(&err))?.len();
    for (number, group) in (1..).zip(metadata.row_groups()) {
        let rows = group.num_rows().max(0).unsigned_abs();
        let mut held: u64 = 0;
        for column in group.columns() {
            let takes = held_by(file, len, column, rows).map_err(|why| {
                let name: String = column.column_path().string().chars().take(80).collect();
                format!(
                    "column `{}` of row group {number}: {why}",
                    name.escape_debug()
                )
            })?;
            held = held.saturating_add(takes);
            if held > HELD {
                return Err(format!(
                    "row group {number} takes {} MiB to read and more, the limit is {}; write smaller pages or row groups",
                    held >> 20,
                    HELD >> 20
                ));
            }
        }
    }
    Ok(())
}

/// Bytes that are held at once while a column of a row group is read.
fn held_by(
    file: &File,
    file_len: u64,
    column: &ColumnChunkMetaData,
    rows: u64,
) -> Result<u64, String> {
    let from = column.dictionary_page_offset();
    let from = from.unwrap_or_else(|| column.data_page_offset());
    let place = u64::try_from(from)
        .ok()
        .zip(u64::try_from(column.compressed_size()).ok());
    let place = place.and_then(|(from, len)| Some((from, from.checked_add(len)?)));
    let Some((mut at, end)) = place.filter(|(_, end)| *end <= file_len) else {
        return Err("it does not lie within the file".into());
    };
    let (mut data, mut dictionary, mut pages) = (0_u64, 0_u64, 0_u64);
    while at < end {
        let page = Page::read(file, at, end - at)?;
        pages += 1;
        if pages > rows.saturating_add(EMPTY) {
            return Err("it has more pages than rows".into());
        }
        if let Some(encoding) = page.encoding.filter(|found| !ENCODINGS.contains(found)) {
            return Err(format!(
                "a page of it is in encoding {encoding}, of which only decoding tells how much it holds; write it plain \
                 or with a dictionary"
            ));
        }
        let bytes = page.plain.max(page.stored);
        match page.values {
            Some(values) => dictionary = dictionary.max(values.saturating_mul(VALUE) + bytes),
            None => data = data.max(bytes),
        }
        at += page.header + page.stored;
    }
    Ok(data + dictionary)
}

/// What the header of a page says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Page {
    /// Bytes of the header itself.
    header: u64,
    /// Bytes of the page once it is unpacked.
    plain: u64,
    /// Bytes of it in the file.
    stored: u64,
    /// How it is encoded.
    encoding: Option<i32>,
    /// Of a dictionary: how many values.
    values: Option<u64>,
}

impl Page {
    /// The one that begins there, and lies within the next bytes.
    fn read(file: &File, at: u64, left: u64) -> Result<Self, String> {
        for most in [SHORT, HEADER] {
            let mut bytes = vec![0; (most as u64).min(left) as usize];
            file.read_exact_at(&mut bytes, at)
                .map_err(|err| unread(&err))?;
            let Some(page) = Self::parse(&bytes) else {
                continue;
            };
            if page.header + page.stored > left {
                return Err("a page goes on after its end".into());
            }
            return Ok(page);
        }
        Err(format!(
            "what should be the header of a page is none of up to {HEADER} bytes"
        ))
    }

    /// As the format writes it: a structure in Thrift's compact protocol.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut compact = Compact(bytes);
        let mut page = Self::default();
        compact.fields(DEEP, &mut |compact, id, kind| {
            let expected = match id {
                1..=4 => I32,
                5..=8 => STRUCT,
                _ => return Some(false),
            };
            // Of another type than the format says, whoever reads it may take it for something else.
            if kind != expected {
                return None;
            }
            match id {
                2 => page.plain = compact.size()?,
                3 => page.stored = compact.size()?,
                5 => compact.within(2, &mut page.encoding)?,
                7 => {
                    let mut values = None;
                    compact.within(1, &mut values)?;
                    page.values = Some(u64::try_from(values.unwrap_or_default()).ok()?);
                }
                8 => compact.within(4, &mut page.encoding)?,
                _ => return Some(false),
            }
            Some(true)
        })?;
        page.header = (bytes.len() - compact.0.len()) as u64;
        Some(page)
    }
}

/// Structures within structures, at most.
const DEEP: u8 = 8;

/// Types of values.
const I32: u8 = 5;
const STRUCT: u8 = 12;

/// Reads one field, or says that it did not; nothing if it is none.
type Field<'a> = dyn FnMut(&mut Compact<'_>, i16, u8) -> Option<bool> + 'a;

/// Bytes in Thrift's compact protocol, of which nothing is kept. Nothing is what every question gives that they do not
/// answer.
struct Compact<'a>(&'a [u8]);

impl Compact<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn pass(&mut self, len: u64) -> Option<()> {
        self.0 = self.0.get(usize::try_from(len).ok()?..)?;
        Some(())
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// A number with its sign in the lowest bit.
    fn int(&mut self) -> Option<i32> {
        let value = self.varint()?;
        let value = (value >> 1).cast_signed() ^ -(value & 1).cast_signed();
        i32::try_from(value).ok()
    }

    /// A number that is not below zero.
    fn size(&mut self) -> Option<u64> {
        u64::try_from(self.int()?).ok()
    }

    /// Puts the number in a field of the structure that comes next into `found`, if the structure has that field.
    fn within(&mut self, wanted: i16, found: &mut Option<i32>) -> Option<()> {
        *found = None;
        self.fields(DEEP, &mut |compact, id, kind| {
            if id != wanted {
                return Some(false);
            }
            if kind != I32 {
                return None;
            }
            *found = Some(compact.int()?);
            Some(true)
        })
    }

    /// All fields of a structure, to its end; those that are not read are passed over.
    fn fields(&mut self, deep: u8, read: &mut Field<'_>) -> Option<()> {
        let deep = deep.checked_sub(1)?;
        let mut id: i16 = 0;
        loop {
            let head = self.byte()?;
            let (step, kind) = (head >> 4, head & 0x0f);
            if kind == 0 {
                return Some(());
            }
            id = match step {
                0 => i16::try_from(self.int()?).ok()?,
                step => id.checked_add(step.into())?,
            };
            if !read(self, id, kind)? {
                self.skip(kind, deep)?;
            }
        }
    }

    fn skip(&mut self, kind: u8, deep: u8) -> Option<()> {
        match kind {
            // The type says it all.
            1 | 2 => Some(()),
            3 => self.pass(1),
            4..=6 => self.varint().map(drop),
            7 => self.pass(8),
            8 => {
                let len = self.varint()?;
                self.pass(len)
            }
            9 | 10 => {
                let head = self.byte()?;
                let many = match head >> 4 {
                    15 => self.varint()?,
                    few => few.into(),
                };
                self.skip_all(many, &[head & 0x0f], deep)
            }
            11 => {
                let many = self.varint()?;
                if many == 0 {
                    return Some(());
                }
                let kinds = self.byte()?;
                self.skip_all(many, &[kinds >> 4, kinds & 0x0f], deep)
            }
            STRUCT => self.fields(deep, &mut |_, _, _| Some(false)),
            13 => self.pass(16),
            _ => None,
        }
    }

    fn skip_all(&mut self, many: u64, kinds: &[u8], deep: u8) -> Option<()> {
        let deep = deep.checked_sub(1)?;
        for _ in 0..many {
            for kind in kinds {
                match kind {
                    // In a list a byte each.
                    1 | 2 => self.pass(1)?,
                    kind => self.skip(*kind, deep)?,
                }
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use parquet::file::reader::{FileReader as _, SerializedFileReader};
    use tern_dataset::{Cell, Input, Label, Row, TableWriter, Truths};
    use tern_protocol::rest::{ColumnKind, DatasetColumn, DatasetInput};

    use super::*;

    /// Rows of a table as a file, with texts that are the same again and again.
    fn table() -> Vec<u8> {
        let input = DatasetInput::Table {
            columns: vec![DatasetColumn {
                name: "colour".into(),
                kind: ColumnKind::Category,
                categories: Vec::new(),
            }],
        };
        let mut writer = TableWriter::new(Vec::new(), &input, Truths::Numbers).expect("a table");
        for n in 0..10_000 {
            let row = Row {
                id: format!("r{n}"),
                device: String::new(),
                site: String::new(),
                at: 0,
                source: "base".into(),
                weight: 1.0,
                label: Label::Number(f64::from(n)),
                input: Input::Table(vec![Cell::Category(format!("c{}", n % 5))]),
            };
            writer.push(row).expect("written");
        }
        writer.finish().expect("finished")
    }

    fn checked(bytes: &[u8]) -> Result<(), String> {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(bytes).expect("written");
        check_footer(&file)?;
        let reader = SerializedFileReader::new(file.try_clone().expect("a handle"));
        check(&file, reader.expect("a file of Parquet").metadata())
    }

    #[test]
    fn what_is_written_usually_may_be_read() {
        assert_eq!(checked(&table()), Ok(()));
    }

    #[test]
    fn what_a_page_says_of_itself_is_believed_before_room_is_made_for_it() {
        let bytes = table();
        let page = Page::parse(&bytes[4..]).expect("the first page");
        assert!(page.plain >= 10_000 && page.values.is_none(), "{page:?}");
        let head = |plain, stored| {
            let [plain, stored] = [number(plain), number(stored)];
            [
                &[0x15_u8, 0x00, 0x15][..],
                &plain[..],
                &[0x15][..],
                &stored[..],
            ]
            .concat()
        };
        let (before, most) = (head(page.plain, page.stored), i32::MAX as u64);
        assert!(bytes[4..].starts_with(&before));
        // What the header is longer by the page is shorter, so that it ends where it did.
        let longer = (head(most, page.stored).len() - before.len()) as u64;
        let lying = head(most, page.stored - longer);
        let lying = [&bytes[..4], &lying[..], &bytes[4 + before.len()..]].concat();
        let said = checked(&lying).expect_err("it is too much");
        assert!(
            said.contains("MiB to read and more, the limit is 512"),
            "{said}"
        );
    }

    /// A number as a structure has it.
    fn number(value: u64) -> Vec<u8> {
        let (mut left, mut bytes) = (value << 1, Vec::new());
        while left > 0x7f {
            bytes.push((left & 0x7f) as u8 | 0x80);
            left >>= 7;
        }
        bytes.push(left as u8);
        bytes
    }

    #[test]
    fn headers_that_are_none_are_told() {
        let header = |rest: &[u8]| {
            Page::parse(&[&[0x15_u8, 0x00, 0x15, 0x08, 0x15, 0x06][..], rest].concat())
        };
        let page = header(&[0]).expect("nothing else is said");
        assert_eq!((page.plain, page.stored, page.header), (4, 3, 7));
        // A data page of five values in encoding 7, with statistics that are passed over.
        let data = header(&[
            0x2c, 0x15, 0x0a, 0x15, 0x0e, 0x3c, 0x18, 0x02, 1, 2, 0, 0, 0,
        ]);
        assert_eq!(data.expect("a data page").encoding, Some(7));
        let dictionary = header(&[0x4c, 0x15, 0x0a, 0x15, 0x00, 0x11, 0, 0]);
        assert_eq!(dictionary.expect("a dictionary").values, Some(5));
        let wrong: [(&str, &[u8]); 5] = [
            ("it is cut off", &[]),
            ("a text instead of a check sum", &[0x18, 0x00, 0]),
            (
                "a text that is longer than all of it",
                &[0x98, 0xff, 0x7f, 0],
            ),
            ("an unknown type", &[0x9e, 0]),
            ("a length below zero", &[0x05, 0x04, 0x01, 0]),
        ];
        for (why, rest) in wrong {
            assert_eq!(header(rest), None, "{why}");
        }
        // Lists of lists of lists.
        assert_eq!(header(&[0x99; 40]), None);
    }

    #[test]
    fn a_footer_is_bounded() {
        let mut bytes = table();
        let place = bytes.len() - 8;
        bytes[place..place + 4].copy_from_slice(&(FOOTER + 1).to_le_bytes());
        let said = checked(&bytes).expect_err("it is too long");
        assert!(said.contains("the limit is 16777216"), "{said}");
    }
}
