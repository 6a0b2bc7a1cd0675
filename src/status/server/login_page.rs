//! The page with a field for the token, and the form that it sends.

use std::sync::OnceLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, PreEscaped, html};
use sha2::{Digest, Sha256};

use super::answer::HttpAnswer;
use super::query::QueryParams;
use super::refusal::GateRefusal;
use super::target::RequestTarget;
use crate::config::Secret;

/// The path that the form is sent to.
pub(super) const LOGIN_PATH: &str = "/login";

const STYLE: &str = "body{margin:0;padding:12vh 1.2rem;background:#f6f5f1;color:#1d211a;\
    font:16px/1.5 system-ui,-apple-system,\"Segoe UI\",Roboto,\"Noto Sans\",sans-serif}\
    main{max-width:24rem;margin:0 auto;padding:1.4rem;background:#fff;border:1px solid #e2e0d8;border-radius:.9rem}\
    h1{font-size:1.4rem;margin:0 0 .4rem}p{margin:0 0 1rem}label{display:block}\
    input{box-sizing:border-box;width:100%;margin:.3rem 0 1rem;padding:.55rem;font:inherit;color:inherit;background:transparent;\
    border:1px solid #8a8f82;border-radius:.5rem}button{padding:.55rem 1.2rem;font:inherit;font-weight:600;color:#fff;\
    background:#0f766e;border:0;border-radius:.5rem}.bad{color:#b42318;font-weight:600}\
    summary,details p{color:#676c60;font-size:.875rem}details{margin-top:1.2rem}details p{margin:.5rem 0 0}\
    @media(prefers-color-scheme:dark){body{background:#11140f;color:#ecefe6}main{background:#1a1e18;border-color:#2c3229}\
    .bad{color:#ff8a7d}summary,details p{color:#9aa192}button{color:#11140f;background:#4fc3b4}}";

/// The token that a visitor has typed, and where to go then.
pub(super) struct LoginForm {
    pub(super) token: Secret,
    next: RequestTarget,
}

impl LoginForm {
    /// Reads the body of a form.
    pub(super) fn read(body: &[u8]) -> Option<LoginForm> {
        let form = QueryParams::parse(std::str::from_utf8(body).ok()?)?;
        let next = RequestTarget::parse(form.get("next").unwrap_or("/"))
            .ok()
            .filter(|next| next.authority.is_none());
        let mut next = next.or_else(|| RequestTarget::parse("/").ok())?;
        next.query.take("token");
        Some(LoginForm { token: Secret::new(form.get("token")?), next })
    }

    /// The page to go to, on this server.
    pub(super) fn next(&self) -> String {
        self.next.encode()
    }
}

/// The page for a visitor without the token or with a wrong one. Its form leads to `next`, percent-encoded.
pub(super) fn login_page(refusal: GateRefusal, next: &str) -> HttpAnswer {
    let (status, text) = refusal.status();
    let next = if next == LOGIN_PATH { "/" } else { next };
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "Sluice" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    h1 { "Sluice" }
                    @match refusal {
                        GateRefusal::NoToken => p { "This page asks for its token: http.token in the configuration." }
                        _ => p.bad role="alert" { (text) }
                    }
                    form action=(LOGIN_PATH) method="post" {
                        input type="hidden" name="next" value=(next);
                        label {
                            "Token"
                            input name="token" type="password" autocomplete="current-password" required autofocus;
                        }
                        button { "Show the page" }
                    }
                    details { summary { "For programs" } p { (GateRefusal::NoToken.status().1) } }
                }
            }
        }
    };
    refusal
        .with_headers(HttpAnswer { status, ..HttpAnswer::html(page.into_string()) })
        .with_header("Content-Security-Policy", policy())
        // Otherwise the browser would not say from which page the form comes.
        .with_header("Referrer-Policy", "same-origin")
}

fn policy() -> &'static str {
    static POLICY: OnceLock<String> = OnceLock::new();
    POLICY.get_or_init(|| {
        format!(
            "default-src 'none'; style-src 'sha256-{}'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
            STANDARD.encode(Sha256::digest(STYLE))
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_leads_to_a_page_of_this_server_only() {
        let next = |text: &str| {
            let body = format!("token=hunter2&next={text}");
            LoginForm::read(body.as_bytes()).map(|form| (form.token.expose().to_owned(), form.next()))
        };
        let to = |text: &str| Some((String::from("hunter2"), String::from(text)));
        assert_eq!(next("%2Fminer%3Fworker%3Da%2526b%26token%3Dx"), to("/miner?worker=a%26b"));
        for elsewhere in ["", "//evil.example/", "%2F%2Fevil.example", "http://evil.example/", "x"] {
            assert_eq!(next(elsewhere), to("/"), "{elsewhere}");
        }
        assert!(next("/%0d%0aX: y").is_none());
        assert!(LoginForm::read(b"next=/").is_none() && LoginForm::read(b"token=%ff").is_none());
        assert!(LoginForm::read(b"\xff").is_none());
    }

    #[test]
    fn the_page_says_what_is_wrong_and_escapes_the_next_one() {
        let page = |refusal| String::from_utf8(login_page(refusal, "/a?b=\"><script>&c=1").body).unwrap();
        let first = page(GateRefusal::NoToken);
        assert!(first.contains("value=\"/a?b=&quot;&gt;&lt;script&gt;&amp;c=1\""), "{first}");
        assert!(first.contains("method=\"post\"") && !first.contains("role=\"alert\""));
        assert!(page(GateRefusal::WrongToken).contains("Wrong token"));
    }
}
