//! A disk with what is written and what is durable. Pure.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use super::{
    content::Content,
    trace::{Change, Operation},
    tree::{Node, Tree},
};

/// What a power cut leaves of what was written and not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cut {
    /// All of it: as after `kill -9`.
    Written,
    /// Nothing: neither bytes nor names.
    Synced,
    /// The names, without any bytes: new files are empty.
    Names,
    /// Names and lengths: where bytes are missing there are zeros.
    Zeros,
    /// All of it, but of the last write only the first half.
    Torn,
    /// The last write without those before it: disks have an order of their own.
    Last,
}

impl Cut {
    /// Each of them.
    pub const ALL: [Self; 6] = [
        Self::Written,
        Self::Synced,
        Self::Names,
        Self::Zeros,
        Self::Torn,
        Self::Last,
    ];
}

/// A file or a directory, whatever its names are.
#[derive(Debug, Clone)]
enum Inode {
    File {
        written: Arc<Content>,
        durable: Arc<Content>,
    },
    Directory {
        written: BTreeMap<OsString, usize>,
        durable: BTreeMap<OsString, usize>,
    },
}

/// The last write, while it is the last operation.
#[derive(Debug, Clone)]
struct LastWrite {
    inode: usize,
    before: Arc<Content>,
    offset: usize,
    bytes: Vec<u8>,
}

/// The disk below one directory.
#[derive(Debug, Clone)]
pub struct Disk {
    inodes: Vec<Inode>,
    last: Option<LastWrite>,
}

/// The directory itself.
const ROOT: usize = 0;

impl Disk {
    /// A disk on which all of this is durable.
    pub fn new(tree: &Tree) -> Self {
        let mut disk = Self {
            inodes: Vec::new(),
            last: None,
        };
        disk.directory();
        for (path, node) in &tree.0 {
            let inode = match node {
                Node::Directory => disk.directory(),
                Node::File(content) => disk.file(Arc::clone(content)),
            };
            disk.name(path, Some(inode)).expect("parents come first");
            let (parent, _) = disk.parent(path).expect("parents come first");
            disk.sync(parent);
        }
        disk
    }

    fn directory(&mut self) -> usize {
        self.inodes.push(Inode::Directory {
            written: BTreeMap::new(),
            durable: BTreeMap::new(),
        });
        self.inodes.len() - 1
    }

    fn file(&mut self, content: Arc<Content>) -> usize {
        self.inodes.push(Inode::File {
            written: Arc::clone(&content),
            durable: content,
        });
        self.inodes.len() - 1
    }

    fn find(&self, path: &Path) -> Option<usize> {
        let mut inode = ROOT;
        for part in path.components() {
            let (Component::Normal(name), Inode::Directory { written, .. }) =
                (part, &self.inodes[inode])
            else {
                return None;
            };
            inode = *written.get(name)?;
        }
        Some(inode)
    }

    fn parent(&self, path: &Path) -> Option<(usize, OsString)> {
        let name = path.file_name()?.to_owned();
        Some((self.find(path.parent()?)?, name))
    }

    fn name(&mut self, path: &Path, inode: Option<usize>) -> Option<()> {
        let (parent, name) = self.parent(path)?;
        let Inode::Directory { written, .. } = &mut self.inodes[parent] else {
            return None;
        };
        match inode {
            Some(inode) => drop(written.insert(name, inode)),
            None => drop(written.remove(&name)?),
        }
        Some(())
    }

    fn sync(&mut self, inode: usize) {
        match &mut self.inodes[inode] {
            Inode::File { written, durable } => durable.clone_from(written),
            Inode::Directory { written, durable } => durable.clone_from(written),
        }
    }

    /// Whether there is something at this path, as far as anybody sees.
    pub fn has(&self, path: &Path) -> bool {
        self.find(path).is_some()
    }

    /// How long the file at this path is.
    pub fn len(&self, path: &Path) -> Option<usize> {
        match &self.inodes[self.find(path)?] {
            Inode::File { written, .. } => Some(written.len()),
            Inode::Directory { .. } => None,
        }
    }

    /// Applies an operation; the error says why it cannot have happened.
    pub fn apply(&mut self, operation: &Operation) -> Result<(), String> {
        self.last = None;
        let path = &operation.path;
        let gone = || format!("{operation:?}: there is no such file");
        match &operation.change {
            Change::Create => {
                if !self.has(path) {
                    let inode = self.file(Arc::default());
                    self.name(path, Some(inode)).ok_or_else(gone)?;
                }
            }
            Change::MakeDirectory => {
                let inode = self.directory();
                self.name(path, Some(inode)).ok_or_else(gone)?;
            }
            Change::Resize(len) => {
                let inode = self.find(path).ok_or_else(gone)?;
                self.content(inode).ok_or_else(gone)?.resize(*len);
            }
            Change::Write { offset, bytes } => {
                let inode = self.find(path).ok_or_else(gone)?;
                let Inode::File { written, .. } = &self.inodes[inode] else {
                    return Err(gone());
                };
                let before = Arc::clone(written);
                let content = self.content(inode).ok_or_else(gone)?;
                content.write(*offset, bytes);
                self.last = Some(LastWrite {
                    inode,
                    before,
                    offset: *offset,
                    bytes: bytes.clone(),
                });
            }
            Change::Sync => {
                let inode = self.find(path).ok_or_else(gone)?;
                self.sync(inode);
            }
            Change::Rename(to) => {
                let inode = self.find(path).ok_or_else(gone)?;
                self.name(path, None).ok_or_else(gone)?;
                self.name(to, Some(inode)).ok_or_else(gone)?;
            }
            Change::Link(to) => {
                let inode = self.find(path).ok_or_else(gone)?;
                self.name(to, Some(inode)).ok_or_else(gone)?;
            }
            Change::Remove => self.name(path, None).ok_or_else(gone)?,
        }
        Ok(())
    }

    fn content(&mut self, inode: usize) -> Option<&mut Content> {
        match &mut self.inodes[inode] {
            Inode::File { written, .. } => Some(Arc::make_mut(written)),
            Inode::Directory { .. } => None,
        }
    }

    /// What a power cut at this moment leaves.
    pub fn after(&self, cut: Cut) -> Tree {
        let mut tree = Tree::default();
        self.collect(ROOT, &PathBuf::new(), cut, &mut tree);
        tree
    }

    fn collect(&self, inode: usize, path: &Path, cut: Cut, tree: &mut Tree) {
        match &self.inodes[inode] {
            Inode::Directory { written, durable } => {
                if inode != ROOT {
                    tree.0.insert(path.to_owned(), Node::Directory);
                }
                let names = if cut == Cut::Synced { durable } else { written };
                for (name, inode) in names {
                    self.collect(*inode, &path.join(name), cut, tree);
                }
            }
            Inode::File { written, durable } => {
                let content = self.bytes_after(inode, written, durable, cut);
                tree.0.insert(path.to_owned(), Node::File(content));
            }
        }
    }

    fn bytes_after(
        &self,
        inode: usize,
        written: &Arc<Content>,
        durable: &Arc<Content>,
        cut: Cut,
    ) -> Arc<Content> {
        let last = self.last.as_ref().filter(|last| last.inode == inode);
        match (cut, last) {
            (Cut::Written, _) | (Cut::Torn, None) => Arc::clone(written),
            (Cut::Synced | Cut::Names, _) | (Cut::Last, None) => Arc::clone(durable),
            (Cut::Zeros, _) => {
                let mut content = Content::clone(durable);
                content.resize(written.len());
                Arc::new(content)
            }
            (Cut::Torn, Some(last)) => {
                let mut content = Content::clone(&last.before);
                content.write(last.offset, &last.bytes[..last.bytes.len() / 2]);
                Arc::new(content)
            }
            (Cut::Last, Some(last)) => {
                let mut content = Content::clone(durable);
                content.write(last.offset, &last.bytes);
                Arc::new(content)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(changes: &[(&str, Change)]) -> Disk {
        let mut disk = Disk::new(&Tree::default());
        for (path, change) in changes {
            let operation = Operation {
                path: path.into(),
                change: change.clone(),
            };
            disk.apply(&operation).expect("it can happen");
        }
        disk
    }

    fn write(offset: usize, bytes: &[u8]) -> Change {
        let bytes = bytes.to_vec();
        Change::Write { offset, bytes }
    }

    #[track_caller]
    fn leaves(disk: &Disk, cut: Cut, path: &str, bytes: Option<&[u8]>) {
        let tree = disk.after(cut);
        assert_eq!(tree.file(path).as_deref(), bytes, "{cut:?} of {path}");
    }

    #[test]
    fn bytes_and_names_are_durable_by_syncs_of_their_own() {
        let mut changes = vec![("a", Change::Create), ("a", write(0, b"1234"))];
        leaves(&disk(&changes), Cut::Written, "a", Some(b"1234"));
        leaves(&disk(&changes), Cut::Synced, "a", None);
        leaves(&disk(&changes), Cut::Names, "a", Some(b""));
        leaves(&disk(&changes), Cut::Zeros, "a", Some(&[0; 4]));
        leaves(&disk(&changes), Cut::Torn, "a", Some(b"12"));
        changes.push(("a", Change::Sync));
        leaves(&disk(&changes), Cut::Synced, "a", None);
        leaves(&disk(&changes), Cut::Names, "a", Some(b"1234"));
        changes.push(("", Change::Sync));
        leaves(&disk(&changes), Cut::Synced, "a", Some(b"1234"));
        changes.extend([("a", write(0, b"x")), ("a", write(3, b"yz"))]);
        leaves(&disk(&changes), Cut::Synced, "a", Some(b"1234"));
        leaves(&disk(&changes), Cut::Last, "a", Some(b"123yz"));
        leaves(&disk(&changes), Cut::Torn, "a", Some(b"x23y"));
        leaves(&disk(&changes), Cut::Zeros, "a", Some(b"1234\0"));
    }

    #[test]
    fn a_rename_is_durable_with_the_directory_and_not_before() {
        let mut changes = vec![
            ("d", Change::MakeDirectory),
            ("d/old", Change::Create),
            ("d/old", write(0, b"old")),
            ("d/old", Change::Sync),
            ("d/new", Change::Create),
            ("d/new", write(0, b"new")),
            ("d", Change::Sync),
            ("d/new", Change::Rename("d/old".into())),
        ];
        leaves(&disk(&changes), Cut::Written, "d/old", Some(b"new"));
        leaves(&disk(&changes), Cut::Names, "d/old", Some(b""));
        leaves(&disk(&changes), Cut::Synced, "d/old", None);
        changes.push(("", Change::Sync));
        leaves(&disk(&changes), Cut::Synced, "d/old", Some(b"old"));
        leaves(&disk(&changes), Cut::Synced, "d/new", Some(b""));
        changes.push(("d", Change::Sync));
        leaves(&disk(&changes), Cut::Synced, "d/old", Some(b""));
        leaves(&disk(&changes), Cut::Synced, "d/new", None);
    }

    #[test]
    fn what_was_removed_comes_back_until_its_directory_is_synced() {
        let mut changes = vec![
            ("a", Change::Create),
            ("a", write(0, b"1")),
            ("a", Change::Sync),
            ("", Change::Sync),
            ("b", Change::MakeDirectory),
            ("a", Change::Rename("b/a".into())),
            ("b/a", Change::Remove),
        ];
        leaves(&disk(&changes), Cut::Written, "a", None);
        leaves(&disk(&changes), Cut::Synced, "a", Some(b"1"));
        changes.push(("", Change::Sync));
        leaves(&disk(&changes), Cut::Synced, "a", None);
    }

    #[test]
    fn what_cannot_have_happened_is_an_error() {
        let mut disk = Disk::new(&Tree::default());
        for (path, change) in [
            ("a", Change::Sync),
            ("a", Change::Rename("b".into())),
            ("a/b", Change::Create),
            ("a", write(0, b"1")),
        ] {
            let operation = Operation {
                path: path.into(),
                change,
            };
            disk.apply(&operation).expect_err("nothing is there");
        }
    }
}
