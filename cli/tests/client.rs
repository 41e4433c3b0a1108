//! The client against peers that no hub would be: each answer is written by hand, byte for byte.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    thread,
};

use tern_cli::client::{Client, ClientError, DeviceQuery};
use tern_protocol::digest::Digest;

/// A peer that gives each request this answer, on its own connection, until the test ends.
fn peer(answer: &'static str) -> Client {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound").to_string();
    thread::spawn(move || {
        for socket in listener.incoming().map_while(Result::ok) {
            // The test may have gone by now; then nobody misses the answer.
            let _ = serve(&socket, answer);
        }
    });
    Client::new(&address, "default".parse().expect("a name")).expect("an address")
}

fn serve(mut socket: &TcpStream, answer: &str) -> std::io::Result<()> {
    let mut request = BufReader::new(socket);
    let mut length = 0;
    loop {
        let mut line = String::new();
        request.read_line(&mut line)?;
        let line = line.trim_end().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.parse().unwrap_or(0);
        }
        if line.is_empty() {
            break;
        }
    }
    std::io::copy(&mut request.take(length), &mut std::io::sink())?;
    socket.write_all(answer.as_bytes())
}

#[test]
fn a_list_that_goes_round_in_circles_is_left() {
    let client = peer(
        "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{\"items\":[],\"next\":\"the same again\"}",
    );
    let err = client.devices(&DeviceQuery::default()).all();
    let err = err.expect_err("endless");
    assert!(matches!(err, ClientError::Endless { .. }), "{err:?}");
}

#[test]
fn the_hubs_own_words_reach_the_caller() {
    let client = peer(
        "HTTP/1.1 409 Conflict\r\nconnection: close\r\n\r\n{\"type\":\"urn:tern:problem:over\",\
         \"title\":\"over\",\"status\":409,\"detail\":\"rollout 3 was aborted; start a new one\",\
         \"newer\":\"field\"}",
    );
    let err = client.overview().expect_err("a problem");
    assert_eq!(err.to_string(), "rollout 3 was aborted; start a new one");
    let problem = err.problem().expect("a problem");
    assert_eq!(problem.kind, "urn:tern:problem:over");
    assert!(!err.is_passing());
}

#[test]
fn an_answer_cut_short_is_a_broken_connection() {
    let client = peer("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{\"devices\":");
    let err = client.overview().expect_err("cut short");
    assert!(err.is_passing(), "{err:?}");
    assert!(matches!(err, ClientError::Broken { .. }), "{err:?}");
}

#[test]
fn a_proxy_in_between_is_told_from_a_hub() {
    let client = peer(
        "HTTP/1.1 502 Bad Gateway\r\nconnection: close\r\n\r\n<h1>Bad \u{1b}[31mGateway</h1>\n\n",
    );
    let err = client.overview().expect_err("not a hub");
    let text = err.to_string();
    assert!(err.is_passing(), "{err:?}");
    assert!(
        matches!(err, ClientError::NotUnderstood { status: 502, .. }),
        "{err:?}"
    );
    assert!(
        text.contains("Bad [31mGateway") && !text.contains('\u{1b}'),
        "{text:?}"
    );
}

#[test]
fn a_file_that_fails_while_it_is_sent_is_named_as_the_culprit() {
    struct Failing;
    impl std::io::Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("the disk is on fire"))
        }
    }
    let client = peer("HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n");
    let digest = Digest::of(b"x");
    let err = client.put_blob(&digest, 9, &mut Failing, &mut |_| {});
    let err = err.expect_err("the file fails");
    let ClientError::Source(source) = err else {
        panic!("{err:?}")
    };
    assert_eq!(source.to_string(), "the disk is on fire");
}

#[test]
fn progress_counts_every_byte_once() {
    let client = peer("HTTP/1.1 201 Created\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    let bytes = vec![7; 300_000];
    let mut heard = Vec::new();
    let sent = client.put_blob(
        &Digest::of(&bytes),
        bytes.len() as u64,
        &mut bytes.as_slice(),
        &mut |sent| heard.push(sent),
    );
    sent.expect("sent");
    assert_eq!(heard.last(), Some(&300_000));
    assert!(heard.is_sorted());
}
