//! The command line as a person types it. Help and completions are made from it.

use clap::{Parser, Subcommand};
use tern_protocol::id::WorkspaceId;

use crate::commands::{
    accuracy::AccuracyArgs,
    alert::AlertCommand,
    audit::AuditCommand,
    authority::AuthorityCommand,
    capture::CaptureCommand,
    chart::ChartArgs,
    completions::CompletionsArgs,
    compute::ComputeCommand,
    data::DataCommand,
    dataset::DatasetCommand,
    datastore::DatastoreCommand,
    delivery::DeliveryArgs,
    device::DeviceCommand,
    distances::DistancesArgs,
    finding::FindingCommand,
    freeze::FreezeArgs,
    job::JobCommand,
    key::KeyCommand,
    label::LabelCommand,
    lineage::LineageArgs,
    login::LoginArgs,
    model::ModelCommand,
    notify::NotifyCommand,
    people::{MemberCommand, TokenCommand, UserCommand, WorkspaceCommand},
    quarantine::QuarantineArgs,
    retrain::{ProposalCommand, RetrainCommand},
    rollout::RolloutCommand,
    run::{ExperimentCommand, RunCommand},
    setup::SetupArgs,
    tap::TapArgs,
    truth::TruthArgs,
};
use crate::out::Reader;

/// Get models onto devices, and see how they do there.
#[derive(Debug, Parser)]
#[command(
    name = "tern",
    version,
    propagate_version = true,
    after_help = "Exit codes: 0 done, 1 the answer is no (a refused model, a failed rollout), 2 error."
)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Where the hub is; the one logged in to last if not given
    #[arg(long, global = true, env = "TERN_HUB", value_name = "URL")]
    pub(crate) hub: Option<String>,
    /// Which workspace; that of the login if not given
    #[arg(long, global = true, env = "TERN_WORKSPACE", value_name = "NAME")]
    pub(crate) workspace: Option<WorkspaceId>,
    /// Print JSON for programs: one document, or one object a line where it goes on
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

impl Global {
    /// For whom answers are.
    pub(crate) const fn reader(&self) -> Reader {
        if self.json {
            Reader::Program
        } else {
            Reader::Person
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Publish models and look at their versions
    #[command(subcommand)]
    Model(ModelCommand),
    /// What was tried: experiments
    #[command(subcommand)]
    Experiment(ExperimentCommand),
    /// What was tried: runs, and which of them is best
    #[command(subcommand)]
    Run(RunCommand),
    /// When a model is trained anew by itself, how that stands, and what it taught
    #[command(subcommand)]
    Retrain(RetrainCommand),
    /// What rounds of retraining ask people
    #[command(subcommand)]
    Proposal(ProposalCommand),
    /// Run commands on computes, with their logs and what they make: training
    #[command(subcommand)]
    Job(JobCommand),
    /// Where jobs run
    #[command(subcommand)]
    Compute(ComputeCommand),
    /// What models are trained on, in versions that never change
    #[command(subcommand)]
    Dataset(DatasetCommand),
    /// Where files to import are
    #[command(subcommand)]
    Datastore(DatastoreCommand),
    /// Clean rows and make features of them
    #[command(subcommand)]
    Data(DataCommand),
    /// Move devices to a version of a model
    #[command(subcommand)]
    Rollout(RolloutCommand),
    /// Stop all rollouts: no device is moved until thawed
    Freeze(FreezeArgs),
    /// Let rollouts go on after a freeze
    Thaw,
    /// Let devices in, and look at them
    #[command(subcommand)]
    Device(DeviceCommand),
    /// Say what the right answers were
    #[command(subcommand)]
    Label(LabelCommand),
    /// Stored inputs: look at them, ask for them, take them out for training, delete them
    #[command(subcommand)]
    Capture(CaptureCommand),
    /// A quantity over time: of every model, or one that a model declares of itself
    Chart(ChartArgs),
    /// How often each version is right, at each site
    Accuracy(AccuracyArgs),
    /// How right a version is, class by class, from labels; and how right it probably is without
    Truth(TruthArgs),
    /// Where a version, a dataset, a run, a prediction comes from, and what became of it
    Lineage(LineageArgs),
    /// How far inputs and answers are from what a version was trained on, at each site
    Distances(DistancesArgs),
    /// What was found to have moved: where, since when, how sure that is, and why
    #[command(subcommand)]
    Finding(FindingCommand),
    /// What is on its way to devices, and how versions got there
    Delivery(DeliveryArgs),
    /// Windows whose time cannot be right: they count, and no chart draws them
    Quarantine(QuarantineArgs),
    /// The fleet at a glance
    Overview,
    /// What goes wrong now, by which rules, and what is said about it
    #[command(subcommand)]
    Alert(AlertCommand),
    /// Tell people and programs what happens, by mail, webhook and Alertmanager
    #[command(subcommand)]
    Notify(NotifyCommand),
    /// Listen to what devices and hub say to each other over MQTT
    Tap(TapArgs),
    /// Set up an account with a link, and log in
    Setup(SetupArgs),
    /// Log in to a hub and keep its token
    Login(LoginArgs),
    /// Revoke the token and forget it
    Logout,
    /// Who the hub says we are
    Whoami,
    /// API tokens of programs
    #[command(subcommand)]
    Token(TokenCommand),
    /// Who may do what in the workspace
    #[command(subcommand)]
    Member(MemberCommand),
    /// Accounts of the hub
    #[command(subcommand)]
    User(UserCommand),
    /// Workspaces, the units of sharing
    #[command(subcommand)]
    Workspace(WorkspaceCommand),
    /// Keys that sign models: make them, change them, sign with them
    #[command(subcommand)]
    Key(KeyCommand),
    /// Who did what when
    #[command(subcommand)]
    Audit(AuditCommand),
    /// The authorities that vouch for the hub
    #[command(subcommand)]
    Ca(AuthorityCommand),
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
}
