//! What cameras saw and what agents answered, read while it is written.

use std::{
    fs::File,
    io::{ErrorKind, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

/// One image that was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// By which device.
    pub device: String,
    /// The name of its prediction.
    pub prediction: String,
    /// The digit that was to be seen.
    pub truth: String,
    /// The digit that was answered; empty if it was none.
    pub said: String,
}

/// A file that cameras write.
#[derive(Debug)]
pub struct Answers {
    file: PathBuf,
    read: u64,
}

impl Answers {
    /// From its beginning.
    pub fn of(file: &Path) -> Self {
        Self {
            file: file.to_path_buf(),
            read: 0,
        }
    }

    /// What was written since the last time, whole lines only.
    pub fn fresh(&mut self) -> Result<Vec<Answered>> {
        let mut file = match File::open(&self.file) {
            Ok(file) => file,
            // No image was taken yet.
            Err(err) if err.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(err) => return Err(err).context("what the cameras write"),
        };
        file.seek(SeekFrom::Start(self.read))?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        let header = usize::from(self.read == 0);
        self.read += whole as u64;
        Ok(text[..whole]
            .lines()
            .skip(header)
            .filter_map(read)
            .collect())
    }
}

fn read(line: &str) -> Option<Answered> {
    let mut fields = line.split(',').map(str::to_owned);
    Some(Answered {
        device: fields.next()?,
        prediction: fields.next()?,
        truth: fields.next()?,
        said: fields.next()?,
    })
}

#[cfg(test)]
mod tests {
    use std::{fs::OpenOptions, io::Write};

    use super::*;

    #[test]
    fn lines_are_read_once_and_only_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("truth.csv");
        let mut answers = Answers::of(&path);
        assert!(answers.fresh().expect("no file yet").is_empty());
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .expect("a file");
        let mut write = |text: &str| file.write_all(text.as_bytes()).expect("room");
        write("device,prediction,truth,said\nmeter-01,1-1,7,1\nmeter-0");
        let first = answers.fresh().expect("lines");
        assert_eq!(first.len(), 1, "{first:?}");
        assert_eq!(
            (&*first[0].device, &*first[0].truth, &*first[0].said),
            ("meter-01", "7", "1")
        );
        write("2,1-1,3,\n");
        let second = answers.fresh().expect("lines");
        assert_eq!(second.len(), 1, "{second:?}");
        assert_eq!(
            (&*second[0].device, &*second[0].prediction, &*second[0].said),
            ("meter-02", "1-1", "")
        );
        assert!(answers.fresh().expect("nothing new").is_empty());
    }
}
