//! Inputs that do not come by HTTP.

use std::fs;

use tern_tests::{
    fleet::{Fleet, meter},
    oip::Inferred,
    package::{self, assert_same},
    wait,
};

#[test]
fn a_watched_directory_and_stdin_are_answered_as_http_is() {
    let mut fleet = Fleet::empty();
    fleet.add(&meter(1).slot("watch = \"inbox\"\nstdin = true"));
    let package = package::digits(0);
    fleet.serve(package);
    let (bare, samples) = (package.bare(), package.samples());

    let inbox = fleet.agents[0].dir().join("inbox");
    fs::create_dir_all(&inbox).expect("a directory in the test's own");
    let put = |name: &str, text: &str| {
        let partial = inbox.join(format!("{name}.part"));
        fs::write(&partial, text).expect("a file in the test's own");
        fs::rename(&partial, inbox.join(format!("{name}.json"))).expect("a file is moved");
    };
    put("good", &samples[0].request());
    put("bad", "{");
    let read = |name: &str| {
        wait::until(name, || {
            fs::read_to_string(inbox.join(name)).map_err(|err| {
                let files = fs::read_dir(&inbox).into_iter().flatten().flatten();
                let names: Vec<_> = files.map(|file| file.file_name()).collect();
                format!("{err}; there are {names:?}")
            })
        })
    };
    assert_same(&Inferred::read(&read("good.out.json")), &bare, &samples[0]);
    let refused: serde_json::Value =
        serde_json::from_str(&read("bad.err.json")).expect("a refusal is JSON");
    assert!(refused["error"].is_string(), "{refused}");
    wait::until("inputs to be removed", || {
        let left = ["good.json", "bad.json"].map(|name| inbox.join(name).exists());
        wait::that(left == [false, false], || format!("{left:?}"))
    });

    let process = fleet.agents[0].process();
    process.say(&samples[1].request());
    process.say("{");
    process.say(&samples[2].request());
    let answers = wait::until("three answers on stdout", || {
        let said = process.output();
        let lines: Vec<String> = said.lines().map(str::to_owned).collect();
        wait::that(lines.len() == 3 && said.ends_with('\n'), || said.clone())?;
        Ok(lines)
    });
    assert_same(&Inferred::read(&answers[0]), &bare, &samples[1]);
    assert!(answers[1].contains("error"), "{}", answers[1]);
    assert_same(&Inferred::read(&answers[2]), &bare, &samples[2]);

    let status = fleet.agents[0].status();
    assert_eq!(status.inferences, 3, "{status:?}");
    fleet.counts_exactly(0);
}
