//! A node's address and login.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::config::{Secret, url_credentials};
use crate::util::os_error::describe;

/// A cookie file has 75 bytes: `__cookie__:` and 64 hex digits.
const MAX_COOKIE_BYTES: u64 = 4096;

/// The parts of a node's URL.
#[derive(Debug, Clone)]
pub(super) struct NodeAddress {
    /// Host and port.
    pub(super) name: String,
    /// The URL without user and password. It stays a secret: its query may hold a key.
    pub(super) url: Secret,
    pub(super) login: NodeLogin,
}

/// The login at the node.
#[derive(Debug, Clone)]
pub(super) struct NodeLogin {
    kind: LoginKind,
    /// The value of the `Authorization` header. `None` without a login, and until a cookie has been read.
    header: Option<Secret>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum LoginKind {
    None,
    Password,
    /// A cookie file. The node writes a new one at each start.
    Cookie(PathBuf),
}

impl NodeAddress {
    /// Splits a URL that the configuration has already validated.
    ///
    /// # Errors
    /// The expected form, in words.
    pub(super) fn new(url: &Secret, cookie: Option<&Path>) -> Result<NodeAddress, String> {
        let wanted = || String::from("a URL such as \"http://127.0.0.1:8332\"");
        let (scheme, rest) = url.expose().split_once("://").ok_or_else(wanted)?;
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let (info, address) = match authority.rsplit_once('@') {
            Some((info, address)) => (Some(info), address),
            None => (None, authority),
        };
        let has_port = address.rsplit(']').next().unwrap_or_default().contains(':');
        let port = if scheme.eq_ignore_ascii_case("https") { 443 } else { 80 };
        Ok(NodeAddress {
            name: if has_port { address.to_owned() } else { format!("{address}:{port}") },
            url: Secret::new(format!("{scheme}://{address}{path}")),
            login: NodeLogin::new(info, cookie)?,
        })
    }
}

impl NodeLogin {
    fn new(info: Option<&str>, cookie: Option<&Path>) -> Result<NodeLogin, String> {
        match (info, cookie) {
            (_, Some(cookie)) => Ok(NodeLogin { kind: LoginKind::Cookie(cookie.to_owned()), header: None }),
            (Some(info), None) => {
                let (user, password) = url_credentials(info)?;
                let password = password.as_ref().map_or("", Secret::expose);
                let text = format!("{}:{password}", user.unwrap_or_default());
                Ok(NodeLogin { kind: LoginKind::Password, header: Some(basic_auth(&text)) })
            }
            (None, None) => Ok(NodeLogin { kind: LoginKind::None, header: None }),
        }
    }

    /// The value of the `Authorization` header. Reads the cookie if that has not been done yet.
    ///
    /// # Errors
    /// The cookie can't be read.
    pub(super) fn header(&mut self) -> Result<Option<Secret>, String> {
        if let (LoginKind::Cookie(file), None) = (&self.kind, &self.header) {
            let cookie = read_cookie(file).map_err(|why| {
                format!(
                    "can't read its cookie {}: {}; does the node run, and may this user read it?",
                    file.display(),
                    describe(&why)
                )
            })?;
            self.header = Some(basic_auth(&cookie));
        }
        Ok(self.header.clone())
    }

    /// Reads the cookie again after the node refused it. `true` if it has changed.
    ///
    /// # Errors
    /// The cookie can't be read.
    pub(super) fn renew(&mut self) -> Result<bool, String> {
        if !matches!(self.kind, LoginKind::Cookie(_)) {
            return Ok(false);
        }
        let before = self.header.take();
        Ok(self.header()? != before)
    }
}

/// The refused login and what to do about it, to follow "it refuses (401)".
impl fmt::Display for NodeLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            LoginKind::None => f.write_str(
                "requests without a login: put user:password@ into reference.node, or set reference.cookie",
            ),
            LoginKind::Password => {
                f.write_str("the user and password in reference.node: compare them with its rpcauth")
            }
            LoginKind::Cookie(file) => {
                write!(f, "the cookie in {}: is that this node's?", file.display())
            }
        }
    }
}

fn basic_auth(text: &str) -> Secret {
    Secret::new(format!("Basic {}", STANDARD.encode(text)))
}

fn read_cookie(file: &Path) -> io::Result<String> {
    // Opening a named pipe would block until somebody writes to it.
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut text = String::new();
    File::open(file)?.take(MAX_COOKIE_BYTES).read_to_string(&mut text)?;
    let cookie = text.trim();
    if cookie.contains(':') && !cookie.contains(char::is_control) {
        Ok(cookie.to_owned())
    } else {
        Err(io::Error::other("it does not hold a user and a password with a colon between them"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(url: &str) -> NodeAddress {
        NodeAddress::new(&Secret::new(url), None).unwrap()
    }

    #[test]
    fn user_and_password_are_removed_from_the_url() {
        let mut node = address("http://me:p%40ss@127.0.0.1:8332/wallet");
        assert_eq!(
            (node.name.as_str(), node.url.expose()),
            ("127.0.0.1:8332", "http://127.0.0.1:8332/wallet")
        );
        assert_eq!(node.login.header().unwrap().unwrap().expose(), "Basic bWU6cEBzcw==");
        assert!(!format!("{node:?}").contains("bWU6"));
        assert!(!node.login.renew().unwrap());
    }

    #[test]
    fn the_name_always_has_a_port() {
        for (url, name) in [
            ("http://node/", "node:80"),
            ("https://node", "node:443"),
            ("http://[::1]", "[::1]:80"),
            ("http://u@[::1]:18443?x=y", "[::1]:18443"),
        ] {
            assert_eq!(address(url).name, name);
        }
    }

    #[test]
    fn a_cookie_is_read_again_when_it_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join(".cookie");
        let mut node = NodeAddress::new(&Secret::new("http://node:1"), Some(&file)).unwrap();
        assert!(node.login.header().unwrap_err().contains("does the node run"));
        std::fs::write(&file, "__cookie__:one\n").unwrap();
        let first = node.login.header().unwrap();
        assert!(!node.login.renew().unwrap());
        std::fs::write(&file, "__cookie__:two").unwrap();
        assert_eq!(node.login.header().unwrap(), first);
        assert!(node.login.renew().unwrap());
        assert_ne!(node.login.header().unwrap(), first);
        for wrong in ["", "nothing", "a:b\nc:d"] {
            std::fs::write(&file, wrong).unwrap();
            assert!(node.login.renew().is_err(), "{wrong}");
        }
    }
}
