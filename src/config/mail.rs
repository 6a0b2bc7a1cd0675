//! Mail servers and addresses of `[[notify]]` with `kind = "email"`.

use std::fmt;

use super::endpoint::{self, Bracketed};
use super::secret::Secret;

/// Caps the addresses that get one message.
pub(super) const MAX_RECIPIENTS: usize = 20;

/// The longest address that mail servers take (RFC 5321).
const MAX_ADDRESS: usize = 254;

/// A mail server, with the account there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailServer {
    pub host: String,
    pub port: u16,
    /// TLS from the first byte (`smtps://`). Otherwise the connection changes to TLS by STARTTLS.
    pub is_tls: bool,
    /// User and password. `None` if the server takes messages from everybody.
    pub login: Option<(String, Secret)>,
}

impl MailServer {
    /// Parses `smtp://user:password@host:587` or `smtps://user:password@host:465`; user and password may be
    /// percent-encoded. The error describes a correct value and has no part of the text.
    pub(super) fn parse(text: &str) -> Result<MailServer, String> {
        let wanted = "a URL such as \"smtp://user:password@mail.example.org:587\" (TLS by STARTTLS) or \
                      \"smtps://user:password@mail.example.org:465\"";
        let (scheme, rest) = text.split_once("://").ok_or(wanted)?;
        let (is_tls, usual_port) = match scheme.to_ascii_lowercase().as_str() {
            "smtp" => (false, 587),
            "smtps" => (true, 465),
            _ => return Err(wanted.to_owned()),
        };
        let (account, address) =
            rest.rsplit_once('@').map_or((None, rest), |(account, address)| (Some(account), address));
        let address = address.strip_suffix('/').unwrap_or(address);
        let has_port = address.rsplit(']').next().is_some_and(|after| after.contains(':'));
        let with_port = if has_port { address.to_owned() } else { format!("{address}:{usual_port}") };
        let (host, port) = endpoint::host_port(&with_port).map_err(|_| wanted)?;
        let login = match account.map(endpoint::credentials).transpose()? {
            Some((Some(user), Some(password))) => Some((user, password)),
            Some(_) => {
                return Err(String::from("a URL with user and password before the '@', or without '@'"));
            }
            None => None,
        };
        let has_nul = |text: &str| text.contains('\0');
        if login.as_ref().is_some_and(|(user, password)| has_nul(user) || has_nul(password.expose())) {
            return Err(String::from("a URL whose user and password have no NUL"));
        }
        Ok(MailServer { host, port, is_tls, login })
    }
}

impl fmt::Display for MailServer {
    /// The URL without user and password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_tls { "smtps" } else { "smtp" };
        write!(f, "{scheme}://{}:{}", Bracketed(&self.host), self.port)
    }
}

/// Parses `me@example.org`. Only what every mail server takes without quotes is allowed, so an address can't add a
/// header or a command.
pub(super) fn address(text: &str) -> Result<String, String> {
    let wanted = || String::from("an e-mail address such as \"me@example.org\"");
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&byte);
    let (name, domain) = text.split_once('@').ok_or_else(wanted)?;
    let is_name = !name.is_empty() && name.bytes().all(is_plain);
    let is_domain = endpoint::host_name(domain).is_ok();
    if is_name && is_domain && text.len() <= MAX_ADDRESS { Ok(text.to_owned()) } else { Err(wanted()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn mail_servers() {
        let server = MailServer::parse("smtp://me%40example.org:p%3Aa@mail.example.org:2525/").unwrap();
        assert_eq!((server.host.as_str(), server.port, server.is_tls), ("mail.example.org", 2525, false));
        assert_eq!(server.login, Some(("me@example.org".to_owned(), Secret::new("p:a"))));
        assert_eq!(server.to_string(), "smtp://mail.example.org:2525");
        assert!(!format!("{server:?}").contains("p:a"));
        let (starttls, tls) = (MailServer::parse("smtp://[::1]"), MailServer::parse("SMTPS://h"));
        assert_eq!(starttls.map(|server| (server.port, server.login)), Ok((587, None)));
        assert_eq!(tls.map(|server| (server.port, server.is_tls)), Ok((465, true)));
        // An '@' in the user's name need not be encoded.
        assert!(MailServer::parse("smtp://me@example.org:pw@h").is_ok());
        for wrong in
            ["h", "http://h", "smtp://", "smtp://user@h", "smtp://h:0", "smtp://h/path", "smtp://:p@h"]
        {
            assert!(MailServer::parse(wrong).is_err(), "{wrong}");
        }
        assert!(MailServer::parse("smtp://u%00:p@h").is_err());
    }

    #[test]
    fn addresses_are_plain() {
        for right in ["me@example.org", "me+miner@mail.example.org", "root@localhost"] {
            assert_eq!(address(right).as_deref(), Ok(right));
        }
        let long = format!("{}@example.org", "x".repeat(250));
        for wrong in
            ["", "me", "@h", "me@", "a b@h", "a@b@h", "me@h\r\nBcc: x@y", "<me@h>", "\"me\"@h", "mé@h", &long]
        {
            assert!(address(wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn errors_contain_no_password(before in "[?@:/#%a]{0,3}", after in "[?@:/#%a]{0,3}") {
            let url = format!("smtp://user:{before}SECRET{after}@");
            let error = MailServer::parse(&url).err().unwrap_or_default();
            prop_assert!(!error.contains("SECRET"));
        }
    }
}
