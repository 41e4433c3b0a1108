//! What asks a model: HTTP, files, lines; good and bad.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
};

use serde_json::json;

use crate::{
    SLOT, WEIGHTS,
    device::{Device, infer_json, wait_for},
    hub::Hub,
    release,
};

#[test]
fn what_is_not_http_or_not_a_request_harms_nobody() {
    let hub = Hub::start();
    release(&hub, 1, &WEIGHTS);
    let device = Device::start(hub.address, SLOT);
    device.wait_serving(1);
    let bad_header = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(1 << 20));
    for bytes in [
        &b"\x00\xff\x16\x03\x01 hello"[..],
        b"GET",
        b"",
        bad_header.as_bytes(),
    ] {
        device.raw(bytes);
    }
    let infer = "/v2/models/reader/infer";
    let good = infer_json(&[1.0; 4]);
    let large = " ".repeat((8 << 20) + 1);
    let deep = "[".repeat(200_000);
    let cases = [
        ("POST", infer, "", 400),
        ("POST", infer, "{}", 400),
        ("POST", infer, "{\"inputs\":[]}", 400),
        ("POST", infer, &deep, 400),
        ("POST", infer, &large, 413),
        ("POST", infer, &infer_json(&[1.0; 5]), 400),
        ("POST", infer, &good.replace("FP32", "FP64"), 400),
        ("POST", infer, &good.replace("FP32", "BYTES"), 400),
        ("POST", infer, &good.replace("image", "picture"), 400),
        (
            "POST",
            infer,
            &good.replace("[1,4]", "[4294967295,4294967295]"),
            400,
        ),
        (
            "POST",
            infer,
            &good
                .replace("[1,4]", "[0,4]")
                .replace("1.0,1.0,1.0,1.0", ""),
            400,
        ),
        ("GET", infer, "", 405),
        ("POST", "/v2/models/nobody/infer", &good, 404),
        ("POST", "/v2/models/reader/versions/7/infer", &good, 404),
        ("GET", "/v2/models/..%2f", "", 404),
        ("GET", "/anything", "", 404),
        ("POST", "/feedback", "{\"prediction\":\"1-1\"}", 400),
        (
            "POST",
            "/feedback",
            "{\"prediction\":\"x\",\"truth\":1}",
            400,
        ),
        ("GET", "/v2/health/live", "", 200),
        ("GET", "/v2/health/ready", "", 200),
        ("GET", "/v2/models/reader", "", 200),
        ("GET", "/v2/models/reader/versions/1", "", 200),
        ("GET", "/v2/models/reader/ready", "", 200),
        ("GET", "/v2", "", 200),
        ("POST", "/v2/models/reader/versions/1/infer", &good, 200),
    ];
    for (method, path, body, expected) in cases {
        let (status, answer) = device.request(method, path, body);
        let shown: String = body.chars().take(80).collect();
        assert_eq!(status, expected, "{method} {path} {shown}: {answer}");
    }
    assert_eq!(
        device.status()["errors"],
        json!(0),
        "the model is not to blame"
    );
}

#[test]
fn files_and_lines_are_answered() {
    let hub = Hub::start();
    release(&hub, 1, &WEIGHTS);
    let more = "[[slots]]\nname = \"reader\"\nwatch = \"inbox\"\nstdin = true\n";
    let mut device = Device::start(hub.address, more);
    device.wait_serving(1);
    let inbox = device.dir().join("inbox");
    let good = infer_json(&[9.0, 0.0, 0.0, 0.0]);
    fs::write(inbox.join("one.part"), &good).expect("it writes");
    fs::rename(inbox.join("one.part"), inbox.join("one.json")).expect("it renames");
    fs::write(inbox.join("two.json"), "not JSON").expect("it writes");
    for (file, part) in [("one.out.json", "probabilities"), ("two.err.json", "error")] {
        let answer = wait_for(file, || fs::read_to_string(inbox.join(file)).ok());
        assert!(answer.contains(part), "{answer}");
    }
    wait_for("the inputs to be removed", || {
        (!inbox.join("one.json").exists() && !inbox.join("two.json").exists()).then_some(())
    });

    let out = device.child().stdout.take().expect("it is piped");
    let mut input = device.child().stdin.take().expect("it is piped");
    writeln!(input, "{good}\n\nnonsense").expect("it reads");
    let lines: Vec<_> = BufReader::new(out).lines().take(2).flatten().collect();
    assert!(lines[0].contains("\"model_version\":\"1\""), "{lines:?}");
    assert!(lines[1].contains("\"error\""), "{lines:?}");
    drop(input);
    assert_eq!(
        device.infer(&[9.0, 0.0, 0.0, 0.0]).0,
        200,
        "the end of stdin ends nothing else"
    );
}
