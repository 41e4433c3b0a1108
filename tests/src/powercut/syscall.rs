//! Lines of `strace -f -y -xx` as calls. Pure.

use std::collections::BTreeMap;

/// What stands in the place of a descriptor for the working directory.
const WORKING_DIRECTORY: &str = "AT_FDCWD";

/// One call that has returned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The thread that made it.
    pub thread: u32,
    /// The line with which it began, counted from 1.
    pub began: usize,
    /// The line with which it ended: the same, unless another thread's came in between.
    pub ended: usize,
    /// Its name.
    pub name: String,
    /// Its arguments.
    pub args: Vec<Arg>,
    /// What it returned; negative: an error.
    pub result: i64,
    /// What is open behind the descriptor that it returned.
    pub result_path: Option<String>,
}

/// An argument, as far as anybody asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arg {
    /// A descriptor with what is open behind it.
    Open {
        /// The descriptor; `None`: the working directory.
        number: Option<i64>,
        /// A path, or `socket:[…]` and the like.
        path: String,
        /// Its name is gone.
        deleted: bool,
    },
    /// Bytes.
    Bytes(Vec<u8>),
    /// Buffers of a vectored call, one after the other.
    Buffers(Vec<u8>),
    /// A number.
    Number(i64),
    /// Flags and whatever else has a name.
    Words(String),
}

/// What a line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// A call that has returned.
    Call(Call),
    /// A thread that has ended, by itself or by a signal.
    Ended(u32),
    /// Nothing that anybody asks for.
    Other,
}

/// Reads lines in order: `strace` cuts a call in two when another thread's comes in between.
#[derive(Debug, Default)]
pub struct Reader {
    unfinished: BTreeMap<u32, (usize, String)>,
    lines: usize,
}

impl Reader {
    /// Reads the next line; the error says what is wrong with it.
    pub fn read(&mut self, line: &str) -> Result<Line, String> {
        self.lines += 1;
        let wrong = |what: &str| format!("{what}: {}", shown(line));
        let (thread, rest) = line
            .trim_start()
            .split_once(char::is_whitespace)
            .ok_or_else(|| wrong("no thread"))?;
        let thread: u32 = thread.parse().map_err(|_| wrong("no thread"))?;
        let rest = rest.trim_start();
        if rest.starts_with("+++") {
            self.unfinished.remove(&thread);
            return Ok(Line::Ended(thread));
        }
        if rest.starts_with("---") {
            return Ok(Line::Other);
        }
        if let Some(begun) = rest.strip_suffix("<unfinished ...>") {
            let begun = (self.lines, begun.trim_end().to_owned());
            self.unfinished.insert(thread, begun);
            return Ok(Line::Other);
        }
        let joined;
        let (began, text) = match rest.strip_prefix("<... ") {
            Some(resumed) => {
                let (_, tail) = resumed
                    .split_once(" resumed>")
                    .ok_or_else(|| wrong("half a call"))?;
                let begun = self.unfinished.remove(&thread);
                let (began, begun) = begun.ok_or_else(|| wrong("the end of nothing"))?;
                joined = begun + tail;
                (began, joined.as_str())
            }
            None => (self.lines, rest),
        };
        call(thread, (began, self.lines), text).map_err(|what| wrong(&what))
    }
}

fn call(thread: u32, (began, ended): (usize, usize), text: &str) -> Result<Line, String> {
    let (name, rest) = text.split_once('(').ok_or("no call")?;
    let end = rest.rfind(" = ").ok_or("no result")?;
    let (args, result) = (rest[..end].trim_end(), rest[end + 3..].trim());
    let args = args.strip_suffix(')').ok_or("no end of the arguments")?;
    if result.starts_with('?') {
        // It did not return, because the process ended.
        return Ok(Line::Other);
    }
    let number = result.split([' ', '<']).next().unwrap_or_default();
    let result_path = match result.strip_prefix(number) {
        Some(rest) if rest.starts_with('<') => Some(plain(enclosed(rest)?.0)?),
        _ => None,
    };
    let args = split(args).into_iter().map(argument);
    Ok(Line::Call(Call {
        thread,
        began,
        ended,
        name: name.to_owned(),
        args: args.collect::<Result<_, _>>()?,
        result: integer(number).ok_or("no number as result")?,
        result_path,
    }))
}

/// Splits at commas outside of any brackets.
fn split(args: &str) -> Vec<&str> {
    let (mut depth, mut start, mut all) = (0_usize, 0, Vec::new());
    for (at, byte) in args.bytes().enumerate() {
        match byte {
            b'<' | b'[' | b'{' | b'(' => depth += 1,
            b'>' | b']' | b'}' | b')' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => {
                all.push(args[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    let last = args[start..].trim();
    if !last.is_empty() {
        all.push(last);
    }
    all
}

fn argument(text: &str) -> Result<Arg, String> {
    if text.starts_with('"') {
        return bytes(text).map(Arg::Bytes);
    }
    if text.starts_with(['[', '{']) && text.contains("iov_base=") {
        let mut all = Vec::new();
        for part in text.split("iov_base=").skip(1) {
            all.extend(bytes(part)?);
        }
        return Ok(Arg::Buffers(all));
    }
    if let Some((before, rest)) = text.split_once('<')
        && let number @ (Ok(_) | Err(WORKING_DIRECTORY)) = before.parse::<i64>().map_err(|_| before)
    {
        let (path, after) = rest.split_once('>').ok_or("no `>`")?;
        return Ok(Arg::Open {
            number: number.ok(),
            path: plain(path)?,
            deleted: after.starts_with("(deleted)"),
        });
    }
    Ok(integer(text).map_or_else(|| Arg::Words(text.to_owned()), Arg::Number))
}

fn integer(text: &str) -> Option<i64> {
    match text.strip_prefix("0x") {
        Some(hex) => i64::from_str_radix(hex, 16).ok(),
        // Modes are written in octal, and nobody asks for them.
        None => text.parse().ok(),
    }
}

/// What is between the first `<` and the `>` that belongs to it, and what follows.
fn enclosed(text: &str) -> Result<(&str, &str), String> {
    let inside = text.strip_prefix('<').ok_or("no `<`")?;
    inside.split_once('>').ok_or_else(|| "no `>`".into())
}

/// Bytes between quotation marks.
fn bytes(text: &str) -> Result<Vec<u8>, String> {
    let inside = text.strip_prefix('"').ok_or("no bytes")?;
    let (inside, rest) = inside.split_once('"').ok_or("bytes without end")?;
    if rest.starts_with("...") {
        return Err("bytes were left out".into());
    }
    unescaped(inside)
}

fn plain(text: &str) -> Result<String, String> {
    let bytes = unescaped(text)?;
    String::from_utf8(bytes).map_err(|err| err.to_string())
}

/// `\x41` is `A`; everything else stands for itself.
fn unescaped(text: &str) -> Result<Vec<u8>, String> {
    let (mut all, mut rest) = (Vec::with_capacity(text.len() / 4), text.as_bytes());
    while let [first, more @ ..] = rest {
        if *first != b'\\' {
            all.push(*first);
            rest = more;
            continue;
        }
        let [b'x', high, low, more @ ..] = more else {
            return Err("an escape that is not hexadecimal".into());
        };
        let digit = |byte: u8| char::from(byte).to_digit(16).ok_or("a bad escape");
        all.push((digit(*high)? << 4 | digit(*low)?) as u8);
        rest = more;
    }
    Ok(all)
}

/// The beginning of a line: the whole may have a megabyte.
fn shown(line: &str) -> String {
    line.chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> Vec<Line> {
        let mut reader = Reader::default();
        let read = lines.iter().map(|line| reader.read(line));
        read.collect::<Result<_, _>>().expect("they can be read")
    }

    fn open(number: i64, path: &str) -> Arg {
        Arg::Open {
            number: Some(number),
            path: path.into(),
            deleted: false,
        }
    }

    #[test]
    fn a_call_has_its_arguments_and_its_result() {
        let lines = read(&[
            r#"12 openat(AT_FDCWD<\x2f\x74>, "\x61\x2e", O_WRONLY|O_CREAT, 0666) = 3<\x2f\x74\x2f\x61\x2e>"#,
            r#"12 pwrite64(3<\x2f\x61>(deleted), "\x00\xff", 2, 65536) = 2"#,
            r#"13 rename("\x61", "\x62") = -1 ENOENT (No such file or directory)"#,
            r#"13 writev(4<\x2f\x61>, [{iov_base="\x01\x02", iov_len=2}, {iov_base="\x03", iov_len=1}], 2) = 3"#,
            "12 +++ exited with 0 +++",
        ]);
        let Line::Call(made) = &lines[0] else {
            panic!("{lines:?}")
        };
        assert_eq!(
            (made.thread, made.name.as_str(), made.result),
            (12, "openat", 3)
        );
        assert_eq!(made.result_path.as_deref(), Some("/t/a."));
        assert_eq!(made.args[1], Arg::Bytes(b"a.".to_vec()));
        assert_eq!(made.args[2], Arg::Words("O_WRONLY|O_CREAT".into()));
        let Line::Call(written) = &lines[1] else {
            panic!("{lines:?}")
        };
        assert_eq!(
            written.args[1..],
            [Arg::Bytes(vec![0, 255]), Arg::Number(2), Arg::Number(65536)]
        );
        assert!(matches!(&written.args[0], Arg::Open { deleted: true, .. }));
        assert!(matches!(&lines[2], Line::Call(call) if call.result == -1));
        let Line::Call(vectored) = &lines[3] else {
            panic!("{lines:?}")
        };
        assert_eq!(
            vectored.args[..2],
            [open(4, "/a"), Arg::Buffers(vec![1, 2, 3])]
        );
        assert_eq!(lines[4], Line::Ended(12));
    }

    #[test]
    fn a_call_that_was_cut_in_two_is_one() {
        let lines = read(&[
            r"7 fsync(5<\x2f\x61> <unfinished ...>",
            r"8 fdatasync(6<\x2f\x62>) = 0",
            "7 <... fsync resumed>) = 0",
        ]);
        assert_eq!(lines[0], Line::Other);
        let Line::Call(call) = &lines[2] else {
            panic!("{lines:?}")
        };
        assert_eq!(
            (call.name.as_str(), &call.args[0]),
            ("fsync", &open(5, "/a"))
        );
    }

    #[test]
    fn what_was_left_out_or_makes_no_sense_is_an_error() {
        for line in [
            r#"1 write(1<\x2f>, "\x61"..., 9) = 9"#,
            "1 <... fsync resumed>) = 0",
            "hello",
            "1 fsync(",
        ] {
            Reader::default().read(line).expect_err(line);
        }
    }
}
