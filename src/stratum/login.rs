//! The user name and password of a `mining.authorize`.

use std::fmt;

use serde_json::json;
use serde_json::value::RawValue;

use super::json_field::{elements, string_or_number};

/// The longest user name or password that is kept, in bytes. Miners send up to 191 (wire reference,
/// section 2.2).
const MAX_LOGIN_TEXT: usize = 512;

/// A user name and password, as a miner sent them. The password does not print.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    pub user: String,
    password: String,
}

impl Login {
    /// A login with these texts.
    pub fn new(user: impl Into<String>, password: impl Into<String>) -> Login {
        Login { user: user.into(), password: password.into() }
    }

    /// Reads the params of a `mining.authorize`. `None` if there is no user name, or if it is longer than any real
    /// miner's.
    pub fn from_params(params: Option<&RawValue>) -> Option<Login> {
        let elements = elements("params", params?).ok()?;
        let text = |index: usize| {
            let text = string_or_number("params", elements.get(index)?).ok()?;
            (text.len() <= MAX_LOGIN_TEXT).then(|| text.into_owned())
        };
        let password = if elements.len() > 1 { text(1).unwrap_or_default() } else { String::new() };
        Some(Login { user: text(0)?, password })
    }

    /// The request that sends this login.
    pub fn authorize_line(&self, id: u64) -> String {
        let params = json!([self.user, self.password]);
        format!("{{\"id\":{id},\"method\":\"mining.authorize\",\"params\":{params}}}\n")
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Login({}, ***)", self.user)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(params: &str) -> Option<Login> {
        Login::from_params(Some(serde_json::from_str(params).unwrap()))
    }

    #[test]
    fn logins_are_read_in_every_form_and_sent_again() {
        assert_eq!(read(r#"["a.b","x"]"#), Some(Login::new("a.b", "x")));
        assert_eq!(read(r#"["a"]"#), Some(Login::new("a", "")));
        assert_eq!(read(r#"["a",null]"#), Some(Login::new("a", "")));
        assert_eq!(read(r#"["a",123]"#), Some(Login::new("a", "123")));
        assert_eq!(read("[]"), None);
        assert_eq!(read(&format!("[\"{}\"]", "a".repeat(MAX_LOGIN_TEXT + 1))), None);
        let line = Login::new("quo\"te", "x").authorize_line(2);
        assert_eq!(line, "{\"id\":2,\"method\":\"mining.authorize\",\"params\":[\"quo\\\"te\",\"x\"]}\n");
    }

    #[test]
    fn a_password_does_not_print() {
        assert_eq!(format!("{:?}", Login::new("me", "secret")), "Login(me, ***)");
    }
}
