//! The file of credentials and the flow of a fingerprint, with the real binary over real TLS.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Output, Stdio},
    sync::Arc,
    thread,
};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    crypto::ring,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tern_protocol::digest::Digest;

const MINTED: &str = r#"{"id":1,"name":"n","user":"ada","workspace":"default","role":"admin",
"created_at":1,"expires_at":99999999999999,"token":"tern_pat_planted"}"#;

/// A hub that knows one answer; its address and its authority's fingerprint.
fn hub() -> (String, String) {
    let ca_key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(Vec::new()).expect("names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = params.self_signed(&ca_key).expect("a certificate");
    let issuer = Issuer::new(params, ca_key);
    let key = KeyPair::generate().expect("a key");
    let leaf = CertificateParams::new(vec!["localhost".into()]).expect("names");
    let leaf = leaf.signed_by(&key, &issuer).expect("a certificate");
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("ring speaks it")
        .with_no_client_auth()
        .with_single_cert(
            vec![leaf.der().clone(), ca.der().clone()],
            PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
        )
        .expect("they fit");
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let tls = ServerConnection::new(Arc::clone(&config)).expect("a session");
            thread::spawn(move || {
                let mut stream = StreamOwned::new(tls, socket);
                let mut bytes = [0; 8192];
                while let Ok(read @ 1..) = stream.read(&mut bytes) {
                    if !bytes[..read].windows(5).any(|w| w == b"HTTP/") {
                        continue;
                    }
                    let answer = format!(
                        "HTTP/1.1 201 Created\r\ncontent-type: application/json\r\n\
                         connection: close\r\ncontent-length: {}\r\n\r\n{MINTED}",
                        MINTED.len()
                    );
                    let _ = stream.write_all(answer.as_bytes());
                    stream.conn.send_close_notify();
                    let _ = stream.flush();
                }
            });
        }
    });
    let fingerprint = Digest::of(ca.der()).to_string();
    (format!("https://localhost:{port}"), fingerprint)
}

fn login(dir: &Path, args: &[&str]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tern"))
        .args(["login", "--user", "ada", "--password-stdin"])
        .args(args)
        .env("TERN_CONFIG_DIR", dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    // It may have refused before it reads.
    let _ = child
        .stdin
        .take()
        .expect("piped")
        .write_all(b"a long password\n");
    child.wait_with_output().expect("it ends")
}

#[test]
fn the_right_fingerprint_logs_in_and_the_file_is_its_owners() {
    let (url, fingerprint) = hub();
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path().join("tern");
    let said = login(&dir, &[&url, "--fingerprint", &fingerprint]);
    let stderr = String::from_utf8_lossy(&said.stderr);
    assert_eq!(said.status.code(), Some(0), "{stderr}");
    assert!(!stderr.contains("planted"), "{stderr}");
    let file = dir.join("credentials.json");
    let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!((mode(&dir), mode(&file)), (0o700, 0o600));
    assert!(
        fs::read_to_string(file)
            .expect("text")
            .contains("tern_pat_planted")
    );
}

#[test]
fn a_stranger_and_a_wrong_fingerprint_are_refused() {
    let (url, _) = hub();
    let dir = tempfile::tempdir().expect("a directory");
    let wrong = Digest::of(b"other").to_string();
    for (args, expected) in [
        (&[&url[..]][..], "--fingerprint"),
        (&[&url, "--fingerprint", &wrong], "do not log in"),
    ] {
        let said = login(dir.path(), args);
        let stderr = String::from_utf8_lossy(&said.stderr);
        assert_eq!(said.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains(expected), "{stderr}");
        assert!(!stderr.contains("a long password"), "{stderr}");
    }
}
