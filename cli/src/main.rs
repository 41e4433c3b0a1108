//! `tern`: the command line of Tern. Parse, do, say; exit code 0 done, 1 the answer is no, 2 error.
//!
//! Must never break: stdout is data and stderr is talk; a closed pipe is a quiet end.
#![allow(
    clippy::format_push_string,
    reason = "texts for people, a few lines long: clearer than `write!` whose result cannot fail"
)]

mod args;
mod ask;
mod clock;
mod commands;
mod labels;
mod out;
mod package;
mod show;
mod store;
mod tap;
mod watch;

use std::process::ExitCode;

use clap::Parser as _;

use args::{Args, Command};
use commands::{
    Answer, Context, accuracy, alert, audit, authority, capture, chart, completions, data, dataset,
    datastore, delivery, device, distances, finding, freeze, key, label, login, model, notify,
    overview, people, quarantine, rollout, run as runs, session, setup, tap as tap_command, truth,
};
use out::{ReaderLeft, talk};

fn main() -> ExitCode {
    match run(Args::parse()) {
        Ok(Answer::Yes) => ExitCode::SUCCESS,
        Ok(Answer::No) => ExitCode::from(1),
        Err(err) if reader_left(&err) => ExitCode::SUCCESS,
        Err(err) => {
            talk(format_args!("error: {err}"));
            for cause in err.chain().skip(1) {
                talk(format_args!("  cause: {cause}"));
            }
            ExitCode::from(2)
        }
    }
}

fn run(args: Args) -> anyhow::Result<Answer> {
    // Who logs in or sets up needs nothing that was stored before.
    let command = match args.command {
        Command::Login(login) => return login::login(&args.global, login),
        Command::Setup(setup) => return setup::setup(&args.global, setup),
        Command::Logout => return session::logout(&args.global),
        command => command,
    };
    let mut context = Context::new(&args.global)?;
    let c = &mut context;
    Ok(match command {
        Command::Model(command) => model::run(c, command)?,
        Command::Rollout(command) => rollout::run(c, command)?,
        Command::Dataset(command) => dataset::run(c, command)?,
        Command::Datastore(command) => datastore::run(c, command)?,
        Command::Data(command) => data::run(c, command)?,
        Command::Experiment(command) => runs::experiment(c, &command)?,
        Command::Run(command) => runs::run(c, command)?,
        Command::Freeze(args) => freeze::freeze(c, args)?,
        Command::Thaw => freeze::thaw(c)?,
        Command::Device(command) => device::run(c, command)?,
        Command::Label(command) => label::run(c, command)?,
        Command::Capture(command) => capture::run(c, command)?,
        Command::Chart(args) => chart::run(c, &args)?,
        Command::Accuracy(args) => accuracy::run(c, &args)?,
        Command::Truth(args) => truth::run(c, &args)?,
        Command::Distances(args) => distances::run(c, &args)?,
        Command::Finding(command) => finding::run(c, command)?,
        Command::Delivery(args) => delivery::run(c, &args)?,
        Command::Quarantine(args) => quarantine::run(c, &args)?,
        Command::Overview => overview::run(c)?,
        Command::Alert(command) => alert::run(c, command)?,
        Command::Notify(command) => notify::run(c, command)?,
        Command::Tap(args) => tap_command::run(c, &args)?,
        Command::Login(_) | Command::Setup(_) | Command::Logout => {
            unreachable!("done before there is a context")
        }
        Command::Whoami => session::whoami(c)?,
        Command::Token(command) => people::token(c, command)?,
        Command::Member(command) => people::member(c, command)?,
        Command::User(command) => people::user(c, command)?,
        Command::Workspace(command) => people::workspace(c, command)?,
        Command::Audit(command) => audit::run(c, command)?,
        Command::Key(command) => key::run(c, command)?,
        Command::Ca(command) => authority::run(c, &command)?,
        Command::Completions(args) => completions::run(c, &args)?,
    })
}

/// Whether whoever read our stdout has gone (`tern … | head`). A broken pipe to the hub is another
/// matter and stays an error.
fn reader_left(err: &anyhow::Error) -> bool {
    let mut causes = err.chain();
    causes.any(<dyn std::error::Error>::is::<ReaderLeft>)
}
