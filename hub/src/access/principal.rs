//! Who asks.

use std::{collections::BTreeMap, fmt, net::IpAddr};

use tern_protocol::{
    id::{DeviceId, IdentityId, JobId, TokenId, UserName, WorkspaceId},
    rest::Role,
};

use super::role::{Permission, Policy, permits};

/// Whoever sent a request, as far as the request proves it. Made by the edge, once a request, and
/// carried in its extensions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Who.
    pub who: Who,
    /// From which address; none if it did not come over the network.
    pub from: Option<IpAddr>,
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// Nobody that is known.
    Anonymous,
    /// Somebody on this machine, at a hub that was started with `--insecure-loopback`: may do all.
    Loopback,
    /// A person who logged in.
    User(Account),
    /// A program with an API token.
    Token {
        /// The token.
        id: TokenId,
        /// Whose it is.
        user: UserName,
        /// The only workspace that it works in.
        workspace: WorkspaceId,
        /// What it may do there, never more than its user may at that moment.
        role: Role,
        /// Whether it may run the hub: its user may, and it was made for that.
        hub_admin: bool,
    },
    /// The command of a job, by the token that it was given: it may track what it does and publish what came of it, in
    /// its workspace, while it runs.
    Job {
        /// Which.
        id: JobId,
        /// Its workspace.
        workspace: WorkspaceId,
    },
    /// A device, by the certificate of its connection. It is no member of anything: it may fetch what
    /// ships in its workspace, and nothing else.
    Device {
        /// By which identity.
        identity: IdentityId,
        /// Its workspace.
        workspace: WorkspaceId,
        /// Its name.
        device: DeviceId,
    },
}

/// A person's account, as it stands while the request is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its name.
    pub user: UserName,
    /// Whether it runs the hub, and so is an admin in every workspace.
    pub hub_admin: bool,
    /// Its role in each of its workspaces.
    pub roles: BTreeMap<WorkspaceId, Role>,
}

/// How a request stands to a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// It may.
    Granted,
    /// It has to say who it is first.
    Unknown,
    /// The workspace is nobody's business who is not a member: as if there were none.
    Hidden,
    /// Its role does not permit it.
    Forbidden,
}

impl Principal {
    /// Nobody, from nowhere.
    pub const ANONYMOUS: Self = Self {
        who: Who::Anonymous,
        from: None,
    };

    /// The role in a workspace, if there is one.
    pub fn role_in(&self, workspace: &WorkspaceId) -> Option<Role> {
        match &self.who {
            Who::Anonymous | Who::Job { .. } | Who::Device { .. } => None,
            Who::Loopback => Some(Role::Admin),
            Who::User(account) if account.hub_admin => Some(Role::Admin),
            Who::User(account) => account.roles.get(workspace).copied(),
            Who::Token {
                workspace: own,
                role,
                ..
            } => (own == workspace).then_some(*role),
        }
    }

    /// Whether this may do something in a workspace.
    pub fn may(&self, permission: Permission, workspace: &WorkspaceId) -> bool {
        if let Who::Job { workspace: own, .. } = &self.who {
            return own == workspace && permits_job(permission);
        }
        let role = self.role_in(workspace);
        role.is_some_and(|role| permits(role, permission))
    }

    /// Whether this runs the hub. A token does only if it was made for that by somebody who does.
    pub fn is_hub_admin(&self) -> bool {
        match &self.who {
            Who::Loopback => true,
            Who::User(account) => account.hub_admin,
            Who::Token { hub_admin, .. } => *hub_admin,
            Who::Anonymous | Who::Job { .. } | Who::Device { .. } => false,
        }
    }

    /// The account behind it, if there is one.
    pub fn user(&self) -> Option<&UserName> {
        match &self.who {
            Who::User(account) => Some(&account.user),
            Who::Token { user, .. } => Some(user),
            Who::Anonymous | Who::Loopback | Who::Job { .. } | Who::Device { .. } => None,
        }
    }

    /// The one decision on access: what `policy` says about this, with the workspace of the path.
    pub fn access(&self, policy: Policy, workspace: Option<&WorkspaceId>) -> Access {
        let known = !matches!(self.who, Who::Anonymous | Who::Device { .. });
        match policy {
            Policy::Public | Policy::Proof => Access::Granted,
            Policy::Device => match &self.who {
                Who::Anonymous => Access::Unknown,
                Who::Loopback => Access::Granted,
                Who::Device { workspace: own, .. } if Some(own) == workspace => Access::Granted,
                Who::Device { .. } => Access::Hidden,
                Who::User(_) | Who::Token { .. } | Who::Job { .. } => Access::Forbidden,
            },
            _ if !known => Access::Unknown,
            Policy::Member if matches!(self.who, Who::Job { .. }) => Access::Forbidden,
            Policy::Member => Access::Granted,
            Policy::HubAdmin if self.is_hub_admin() => Access::Granted,
            Policy::HubAdmin => Access::Forbidden,
            Policy::Workspace(permission) => {
                // A route of a workspace without one in its path would be a mistake of ours: no.
                let Some(workspace) = workspace else {
                    return Access::Forbidden;
                };
                if let Who::Job { workspace: own, .. } = &self.who {
                    return match (own == workspace, permits_job(permission)) {
                        (false, _) => Access::Hidden,
                        (true, true) => Access::Granted,
                        (true, false) => Access::Forbidden,
                    };
                }
                match self.role_in(workspace) {
                    None => Access::Hidden,
                    Some(role) if permits(role, permission) => Access::Granted,
                    Some(_) => Access::Forbidden,
                }
            }
        }
    }
}

/// What the command of a job may do: what MLflow's client needs.
const fn permits_job(permission: Permission) -> bool {
    matches!(permission, Permission::View | Permission::Publish)
}

/// As the audit log names it.
impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.who {
            Who::Anonymous => f.write_str("somebody"),
            Who::Loopback => f.write_str("somebody on this machine"),
            Who::User(account) => write!(f, "user {}", account.user),
            Who::Token { id, user, .. } => write!(f, "token {id} of {user}"),
            Who::Job { id, .. } => write!(f, "job {id}"),
            Who::Device { device, .. } => write!(f, "device {device}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workspace(name: &str) -> WorkspaceId {
        name.parse().expect("a name")
    }

    fn member(role: Role) -> Principal {
        Principal {
            who: Who::User(Account {
                user: "ada".parse().expect("a name"),
                hub_admin: false,
                roles: BTreeMap::from([(workspace("own"), role)]),
            }),
            from: None,
        }
    }

    #[test]
    fn other_workspaces_are_hidden_from_members() {
        let view = Policy::Workspace(Permission::View);
        let ada = member(Role::Admin);
        assert_eq!(ada.access(view, Some(&workspace("own"))), Access::Granted);
        assert_eq!(ada.access(view, Some(&workspace("other"))), Access::Hidden);
        assert_eq!(ada.access(view, None), Access::Forbidden);
        assert_eq!(ada.access(Policy::HubAdmin, None), Access::Forbidden);
    }

    #[test]
    fn nobody_in_particular_gets_what_is_public_and_no_more() {
        let nobody = Principal::ANONYMOUS;
        assert_eq!(nobody.access(Policy::Public, None), Access::Granted);
        assert_eq!(nobody.access(Policy::Proof, None), Access::Granted);
        for policy in [
            Policy::Member,
            Policy::HubAdmin,
            Policy::Workspace(Permission::View),
        ] {
            let access = nobody.access(policy, Some(&workspace("own")));
            assert_eq!(access, Access::Unknown, "{policy:?}");
        }
    }

    #[test]
    fn a_device_fetches_in_its_workspace_and_does_nothing_else() {
        let device = Principal {
            who: Who::Device {
                identity: IdentityId(1),
                workspace: workspace("own"),
                device: "meter-01".parse().expect("a name"),
            },
            from: None,
        };
        let access = |policy, name| device.access(policy, Some(&workspace(name)));
        assert_eq!(access(Policy::Device, "own"), Access::Granted);
        assert_eq!(access(Policy::Device, "other"), Access::Hidden);
        assert_eq!(device.access(Policy::Device, None), Access::Hidden);
        for policy in [
            Policy::Member,
            Policy::HubAdmin,
            Policy::Workspace(Permission::View),
        ] {
            assert_eq!(access(policy, "own"), Access::Unknown, "{policy:?}");
        }
        let ada = member(Role::Admin);
        let own = workspace("own");
        assert_eq!(ada.access(Policy::Device, Some(&own)), Access::Forbidden);
        let nobody = Principal::ANONYMOUS.access(Policy::Device, Some(&own));
        assert_eq!(nobody, Access::Unknown);
    }

    #[test]
    fn a_job_tracks_and_publishes_in_its_workspace_and_does_nothing_else() {
        let job = Principal {
            who: Who::Job {
                id: JobId(1),
                workspace: workspace("own"),
            },
            from: None,
        };
        let (own, other) = (workspace("own"), workspace("other"));
        for permission in Permission::ALL {
            let may = matches!(permission, Permission::View | Permission::Publish);
            let expected = if may {
                Access::Granted
            } else {
                Access::Forbidden
            };
            let policy = Policy::Workspace(permission);
            assert_eq!(job.access(policy, Some(&own)), expected, "{permission:?}");
            assert_eq!(job.access(policy, Some(&other)), Access::Hidden);
            assert_eq!(job.may(permission, &own), may);
            assert!(!job.may(permission, &other));
        }
        for policy in [Policy::Member, Policy::HubAdmin, Policy::Device] {
            assert_eq!(
                job.access(policy, Some(&own)),
                Access::Forbidden,
                "{policy:?}"
            );
        }
    }

    #[test]
    fn a_token_stays_in_its_workspace_and_runs_the_hub_only_if_made_for_it() {
        let token = Principal {
            who: Who::Token {
                id: TokenId(1),
                user: "ada".parse().expect("a name"),
                workspace: workspace("own"),
                role: Role::Viewer,
                hub_admin: false,
            },
            from: None,
        };
        let view = Policy::Workspace(Permission::View);
        assert_eq!(token.access(view, Some(&workspace("own"))), Access::Granted);
        assert_eq!(
            token.access(view, Some(&workspace("other"))),
            Access::Hidden
        );
        assert_eq!(token.access(Policy::HubAdmin, None), Access::Forbidden);
        let operate = Policy::Workspace(Permission::Operate);
        assert_eq!(
            token.access(operate, Some(&workspace("own"))),
            Access::Forbidden
        );
    }
}
