//! `tern token|member|user|workspace`: who may do what where.

use std::time::Duration;

use clap::Subcommand;
use tern_protocol::{
    id::{TokenId, UserName, WorkspaceId},
    rest::{NewToken, NewUser, Role},
};

use super::{Answer, AskError, Context, given::duration};
use crate::{
    clock,
    out::{Reader, talk},
    show::people as show,
};

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make an API token for a program; it is shown once
    Create {
        /// What it is for
        name: String,
        /// What it may do; your own role if not given
        #[arg(long)]
        role: Option<RoleGiven>,
        /// How long it is good for, at most a year; for example 24h, 30d
        #[arg(long, value_name = "TIME", default_value = "90d", value_parser = duration)]
        expires: Duration,
    },
    /// Your API tokens; an admin sees those of all
    List,
    /// Revoke an API token
    Revoke {
        /// Its number
        #[arg(value_parser = token_id)]
        id: TokenId,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum MemberCommand {
    /// Members of the workspace
    List,
    /// Make somebody a member, or change their role
    Set {
        /// Name of the account
        user: UserName,
        /// What they may do
        role: RoleGiven,
    },
    /// Take somebody out of the workspace
    Remove {
        /// Name of the account
        user: UserName,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// Accounts of the hub
    List,
    /// Make an account and a link to set its password
    Create {
        /// Its name
        user: UserName,
        /// It runs the hub: accounts, workspaces, all audit
        #[arg(long)]
        hub_admin: bool,
    },
    /// Make a link for a new password; removes the second factor
    Link {
        /// Name of the account
        user: UserName,
    },
    /// Let it log in no more
    Disable {
        /// Name of the account
        user: UserName,
    },
    /// Let it log in again
    Enable {
        /// Name of the account
        user: UserName,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum WorkspaceCommand {
    /// Workspaces that you are in
    List,
    /// Make a workspace
    Create {
        /// Its name
        name: WorkspaceId,
    },
}

/// A role as the command line spells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum RoleGiven {
    /// Sees everything but secrets, changes nothing
    Viewer,
    /// Says what is true: labels
    Labeler,
    /// Publishes models and labels
    Scientist,
    /// Moves devices: rollouts, invitations, identities
    Operator,
    /// All of that, and members and tokens
    Admin,
}

impl From<RoleGiven> for Role {
    fn from(given: RoleGiven) -> Self {
        match given {
            RoleGiven::Viewer => Self::Viewer,
            RoleGiven::Labeler => Self::Labeler,
            RoleGiven::Scientist => Self::Scientist,
            RoleGiven::Operator => Self::Operator,
            RoleGiven::Admin => Self::Admin,
        }
    }
}

fn token_id(text: &str) -> Result<TokenId, &'static str> {
    let id = text.trim_start_matches('#').parse().map(TokenId);
    id.map_err(|_| "write a token's number; `tern token list` shows them")
}

/// Says that it is done, to a person.
fn done(context: &Context, text: &str) -> Answer {
    if context.out.reader == Reader::Person {
        talk(text);
    }
    Answer::Yes
}

pub(crate) fn token(context: &Context, command: TokenCommand) -> Result<Answer, AskError> {
    let (client, out) = (&context.client, &context.out);
    match command {
        TokenCommand::Create {
            name,
            role,
            expires,
        } => {
            let minted = client.mint(&NewToken {
                name,
                role: role.map(Into::into),
                expires_in_s: expires.as_secs(),
                hub: false,
            })?;
            // Only the token on stdout, so that a script can take it.
            out.answer(&minted, |_| minted.token.clone())?;
            let id = minted.view.id;
            let text = format!("token {id}; it is shown this once. Programs take it as TERN_TOKEN");
            Ok(done(context, &text))
        }
        TokenCommand::List => {
            let all = client.tokens().all()?;
            let advice = "no token yet; make one with `tern token create NAME`";
            out.list(&all, advice, |look| show::tokens(&all, clock::now(), look))?;
            Ok(Answer::Yes)
        }
        TokenCommand::Revoke { id } => {
            client.revoke_token(id)?;
            Ok(done(context, &format!("token {id} is revoked")))
        }
    }
}

pub(crate) fn member(context: &Context, command: MemberCommand) -> Result<Answer, AskError> {
    let workspace = &context.workspace;
    match command {
        MemberCommand::List => {
            let all = context.client.members().all()?;
            let advice = "no member yet; add one with `tern member set USER ROLE`";
            let out = &context.out;
            out.list(&all, advice, |look| show::members(&all, look))?;
            Ok(Answer::Yes)
        }
        MemberCommand::Set { user, role } => {
            let role = role.into();
            context.client.set_member(&user, role)?;
            let word = show::role_word(role);
            Ok(done(context, &format!("{user} is {word} in {workspace}")))
        }
        MemberCommand::Remove { user } => {
            context.client.remove_member(&user)?;
            Ok(done(context, &format!("{user} is out of {workspace}")))
        }
    }
}

pub(crate) fn user(context: &Context, command: UserCommand) -> Result<Answer, AskError> {
    let (client, out) = (&context.client, &context.out);
    let link = match command {
        UserCommand::List => {
            let all = client.users().all()?;
            let advice = "no account yet; make one with `tern user create NAME`";
            out.list(&all, advice, |look| show::users(&all, clock::now(), look))?;
            return Ok(Answer::Yes);
        }
        UserCommand::Disable { user } => {
            client.let_log_in(&user, false)?;
            return Ok(done(context, &format!("{user} can log in no more")));
        }
        UserCommand::Enable { user } => {
            client.let_log_in(&user, true)?;
            return Ok(done(context, &format!("{user} can log in again")));
        }
        UserCommand::Create { user, hub_admin } => client.create_user(&NewUser {
            name: user,
            hub_admin,
        })?,
        UserCommand::Link { user } => client.link(&user)?,
    };
    out.answer(&link, |_| link.link.clone())?;
    let user = &link.user;
    let text = format!("give {user} this link; it works once: in a browser, or tern setup 'LINK'");
    Ok(done(context, &text))
}

pub(crate) fn workspace(context: &Context, command: WorkspaceCommand) -> Result<Answer, AskError> {
    match command {
        WorkspaceCommand::List => {
            let all = context.client.workspaces().all()?;
            let advice = "you are in no workspace; an admin adds you: tern member set USER ROLE";
            let out = &context.out;
            out.list(&all, advice, |look| show::workspaces(&all, look))?;
            Ok(Answer::Yes)
        }
        WorkspaceCommand::Create { name } => {
            context.client.create_workspace(&name)?;
            Ok(done(context, &format!("workspace {name} is made")))
        }
    }
}
