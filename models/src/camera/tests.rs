//! Cameras before a real socket that answers like an agent.

use std::{
    io::{BufReader, Read},
    net::{SocketAddr, TcpListener},
    sync::mpsc::channel,
};

use super::*;

/// An agent's HTTP edge, as little as a camera needs: answers `answers` requests on one listener,
/// numbering predictions of boot 1 and saying that it is a three, and gives the requests' bodies.
fn agent(listener: TcpListener, answers: usize) -> JoinHandle<Vec<serde_json::Value>> {
    thread::spawn(move || {
        let mut bodies = Vec::new();
        while bodies.len() < answers {
            let (stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream);
            while bodies.len() < answers {
                let mut length = 0;
                loop {
                    let mut line = String::new();
                    if reader.read_line(&mut line).unwrap() == 0 || line == "\r\n" {
                        break;
                    }
                    let line = line.to_ascii_lowercase();
                    if let Some(value) = line.strip_prefix("content-length:") {
                        length = value.trim().parse().unwrap();
                    }
                }
                if length == 0 {
                    break;
                }
                let mut body = vec![0; length];
                reader.read_exact(&mut body).unwrap();
                bodies.push(serde_json::from_slice(&body).unwrap());
                let mut row = [0.02; 10];
                row[3] = 0.82;
                let answer = serde_json::json!({
                    "parameters": {"predictions": [format!("1-{}", bodies.len())]},
                    "outputs": [{"name": "probabilities", "data": row}],
                });
                let answer = answer.to_string();
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n",
                    answer.len()
                );
                reader
                    .get_mut()
                    .write_all((head + &answer).as_bytes())
                    .unwrap();
            }
        }
        bodies
    })
}

/// Standard input that stays open until the test says so.
struct Commands(Receiver<String>, Vec<u8>);

impl Read for Commands {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.1.is_empty() {
            self.1 = self.0.recv().unwrap_or_default().into_bytes();
        }
        let n = into.len().min(self.1.len());
        into[..n].copy_from_slice(&self.1[..n]);
        self.1.drain(..n);
        Ok(n)
    }
}

fn add(agent: SocketAddr) -> String {
    let meter = serde_json::json!({"add": {
        "device": "meter-01", "site": "harbour", "agent": agent, "slot": "digit-reader",
        "seed": 7, "rate": 200.0,
    }});
    format!("{meter}\n")
}

#[test]
fn pictures_go_out_and_truths_come_in_while_agents_come_and_go() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("truth.csv");
    let bind = || TcpListener::bind("127.0.0.1:0").unwrap();
    // The first address has nobody behind it any more.
    let gone = bind().local_addr().unwrap();
    let listener = bind();
    let here = listener.local_addr().unwrap();
    let (tell, commands) = channel();
    let cameras = Cameras::default();
    let truth = path.clone();
    let running = thread::spawn(move || {
        let mut counts = Vec::new();
        let commands = BufReader::new(Commands(commands, Vec::new()));
        cameras.run(commands, &truth, &mut counts).map(|()| counts)
    });
    tell.send("nonsense\n{\"site\":\"harbour\",\"fog\":0.5}\n".into())
        .unwrap();
    tell.send(add(gone)).unwrap();
    tell.send(add(here)).unwrap();
    let bodies = agent(listener, 40).join().unwrap();
    tell.send("{\"stop\":true}\n".into()).unwrap();
    let counts = String::from_utf8(running.join().unwrap().unwrap()).unwrap();

    let input = &bodies[0]["inputs"][0];
    assert_eq!(input["name"], "image");
    assert_eq!(input["datatype"], "FP32");
    assert_eq!(input["shape"], serde_json::json!([1, 64]));
    assert_eq!(input["data"].as_array().unwrap().len(), 64);
    let truths = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = truths.lines().collect();
    assert_eq!(lines[0], "device,prediction,truth,said");
    assert_eq!(lines.len(), 41, "{truths}");
    assert!(lines[1].starts_with("meter-01,1-1,"), "{}", lines[1]);
    let last: serde_json::Value = serde_json::from_str(counts.lines().last().unwrap()).unwrap();
    assert_eq!(last["sent_in_all"], 40, "{counts}");

    // What it sent is what its walk gives in fog, and the truth is what that really shows.
    let field = load().unwrap().part(Part::Field);
    let walk = crate::frames::Walk::new(&field, 7).unwrap();
    let fog = crate::corruption::Corruption {
        fog: 0.5,
        ..crate::corruption::Corruption::NONE
    };
    for (number, (body, line)) in (0..).zip(bodies.iter().zip(&lines[1..])) {
        let seen = walk.frame(number, &fog);
        let sent = body["inputs"][0]["data"][20].as_f64().unwrap();
        assert!((sent - f64::from(seen.image.0[20])).abs() < 1e-5);
        assert!(line.ends_with(&format!(",{},3", seen.digit)), "{line}");
    }
}

#[test]
fn the_end_of_commands_ends_the_cameras() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("truth.csv");
    let mut counts = Vec::new();
    Cameras::default()
        .run(&b""[..], &path, &mut counts)
        .unwrap();
    // A second run appends and writes no second header.
    Cameras::default()
        .run(&b""[..], &path, &mut counts)
        .unwrap();
    assert_eq!(
        std::fs::read_to_string(&path).unwrap(),
        "device,prediction,truth,said\n"
    );
    let nowhere = dir.path().join("none").join("truth.csv");
    let err = Cameras::default().run(&b""[..], &nowhere, &mut counts);
    assert!(matches!(err, Err(CameraError::Truth(_))));
}
