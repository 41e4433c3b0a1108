//! A directory with all that is in it, in memory: from a real one, to a real one.

use std::{
    collections::BTreeMap,
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::content::Content;

/// What is at a path.
#[derive(Debug, Clone)]
pub enum Node {
    /// A directory.
    Directory,
    /// A file.
    File(Arc<Content>),
}

/// Everything below a directory, by path relative to it.
#[derive(Debug, Clone, Default)]
pub struct Tree(pub BTreeMap<PathBuf, Node>);

impl Tree {
    /// What is below a real directory.
    #[track_caller]
    pub fn read(dir: &Path) -> Self {
        let mut tree = Self::default();
        tree.read_below(dir, Path::new(""));
        tree
    }

    #[track_caller]
    fn read_below(&mut self, dir: &Path, below: &Path) {
        let entries = fs::read_dir(dir.join(below));
        let entries = entries.unwrap_or_else(|err| panic!("{}: {err}", dir.display()));
        for entry in entries {
            let entry = entry.expect("a directory lists its entries");
            let path = below.join(entry.file_name());
            if entry.file_type().expect("an entry has a type").is_dir() {
                self.0.insert(path.clone(), Node::Directory);
                self.read_below(dir, &path);
            } else {
                let bytes = fs::read(entry.path());
                let bytes = bytes.unwrap_or_else(|err| panic!("{}: {err}", path.display()));
                let content = Arc::new(Content::of(&bytes));
                self.0.insert(path, Node::File(content));
            }
        }
    }

    /// Writes it below a real directory, which is made if it is not there. Files are for the owner only.
    #[track_caller]
    pub fn write(&self, dir: &Path) {
        fs::create_dir_all(dir).expect("a directory in the test's own");
        // Parents come before what is in them.
        for (path, node) in &self.0 {
            let path = dir.join(path);
            match node {
                Node::Directory => {
                    fs::create_dir_all(&path).expect("a directory in the test's own");
                }
                Node::File(content) => {
                    let mut options = fs::OpenOptions::new();
                    options.write(true).create(true).truncate(true).mode(0o600);
                    let file = options.open(&path).expect("a file in the test's own");
                    content.write_to(&file).expect("a file in the test's own");
                }
            }
        }
    }

    /// The bytes of a file.
    pub fn file(&self, path: &str) -> Option<Vec<u8>> {
        match self.0.get(Path::new(path))? {
            Node::File(content) => Some(content.bytes()),
            Node::Directory => None,
        }
    }

    /// Changes one byte of a file that has it.
    #[track_caller]
    pub fn change(&mut self, path: &Path, at: usize) {
        let Some(Node::File(content)) = self.0.get_mut(path) else {
            panic!("{} is no file", path.display());
        };
        let byte = content.bytes()[at];
        Arc::make_mut(content).write(at, &[byte ^ 1]);
    }

    /// A number that differs if the trees do.
    pub fn print(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for (path, node) in &self.0 {
            path.hash(&mut hasher);
            match node {
                Node::Directory => 0_u64.hash(&mut hasher),
                Node::File(content) => content.print().hash(&mut hasher),
            }
        }
        hasher.finish()
    }

    /// Where it differs from another one, in words.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let paths = self.0.keys().chain(other.0.keys());
        let paths: std::collections::BTreeSet<_> = paths.collect();
        let described = paths.into_iter().filter_map(|path| {
            let (one, two) = (self.0.get(path), other.0.get(path));
            let of = |node: Option<&Node>| match node {
                None => "nothing".to_owned(),
                Some(Node::Directory) => "a directory".to_owned(),
                Some(Node::File(content)) => {
                    format!("{} bytes ({:x})", content.len(), content.print())
                }
            };
            let (one, two) = (of(one), of(two));
            (one != two).then(|| format!("{}: {one}, {two}", path.display()))
        });
        described.collect()
    }
}
