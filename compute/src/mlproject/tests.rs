//! Files as people write them.

use super::*;

const TEXT: &str = "
name: cameras
python_env: python_env.yaml
entry_points:
  main:
    parameters:
      data: path
      alpha: {type: float, default: 0.1}
      rounds: {default: 3}
      note: {type: string, default: \"a b\"}
    command: \"python train.py -a {alpha} -n {rounds} --note {note} {data} && echo {{done}}\"
  check:
    command: python check.py
";

fn files(name: &str) -> Option<String> {
    match name {
        "python_env.yaml" => Some(
            "python: \"3.11.7\"\nbuild_dependencies:\n  - pip==24.0\ndependencies:\n  - -r requirements.txt\n  - mlflow\n"
                .into(),
        ),
        "requirements.txt" => Some("numpy==2.1.0\n# why\nonnx\n".into()),
        "nested.yaml" => Some("dependencies: [\"-r nested.txt\"]".into()),
        "nested.txt" => Some("-r other.txt\n".into()),
        "constrained.yaml" => Some("dependencies: [\"--constraint=versions.txt\", \"-rlist.txt\"]".into()),
        "list.txt" => Some("numpy\n-c versions.txt\n".into()),
        "versions.txt" => Some("torch==2.5.0\n".into()),
        _ => None,
    }
}

fn project() -> Project {
    Project::read(TEXT, &files).unwrap()
}

fn given(all: &[(&str, &str)]) -> BTreeMap<String, String> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    all.iter().map(owned).collect()
}

#[track_caller]
fn refused<T: std::fmt::Debug>(read: Result<T, Vec<Problem>>, at: &str, text: &str) {
    let problems = read.unwrap_err();
    assert!(
        problems
            .iter()
            .any(|one| one.at == at && one.text.contains(text)),
        "{problems:?}"
    );
}

#[test]
fn a_project_becomes_a_job() {
    let spec = project()
        .job("main", &given(&[("data", "in/x.csv")]))
        .unwrap();
    assert_eq!(
        spec.command,
        [
            "sh",
            "-c",
            "python train.py -a 0.1 -n 3 --note 'a b' in/x.csv && echo {done}"
        ]
    );
    let Environment::Requirements { text, python } = &spec.environment else {
        panic!("{spec:?}");
    };
    assert_eq!(text, "pip==24.0\nnumpy==2.1.0\n# why\nonnx\nmlflow\n");
    assert_eq!(python.as_deref(), Some("3.11.7"));
    assert_eq!(
        project().job("check", &given(&[])).unwrap().command[2],
        "python check.py"
    );
}

#[test]
fn a_value_is_one_word_whatever_stands_in_it() {
    let spec = project()
        .job("main", &given(&[("data", "x; rm -rf $HOME '`id`")]))
        .unwrap();
    assert!(
        spec.command[2].contains(r"'x; rm -rf $HOME '\''`id`'"),
        "{}",
        spec.command[2]
    );
    let extra = project()
        .job("check", &given(&[("deep", "a b"), ("x;y", "1")]))
        .unwrap();
    assert_eq!(extra.command[2], "python check.py --deep 'a b' '--x;y' 1");
}

#[test]
fn what_is_wrong_is_told_by_field() {
    let at = "entry_points.main.parameters";
    let run = |all: &[(&str, &str)]| project().job("main", &given(all));
    refused(run(&[]), &format!("{at}.data"), "no default");
    refused(run(&[("data", "s3://x/y")]), &format!("{at}.data"), "URI");
    refused(
        run(&[("data", "x"), ("alpha", "much")]),
        &format!("{at}.alpha"),
        "no number",
    );
    refused(
        project().job("mian", &given(&[])),
        "entry_points.mian",
        "check, main",
    );
    let read = |text: &str| Project::read(text, &files);
    let entry = "entry_points: {main: {command: \"x {y}\"}}\n";
    let unknown = read(entry).unwrap().job("main", &given(&[]));
    refused(unknown, "entry_points.main.command", "{y}");
    refused(
        read(&format!("conda_env: conda.yaml\n{entry}")),
        "conda_env",
        "python_env",
    );
    refused(
        read(&format!("docker_env: {{image: x, volumes: [a]}}\n{entry}")),
        "docker_env",
        "Kubernetes",
    );
    refused(
        read(&format!("python_env: gone.yaml\n{entry}")),
        "python_env",
        "gone.yaml",
    );
    refused(
        read(&format!("python_env: nested.yaml\n{entry}")),
        "nested.txt",
        "not followed",
    );
    for at in ["constrained.yaml", "list.txt"] {
        let constrained = read(&format!("python_env: constrained.yaml\n{entry}"));
        refused(constrained, at, "constraints are not read");
    }
    refused(read("name: x"), "entry_points", "nothing to run");
    for garbage in [
        "entry_point: {}",
        "a: [",
        "- 1",
        "entry_points: {main: {comand: x}}",
    ] {
        refused(read(garbage), "MLproject", "");
    }
}
