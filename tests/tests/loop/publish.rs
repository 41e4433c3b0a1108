//! What gets in, what comes out, and what is refused.

use tern_cli::client::ClientError;
use tern_protocol::{digest::Digest, rest::Finding};
use tern_tests::{
    cli,
    fleet::{Fleet, MODEL},
    package::{self, Package},
};

#[test]
fn a_published_model_is_served_on_five_agents_with_the_outputs_of_bare_tract() {
    let fleet = Fleet::of(5);
    let package = package::digits(0);
    let version = fleet.serve(package);
    let (bare, samples) = (package.bare(), package.samples());
    for agent in &fleet.agents {
        for input in samples.iter().take(20) {
            let answer = agent.infer(input);
            assert_eq!(answer.version, version.version.get());
            package::assert_same(&answer, &bare, input);
        }
    }
    for device in fleet.devices() {
        let serving = device.slots[0]
            .serving
            .as_ref()
            .expect("the rollout is complete");
        assert!(serving.proven, "{serving:?}");
        assert_eq!(serving.weights, version.onnx.digest);
        assert_eq!(device.reported_revision, device.desired_revision);
    }
}

#[test]
fn publishing_the_same_files_again_gives_the_same_version() {
    let fleet = Fleet::empty();
    let first = fleet.publish(package::digits(0));
    let second = fleet.publish(package::digits(1));
    assert_eq!((first.version.get(), second.version.get()), (1, 2));
    assert_eq!(fleet.publish(package::digits(0)).version, first.version);
    let model = fleet
        .client()
        .model(&MODEL.parse().expect("a name"))
        .expect("it is published");
    assert_eq!(model.versions.len(), 2);
}

#[test]
fn a_truncated_model_is_refused_at_publish() {
    let package = package::digits(0);
    refused(package.truncated(), |findings| {
        assert!(
            findings.iter().any(|finding| finding.check == "parse"),
            "{findings:?}"
        );
    });
}

#[test]
fn random_bytes_are_refused_at_publish() {
    let package = package::digits(0);
    refused(package.scrambled(), |findings| {
        assert!(
            findings.iter().any(|finding| finding.check == "parse"),
            "{findings:?}"
        );
    });
}

#[test]
fn an_unsupported_operator_is_refused_at_publish_by_its_name() {
    let (onnx, operator) = package::digits(0).with_unknown_operator();
    refused(onnx, |findings| {
        let found = findings.iter().find(|finding| finding.check == "operator");
        let found = found.unwrap_or_else(|| panic!("no operator in {findings:?}"));
        assert!(
            format!("{found:?}").contains(operator),
            "{found:?} does not name {operator}"
        );
    });
}

#[test]
fn a_model_with_another_shape_than_declared_is_refused_at_publish() {
    let fleet = Fleet::empty();
    let mut package = package::digits(0).clone();
    // Its profile would contradict the shape too, and be found first.
    package.reference = None;
    *package.inputs[0]
        .shape
        .last_mut()
        .expect("an input has dimensions") += 1;
    let findings = findings(&fleet.try_publish(&package).expect_err("the shape is wrong"));
    let named = findings.iter().find(|finding| finding.check == "shape");
    let named = named.unwrap_or_else(|| panic!("no shape in {findings:?}"));
    assert!(
        format!("{named:?}").contains(&package.inputs[0].name),
        "{named:?}"
    );
    assert!(
        fleet
            .client()
            .models()
            .all()
            .expect("the hub lists models")
            .is_empty()
    );
}

#[test]
fn bytes_that_are_not_what_their_digest_says_are_not_stored() {
    let fleet = Fleet::empty();
    let client = fleet.client();
    let digest = Digest::of(b"what was promised");
    let sent = b"what was sent";
    let err = client
        .put_blob(&digest, sent.len() as u64, &mut &sent[..], &mut |_| {})
        .expect_err("the digest is wrong");
    let problem = err.problem().unwrap_or_else(|| panic!("{err}"));
    assert_eq!(problem.status, 422, "{problem:?}");
    assert!(
        problem.detail.contains(&Digest::of(sent).short()),
        "{problem:?}"
    );
    assert!(!client.has_blob(&digest).expect("the hub answers"));
    assert!(!client.has_blob(&Digest::of(sent)).expect("the hub answers"));

    // A version of blobs that were never uploaded is refused by what is missing.
    let package = package::digits(0);
    let model = MODEL.parse().expect("a name");
    let err = client
        .publish(&model, &package.new_version())
        .expect_err("nothing is uploaded");
    let problem = err.problem().unwrap_or_else(|| panic!("{err}"));
    assert!((400..500).contains(&problem.status), "{problem:?}");
    let text = format!("{problem:?}");
    assert!(text.contains(&Digest::of(&package.onnx).short()), "{text}");
}

/// Publishes the digit reader with other ONNX bytes after a good version serves, by API and by
/// command line; nothing may have changed then.
#[track_caller]
fn refused(onnx: Vec<u8>, check: impl Fn(&[Finding])) {
    let fleet = Fleet::of(1);
    let good = package::digits(0);
    fleet.serve(good);
    let bad: Package = good.with_onnx(&fleet.dir().join("bad"), onnx);

    let found = findings(&fleet.try_publish(&bad).expect_err("the model is bad"));
    check(&found);
    for finding in &found {
        assert!(
            !finding.message.is_empty() && !finding.remedy.is_empty(),
            "{finding:?}"
        );
    }

    let dir = bad
        .dir
        .to_str()
        .expect("a temporary directory has a plain name");
    let ran = cli::tern(&fleet, &["model", "publish", MODEL, dir]);
    assert_eq!(ran.code, Some(1), "the answer is no: {ran:?}");
    assert!(
        format!("{}{}", ran.out, ran.log).contains(&found[0].message),
        "{ran:?}"
    );

    let model = fleet
        .client()
        .model(&MODEL.parse().expect("a name"))
        .expect("it has a version");
    assert_eq!(model.versions.len(), 1, "a refused model gets no version");
    let answer = fleet.agents[0].infer(&good.samples()[0]);
    package::assert_same(&answer, &good.bare(), &good.samples()[0]);
}

#[track_caller]
fn findings(err: &ClientError) -> Vec<Finding> {
    let problem = err
        .problem()
        .unwrap_or_else(|| panic!("not refused but failed: {err}"));
    assert_eq!(problem.status, 422, "{problem:?}");
    assert!(!problem.findings.is_empty(), "{problem:?}");
    problem.findings.clone()
}
