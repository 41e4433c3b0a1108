//! Which roles the groups of a person give. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    str::FromStr,
};

use tern_protocol::{id::WorkspaceId, rest::Role};

use crate::access::role::{ROLES, covers, role_name, role_named};

/// Whoever is in a group has a role in a workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleRule {
    /// The group, as the provider writes it.
    pub group: String,
    /// Where.
    pub workspace: WorkspaceId,
    /// As what.
    pub role: Role,
}

impl FromStr for RoleRule {
    type Err = String;

    /// `GROUP=WORKSPACE:ROLE`. Groups of a directory have equals signs of their own (`CN=ops,OU=…`):
    /// the last one counts.
    fn from_str(text: &str) -> Result<Self, String> {
        let form = || "a mapping is as `GROUP=WORKSPACE:ROLE`, for example ops=default:operator";
        let (group, to) = text.rsplit_once('=').ok_or_else(form)?;
        let (workspace, role) = to.split_once(':').ok_or_else(form)?;
        if group.is_empty() {
            return Err(form().into());
        }
        Ok(Self {
            group: group.into(),
            workspace: workspace.parse().map_err(|err| format!("{err}"))?,
            role: role_named(role).ok_or_else(|| {
                let all = ROLES.map(role_name).join(", ");
                format!("there is no role `{role}`; roles are {all}")
            })?,
        })
    }
}

/// What groups give.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// Roles in workspaces.
    pub roles: Vec<RoleRule>,
    /// Groups whose members run the hub.
    pub hub_admins: Vec<String>,
}

/// What a person may do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// Whether they run the hub.
    pub hub_admin: bool,
    /// Their role where they have one.
    pub roles: BTreeMap<WorkspaceId, Role>,
}

impl Standing {
    /// Nothing.
    pub fn is_nothing(&self) -> bool {
        !self.hub_admin && self.roles.is_empty()
    }
}

impl Rules {
    /// Whether they give nothing to anybody.
    pub const fn is_empty(&self) -> bool {
        self.roles.is_empty() && self.hub_admins.is_empty()
    }

    /// What the members of these groups may do, in workspaces that there are. Of two roles in one
    /// workspace the one counts that includes the other; of two that do not (scientist, operator) the
    /// one whose rule stands first.
    pub fn standing(&self, groups: &BTreeSet<String>, there: &[WorkspaceId]) -> Standing {
        let mut standing = Standing {
            hub_admin: self.hub_admins.iter().any(|group| groups.contains(group)),
            roles: BTreeMap::new(),
        };
        for rule in &self.roles {
            if !groups.contains(&rule.group) || !there.contains(&rule.workspace) {
                continue;
            }
            let role = standing
                .roles
                .entry(rule.workspace.clone())
                .or_insert(rule.role);
            if covers(rule.role, *role) {
                *role = rule.role;
            }
        }
        standing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(texts: &[&str], hub_admins: &[&str]) -> Rules {
        Rules {
            roles: texts
                .iter()
                .map(|text| text.parse().expect("a rule"))
                .collect(),
            hub_admins: hub_admins.iter().map(|&group| group.into()).collect(),
        }
    }

    #[test]
    fn groups_give_roles() {
        let rules = rules(
            &[
                "eyes=default:viewer",
                "ops=default:operator",
                "lab=default:scientist",
                "ops=plant-2:labeler",
                "CN=boss,OU=x=plant-2:admin",
                "ops=nowhere:admin",
            ],
            &["root"],
        );
        let there = ["default", "plant-2"].map(|name| name.parse().expect("a name"));
        let of = |groups: &[&str]| {
            let groups = groups.iter().map(|&group| group.to_owned()).collect();
            let standing = rules.standing(&groups, &there);
            let roles = standing.roles.iter();
            let roles: Vec<_> = roles
                .map(|(workspace, role)| format!("{workspace}:{}", role_name(*role)))
                .collect();
            (standing.hub_admin, roles.join(" "))
        };
        for (groups, hub_admin, roles) in [
            (&[][..], false, ""),
            (&["others", "OPS", "ops "], false, ""),
            (&["eyes"], false, "default:viewer"),
            (&["eyes", "ops"], false, "default:operator plant-2:labeler"),
            (&["lab", "ops"], false, "default:operator plant-2:labeler"),
            (
                &["ops", "CN=boss,OU=x"],
                false,
                "default:operator plant-2:admin",
            ),
            (&["root"], true, ""),
        ] {
            assert_eq!(of(groups), (hub_admin, roles.to_owned()), "{groups:?}");
        }
    }

    #[test]
    fn rules_are_read_whole_or_refused() {
        for bad in [
            "",
            "ops",
            "ops=default",
            "=default:viewer",
            "ops=default:king",
            "ops=a/b:viewer",
            "ops=:viewer",
        ] {
            let refused = bad.parse::<RoleRule>();
            assert!(refused.is_err(), "{bad}");
        }
        let unknown = "ops=default:king".parse::<RoleRule>().expect_err("refused");
        assert!(unknown.contains("scientist"), "{unknown}");
    }
}
