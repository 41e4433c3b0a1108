//! What a role permits, in one table, and what a route demands. Pure.

use tern_protocol::rest::Role;

/// All roles.
pub const ROLES: [Role; 5] = [
    Role::Viewer,
    Role::Labeler,
    Role::Scientist,
    Role::Operator,
    Role::Admin,
];

/// Something that a member may be allowed to do in a workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Permission {
    /// See devices, models, rollouts, captures, figures.
    View,
    /// Say what is true about a capture.
    Label,
    /// Publish models.
    Publish,
    /// See jobs, their logs and what they made.
    SeeJobs,
    /// Move devices, invite and revoke them.
    Operate,
    /// Run jobs: a job on the hub's machine may do what the hub may.
    RunJobs,
    /// Change members, see everybody's tokens and the audit log.
    Administer,
}

impl Permission {
    /// All permissions.
    pub const ALL: [Self; 7] = [
        Self::View,
        Self::Label,
        Self::Publish,
        Self::SeeJobs,
        Self::Operate,
        Self::RunJobs,
        Self::Administer,
    ];

    /// As it is written in the OpenAPI document.
    pub const fn name(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Label => "label",
            Self::Publish => "publish",
            Self::SeeJobs => "see-jobs",
            Self::Operate => "operate",
            Self::RunJobs => "run-jobs",
            Self::Administer => "administer",
        }
    }
}

/// The table: whether `role` permits `permission`. Whoever publishes models does not move devices,
/// and the other way round: a fleet's change takes two, unless an admin does both. Whoever runs jobs has the hub's own
/// rights on its machine, so only those do who administer anyway.
pub const fn permits(role: Role, permission: Permission) -> bool {
    match role {
        Role::Viewer => matches!(permission, Permission::View),
        Role::Labeler => matches!(permission, Permission::View | Permission::Label),
        Role::Scientist => matches!(
            permission,
            Permission::View | Permission::Label | Permission::Publish | Permission::SeeJobs
        ),
        Role::Operator => matches!(
            permission,
            Permission::View | Permission::Label | Permission::Operate | Permission::SeeJobs
        ),
        Role::Admin => true,
    }
}

/// Whether everything that `wanted` permits is permitted by `own` too: nobody hands out more than
/// they have.
pub fn covers(own: Role, wanted: Role) -> bool {
    let mut all = Permission::ALL.into_iter();
    all.all(|permission| permits(own, permission) || !permits(wanted, permission))
}

/// As it is written in settings, forms and the database.
pub const fn role_name(role: Role) -> &'static str {
    match role {
        Role::Viewer => "viewer",
        Role::Labeler => "labeler",
        Role::Scientist => "scientist",
        Role::Operator => "operator",
        Role::Admin => "admin",
    }
}

/// The role of this name.
pub fn role_named(name: &str) -> Option<Role> {
    ROLES.into_iter().find(|role| role_name(*role) == name)
}

/// What a route demands of whoever asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Policy {
    /// Nothing: health, the login page, what is public by nature.
    Public,
    /// Nothing of the connection: the request itself carries the proof (a join token, a signing
    /// request, a set-up code, a password), which its handler checks.
    Proof,
    /// To be logged in.
    Member,
    /// A permission in the workspace of the path.
    Workspace(Permission),
    /// To be a device of the workspace of the path, by its certificate.
    Device,
    /// To run the hub.
    HubAdmin,
}

impl Policy {
    /// As it is written in the OpenAPI document.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Proof => "proof",
            Self::Member => "member",
            Self::Workspace(permission) => permission.name(),
            Self::Device => "device",
            Self::HubAdmin => "hub-admin",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_sees_and_only_admins_administer() {
        for role in ROLES {
            assert!(permits(role, Permission::View));
            let admin = role == Role::Admin;
            assert_eq!(permits(role, Permission::Administer), admin);
            assert_eq!(permits(role, Permission::RunJobs), admin);
            assert_eq!(role_named(role_name(role)), Some(role));
        }
    }

    #[test]
    fn nobody_hands_out_more_than_they_have() {
        assert!(covers(Role::Admin, Role::Operator));
        assert!(covers(Role::Operator, Role::Labeler));
        assert!(!covers(Role::Operator, Role::Scientist));
        assert!(!covers(Role::Scientist, Role::Operator));
        assert!(!covers(Role::Viewer, Role::Labeler));
    }
}
