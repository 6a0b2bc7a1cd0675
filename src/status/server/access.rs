//! The access check: host, token, and brute-force limit. It uses no socket and no clock of its own.

use std::net::IpAddr;
use std::time::Instant;

use super::Method;
use super::answer::HttpAnswer;
use super::head::RequestHead;
use super::host::MachineNames;
use super::login_page::{LOGIN_PATH, LoginForm, login_page};
use super::refusal::GateRefusal;
use super::token::{self, Token};
use super::token_attempts::TokenAttempts;
use crate::config::{HttpConfig, Secret};
use crate::limits::AddressKey;

/// Paths without a token, for monitors. They answer yes or no and nothing else.
const OPEN_PATHS: [&str; 3] = ["/healthz", "/readyz", "/servingz"];

/// Paths of forms on the page. A browser may send them with its cookie; any other change needs the token in a header.
const FORM_PATHS: [&str; 2] = ["/miner/name", "/miner/forget"];

/// The access rules of one server.
#[derive(Debug)]
pub(super) struct Access {
    names: MachineNames,
    token: Option<Token>,
    /// The configuration has a name or a URL for visitors from elsewhere, who may come through a proxy on this machine.
    is_public: bool,
    attempts: TokenAttempts,
}

#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct VisitorCredentials {
    /// `Authorization: Bearer` or `X-Sluice-Token`.
    pub(super) header: Option<Secret>,
    /// `?token=`.
    pub(super) query: Option<Secret>,
    pub(super) cookie: Option<Secret>,
}

impl Access {
    pub(super) fn new(http: &HttpConfig) -> Access {
        Access {
            names: MachineNames::new(&http.hosts),
            token: http.token.as_ref().map(Token::new),
            is_public: !http.hosts.is_empty() || http.public_url.is_some(),
            attempts: TokenAttempts::default(),
        }
    }

    /// Checks a request. The error is the answer to send instead.
    pub(super) fn check(&self, head: &RequestHead, peer: IpAddr, now: Instant) -> Result<(), HttpAnswer> {
        self.check_host(head).map_err(GateRefusal::answer)?;
        let source = AddressKey::from(peer);
        // A form that was not accepted is not sent again.
        let next = if head.method == Method::Get { head.target.encode() } else { String::from("/") };
        let refuse = |refusal: GateRefusal| refuse(head, refusal, &next);
        let is_write = head.method == Method::Post;
        let is_form =
            is_write && FORM_PATHS.contains(&head.target.path.as_str()) && head.credentials.header.is_none();
        if is_form && !head.sender.is_from(head.host.as_deref()) {
            return Err(refuse(GateRefusal::ForeignForm));
        }
        let Some(token) = &self.token else {
            let may_write = is_form && self.may_change(head, peer);
            return if is_write && !may_write { Err(refuse(GateRefusal::WritesDisabled)) } else { Ok(()) };
        };
        if !is_write && OPEN_PATHS.contains(&head.target.path.as_str()) {
            return Ok(());
        }
        let credentials = &head.credentials;
        // A form on another site can make a browser send the cookie or a query, but no header.
        if is_write && !is_form && credentials.header.is_none() {
            return Err(refuse(GateRefusal::WriteNeedsHeader));
        }
        if *credentials == VisitorCredentials::default() {
            return Err(refuse(GateRefusal::NoToken));
        }
        // A cookie can't be guessed, so its owner is not limited by others' attempts.
        let has_cookie = credentials.cookie.as_ref().is_some_and(|value| token.is_cookie(value.expose()));
        if has_cookie && credentials.header.is_none() && credentials.query.is_none() {
            return Ok(());
        }
        // This also rejects the right token, or guessing could continue.
        if self.attempts.is_limited(source, now) {
            return Err(refuse(GateRefusal::TooManyAttempts));
        }
        match credentials {
            VisitorCredentials { header: Some(text), .. } if token.is(text.expose()) => Ok(()),
            VisitorCredentials { header: None, query: Some(text), .. } if token.is(text.expose()) => {
                Err(redirect_with_cookie(head, text))
            }
            _ => {
                self.attempts.add(source, now);
                let answer = refuse(GateRefusal::WrongToken);
                // Otherwise a page that stays open would use up the attempts with its refreshes.
                let is_stale =
                    credentials.cookie.as_ref().is_some_and(|value| !token.is_cookie(value.expose()));
                Err(if is_stale { answer.with_header("Set-Cookie", token::forget_cookie()) } else { answer })
            }
        }
    }

    /// Whether a visitor who may see the page may also change something with a form: who has the token, or, without one,
    /// who sits at this machine. A proxy may hide that its visitors do not, so with one there is nobody without a token.
    pub(super) fn may_change(&self, head: &RequestHead, peer: IpAddr) -> bool {
        let is_here = || head.sender.is_at_this_machine(peer, head.host.as_deref());
        self.token.is_some() || !self.is_public && is_here()
    }

    /// Whether this is the form with the token, which [`Access::log_in`] answers.
    pub(super) fn is_login(&self, head: &RequestHead) -> bool {
        self.token.is_some() && head.method == Method::Post && head.target.path == LOGIN_PATH
    }

    /// Answers the form with the token: with the cookie and the page that the visitor wanted, or with the form again.
    pub(super) fn log_in(&self, head: &RequestHead, body: &[u8], peer: IpAddr, now: Instant) -> HttpAnswer {
        let source = AddressKey::from(peer);
        if let Err(refusal) = self.check_host(head) {
            return refusal.answer();
        }
        if !head.sender.is_from(head.host.as_deref()) {
            return GateRefusal::ForeignForm.answer();
        }
        let (Some(token), Some(form)) = (&self.token, LoginForm::read(body)) else {
            return GateRefusal::Malformed("The form has no token.").answer();
        };
        let refuse = |refusal: GateRefusal| refuse(head, refusal, &form.next());
        if self.attempts.is_limited(source, now) {
            return refuse(GateRefusal::TooManyAttempts);
        }
        if !token.is(form.token.expose()) {
            self.attempts.add(source, now);
            return refuse(GateRefusal::WrongToken);
        }
        HttpAnswer::text(303, "")
            .with_header("Location", form.next())
            .with_header("Set-Cookie", token::set_cookie(&form.token))
    }

    /// Checks the Host header and the authority of an absolute target.
    fn check_host(&self, head: &RequestHead) -> Result<(), GateRefusal> {
        head.host.iter().chain(&head.target.authority).try_for_each(|name| self.names.check(name))
    }
}

/// The refusal as text, or for a browser as a page with a field for the token that leads to `next`.
fn refuse(head: &RequestHead, refusal: GateRefusal, next: &str) -> HttpAnswer {
    let has_page = head.accepts_html && refusal.asks_for_token();
    if has_page { login_page(refusal, next) } else { refusal.answer() }
}

/// Redirects a browser to the same page without the token in the URL, and sets the cookie.
fn redirect_with_cookie(head: &RequestHead, token: &Secret) -> HttpAnswer {
    HttpAnswer::text(303, "")
        .with_header("Location", head.target.encode())
        .with_header("Set-Cookie", token::set_cookie(token))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn check(access: &Access, text: &str) -> Result<(), HttpAnswer> {
        let text = text.replace('\n', "\r\n");
        let (head, _) = RequestHead::parse(text.as_bytes()).unwrap().unwrap();
        access.check(&head, PEER, Instant::now())
    }

    fn status(access: &Access, text: &str) -> u16 {
        check(access, text).map_or_else(|answer| answer.status, |()| 200)
    }

    fn guarded() -> Access {
        Access::new(&HttpConfig { token: Some(Secret::new("hunter2")), ..HttpConfig::default() })
    }

    /// The cookie of a visitor who has logged in.
    fn cookie() -> String {
        token::set_cookie(&Secret::new("hunter2")).split(';').next().unwrap().to_owned()
    }

    #[test]
    fn the_host_is_checked_first() {
        let access = guarded();
        assert_eq!(status(&access, "GET /healthz HTTP/1.1\nHost: evil.example\n\n"), 421);
        assert_eq!(status(&access, "GET http://evil.example/ HTTP/1.1\nHost: pi.local\n\n"), 421);
        assert_eq!(status(&access, "GET http://pi.local/ HTTP/1.1\nHost: evil.example\n\n"), 421);
        assert_eq!(status(&access, "GET / HTTP/1.1\nHost: a b\n\n"), 400);
        assert_eq!(status(&access, "GET /healthz HTTP/1.0\n\n"), 200);
    }

    #[test]
    fn without_a_configured_token_reading_is_open_and_writing_is_off() {
        let access = Access::new(&HttpConfig::default());
        assert_eq!(status(&access, "GET /status HTTP/1.1\nHost: pi\n\n"), 200);
        let refused = check(&access, "POST / HTTP/1.1\nHost: pi\nContent-Length: 0\nX-Sluice-Token: x\n\n")
            .unwrap_err();
        assert_eq!(refused.status, 403);
        assert!(String::from_utf8_lossy(&refused.body).contains("http.token"));
    }

    #[test]
    fn every_way_to_send_the_token() {
        let access = guarded();
        let get = |more: &str| status(&access, &format!("GET / HTTP/1.1\nHost: pi\n{more}\n"));
        assert_eq!(get(""), 401);
        assert_eq!(get("Authorization: Bearer hunter2\n"), 200);
        assert_eq!(get("authorization: bearer  hunter2\n"), 200);
        assert_eq!(get("X-Sluice-Token: hunter2\n"), 200);
        assert_eq!(get("X-Sluice-Token: hunter3\n"), 401);
        assert_eq!(get("Authorization: Basic aHVudGVyMg==\n"), 401);
        // The token itself is not the cookie's value.
        assert_eq!(get("Cookie: sluice_token=hunter2\n"), 401);
        assert_eq!(status(&access, "GET /healthz HTTP/1.1\nHost: pi\n\n"), 200);
        assert_eq!(status(&access, "GET /healthz/ HTTP/1.1\nHost: pi\n\n"), 401);
    }

    #[test]
    fn the_query_becomes_a_cookie() {
        let access = guarded();
        let answer = check(&access, "GET /a%20b?x=1&token=hunter2&y=%26 HTTP/1.1\nHost: pi\n\n").unwrap_err();
        assert_eq!(answer.status, 303);
        assert_eq!(answer.header("Location"), Some("/a%20b?x=1&y=%26"));
        let cookie = answer.header("Set-Cookie").unwrap().split(';').next().unwrap();
        let with = |cookie: &str| {
            status(&access, &format!("GET / HTTP/1.1\nHost: pi\nCookie: a=b; {cookie}; c=d\n\n"))
        };
        assert_eq!(with(cookie), 200);
        assert_eq!(with(&cookie[..cookie.len() - 1]), 401);
        assert!(!format!("{answer:?}").contains("hunter2"));
    }

    #[test]
    fn a_write_needs_the_header() {
        let access = guarded();
        let cookie = cookie();
        let post = |target: &str, more: &str| {
            let text = format!("POST {target} HTTP/1.1\nHost: pi\nContent-Length: 0\n{more}\n");
            status(&access, &text)
        };
        assert_eq!(post("/", &format!("Cookie: {cookie}\n")), 401);
        assert_eq!(post("/?token=hunter2", ""), 401);
        // The open paths do not allow a write either.
        assert_eq!(post("/healthz", ""), 401);
        assert_eq!(post("/", "X-Sluice-Token: hunter2\n"), 200);
    }

    /// Sends a form as a browser does.
    fn form(access: &Access, path: &str, headers: &str) -> u16 {
        let text = format!("POST {path} HTTP/1.1\nHost: localhost:8080\nContent-Length: 0\n{headers}\n");
        status(access, &text)
    }

    const OWN: &str = "Origin: http://localhost:8080\n";

    #[test]
    fn a_form_of_the_page_may_come_with_the_cookie() {
        let access = guarded();
        let cookie = format!("Cookie: {}\n", cookie());
        for path in FORM_PATHS {
            assert_eq!(form(&access, path, &format!("{OWN}{cookie}")), 200);
            assert_eq!(form(&access, path, "X-Sluice-Token: hunter2\n"), 200);
            assert_eq!(form(&access, path, OWN), 401);
            assert_eq!(form(&access, path, &format!("{OWN}Cookie: sluice_token=00\n")), 401);
            // From another site, or from nowhere.
            assert_eq!(form(&access, path, &cookie), 403);
            assert_eq!(form(&access, path, &format!("Origin: null\n{cookie}")), 403);
            assert_eq!(form(&access, path, &format!("Origin: http://evil.example\n{cookie}")), 403);
            assert_eq!(form(&access, path, &format!("{OWN}Sec-Fetch-Site: cross-site\n{cookie}")), 403);
        }
        // Any other change needs the header.
        assert_eq!(form(&access, "/api/upstreams/1/clear", &format!("{OWN}{cookie}")), 401);
    }

    #[test]
    fn without_a_token_only_this_machine_may_send_a_form() {
        let access = Access::new(&HttpConfig::default());
        assert_eq!(form(&access, "/miner/name", OWN), 200);
        assert_eq!(form(&access, "/miner/name", ""), 403);
        assert_eq!(form(&access, "/miner/name", &format!("{OWN}X-Forwarded-For: 8.8.8.8\n")), 403);
        assert_eq!(form(&access, "/other", OWN), 403);
        let named =
            "POST /miner/name HTTP/1.1\nHost: pi.local\nOrigin: http://pi.local\nContent-Length: 0\n\n";
        assert_eq!(status(&access, named), 403);
        let text = "POST /miner/name HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\nContent-Length: 0\r\n\r\n";
        let (head, _) = RequestHead::parse(text.as_bytes()).unwrap().unwrap();
        let other = IpAddr::from([192, 168, 1, 7]);
        assert_eq!(access.check(&head, other, Instant::now()).map_err(|answer| answer.status), Err(403));
    }

    #[test]
    fn behind_a_proxy_a_form_needs_the_token() {
        let access = Access::new(&HttpConfig::default());
        for header in super::super::form_origin::PROXY_HEADERS {
            assert_eq!(form(&access, "/miner/name", &format!("{OWN}{header}: x\n")), 403, "{header}");
        }
        // What nginx sends by default.
        assert_eq!(form(&access, "/miner/name", &format!("{OWN}Connection: close\n")), 403);
        assert_eq!(form(&access, "/miner/name", &format!("{OWN}Connection: keep-alive\n")), 200);
        let text = format!("POST /miner/name HTTP/1.0\nHost: localhost:8080\nContent-Length: 0\n{OWN}\n");
        assert_eq!(status(&access, &text), 403);
        let named = HttpConfig { hosts: vec![String::from("miner.example.org")], ..HttpConfig::default() };
        let url = Some(String::from("https://miner.example.org/"));
        let linked = HttpConfig { public_url: url, ..HttpConfig::default() };
        for http in [named, linked] {
            assert_eq!(form(&Access::new(&http), "/miner/name", OWN), 403);
            let guarded = Access::new(&HttpConfig { token: Some(Secret::new("hunter2")), ..http });
            assert_eq!(form(&guarded, "/miner/name", &format!("{OWN}Cookie: {}\n", cookie())), 200);
        }
    }

    fn log_in(access: &Access, headers: &str, body: &str) -> HttpAnswer {
        let text = format!(
            "POST /login HTTP/1.1\nHost: localhost:8080\nContent-Length: {}\n{headers}\n",
            body.len()
        );
        let (head, _) = RequestHead::parse(text.replace('\n', "\r\n").as_bytes()).unwrap().unwrap();
        assert!(access.is_login(&head));
        access.log_in(&head, body.as_bytes(), PEER, Instant::now())
    }

    #[test]
    fn the_form_with_the_token_becomes_a_cookie() {
        let access = guarded();
        let answer = log_in(&access, OWN, "token=hunter2&next=%2Fminer%3Fworker%3Drig");
        assert_eq!((answer.status, answer.header("Location")), (303, Some("/miner?worker=rig")));
        assert!(answer.header("Set-Cookie").unwrap().starts_with(&cookie()));
        assert_eq!(log_in(&access, "", "token=hunter2").status, 403);
        assert_eq!(log_in(&access, "Origin: http://evil.example\n", "token=hunter2").status, 403);
        assert_eq!(log_in(&access, OWN, "next=/").status, 400);
        let html = format!("{OWN}Accept: text/html\n");
        let wrong = log_in(&access, &html, "token=hunter3&next=%2Fevents");
        assert_eq!(wrong.status, 401);
        let page = String::from_utf8(wrong.body).unwrap();
        assert!(
            page.contains("Wrong token") && page.contains("value=\"/events\"") && !page.contains("hunter3")
        );
        for _ in 0..9 {
            assert_eq!(log_in(&access, OWN, "token=x").status, 401);
        }
        assert_eq!(log_in(&access, OWN, "token=hunter2").status, 429);
        // Without a token there is nothing to log in to.
        let (head, _) = RequestHead::parse(b"POST /login HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
            .unwrap()
            .unwrap();
        assert!(!Access::new(&HttpConfig::default()).is_login(&head));
    }

    #[test]
    fn after_ten_wrong_tokens_even_the_right_one_is_rejected() {
        let access = guarded();
        for _ in 0..10 {
            assert_eq!(status(&access, "GET /?token=x HTTP/1.1\nHost: pi\n\n"), 401);
        }
        assert_eq!(status(&access, "GET /?token=hunter2 HTTP/1.1\nHost: pi\n\n"), 429);
        assert_eq!(status(&access, "GET /healthz HTTP/1.1\nHost: pi\n\n"), 200);
        // The owner of the cookie is not limited by others' attempts.
        let cookie = cookie();
        assert_eq!(status(&access, &format!("GET / HTTP/1.1\nHost: pi\nCookie: {cookie}\n\n")), 200);
        assert_eq!(status(&access, &format!("GET / HTTP/1.1\nHost: pi\nCookie: {cookie}0\n\n")), 429);
        // A request without a token gets the explanation.
        assert_eq!(status(&access, "GET / HTTP/1.1\nHost: pi\n\n"), 401);
    }

    #[test]
    fn a_stale_cookie_is_deleted() {
        let answer = check(&guarded(), "GET / HTTP/1.1\nHost: pi\nCookie: sluice_token=00\n\n").unwrap_err();
        assert!(answer.header("Set-Cookie").unwrap().contains("Max-Age=0"));
    }
}
