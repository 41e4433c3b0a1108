//! Runs a program under `strace` and reads what it did to a directory.

use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
};

use super::{
    disk::{Cut, Disk},
    trace::{CALLS, Event, Interpreter},
    tree::Tree,
};
use crate::{
    process::{Process, Under},
    programs, wait,
};

/// Bytes of one call that are recorded: more than any call of ours has.
const BYTES: &str = "33554432";

/// A recording that is about to begin, or under way.
#[derive(Debug)]
pub struct Recorder {
    strace: PathBuf,
    root: PathBuf,
    before: Tree,
    file: PathBuf,
}

/// What a program did to a directory.
#[derive(Debug)]
pub struct Recording {
    /// The directory as it was before.
    pub before: Tree,
    /// What happened, in order.
    pub events: Vec<Event>,
    /// The directory as it was after.
    pub after: Tree,
}

impl Recorder {
    /// Is to record what happens below `root`, into `file`; nothing, if there is no `strace` here.
    #[track_caller]
    pub fn new(root: &Path, file: &Path) -> Option<Self> {
        let strace = programs::find("strace")?;
        let root = root.canonicalize().expect("the directory is there");
        Some(Self {
            strace,
            before: Tree::read(&root),
            root,
            file: file.to_owned(),
        })
    }

    /// What the program is to be started under.
    pub fn under(&self) -> Under {
        let mut line = vec![self.strace.clone().into_os_string()];
        // The program stays our child, and the tracer ends when it does.
        for arg in ["-D", "-f", "-q", "-y", "-xx", "--seccomp-bpf", "-s", BYTES] {
            line.push(arg.into());
        }
        line.extend(["-e".into(), format!("trace={CALLS}").into()]);
        line.extend(["-o".into(), self.file.clone().into_os_string()]);
        Under(line)
    }

    /// Kills the program as a power cut does, and reads what it did.
    #[track_caller]
    pub fn kill_9(self, process: Process) -> Recording {
        let id = process.id();
        process.kill_9();
        self.read(id)
    }

    /// Reads what a program did that has ended.
    #[track_caller]
    pub fn read(self, id: u32) -> Recording {
        // The tracer writes on for a moment.
        let id = id.to_string();
        wait::until("the end of the recording", || {
            let text = lines(&self.file).last().unwrap_or_default();
            let mut words = text.split_whitespace();
            let ended = (words.next(), words.next()) == (Some(&id), Some("+++"));
            wait::that(ended, || format!("{text:.200}"))
        });
        let mut interpreter = Interpreter::new(&self.root, &self.before);
        for line in lines(&self.file) {
            if let Err(what) = interpreter.line(&line) {
                panic!("{}: {what}: {line:.300}", self.file.display());
            }
        }
        let recording = Recording {
            before: self.before,
            events: interpreter.events(),
            after: Tree::read(&self.root),
        };
        recording.check();
        recording
    }
}

fn lines(file: &Path) -> impl Iterator<Item = String> {
    let file = File::open(file).unwrap_or_else(|err| panic!("{}: {err}", file.display()));
    BufReader::new(file).lines().map_while(Result::ok)
}

impl Recording {
    /// Fails unless the model's disk, after all that happened, is what the program left.
    #[track_caller]
    fn check(&self) {
        let mut disk = Disk::new(&self.before);
        for event in &self.events {
            if let Event::Disk(operation) = event {
                disk.apply(operation)
                    .unwrap_or_else(|what| panic!("{what}"));
            }
        }
        // What is mapped into memory is written without calls, and made anew at each start.
        let model = disk.after(Cut::Written);
        let mut differences = model.differences(&self.after);
        differences.retain(|path| !path.contains("-shm:"));
        assert!(
            differences.is_empty(),
            "the recording was misread (model, program): {differences:#?}"
        );
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Runs a script in a directory that is recorded.
    fn script(dir: &Path, text: &str) -> Option<Recording> {
        let root = dir.join("root");
        fs::create_dir_all(&root).expect("a directory in the test's own");
        fs::write(root.join("old"), "1234").expect("a file in the test's own");
        let recorder = Recorder::new(&root, &dir.join("trace"))?;
        let under = recorder.under();
        let text = format!("cd {} && {text}", root.display());
        let args = ["-c", &text];
        let shell = Path::new("/bin/sh");
        let process = Process::start_under(Some(&under), None, dir, "script", shell, args);
        let id = process.id();
        assert!(process.finish().success());
        Some(recorder.read(id))
    }

    #[test]
    fn what_a_script_does_to_files_is_known_call_by_call() {
        let dir = tempfile::tempdir().expect("a directory");
        let text = "printf hello > new && sync new && mv new old && \
                    mkdir $PWD/below && printf 1 > below/a && printf 23 >> below/a && \
                    sync below && rm below/a && truncate -s 3 old";
        let Some(recording) = script(dir.path(), text) else {
            return;
        };
        let told = recording.events.iter().filter_map(|event| match event {
            Event::Disk(operation) => Some(operation.to_string()),
            _ => None,
        });
        let told: Vec<_> = told.collect();
        assert_eq!(
            told,
            [
                "new made",
                "5 bytes written to new at 0",
                "new synced",
                "new renamed to old",
                "directory below made",
                "below/a made",
                "1 bytes written to below/a at 0",
                "2 bytes written to below/a at 1",
                "below synced",
                "below/a removed",
                "old made 3 bytes long",
            ]
        );
        let mut disk = Disk::new(&recording.before);
        for event in &recording.events {
            if let Event::Disk(operation) = event {
                disk.apply(operation).expect("it happened");
            }
        }
        let synced = disk.after(Cut::Synced);
        assert_eq!(
            synced.file("old").as_deref(),
            Some(&b"1234"[..]),
            "the directory is not synced"
        );
        assert_eq!(
            disk.after(Cut::Written).file("old").as_deref(),
            Some(&b"hel"[..])
        );
    }

    #[test]
    #[should_panic(expected = "written through memory")]
    fn a_file_that_is_written_through_memory_is_not_misread() {
        let mut interpreter = Interpreter::new(Path::new("/root"), &Tree::default());
        let line = r"1 mmap(NULL, 4096, PROT_READ|PROT_WRITE, MAP_SHARED, 3</root/db>, 0) = 0x7f0000000000";
        interpreter
            .line(line)
            .unwrap_or_else(|what| panic!("{what}"));
    }

    #[test]
    fn a_number_that_is_taken_again_before_its_close_has_ended_belongs_to_the_new_file() {
        let mut interpreter = Interpreter::new(Path::new("/root"), &Tree::default());
        for line in [
            r#"1 openat(AT_FDCWD</root>, "/root/a", O_WRONLY|O_CREAT, 0666) = 18</root/a>"#,
            r"1 close(18</root/a> <unfinished ...>",
            r#"2 openat(AT_FDCWD</root>, "/root/b", O_WRONLY|O_CREAT, 0666) = 18</root/b>"#,
            r"1 <... close resumed>) = 0",
            r#"2 write(18</root/b>, "\x31", 1) = 1"#,
        ] {
            interpreter
                .line(line)
                .unwrap_or_else(|what| panic!("{what}: {line}"));
        }
        let last = interpreter.events().pop();
        assert!(
            matches!(&last, Some(Event::Disk(it)) if it.to_string() == "1 bytes written to b at 0"),
            "{last:?}"
        );
    }
}
