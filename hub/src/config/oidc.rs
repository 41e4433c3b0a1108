//! Settings of the login by an OpenID provider.

use std::path::{Path, PathBuf};

use openidconnect::{ClientId, ClientSecret};
use ureq::tls::{Certificate, PemItem};

use crate::access::people::oidc::{
    Settings, SettingsError, issuer,
    rules::{RoleRule, Rules},
};

/// Login by an OpenID provider: none unless the first three are given.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Login by an OpenID provider")]
pub struct OidcArgs {
    /// The provider's issuer, exactly as it names itself: its settings are found below it.
    #[arg(long, value_name = "URL")]
    pub oidc_issuer: Option<String>,
    /// The id under which the provider knows this hub.
    #[arg(long, value_name = "ID")]
    pub oidc_client_id: Option<String>,
    /// File with the client secret, and nothing else. Read once, at the start.
    #[arg(long, value_name = "FILE", env = "TERN_OIDC_CLIENT_SECRET_FILE")]
    pub oidc_client_secret_file: Option<PathBuf>,
    /// The members of this group have this role in this workspace, as
    /// `ops=default:operator`. Repeatable; decides anew at each login.
    #[arg(long = "oidc-role", value_name = "GROUP=WORKSPACE:ROLE")]
    pub oidc_roles: Vec<RoleRule>,
    /// The members of this group run the hub. Repeatable.
    #[arg(long = "oidc-hub-admin", value_name = "GROUP")]
    pub oidc_hub_admins: Vec<String>,
    /// The claim with the groups of a person.
    #[arg(long, value_name = "CLAIM", default_value = "groups")]
    pub oidc_groups_claim: String,
    /// The claim that names an account the first time somebody logs in. Who they are is decided by
    /// issuer and subject.
    #[arg(long, value_name = "CLAIM", default_value = "preferred_username")]
    pub oidc_user_claim: String,
    /// Certificates in PEM that vouch for the provider, instead of the authorities of the system.
    #[arg(long, value_name = "FILE")]
    pub oidc_ca: Option<PathBuf>,
}

impl OidcArgs {
    /// Whether anything is set that only a provider needs. The secret's file may be so for all
    /// hubs of a machine.
    fn is_used(&self) -> bool {
        self.oidc_issuer.is_some()
            || self.oidc_client_id.is_some()
            || !self.oidc_roles.is_empty()
            || !self.oidc_hub_admins.is_empty()
            || self.oidc_ca.is_some()
    }

    /// What the hub knows of its provider, if it has one. Half of it is an error.
    pub fn settings(&self, insecure_loopback: bool) -> Result<Option<Settings>, SettingsError> {
        if !self.is_used() {
            return Ok(None);
        }
        if insecure_loopback {
            return Err(SettingsError::NoLogin);
        }
        let missing = SettingsError::Missing;
        let at = self.oidc_issuer.as_deref();
        let at = issuer(at.ok_or(missing("--oidc-issuer"))?)?;
        let client = self.oidc_client_id.clone();
        let client = client.ok_or(missing("--oidc-client-id"))?;
        let file = self.oidc_client_secret_file.as_deref();
        let file = file.ok_or(missing("--oidc-client-secret-file"))?;
        let rules = Rules {
            roles: self.oidc_roles.clone(),
            hub_admins: self.oidc_hub_admins.clone(),
        };
        if rules.is_empty() {
            return Err(SettingsError::NoRules);
        }
        Ok(Some(Settings {
            issuer: at,
            client: ClientId::new(client),
            secret: ClientSecret::new(secret(file)?),
            user_claim: self.oidc_user_claim.clone(),
            groups_claim: self.oidc_groups_claim.clone(),
            rules,
            roots: self.oidc_ca.as_deref().map(roots).transpose()?,
        }))
    }
}

fn read(path: &Path) -> Result<String, SettingsError> {
    std::fs::read_to_string(path).map_err(|source| SettingsError::File {
        path: path.to_owned(),
        source,
    })
}

fn secret(path: &Path) -> Result<String, SettingsError> {
    let text = read(path)?;
    let secret = text.trim_end_matches(['\r', '\n']);
    if secret.is_empty() || secret.contains('\n') {
        return Err(SettingsError::Secret(path.to_owned()));
    }
    Ok(secret.to_owned())
}

fn roots(path: &Path) -> Result<Vec<Certificate<'static>>, SettingsError> {
    let text = read(path)?;
    let items: Result<Vec<_>, _> = ureq::tls::parse_pem(text.as_bytes()).collect();
    let items = items.map_err(|_| SettingsError::Certificate(path.to_owned()))?;
    let certificates = items.into_iter().filter_map(|item| match item {
        PemItem::Certificate(certificate) => Some(certificate),
        _ => None,
    });
    let certificates: Vec<_> = certificates.collect();
    if certificates.is_empty() {
        return Err(SettingsError::Certificate(path.to_owned()));
    }
    Ok(certificates)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use clap::Parser as _;

    use super::*;
    use crate::config::{Args, Command};

    fn args(more: &[&str]) -> OidcArgs {
        let line = ["tern-hub", "serve", "--data", "d"];
        let args = Args::try_parse_from(line.iter().chain(more)).expect("parses");
        match args.command {
            Command::Serve(config) => config.oidc,
            _ => panic!("not serve"),
        }
    }

    fn refused(args: &OidcArgs) -> String {
        let refused = args.settings(false).expect_err("it is refused");
        refused.to_string()
    }

    #[test]
    fn a_provider_is_set_up_whole_or_not_at_all() {
        assert!(args(&[]).settings(false).expect("fine").is_none());
        assert!(args(&[]).settings(true).expect("fine").is_none());
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("secret");
        let path = file.to_string_lossy().into_owned();
        fs::write(&file, "planted-secret\n").expect("written");
        let issuer = ["--oidc-issuer", "https://id.example"];
        let client = ["--oidc-client-id", "tern"];
        let secret = ["--oidc-client-secret-file", path.as_str()];
        let role = ["--oidc-role", "ops=default:operator"];
        for (missing, parts) in [
            ("--oidc-issuer", [client, secret, role].concat()),
            ("--oidc-client-id", [issuer, secret, role].concat()),
            ("--oidc-client-secret-file", [issuer, client, role].concat()),
            ("--oidc-role", [issuer, client, secret].concat()),
            ("--oidc-issuer", role.to_vec()),
        ] {
            let text = refused(&args(&parts));
            assert!(text.contains(missing), "{missing}: {text}");
        }
        let whole = args(&[issuer, client, secret, role].concat());
        let settings = whole.settings(false).expect("fine").expect("there is one");
        assert_eq!(settings.secret.secret(), "planted-secret");
        assert!(!format!("{settings:?}").contains("planted"), "{settings:?}");
        assert!(
            whole.settings(true).is_err(),
            "there is no login to speak of"
        );
        fs::write(&file, "\n").expect("written");
        assert!(refused(&whole).contains("empty"));
        fs::remove_file(&file).expect("removed");
        assert!(refused(&whole).contains("reading"));
    }
}
