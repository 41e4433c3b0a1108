//! A directory that a trainer wrote: `publish.json` and the files it names.
//!
//! Called by `tern model publish`. Must never break: what is wrong with a package is said with the
//! file's name, before a byte is sent.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use tern_protocol::{
    digest::{Digest, Hasher},
    limits,
    rest::{DESCRIPTION, DESCRIPTION_MAX, NewVersion, PackageDescription},
};

/// Bytes hashed at once.
const PIECE: usize = 64 * 1024;

/// What is wrong with a package.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PackageError {
    #[error(
        "{} cannot be read; a package is a directory with a publish.json, as the trainer writes it",
        path.display()
    )]
    Description {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} is over {limit} bytes: that is no description of a model", path.display())]
    LongDescription { path: PathBuf, limit: u64 },
    #[error("{} is not a description of a package", path.display())]
    Json {
        path: PathBuf,
        #[source]
        source: serde_json::Error,
    },
    #[error(
        "publish.json names no golden samples; write the inputs and outputs of some samples with the trainer"
    )]
    NoGolden,
    #[error("publish.json names {} as its {part}, which cannot be read", path.display())]
    Part {
        part: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} is empty; was the trainer interrupted?", path.display())]
    Empty { path: PathBuf },
    #[error("{} has {len} bytes, over the limit of {limit} for {part}", path.display())]
    TooLarge {
        part: &'static str,
        path: PathBuf,
        len: u64,
        limit: u64,
    },
    #[error("{} changed while it was read; publish again when it is finished", path.display())]
    Changing { path: PathBuf },
}

/// A package whose files are there, with their digests.
#[derive(Debug)]
pub(crate) struct Package {
    /// ONNX file, golden samples, and the reference profile if there is one.
    pub(crate) parts: Vec<Part>,
    /// What to tell the hub.
    pub(crate) new: NewVersion,
}

/// One file of a package.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    /// What it is: `model`, `golden samples`, `reference profile`.
    pub(crate) what: &'static str,
    pub(crate) path: PathBuf,
    pub(crate) digest: Digest,
    pub(crate) len: u64,
}

impl Package {
    /// Reads the description and hashes the files.
    pub(crate) fn read(dir: &Path) -> Result<Self, PackageError> {
        let description = describe(&dir.join(DESCRIPTION))?;
        let model = Part::read("model", dir.join(&description.onnx), limits::BLOB)?;
        let profile = limits::PROFILE as u64;
        let golden = description.golden.as_ref().ok_or(PackageError::NoGolden)?;
        let golden = Part::read("golden samples", dir.join(golden), profile)?;
        let reference = description.reference.as_ref();
        let reference = reference
            .map(|path| Part::read("reference profile", dir.join(path), profile))
            .transpose()?;
        let of_reference = reference.as_ref().map(|part| part.digest);
        let new = description.version(model.digest, golden.digest, of_reference);
        let parts = [Some(model), Some(golden), reference];
        Ok(Self {
            parts: parts.into_iter().flatten().collect(),
            new,
        })
    }
}

fn describe(path: &Path) -> Result<PackageDescription, PackageError> {
    let unreadable = |source| PackageError::Description {
        path: path.into(),
        source,
    };
    let mut text = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    let mut bounded = file.take(DESCRIPTION_MAX + 1);
    bounded.read_to_end(&mut text).map_err(unreadable)?;
    if text.len() as u64 > DESCRIPTION_MAX {
        return Err(PackageError::LongDescription {
            path: path.into(),
            limit: DESCRIPTION_MAX,
        });
    }
    serde_json::from_slice(&text).map_err(|source| PackageError::Json {
        path: path.into(),
        source,
    })
}

impl Part {
    /// Hashes a file.
    pub(crate) fn read(
        what: &'static str,
        path: PathBuf,
        limit: u64,
    ) -> Result<Self, PackageError> {
        let unreadable = |source| PackageError::Part {
            part: what,
            path: path.clone(),
            source,
        };
        let mut file = File::open(&path).map_err(unreadable)?;
        let len = file.metadata().map_err(unreadable)?.len();
        if len > limit {
            return Err(PackageError::TooLarge {
                part: what,
                path,
                len,
                limit,
            });
        }
        let mut hasher = Hasher::new();
        let mut piece = vec![0; PIECE];
        let mut hashed = 0;
        loop {
            let read = file.read(&mut piece).map_err(unreadable)?;
            if read == 0 {
                break;
            }
            hasher.update(&piece[..read]);
            hashed += read as u64;
            if hashed > len {
                break;
            }
        }
        match hashed {
            0 => Err(PackageError::Empty { path }),
            _ if hashed != len => Err(PackageError::Changing { path }),
            _ => Ok(Self {
                what,
                path,
                digest: hasher.finish(),
                len,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tern_protocol::{
        metric::Reduce,
        rest::{NewPreStep, UnknownStep},
        steps::PostStep,
    };

    use super::*;

    const WHOLE: &str = r#"{
        "onnx": "model.onnx", "golden": "golden.cbor", "reference": "reference.cbor",
        "inputs": [{"name": "x", "dtype": "f32", "shape": [-1, 64]}],
        "outputs": [{"name": "p", "dtype": "f32", "shape": [-1, 10]}],
        "classes": ["0", "1"], "min_agent": "0.2.0",
        "pre": [{"input": "x", "steps": [{"step": "scale", "factor": 0.5}, {"step": "blur"}]}],
        "post": [{"output": "p", "steps": [{"step": "softmax"}]}],
        "metrics": [{"name": "width", "kind": "histogram", "bins": [0, 0.5, 1]},
            {"name": "surest", "kind": "gauge", "from": {"output": "p", "reduce": "max"}}], "note": "first", "validation_accuracy": 0.97
    }"#;

    fn package(description: &str, files: &[(&str, &[u8])]) -> Result<Package, String> {
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(dir.path().join(DESCRIPTION), description).expect("written");
        for (name, bytes) in files {
            fs::write(dir.path().join(name), bytes).expect("written");
        }
        Package::read(dir.path()).map_err(|err| {
            let source = std::error::Error::source(&err).map(ToString::to_string);
            let text = format!("{err}: {}", source.unwrap_or_default());
            text.replace(dir.path().to_str().expect("UTF-8"), "DIR")
        })
    }

    #[test]
    fn a_whole_package() {
        let files: [(&str, &[u8]); 3] = [
            ("model.onnx", b"m"),
            ("golden.cbor", b"gg"),
            ("reference.cbor", b"r"),
        ];
        let package = package(WHOLE, &files).expect("whole");
        assert_eq!(package.new.onnx, Digest::of(b"m"));
        assert_eq!(package.new.reference, Some(Digest::of(b"r")));
        assert_eq!(package.new.inputs[0].shape, [-1, 64]);
        let blur = UnknownStep {
            step: "blur".into(),
        };
        // The hub says what is wrong with it, with all else that is.
        assert_eq!(package.new.pre[0].steps[1], NewPreStep::Unknown(blur));
        assert_eq!(package.new.known_pre()[0].steps.len(), 1);
        assert_eq!(package.new.known_post()[0].steps, [PostStep::Softmax {}]);
        assert_eq!(package.new.min_agent, "0.2.0".parse().ok());
        let [width, surest] = &package.new.metrics[..] else {
            panic!("two metrics");
        };
        assert_eq!((width.bins.len(), &width.from), (3, &None));
        let from = surest.from.as_ref().expect("of a tensor");
        assert_eq!((from.output.as_str(), from.reduce), ("p", Reduce::Max));
        let lens: Vec<_> = package
            .parts
            .iter()
            .map(|part| (part.what, part.len))
            .collect();
        let expected = [
            ("model", 1),
            ("golden samples", 2),
            ("reference profile", 1),
        ];
        assert_eq!(lens, expected);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_name() {
        let no_file = package(WHOLE, &[("model.onnx", b"m")]).expect_err("no golden samples");
        assert!(
            no_file.starts_with("publish.json names DIR/golden.cbor as its golden samples"),
            "{no_file}"
        );
        let empty = package(WHOLE, &[("model.onnx", b"")]).expect_err("empty");
        assert!(empty.contains("DIR/model.onnx is empty"), "{empty}");
        let key = WHOLE.replace("\"note\"", "\"notes\"");
        let key = package(&key, &[]).expect_err("unknown key");
        assert!(key.contains("unknown field `notes`"), "{key}");
        let kind = WHOLE.replace("histogram", "summary");
        let kind = package(&kind, &[]).expect_err("kind");
        assert!(kind.contains("unknown variant `summary`"), "{kind}");
        let name = WHOLE.replace("\"surest\"", "\"how sure\"");
        let name = package(&name, &[]).expect_err("name");
        assert!(name.contains("`how sure` is not a metric's name"), "{name}");
        let dtype = WHOLE.replacen("f32", "float32", 1);
        let dtype = package(&dtype, &[]).expect_err("dtype");
        assert!(
            dtype.contains("float32") && dtype.contains("line 3"),
            "{dtype}"
        );
        let none = Package::read(Path::new("no-such-directory")).expect_err("no directory");
        assert!(none.to_string().contains("publish.json"), "{none}");
    }
}
