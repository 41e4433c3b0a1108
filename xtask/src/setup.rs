//! `cargo xtask setup`: what a fresh Debian machine needs beyond Rust and a C toolchain.
//!
//! Called by people once and by CI every time, so it does only what is missing. Debian's packages
//! need root; without it the exact command is named. Everything else goes below the target folder.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use nix::unistd::Uid;
use xtask::workspace;

use crate::{
    Verdict,
    tools::{self, CARGO_DENY, MLFLOW_PACKAGES, PACKAGED, PYTHON_PACKAGES, Packaged, RAY_PACKAGES},
};

/// Does one thing unless it is done, and says what it found or did.
type Step = fn() -> Result<String>;

/// Installs what is missing and says what could not be.
pub(crate) fn run() -> Verdict {
    let steps: [(&str, Step); 6] = [
        ("Debian packages", packages),
        ("Python with onnxruntime, aiosmtpd and moto", python),
        ("Python with MLflow", mlflow),
        ("Ray", ray),
        ("OpenID provider", openid),
        ("cargo-deny", cargo_deny),
    ];
    let mut missing = Vec::new();
    for (name, step) in steps {
        println!("==> {name}");
        let start = Instant::now();
        match step() {
            Ok(what) => println!("    {what} ({})", seconds(start.elapsed())),
            Err(err) => {
                println!("    MISSING: {err:#}");
                missing.push(name);
            }
        }
    }
    if missing.is_empty() {
        println!("setup: everything is there");
        Verdict::Yes
    } else {
        println!("setup: missing: {}", missing.join(", "));
        Verdict::No
    }
}

fn packages() -> Result<String> {
    let missing = || {
        let absent = |tool: &&Packaged| tools::on_path(tool.program).is_none();
        PACKAGED.iter().filter(absent).collect::<Vec<_>>()
    };
    let wanted: Vec<&str> = missing().iter().map(|tool| tool.package).collect();
    if wanted.is_empty() {
        let there: Vec<&str> = PACKAGED.iter().map(|tool| tool.program).collect();
        return Ok(format!("{} are there", there.join(", ")));
    }
    apt_install(&wanted)?;
    // A package may be installed and still lack the program.
    if let Some(tool) = missing().first() {
        bail!("{} is not in the package {}", tool.program, tool.package);
    }
    Ok(format!("installed {}", wanted.join(", ")))
}

fn python() -> Result<String> {
    if tools::python_is_complete() {
        return Ok(format!("{} is there", tools::python().display()));
    }
    let what = environment("venv", &PYTHON_PACKAGES)?;
    if !tools::python_is_complete() {
        bail!(
            "{} cannot import onnxruntime, aiosmtpd and moto",
            tools::python().display()
        );
    }
    Ok(what)
}

fn mlflow() -> Result<String> {
    if tools::mlflow_is_complete() {
        return Ok(format!("{} is there", tools::mlflow().display()));
    }
    let what = environment("mlflow", &MLFLOW_PACKAGES)?;
    if !tools::mlflow_is_complete() {
        bail!("{} cannot import mlflow", tools::mlflow().display());
    }
    Ok(what)
}

fn ray() -> Result<String> {
    if tools::ray_is_complete() {
        return Ok(format!("{} is there", tools::ray().display()));
    }
    let what = environment("ray", &RAY_PACKAGES)?;
    if !tools::ray_is_complete() {
        bail!("{} cannot import ray", tools::ray().display());
    }
    Ok(what)
}

/// Makes a virtual environment below the target folder, with these packages.
fn environment(name: &str, packages: &[&str]) -> Result<String> {
    if !tools::succeeds("python3".as_ref(), &["-c", "import ensurepip, venv"]) {
        apt_install(&["python3-venv"])?;
    }
    let folder = workspace::target().join(name);
    must(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
    let mut pip = Command::new(folder.join("bin/python"));
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ]);
    must(pip.args(packages))?;
    Ok(format!(
        "installed {} in {}",
        packages.join(" "),
        folder.display()
    ))
}

fn openid() -> Result<String> {
    let folder = tools::openid();
    if tools::openid_is_complete() {
        return Ok(format!("{} is there", folder.display()));
    }
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let mut install = Command::new("npm");
    install.args(["ci", "--no-audit", "--no-fund", "--silent", "--prefix"]);
    for name in tools::OPENID_FILES {
        let from = workspace::root().join("tests/oidc").join(name);
        std::fs::copy(&from, folder.join(name)).with_context(|| from.display().to_string())?;
    }
    must(install.arg(&folder))?;
    Ok(format!("installed oidc-provider in {}", folder.display()))
}

fn cargo_deny() -> Result<String> {
    if let Some(there) = tools::cargo_deny() {
        return Ok(format!("{} is there", there.display()));
    }
    println!("    compiling cargo-deny {CARGO_DENY}: one to two minutes");
    let root = tools::tools();
    let build = root.join("build");
    // Unoptimised: it compiles in a quarter of the time and runs for five seconds.
    let mut install = workspace::cargo(["install", "cargo-deny", "--locked", "--debug", "--quiet"]);
    install
        .args(["--version", CARGO_DENY])
        .arg("--root")
        .arg(&root);
    must(install.arg("--target-dir").arg(&build))?;
    // 700 MB that nobody needs again.
    std::fs::remove_dir_all(&build).with_context(|| build.display().to_string())?;
    Ok(format!("installed {CARGO_DENY} in {}", root.display()))
}

fn apt_install(packages: &[&str]) -> Result<()> {
    let command = format!(
        "apt-get update && apt-get install -y --no-install-recommends {}",
        packages.join(" ")
    );
    if tools::on_path("apt-get").is_none() {
        bail!(
            "no apt-get here: install what Debian has as {}",
            packages.join(", ")
        );
    }
    if !Uid::effective().is_root() {
        bail!("not root: run `sudo sh -c '{command}'`, then this again");
    }
    println!("    {command}");
    let mut shell = Command::new("sh");
    must(
        shell
            .args(["-c", &format!("({command}) >/dev/null")])
            .env("DEBIAN_FRONTEND", "noninteractive"),
    )
}

fn must(command: &mut Command) -> Result<()> {
    let shown = format!("{command:?}");
    let status = command.status().with_context(|| shown.clone())?;
    if !status.success() {
        bail!("{shown}: {status}");
    }
    Ok(())
}

/// A duration for people.
pub(crate) fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}
