//! Artifacts of commands that run where the hub has no files: a step around the command hands them over to the hub by
//! HTTP when the command has ended. Pure; the step itself is a script in `handover.py`.
//!
//! Called by the words of engines. The step is in Python, since whoever trains there has it, and no program of ours is in
//! other people's images. What it asks of the hub are the routes for a job's own artifacts; where the hub is and who the
//! job is to it stand in the variables that every job is given.

use serde::Serialize;

use crate::job::{ARTIFACTS, DEPTH, JobSpec, LOOKED_AT, expressions};

/// The step, as `python3 -c` takes it.
pub(crate) const SCRIPT: &str = include_str!("handover.py");

/// Where the command runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Work {
    /// In an empty directory.
    Fresh,
    /// In a copy of the directory in which it is started: others may be started there.
    Copy,
    /// Where it is started: nobody else is.
    Here,
}

/// What the step is told.
#[derive(Serialize)]
struct Told {
    patterns: Vec<String>,
    work: Work,
    looked_at: usize,
    most: usize,
    depth: usize,
}

/// What the step is told before the command, as one word; nothing if the job has no artifacts and needs no such step.
pub(crate) fn told(spec: &JobSpec, work: Work) -> Option<String> {
    if spec.artifacts.is_empty() {
        return None;
    }
    let told = Told {
        patterns: expressions(&spec.artifacts),
        work,
        looked_at: LOOKED_AT,
        most: ARTIFACTS,
        depth: DEPTH,
    };
    Some(serde_json::to_string(&told).expect("our own types are JSON"))
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead as _, BufReader, Read as _, Write as _},
        net::{TcpListener, TcpStream},
        process::{Command, Output},
        thread,
    };

    use super::*;
    use crate::job::Patterns;

    /// One request: its line, and its body.
    fn heard(stream: &TcpStream) -> Option<(String, Vec<u8>)> {
        let mut reader = BufReader::new(stream);
        let mut first = String::new();
        reader.read_line(&mut first).ok().filter(|read| *read > 0)?;
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            let line = line.trim().to_ascii_lowercase();
            if let Some(number) = line.strip_prefix("content-length:") {
                length = number.trim().parse().ok()?;
            }
            if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        Some((first, body))
    }

    /// Runs the step around a script, at a hub that answers in this order; how it ended, and what the hub heard.
    fn around(
        script: &str,
        patterns: &[&str],
        answers: &[&str],
    ) -> (Output, Vec<(String, Vec<u8>)>) {
        let hub = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, count) = (hub.local_addr().unwrap(), answers.len());
        let url = format!("http://{address}");
        let answers: Vec<String> = answers.iter().map(|&one| one.to_owned()).collect();
        let hears = thread::spawn(move || {
            let mut all = Vec::new();
            for answer in answers {
                let (mut stream, _) = hub.accept().unwrap();
                all.extend(heard(&stream));
                let head =
                    format!("HTTP/1.1 {answer}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
                // Nobody may be there any more.
                let _ = stream.write_all(head.as_bytes());
            }
            all
        });
        let mut spec = JobSpec::of(["sh"]);
        spec.artifacts = patterns.iter().map(|&one| one.to_owned()).collect();
        let told = told(&spec, Work::Fresh).unwrap();
        let out = Command::new("python3")
            .args(["-c", SCRIPT, &told, "sh", "-c", script])
            .envs([
                ("no_proxy", "127.0.0.1"),
                ("TERN_URL", url.as_str()),
                ("TERN_WORKSPACE", "lab"),
                ("TERN_JOB", "12"),
                ("TERN_ATTEMPT", "2"),
                ("TERN_TOKEN", "planted"),
            ])
            .output()
            .unwrap();
        // What was not asked is not waited for.
        for _ in 0..count {
            let _ = TcpStream::connect(address);
        }
        (out, hears.join().unwrap())
    }

    #[test]
    fn what_matches_is_handed_over_and_the_command_ends_as_it_ended() {
        let script = "mkdir -p out/deep; printf weights > out/deep/a.onnx; echo no > notes; \
                      ln -s /etc/passwd out/b.onnx; printf said; exit 3";
        let busy_at_first = ["503 Busy", "201 Created", "204 No Content"];
        let (out, heard) = around(script, &["out/**/*.onnx"], &busy_at_first);
        assert_eq!(out.status.code(), Some(3), "{out:?}");
        assert_eq!(out.stdout, b"said");
        let put =
            "PUT /api/v1/w/lab/jobs/12/artifact?attempt=2&path=out%2Fdeep%2Fa.onnx HTTP/1.1\r\n";
        let done = "POST /api/v1/w/lab/jobs/12/artifacts?attempt=2&left_out=false HTTP/1.1\r\n";
        let expected = [
            (put.to_owned(), b"weights".to_vec()),
            (put.to_owned(), b"weights".to_vec()),
            (done.to_owned(), Vec::new()),
        ];
        assert_eq!(heard, expected);
    }

    #[test]
    fn what_is_refused_is_told_and_what_nobody_wants_any_more_is_not_sent() {
        let script = "echo 1 > a; echo 2 > b";
        let (out, heard) = around(
            script,
            &["*"],
            &["409 Full", "201 Created", "204 No Content"],
        );
        assert_eq!(out.status.code(), Some(0), "{out:?}");
        assert!(heard[2].0.contains("left_out=true"), "{heard:?}");
        let said = String::from_utf8(out.stderr).unwrap();
        assert!(said.starts_with("[tern] not kept: a: 409"), "{said}");
        let (out, heard) = around(script, &["*"], &["401 Over"]);
        assert_eq!((out.status.code(), heard.len()), (Some(0), 1), "{out:?}");
        let (out, heard) = around("exec no-such-program", &["*"], &["204 No Content"]);
        assert_eq!((out.status.code(), heard.len()), (Some(127), 1), "{out:?}");
    }

    /// Both read the same patterns, or files would be sent that the hub refuses.
    #[test]
    fn expressions_take_what_patterns_take() {
        let patterns = [
            "*.onnx",
            "plots/**",
            "**/a",
            "a/**/b",
            "[a-c]?.{txt,md}",
            "[!x]",
            "r\u{e9}sum\u{e9}*",
            "a.b-c+(1)",
            "#~&",
        ];
        let paths = [
            "model.onnx",
            "x/model.onnx",
            "plots/a",
            "plots/x/y",
            "plots",
            "a",
            "x/y/a",
            "a/b",
            "a/x/y/b",
            "aa.txt",
            "cz.md",
            "dz.md",
            "x",
            "y",
            "r\u{e9}sum\u{e9}.pdf",
            "a.b-c+(1)",
            "a\nb",
            "#~&",
            "model.onnx\n",
            "plots/a\nb",
        ];
        let script = "import json, re, sys\n\
                      print(json.dumps([[bool(re.compile(one.encode(), re.DOTALL).fullmatch(path.encode())) \
                      for path in json.loads(sys.argv[2])] for one in json.loads(sys.argv[1])]))";
        let all: Vec<String> = patterns.iter().map(|&one| one.to_owned()).collect();
        let (expressions, named) = (
            serde_json::to_string(&expressions(&all)).unwrap(),
            serde_json::to_string(&paths).unwrap(),
        );
        let out = Command::new("python3")
            .args(["-W", "error", "-c", script, &expressions, &named])
            .output()
            .unwrap();
        let theirs: Vec<Vec<bool>> =
            serde_json::from_slice(&out.stdout).unwrap_or_else(|err| panic!("{err}: {out:?}"));
        for (pattern, theirs) in all.iter().zip(theirs) {
            let ours = Patterns::of(std::slice::from_ref(pattern));
            for (path, theirs) in paths.iter().zip(theirs) {
                assert_eq!(ours.take(path), theirs, "{pattern} {path:?}");
            }
        }
    }
}
