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

/// Train models, roll them out to devices, and watch them there.
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
    /// Experiments: groups of training runs (MLflow)
    #[command(subcommand)]
    Experiment(ExperimentCommand),
    /// Training runs: list, show, find the best
    #[command(subcommand)]
    Run(RunCommand),
    /// Automatic retraining: policies, training jobs, state and results
    #[command(subcommand)]
    Retrain(RetrainCommand),
    /// Proposals of retraining that wait for an answer: list, show, agree, decline
    #[command(subcommand)]
    Proposal(ProposalCommand),
    /// Training jobs and other commands on computes: run, logs, artifacts
    #[command(subcommand)]
    Job(JobCommand),
    /// Computes: where jobs run (this machine, Ray, Kubernetes)
    #[command(subcommand)]
    Compute(ComputeCommand),
    /// Training data in versions that never change: import, build, compare
    #[command(subcommand)]
    Dataset(DatasetCommand),
    /// Places that datasets are imported from (S3, HTTP, directories)
    #[command(subcommand)]
    Datastore(DatastoreCommand),
    /// Prepare data: clean rows, make features
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
    /// Labels: tell the hub the right answers to predictions
    #[command(subcommand)]
    Label(LabelCommand),
    /// Inputs that devices stored: list, request, export, delete
    #[command(subcommand)]
    Capture(CaptureCommand),
    /// A quantity over time: of every model, or one that a model declares of itself
    Chart(ChartArgs),
    /// Accuracy of each version at each site
    Accuracy(AccuracyArgs),
    /// Accuracy of a version class by class, confusions, calibration, and an estimate without labels
    Truth(TruthArgs),
    /// Lineage of a version, dataset, run, prediction …: its sources and its results
    Lineage(LineageArgs),
    /// Distances of inputs and predictions from the training data, at each site
    Distances(DistancesArgs),
    /// Drift findings: where, since when, how certain, and why
    #[command(subcommand)]
    Finding(FindingCommand),
    /// What is on its way to devices, and how versions got there
    Delivery(DeliveryArgs),
    /// Telemetry with an impossible time: it is counted, but not drawn in charts
    Quarantine(QuarantineArgs),
    /// The fleet at a glance
    Overview,
    /// Alerts, their rules and silences
    #[command(subcommand)]
    Alert(AlertCommand),
    /// Notifications by mail, webhook and Alertmanager
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
