//! `http.token`, and the cookie that a browser uses instead.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::config::Secret;

/// The cookie's name.
pub(super) const COOKIE: &str = "sluice_token";

/// The prefix that is hashed with the token to the cookie's value. The cookie does not reveal the token.
const COOKIE_LABEL: &str = "sluice cookie 1\n";

/// The configured token, as digests only.
#[derive(Clone)]
pub(super) struct Token {
    token: [u8; 32],
    cookie: [u8; 32],
}

impl Token {
    pub(super) fn new(secret: &Secret) -> Token {
        let cookie = cookie_value(secret);
        Token { token: digest(secret.expose()), cookie: digest(&cookie) }
    }

    pub(super) fn is(&self, text: &str) -> bool {
        is_same(&self.token, &digest(text))
    }

    pub(super) fn is_cookie(&self, value: &str) -> bool {
        is_same(&self.cookie, &digest(value))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The `Set-Cookie` value that logs a browser in for a year.
pub(super) fn set_cookie(token: &Secret) -> String {
    format!("{COOKIE}={}; HttpOnly; SameSite=Strict; Path=/; Max-Age=31536000", cookie_value(token))
}

/// The `Set-Cookie` value that deletes a cookie which is no longer valid.
pub(super) fn forget_cookie() -> String {
    format!("{COOKIE}=; HttpOnly; SameSite=Strict; Path=/; Max-Age=0")
}

fn cookie_value(token: &Secret) -> String {
    faster_hex::hex_string(&Sha256::new().chain_update(COOKIE_LABEL).chain_update(token.expose()).finalize())
}

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

/// Compares in constant time. Comparing digests hides the length as well.
fn is_same(one: &[u8; 32], other: &[u8; 32]) -> bool {
    let difference = one.iter().zip(other).fold(0, |sum, (a, b)| sum | (a ^ b));
    std::hint::black_box(difference) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_and_only_its_cookie() {
        let secret = Secret::new("hunter2");
        let token = Token::new(&secret);
        assert!(token.is("hunter2"));
        for wrong in ["", "hunter", "hunter22", "Hunter2"] {
            assert!(!token.is(wrong), "{wrong}");
        }
        let cookie = set_cookie(&secret);
        let value = cookie.strip_prefix("sluice_token=").unwrap().split(';').next().unwrap();
        assert_eq!(value.len(), 64);
        assert!(token.is_cookie(value) && !token.is_cookie("hunter2") && !token.is(value));
        assert!(!Token::new(&Secret::new("another")).is_cookie(value));
        assert!(cookie.ends_with("; HttpOnly; SameSite=Strict; Path=/; Max-Age=31536000"));
        assert!(!cookie.contains("hunter2"));
        assert_eq!(format!("{token:?}"), "***");
    }
}
