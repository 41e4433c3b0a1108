//! Calls as operations on one directory, with what the program said and heard in between. Pure.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Component, Path, PathBuf},
};

use super::{
    disk::Disk,
    syscall::{Arg, Call, Line, Reader},
    tree::Tree,
};

/// Something that changed the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// What was changed, relative to the directory.
    pub path: PathBuf,
    /// How.
    pub change: Change,
}

/// How something was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// An empty file was made, unless there was one.
    Create,
    /// A directory was made.
    MakeDirectory,
    /// A file was made this long.
    Resize(usize),
    /// Bytes were written.
    Write {
        /// Where in the file.
        offset: usize,
        /// Which.
        bytes: Vec<u8>,
    },
    /// The bytes of the file, or the names in the directory, are durable.
    Sync,
    /// It has this name from now on.
    Rename(PathBuf),
    /// It has this name too.
    Link(PathBuf),
    /// The name is gone.
    Remove,
}

/// In a few words: what was written may have a megabyte.
impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.change {
            Change::Create => write!(f, "{path} made"),
            Change::MakeDirectory => write!(f, "directory {path} made"),
            Change::Resize(len) => write!(f, "{path} made {len} bytes long"),
            Change::Write { offset, bytes } => {
                write!(f, "{} bytes written to {path} at {offset}", bytes.len())
            }
            Change::Sync => write!(f, "{path} synced"),
            Change::Rename(to) => write!(f, "{path} renamed to {}", to.display()),
            Change::Link(to) => write!(f, "{path} linked to {}", to.display()),
            Change::Remove => write!(f, "{path} removed"),
        }
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The disk changed.
    Disk(Operation),
    /// The program wrote this to its standard error.
    Said(String),
    /// The program handed this to a socket.
    Sent(String, Vec<u8>),
    /// The program had this from a socket.
    Received(String, Vec<u8>),
}

/// Calls that `strace` is to record: all that change files, and what goes through sockets.
pub const CALLS: &str = "open,openat,creat,close,dup,dup2,dup3,fcntl,lseek,\
    write,pwrite64,writev,pwritev,pwritev2,sendfile,copy_file_range,splice,\
    ftruncate,truncate,fallocate,fsync,fdatasync,sync_file_range,mmap,\
    rename,renameat,renameat2,link,linkat,symlink,symlinkat,unlink,unlinkat,\
    mkdir,mkdirat,rmdir,sendto,sendmsg,recvfrom,recvmsg";

/// Files that are mapped and written through memory, and that are made anew from others.
const MAPPED: &str = "-shm";

/// Reads a recording about what is below `root`, where `before` was when it began.
#[derive(Debug)]
pub struct Interpreter {
    root: PathBuf,
    reader: Reader,
    /// What is written so far: whether a file was there decides what opening it did.
    disk: Disk,
    /// Where the next `write` to a descriptor goes.
    positions: BTreeMap<i64, Position>,
    events: Vec<Event>,
}

#[derive(Debug, Clone)]
struct Position {
    path: PathBuf,
    offset: usize,
    append: bool,
    /// The line that told of the descriptor.
    told: usize,
}

impl Interpreter {
    /// Nothing has happened yet.
    pub fn new(root: &Path, before: &Tree) -> Self {
        Self {
            root: root.to_owned(),
            reader: Reader::default(),
            disk: Disk::new(before),
            positions: BTreeMap::new(),
            events: Vec::new(),
        }
    }

    /// Takes the next line; the error says what cannot be understood.
    pub fn line(&mut self, line: &str) -> Result<(), String> {
        let Line::Call(call) = self.reader.read(line)? else {
            return Ok(());
        };
        if call.result < 0 {
            return Ok(());
        }
        self.call(&call)
            .map_err(|what| format!("{what}: {}", call.name))
    }

    /// What happened.
    pub fn events(self) -> Vec<Event> {
        self.events
    }

    fn call(&mut self, call: &Call) -> Result<(), String> {
        let (name, args) = (call.name.as_str(), call.args.as_slice());
        match name {
            "open" | "creat" | "openat" => self.open(call),
            "write" | "writev" | "sendto" | "sendmsg" => self.write(call),
            "recvfrom" | "recvmsg" => {
                if let (Some(Arg::Open { path, .. }), Some(bytes)) = (args.first(), data(args)) {
                    let taken = bytes.len().min(call.result as usize);
                    let event = Event::Received(path.clone(), bytes[..taken].to_vec());
                    self.events.push(event);
                }
                Ok(())
            }
            "pwrite64" | "pwritev" | "pwritev2" => {
                let Some(path) = self.opened(args) else {
                    return Ok(());
                };
                let offset = number(args, 3)?;
                self.bytes(path, offset, &written(call)?)
            }
            "lseek" => {
                if let Some(Arg::Open {
                    number: Some(fd), ..
                }) = args.first()
                    && let Some(position) = self.positions.get_mut(fd)
                {
                    position.offset = call.result as usize;
                }
                Ok(())
            }
            "dup" | "dup2" | "dup3" | "fcntl" => {
                self.duplicate(call);
                Ok(())
            }
            "close" => {
                // The number is free as soon as the call begins, and another thread may have it
                // again before it ends.
                if let Some(Arg::Open {
                    number: Some(fd), ..
                }) = args.first()
                    && self
                        .positions
                        .get(fd)
                        .is_some_and(|it| it.told < call.began)
                {
                    self.positions.remove(fd);
                }
                Ok(())
            }
            "ftruncate" => match self.opened(args) {
                Some(path) => self.change(path, Change::Resize(number(args, 1)?)),
                None => Ok(()),
            },
            "fallocate" => self.allocate(args),
            "fsync" | "fdatasync" => match self.opened(args) {
                Some(path) => self.change(path, Change::Sync),
                None => Ok(()),
            },
            "mkdir" | "mkdirat" => match self.named(args, 0)? {
                Some(path) => self.change(path, Change::MakeDirectory),
                None => Ok(()),
            },
            "unlink" | "unlinkat" | "rmdir" => match self.named(args, 0)? {
                Some(path) => self.change(path, Change::Remove),
                None => Ok(()),
            },
            "rename" | "renameat" | "renameat2" | "link" | "linkat" => {
                match (self.named(args, 0)?, self.named(args, 1)?) {
                    (Some(from), Some(to)) if name.starts_with("rename") => {
                        self.change(from, Change::Rename(to))
                    }
                    (Some(from), Some(to)) => self.change(from, Change::Link(to)),
                    (None, None) => Ok(()),
                    _ => Err("into the directory or out of it".into()),
                }
            }
            "mmap" => self.map(args),
            // It hands bytes over and makes none durable.
            "sync_file_range" => Ok(()),
            _ => self.not_here(args),
        }
    }

    fn open(&mut self, call: &Call) -> Result<(), String> {
        let flags = call.args.iter().find_map(|arg| match arg {
            Arg::Words(words) if words.starts_with("O_") => Some(words.as_str()),
            _ => None,
        });
        let has = |flag| flags.is_some_and(|flags| flags.split('|').any(|one| one == flag));
        let Some(path) = self.named(&call.args, 0)? else {
            self.positions.remove(&call.result);
            return Ok(());
        };
        if has("O_TMPFILE") {
            return Err("a file without a name".into());
        }
        if has("O_CREAT") && !self.disk.has(&path) {
            self.change(path.clone(), Change::Create)?;
        } else if has("O_TRUNC") && self.disk.len(&path).is_some_and(|len| len > 0) {
            self.change(path.clone(), Change::Resize(0))?;
        }
        let position = Position {
            path,
            offset: 0,
            append: has("O_APPEND"),
            told: call.ended,
        };
        self.positions.insert(call.result, position);
        Ok(())
    }

    fn write(&mut self, call: &Call) -> Result<(), String> {
        let bytes = written(call)?;
        let Some(Arg::Open { number, path, .. }) = call.args.first() else {
            return Ok(());
        };
        if path.starts_with("socket:") {
            self.events.push(Event::Sent(path.clone(), bytes));
            return Ok(());
        }
        if *number == Some(2) {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            self.events.push(Event::Said(text));
            return Ok(());
        }
        let (Some(path), Some(fd)) = (self.opened(&call.args), number) else {
            return Ok(());
        };
        let length = self.disk.len(&path).unwrap_or_default();
        let position = self.positions.get_mut(fd).filter(|it| it.path == path);
        let position = position.ok_or("nobody knows where a write goes")?;
        if position.append {
            position.offset = length;
        }
        let offset = position.offset;
        position.offset += bytes.len();
        self.bytes(path, offset, &bytes)
    }

    fn bytes(&mut self, path: PathBuf, offset: usize, bytes: &[u8]) -> Result<(), String> {
        let bytes = bytes.to_vec();
        self.change(path, Change::Write { offset, bytes })
    }

    fn duplicate(&mut self, call: &Call) {
        let is_one = call.name.starts_with("dup")
            || matches!(call.args.get(1), Some(Arg::Words(words)) if words.starts_with("F_DUPFD"));
        if let Some(Arg::Open {
            number: Some(fd), ..
        }) = call.args.first()
            && is_one
            && let Some(position) = self.positions.get(fd)
        {
            // Both would move together: nobody here writes through both.
            let told = call.ended;
            let position = Position {
                told,
                ..position.clone()
            };
            self.positions.insert(call.result, position);
        }
    }

    fn allocate(&mut self, args: &[Arg]) -> Result<(), String> {
        let Some(path) = self.opened(args) else {
            return Ok(());
        };
        let (offset, len) = (number(args, 2)?, number(args, 3)?);
        let now = self.disk.len(&path).unwrap_or_default();
        match args.get(1) {
            Some(Arg::Number(0)) if offset + len > now => {
                self.change(path, Change::Resize(offset + len))
            }
            Some(Arg::Number(0)) => Ok(()),
            Some(Arg::Words(mode)) if mode == "FALLOC_FL_KEEP_SIZE" => Ok(()),
            Some(Arg::Words(mode)) if mode.contains("FALLOC_FL_PUNCH_HOLE") => {
                let end = (offset + len).min(now);
                let zeros = vec![0; end.saturating_sub(offset)];
                self.bytes(path, offset, &zeros)
            }
            mode => Err(format!("{mode:?} is not known")),
        }
    }

    fn map(&mut self, args: &[Arg]) -> Result<(), String> {
        let writes = args
            .iter()
            .any(|arg| matches!(arg, Arg::Words(w) if w.contains("PROT_WRITE")));
        let shared = args
            .iter()
            .any(|arg| matches!(arg, Arg::Words(w) if w.contains("MAP_SHARED")));
        let file = args.get(4).map(std::slice::from_ref).unwrap_or_default();
        match self.opened(file) {
            Some(path) if writes && shared && !path.to_string_lossy().ends_with(MAPPED) => {
                Err(format!("{} is written through memory", path.display()))
            }
            _ => Ok(()),
        }
    }

    /// For calls that are not modelled: they must be about something else.
    fn not_here(&self, args: &[Arg]) -> Result<(), String> {
        for arg in args {
            if self.opened(std::slice::from_ref(arg)).is_some() {
                return Err("a call that is not modelled".into());
            }
        }
        Ok(())
    }

    fn change(&mut self, path: PathBuf, change: Change) -> Result<(), String> {
        let operation = Operation { path, change };
        self.disk.apply(&operation)?;
        self.events.push(Event::Disk(operation));
        Ok(())
    }

    /// The path behind the descriptor in front, if it is below the root and has a name.
    fn opened(&self, args: &[Arg]) -> Option<PathBuf> {
        match args.first()? {
            Arg::Open {
                path,
                deleted: false,
                ..
            } => self.below(Path::new(path)),
            _ => None,
        }
    }

    /// The path that is the `nth` of those which are arguments, if it is below the root.
    fn named(&self, args: &[Arg], nth: usize) -> Result<Option<PathBuf>, String> {
        let mut directory = None;
        let mut seen = 0;
        for arg in args {
            match arg {
                Arg::Open { path, .. } => directory = Some(path),
                Arg::Bytes(bytes) if seen == nth => {
                    let path = std::str::from_utf8(bytes).map_err(|err| err.to_string())?;
                    let path = Path::new(path);
                    let path = match directory {
                        Some(directory) => Path::new(directory).join(path),
                        // Only old calls have none, and our programs name files in full.
                        None => path.to_owned(),
                    };
                    return Ok(self.below(&path));
                }
                Arg::Bytes(_) => seen += 1,
                _ => {}
            }
        }
        Err("a path is missing".into())
    }

    fn below(&self, path: &Path) -> Option<PathBuf> {
        let mut plain = PathBuf::new();
        for part in path.components() {
            match part {
                Component::CurDir => {}
                Component::ParentDir => drop(plain.pop()),
                part => plain.push(part),
            }
        }
        plain.strip_prefix(&self.root).ok().map(Path::to_owned)
    }
}

fn data(args: &[Arg]) -> Option<&[u8]> {
    args.iter().find_map(|arg| match arg {
        Arg::Bytes(bytes) | Arg::Buffers(bytes) => Some(bytes.as_slice()),
        _ => None,
    })
}

/// The bytes that a call has written: it may have taken less than it was given.
fn written(call: &Call) -> Result<Vec<u8>, String> {
    let bytes = data(&call.args).unwrap_or_default();
    let taken = call.result as usize;
    let bytes = bytes
        .get(..taken)
        .ok_or("more was written than there was")?;
    Ok(bytes.to_vec())
}

fn number(args: &[Arg], index: usize) -> Result<usize, String> {
    match args.get(index) {
        Some(Arg::Number(number)) => usize::try_from(*number).map_err(|err| err.to_string()),
        other => Err(format!("{other:?} is no number")),
    }
}
