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
    time::{Duration, Instant},
};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject as _},
};
use tern_protocol::digest::Digest;

const MINTED: &str = r#"{"id":1,"name":"n","user":"ada","workspace":"default","role":"admin",
"created_at":1,"expires_at":99999999999999,"token":"tern_pat_planted"}"#;

const PROBLEM: &str = r#"{"type":"urn:tern:problem:second-factor","title":"t","status":401,
"detail":"this account has a second factor"}"#;

const ME: &str = r#"{"user":"grace","token":7,"hub_admin":false,"second_factor":false,
"memberships":[{"workspace":"plant-2","role":"operator"}]}"#;

const TOKENS: &str = r#"{"items":[{"id":7,"name":"ci","user":"grace","workspace":"plant-2",
"role":"operator","created_at":1,"expires_at":99999999999999}]}"#;

/// What the hub says to a request: status and body.
fn answer(request: &str) -> (u16, &'static str) {
    let path = request.split(' ').nth(1).unwrap_or_default();
    let known = request.contains("Bearer tern_pat_given");
    match path {
        "/api/v1/login/token" if request.contains("\"grace\"") && !request.contains("123456") => {
            (401, PROBLEM)
        }
        "/api/v1/login/token" => (201, MINTED),
        "/api/v1/me" if known => (200, ME),
        "/api/v1/w/plant-2/tokens" if known => (200, TOKENS),
        "/api/v1/w/default/tokens/1/revoke" => (200, "{}"),
        "/api/v1/me" => (
            200,
            r#"{"user":"ada","token":1,"hub_admin":true,"second_factor":false,
            "memberships":[{"workspace":"default","role":"admin"}]}"#,
        ),
        "/readyz" => (200, "ready"),
        _ => (404, "{}"),
    }
}

/// Whether the request is here as a whole.
fn is_whole(request: &str) -> bool {
    let Some((head, body)) = request.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        let is_length = name.eq_ignore_ascii_case("content-length");
        is_length.then(|| value.parse().ok()).flatten()
    });
    body.len() >= length.unwrap_or(0)
}

/// A hub with an authority of its own; its address and its authority's fingerprint.
fn hub() -> (String, String) {
    let (url, authority) = hub_and_authority();
    let der = CertificateDer::from_pem_slice(authority.as_bytes()).expect("PEM");
    (url, Digest::of(&der).to_string())
}

/// A hub with an authority of its own; its address and its authority as PEM.
fn hub_and_authority() -> (String, String) {
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
                let (mut bytes, mut request) = ([0; 8192], String::new());
                while let Ok(read @ 1..) = stream.read(&mut bytes) {
                    request += &String::from_utf8_lossy(&bytes[..read]);
                    if !is_whole(&request) {
                        continue;
                    }
                    let (status, body) = answer(&std::mem::take(&mut request));
                    let text = format!(
                        "HTTP/1.1 {status} Said\r\ncontent-type: application/json\r\n\
                         connection: close\r\ncontent-length: {}\r\n\r\n{body}",
                        body.len()
                    );
                    let _ = stream.write_all(text.as_bytes());
                    stream.conn.send_close_notify();
                    let _ = stream.flush();
                }
            });
        }
    });
    (format!("https://localhost:{port}"), ca.pem())
}

/// A program that knows nothing of this machine's own logins.
fn fresh(program: &str, dir: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env_remove("TERN_HUB")
        .env_remove("TERN_WORKSPACE")
        .env_remove("TERN_TOKEN")
        .env_remove("TERN_CA")
        .env("TERN_CONFIG_DIR", dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// `tern` at a terminal, with a person who answers what it asks; the exit code and what they saw.
#[track_caller]
fn at_terminal(dir: &Path, args: &[&str], answers: &[(&str, &str)]) -> (Option<i32>, String) {
    let quoted = args.iter().map(|arg| format!("'{arg}'"));
    let words: Vec<_> = quoted.collect();
    let line = format!("'{}' {}", env!("CARGO_BIN_EXE_tern"), words.join(" "));
    let mut command = fresh("script", dir);
    let mut child = command
        .args(["-qefc", &line, "/dev/null"])
        .spawn()
        .expect("every Linux has `script`");
    let mut stdin = child.stdin.take().expect("piped");
    let mut stdout = child.stdout.take().expect("piped");
    let (says, heard) = std::sync::mpsc::channel();
    thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(read @ 1..) = stdout.read(&mut bytes) {
            let text = String::from_utf8_lossy(&bytes[..read]).into_owned();
            if says.send(text).is_err() {
                return;
            }
        }
    });
    let mut seen = String::new();
    for (question, answer) in answers {
        let from = seen.len();
        while !seen[from..].contains(question) {
            let more = heard.recv_timeout(Duration::from_secs(30));
            seen += &more.unwrap_or_else(|_| panic!("it does not ask for {question:?}: {seen}"));
        }
        if question.starts_with("Password") {
            // The prompt comes before the terminal stops to echo: a person is slower than that.
            no_echo(child.id());
        }
        writeln!(stdin, "{answer}").expect("it reads");
    }
    let code = child.wait().expect("it ends").code();
    seen.extend(heard.iter());
    (code, seen)
}

/// Waits until the terminal that this `script` made does not echo.
#[track_caller]
fn no_echo(script: u32) {
    let end = Instant::now() + Duration::from_secs(30);
    while Instant::now() < end {
        let children = fs::read_to_string(format!("/proc/{script}/task/{script}/children"));
        let child = children.unwrap_or_default();
        let child = child.split_whitespace().next().unwrap_or_default();
        let terminal = fs::read_link(format!("/proc/{child}/fd/0")).unwrap_or_default();
        let modes = Command::new("stty").arg("-aF").arg(&terminal).output();
        let modes = modes.expect("every Linux has `stty`").stdout;
        if String::from_utf8_lossy(&modes).contains(" -echo ") {
            return;
        }
        thread::yield_now();
    }
    panic!("the terminal echoes a password");
}

/// `tern` with nobody at the terminal; `input` is what it reads.
fn tern(dir: &Path, args: &[&str], input: &str) -> Output {
    let mut command = fresh(env!("CARGO_BIN_EXE_tern"), dir);
    command.args(args);
    reads(command, input)
}

/// What a program says that reads this.
fn reads(mut command: Command, input: &str) -> Output {
    let mut child = command.spawn().expect("the binary runs");
    // It may have refused before it reads.
    let mut stdin = child.stdin.take().expect("piped");
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    child.wait_with_output().expect("it ends")
}

fn login(dir: &Path, args: &[&str]) -> Output {
    let login = ["login", "--user", "ada", "--password-stdin"];
    tern(dir, &[&login, args].concat(), "a long password\n")
}

/// What it said, if it ended with this code and told no secret.
#[track_caller]
fn said(output: &Output, code: i32) -> (String, String) {
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{stdout}{stderr}");
    for secret in ["tern_pat_", "a long password", "123456"] {
        assert!(!stdout.contains(secret), "{stdout}");
        assert!(!stderr.contains(secret), "{stderr}");
    }
    (stdout, stderr)
}

/// A login at one hub; then, as far as the file says, it was at another one.
#[track_caller]
fn logged_in_then_moved_to(other: &str) -> tempfile::TempDir {
    let (url, fingerprint) = hub();
    let dir = tempfile::tempdir().expect("a directory");
    said(
        &login(dir.path(), &[&url, "--fingerprint", &fingerprint]),
        0,
    );
    let file = stored(dir.path()).replace(&url, other);
    fs::write(dir.path().join("credentials.json"), file).expect("it writes");
    dir
}

fn stored(dir: &Path) -> String {
    fs::read_to_string(dir.join("credentials.json")).unwrap_or_default()
}

#[test]
fn a_second_factor_is_asked_for_where_somebody_sits_and_named_where_nobody_does() {
    let (url, fingerprint) = hub();
    let dir = tempfile::tempdir().expect("a directory");
    let pin = ["--fingerprint", &fingerprint];
    let as_grace = ["login", &url, "--user", "grace", "--password-stdin"];
    let args = [&as_grace[..], &pin].concat();
    let without = tern(dir.path(), &args, "a long password\n");
    let (_, stderr) = said(&without, 2);
    assert!(stderr.contains("--code"), "{stderr}");
    assert_eq!(stored(dir.path()), "");
    let args = [&args[..], &["--code", "123456"]].concat();
    said(&tern(dir.path(), &args, "a long password\n"), 0);
    assert!(stored(dir.path()).contains("tern_pat_planted"));
}

#[test]
fn who_logs_in_again_gives_the_password_only() {
    let (url, fingerprint) = hub();
    let dir = tempfile::tempdir().expect("a directory");
    said(
        &login(dir.path(), &[&url, "--fingerprint", &fingerprint]),
        0,
    );
    // Neither hub nor account nor authority.
    let again = ["login", "--password-stdin", "--json"];
    let (stdout, _) = said(&tern(dir.path(), &again, "a long password\n"), 0);
    let told: serde_json::Value = serde_json::from_str(&stdout).expect("JSON");
    assert_eq!(told["hub"], url.as_str());
    assert_eq!(told["user"], "ada");
    let (stdout, _) = said(&tern(dir.path(), &["whoami"], ""), 0);
    assert!(stdout.contains("ada at https://localhost:"), "{stdout}");
    let (stdout, _) = said(&tern(dir.path(), &["logout", "--json"], ""), 0);
    let told: serde_json::Value = serde_json::from_str(&stdout).expect("JSON");
    assert_eq!(told["revoked"], true, "{stdout}");
    assert!(!stored(dir.path()).contains("tern_pat_planted"));
    let (_, stderr) = said(&tern(dir.path(), &["logout"], ""), 0);
    assert!(stderr.contains("not logged in"), "{stderr}");
    let (_, stderr) = said(&tern(dir.path(), &["login"], ""), 2);
    assert!(stderr.contains("tern login https://HOST:PORT"), "{stderr}");
}

#[test]
fn another_authority_than_at_the_last_login_is_not_taken() {
    let (other, _) = hub();
    let dir = logged_in_then_moved_to(&other);
    let (_, stderr) = said(&login(dir.path(), &[&other]), 2);
    assert!(
        stderr.contains("not the hub that was logged in to before"),
        "{stderr}"
    );
}

#[test]
fn another_authority_is_taken_if_this_machine_vouches_for_it() {
    // The hub has a certificate now that every program on this machine takes.
    let (other, authority) = hub_and_authority();
    let dir = logged_in_then_moved_to(&other);
    let trusted = dir.path().join("trusted.pem");
    fs::write(&trusted, authority).expect("it writes");
    let mut command = fresh(env!("CARGO_BIN_EXE_tern"), dir.path());
    command
        .args(["login", &other, "--password-stdin"])
        .env("SSL_CERT_FILE", &trusted);
    let output = reads(command, "a long password\n");
    let (_, stderr) = said(&output, 0);
    assert!(stderr.contains("this machine vouches for"), "{stderr}");
    let kept: serde_json::Value = serde_json::from_str(&stored(dir.path())).expect("JSON");
    assert_eq!(kept["hubs"][0]["url"], other.as_str());
    assert_eq!(kept["hubs"][0]["ca"], serde_json::Value::Null);
}

#[test]
fn a_person_at_a_terminal_is_asked_for_all_that_is_missing() {
    let (url, fingerprint) = hub();
    let dir = tempfile::tempdir().expect("a directory");
    // No to the fingerprint: no password is asked for.
    let (code, seen) = at_terminal(dir.path(), &["login", &url], &[("Is it the same?", "no")]);
    assert_eq!(code, Some(2), "{seen}");
    assert!(seen.contains("nothing was sent"), "{seen}");
    assert_eq!(stored(dir.path()), "");
    let answers = [
        ("Is it the same?", "yes"),
        ("Name of the account", "grace"),
        ("Password of grace", "a long password"),
        ("second factor", "123456"),
    ];
    let (code, seen) = at_terminal(dir.path(), &["login", &url], &answers);
    assert_eq!(code, Some(0), "{seen}");
    assert!(seen.contains(&fingerprint), "{seen}");
    for secret in ["a long password", "tern_pat_"] {
        assert!(!seen.contains(secret), "{seen}");
    }
    assert!(stored(dir.path()).contains("tern_pat_planted"));
}

#[test]
fn a_given_token_is_kept_once_the_hub_has_said_whose_it_is() {
    let (url, fingerprint) = hub();
    let dir = tempfile::tempdir().expect("a directory");
    let args = [
        "login",
        &url,
        "--fingerprint",
        &fingerprint,
        "--token-stdin",
    ];
    said(&tern(dir.path(), &args, "tern_pat_given\n"), 0);
    let kept: serde_json::Value = serde_json::from_str(&stored(dir.path())).expect("JSON");
    assert_eq!(kept["hubs"][0]["user"], "grace");
    assert_eq!(kept["hubs"][0]["workspace"], "plant-2");
    assert_eq!(kept["hubs"][0]["token"], "tern_pat_given");
    let elsewhere = [&args[..], &["--workspace", "default"]].concat();
    let (_, stderr) = said(&tern(dir.path(), &elsewhere, "tern_pat_given\n"), 2);
    assert!(stderr.contains("plant-2 only"), "{stderr}");
    let twice = [&args[..], &["--user", "ada"]].concat();
    said(&tern(dir.path(), &twice, "tern_pat_given\n"), 2);
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
