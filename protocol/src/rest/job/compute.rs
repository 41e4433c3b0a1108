//! Where jobs run.

use alloc::string::String;
use core::fmt;
use serde::{Deserialize, Serialize};

use super::JobResources;
use crate::id::ComputeName;

/// What a compute is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum ComputeKind {
    /// The hub's own machine.
    Local,
    /// A Ray cluster, by its Jobs API.
    Ray,
    /// A Kubernetes cluster, by Jobs in one namespace.
    Kubernetes,
}

impl ComputeKind {
    /// As it is written.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Ray => "ray",
            Self::Kubernetes => "kubernetes",
        }
    }
}

/// How a compute grows and shrinks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ComputeScaling {
    /// So many units are there always.
    pub min: u32,
    /// More than so many never are.
    pub max: u32,
    /// How long more has to be wanted before there is more, in seconds.
    pub up_after: u64,
    /// How long less has to be wanted before there is less, in seconds.
    pub idle_after: u64,
}

/// A Kubernetes cluster, as jobs are made in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct KubernetesSettings {
    /// The namespace.
    pub namespace: String,
    /// The image that every job runs in.
    pub image: String,
    /// The account that jobs have in the cluster, unless it is the usual one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account: Option<String>,
    /// What a graphics processor is called; `nvidia.com/gpu` unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu: Option<String>,
}

/// How the hub shows a cluster who it is. Never shown again.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum ComputeToken {
    /// By this token.
    Token(String),
    /// By the token in this file of the hub's machine, which is read each time.
    File(String),
}

impl fmt::Debug for ComputeToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(_) => f.write_str("Token(***)"),
            Self::File(path) => write!(f, "File({path:?})"),
        }
    }
}

/// `PUT /computes/{name}`: a place where jobs run. Of `local` only `paused` and `scaling` can be set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ComputeSettings {
    /// What it is.
    pub kind: ComputeKind,
    /// Where it answers, as `https://HOST:PORT`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// How the hub shows who it is. Left out at a change: as before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<ComputeToken>,
    /// Authorities that vouch for it, as PEM; those that the machine trusts unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// What one of its units has: a slot, a machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<JobResources>,
    /// How many units it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scaling: Option<ComputeScaling>,
    /// Of a Kubernetes cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubernetes: Option<KubernetesSettings>,
    /// Whether jobs there get a token for tracking even if the cluster shows it to others, as Ray does.
    #[serde(default)]
    pub tracking: bool,
    /// Whether nothing new starts there.
    #[serde(default)]
    pub paused: bool,
}

/// A place where jobs run, and how it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ComputeView {
    /// Its name.
    pub name: ComputeName,
    /// What it is.
    pub kind: ComputeKind,
    /// Where it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Whether the hub shows who it is.
    pub token: bool,
    /// Authorities that vouch for it, as PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// What one of its units has.
    pub unit: JobResources,
    /// How it grows and shrinks.
    pub scaling: ComputeScaling,
    /// How many units it has now.
    pub units: u32,
    /// Of a Kubernetes cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubernetes: Option<KubernetesSettings>,
    /// Whether jobs there get a token for tracking even if the cluster shows it to others.
    pub tracking: bool,
    /// Whether nothing new starts there.
    pub paused: bool,
    /// What is wrong with it, if something is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// Attempts that were given to it and have not ended, of all workspaces.
    pub running: u64,
    /// Jobs that wait for it, of all workspaces.
    pub waiting: u64,
    /// What those that run take.
    pub used: JobResources,
}
