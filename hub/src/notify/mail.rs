//! Sends one mail, by the server that the operator named.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use lettre::{
    Address, AsyncSmtpTransport, AsyncTransport as _, Message as Mail, Tokio1Executor,
    message::{
        Mailbox,
        header::{ContentType, HeaderName, HeaderValue},
    },
    transport::smtp::{
        authentication::Credentials,
        client::{Certificate, CertificateStore, Tls, TlsParameters, TlsParametersBuilder},
        extension::ClientId,
    },
};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use tern_protocol::time::WallTime;
use url::{Host, Url};

use super::{Failure, message::Message, retry::Again};
use crate::store::chain;

/// Longest that one attempt may take: connecting, a handshake, logging in, handing over. Servers delay
/// their greeting against spam for some seconds.
pub(super) const ATTEMPT: Duration = Duration::from_secs(20);

/// Longest mail address, in bytes (RFC 5321, 4.5.3.1.3).
const ADDRESS: usize = 254;

/// How the connection to a mail server is secured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// TLS from the first byte: `smtps://`.
    Tls,
    /// STARTTLS, and nothing without it: `smtp://`.
    StartTls,
    /// `smtp://` on this machine: STARTTLS if the server has it.
    Loopback,
}

/// Why a mail server cannot be used as it is given.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// Not an address of a mail server.
    #[error(
        "`--smtp` is as smtps://user@mail.example:465, or smtp://mail.example:587 for STARTTLS"
    )]
    Server,
    /// A password on the command line.
    #[error(
        "`--smtp` has a password, which every process of this machine can read there; put it into a file and \
         name that with `--smtp-password-file`"
    )]
    Password,
    /// A user without a password.
    #[error(
        "`--smtp` names the user {0}; name the file with the password by `--smtp-password-file`"
    )]
    NoPassword(String),
    /// Not an address.
    #[error("`--smtp-from` is a mail address, as tern@example.org or `Tern <tern@example.org>`")]
    From,
    /// Certificates that cannot be used.
    #[error("`--smtp-ca`: there is no usable certificate in it")]
    Authorities,
}

/// Where mail is handed in.
#[derive(Clone)]
pub struct Settings {
    host: String,
    port: u16,
    security: Security,
    login: Option<(String, String)>,
    from: Mailbox,
    roots: Option<Vec<Certificate>>,
}

/// Without the password.
impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("security", &self.security)
            .field("from", &self.from.to_string())
            .finish_non_exhaustive()
    }
}

impl Settings {
    /// From what the command line has: the server's address, the sender, the password if there is one, and
    /// who vouches for the server instead of the authorities of the system, in PEM.
    pub fn new(
        server: &str,
        from: &str,
        password: Option<String>,
        roots: Option<&[u8]>,
    ) -> Result<Self, MailError> {
        let url = Url::parse(server).map_err(|_| MailError::Server)?;
        let bare =
            matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
        let host = url.host_str().filter(|host| bare && !host.is_empty());
        let host = host.ok_or(MailError::Server)?;
        // `url` knows hosts of the web only; elsewhere a host is a text.
        let host = Host::parse(host.trim_matches(['[', ']']))
            .or_else(|_| Host::parse(host))
            .map_err(|_| MailError::Server)?;
        let here = match &host {
            Host::Domain(name) => name == "localhost",
            Host::Ipv4(ip) => ip.is_loopback(),
            Host::Ipv6(ip) => ip.is_loopback(),
        };
        let (security, port) = match url.scheme() {
            "smtps" => (Security::Tls, 465),
            "smtp" if here => (Security::Loopback, 25),
            "smtp" => (Security::StartTls, 587),
            _ => return Err(MailError::Server),
        };
        if url.password().is_some() {
            return Err(MailError::Password);
        }
        let user = unescaped(url.username()).ok_or(MailError::Server)?;
        let login = match (user.is_empty(), password) {
            (true, _) => None,
            (false, Some(password)) => Some((user, password)),
            (false, None) => return Err(MailError::NoPassword(user)),
        };
        let settings = Self {
            host: match host {
                Host::Ipv6(ip) => ip.to_string(),
                other => other.to_string(),
            },
            port: url.port().unwrap_or(port),
            security,
            login,
            from: from.parse().map_err(|_| MailError::From)?,
            roots: roots.map(authorities).transpose()?,
        };
        if settings.roots.is_some() {
            // What is wrong with given certificates is said at the start.
            settings.tls().map_err(|_| MailError::Authorities)?;
        }
        Ok(settings)
    }

    fn tls(&self) -> Result<TlsParameters, lettre::transport::smtp::Error> {
        let mut tls = TlsParametersBuilder::new(self.host.clone());
        if let Some(roots) = &self.roots {
            tls = tls.certificate_store(CertificateStore::None);
            for root in roots {
                tls = tls.add_root_certificate(root.clone());
            }
        }
        tls.build()
    }
}

fn authorities(pem: &[u8]) -> Result<Vec<Certificate>, MailError> {
    let read = CertificateDer::pem_slice_iter(pem).map(|one| {
        let one = one.map_err(|_| MailError::Authorities)?;
        Certificate::from_der(one.to_vec()).map_err(|_| MailError::Authorities)
    });
    let roots: Vec<_> = read.collect::<Result<_, _>>()?;
    if roots.is_empty() {
        return Err(MailError::Authorities);
    }
    Ok(roots)
}

/// What stands percent-encoded in a URL.
fn unescaped(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let (high, low) = (digit(rest.next()?)?, digit(rest.next()?)?);
        bytes.push(u8::try_from(high << 4 | low).ok()?);
    }
    String::from_utf8(bytes).ok()
}

/// Whether a text is a mail address, bare. Without quotes: they hide what separates addresses.
pub(super) fn is_address(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | ',' | ';' | '<' | '>');
    text.len() <= ADDRESS && text.chars().all(plain) && text.parse::<Address>().is_ok()
}

/// Hands in mail.
#[derive(Debug)]
pub struct Mailer {
    settings: Settings,
    /// How it names itself to servers.
    hello: String,
    /// Made when it is first needed: a machine without authorities runs a hub nevertheless.
    transport: Mutex<Option<AsyncSmtpTransport<Tokio1Executor>>>,
}

impl Mailer {
    /// One with these settings, for a hub of this name. Nothing is asked of the server yet.
    pub fn new(settings: Settings, hello: String) -> Self {
        Self {
            settings,
            hello,
            transport: Mutex::default(),
        }
    }

    /// Makes one attempt: one mail to all addresses.
    pub(super) async fn send(
        &self,
        addresses: &[String],
        message: &Message,
        now: WallTime,
    ) -> Result<(), Failure> {
        let mail = self.mail(addresses, message, now)?;
        let transport = self.transport()?;
        match tokio::time::timeout(ATTEMPT, transport.send(mail)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(err)) => Err(refused(&err)),
            Err(_) => Err(Failure::new(format!(
                "the mail server did not take it within {} s",
                ATTEMPT.as_secs()
            ))),
        }
    }

    fn mail(
        &self,
        addresses: &[String],
        message: &Message,
        now: WallTime,
    ) -> Result<Mail, Failure> {
        let from = &self.settings.from;
        // The same each time that it is sent: mail programs show it once.
        let id = format!("<{}@{}>", message.name, from.email.domain());
        let ms = Duration::from_millis(now.0.max(0).unsigned_abs());
        // Nobody answers a machine that is away on holiday (RFC 3834).
        let automatic = HeaderName::new_from_ascii_str("Auto-Submitted");
        let automatic = HeaderValue::new(automatic, "auto-generated".into());
        let mut mail = Mail::builder()
            .from(from.clone())
            .message_id(Some(id))
            .date(SystemTime::UNIX_EPOCH + ms)
            .subject(message.mail_subject())
            .header(ContentType::TEXT_PLAIN)
            .raw_header(automatic);
        for address in addresses {
            let address: Address = address
                .parse()
                .map_err(|_| Failure::for_good("an address of it is none"))?;
            mail = mail.to(Mailbox::new(None, address));
        }
        mail.body(message.mail_text())
            .map_err(|err| Failure::for_good(format!("making the mail: {}", chain(&err))))
    }

    fn transport(&self) -> Result<AsyncSmtpTransport<Tokio1Executor>, Failure> {
        let mut kept = self
            .transport
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(transport) = &*kept {
            return Ok(transport.clone());
        }
        let Settings {
            host,
            port,
            security,
            login,
            ..
        } = &self.settings;
        let tls = self.settings.tls();
        let tls = tls.map_err(|err| Failure::new(format!("TLS: {}", chain(&err))))?;
        let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host.clone())
            .port(*port)
            .timeout(Some(ATTEMPT))
            .hello_name(ClientId::Domain(self.hello.clone()))
            .tls(match security {
                Security::Tls => Tls::Wrapper(tls),
                Security::StartTls => Tls::Required(tls),
                Security::Loopback => Tls::Opportunistic(tls),
            });
        if let Some((user, password)) = login {
            transport = transport.credentials(Credentials::new(user.clone(), password.clone()));
        }
        let transport = transport.build();
        *kept = Some(transport.clone());
        Ok(transport)
    }
}

/// What a failure of the server says. One that is permanent stays so, unless it is about who we are: that
/// is set right at the hub or the server, and then what waits goes.
fn refused(err: &lettre::transport::smtp::Error) -> Failure {
    /// 530, 534, 535, 538: authentication (RFC 4954), and 454, which is not permanent.
    const LOGIN: [u16; 4] = [530, 534, 535, 538];
    let code = err.status().map(u16::from);
    let about_us = code.is_some_and(|code| LOGIN.contains(&code));
    Failure {
        text: format!("mail: {}", chain(err)),
        again: if err.is_permanent() && !about_us {
            Again::Never
        } else {
            Again::ByPlan
        },
    }
}

#[cfg(test)]
mod tests {
    use tern_protocol::rest::NoticeKind;

    use super::*;

    fn settings(server: &str, password: Option<&str>) -> Result<Settings, MailError> {
        let from = "Tern <tern@example.org>";
        Settings::new(server, from, password.map(str::to_owned), None)
    }

    #[test]
    fn servers_are_named_as_urls() {
        use Security::{Loopback, StartTls, Tls};
        for (server, host, port, security) in [
            ("smtps://mail.example", "mail.example", 465, Tls),
            ("smtps://localhost:1465", "localhost", 1465, Tls),
            ("smtp://mail.example", "mail.example", 587, StartTls),
            ("smtp://mail.example:25/", "mail.example", 25, StartTls),
            ("smtp://127.0.0.1:1025", "127.0.0.1", 1025, Loopback),
            ("smtp://[::1]:1025", "::1", 1025, Loopback),
            ("smtp://localhost", "localhost", 25, Loopback),
        ] {
            let read = settings(server, None).expect(server);
            assert_eq!(
                (read.host.as_str(), read.port, read.security),
                (host, port, security),
                "{server}"
            );
        }
        let user = settings("smtps://ada%40example.org@mail.example", Some("planted"));
        let user = user.expect("a user with a password");
        let login = ("ada@example.org".to_owned(), "planted".to_owned());
        assert_eq!(user.login, Some(login));
        assert!(!format!("{user:?}").contains("planted"), "{user:?}");
    }

    #[test]
    fn what_is_no_server_says_what_is_wrong() {
        for (server, expected) in [
            ("mail.example", "smtps://"),
            ("https://mail.example", "smtps://"),
            ("smtps://mail.example/path", "smtps://"),
            ("smtps://", "smtps://"),
            ("smtps://ada:pw@mail.example", "--smtp-password-file"),
            ("smtps://ada@mail.example", "--smtp-password-file"),
        ] {
            let err = settings(server, None).expect_err(server).to_string();
            assert!(err.contains(expected), "{server}: {err}");
        }
        let from = Settings::new("smtps://mail.example", "nobody", None, None);
        assert!(from.is_err());
        let roots = Settings::new("smtps://mail.example", "a@b.example", None, Some(b"x"));
        assert!(roots.is_err());
    }

    #[test]
    fn addresses_are_plain() {
        for good in ["ada@example.org", "ada+tern@sub.example.org"] {
            assert!(is_address(good), "{good}");
        }
        for bad in [
            "",
            "ada",
            "@example.org",
            "ada@",
            "a b@example.org",
            "\"a,b\"@example.org",
            "ada@example.org,eve@example.org",
            "Ada <ada@example.org>",
            "ada@example.org\r\nBcc: eve@example.org",
        ] {
            assert!(!is_address(bad), "{bad}");
        }
    }

    #[test]
    fn a_mail_says_once_what_happened() {
        let settings = settings("smtps://mail.example", None).expect("a server");
        let mailer = Mailer::new(settings, "hub.example".into());
        let message = Message {
            name: "5f0c".into(),
            workspace: "default".parse().expect("a name"),
            kind: NoticeKind::Attention,
            subject: "Größe\r\nBcc: eve@example.org".into(),
            text: "Text.".into(),
            link: "/w/default".into(),
            at: WallTime(0),
        };
        let to = ["ada@example.org".to_owned(), "bob@example.org".to_owned()];
        let mail = mailer.mail(&to, &message, WallTime(1_764_000_000_000));
        let mail = String::from_utf8(mail.expect("a mail").formatted()).expect("text");
        for line in [
            "From: Tern <tern@example.org>",
            "To: ada@example.org, bob@example.org",
            "Message-ID: <5f0c@example.org>",
            "Auto-Submitted: auto-generated",
        ] {
            assert!(mail.contains(line), "{line} in {mail}");
        }
        assert!(!mail.lines().any(|line| line.starts_with("Bcc")), "{mail}");
    }
}
