//! The request target: path and query.

use super::percent;
use super::query::QueryParams;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RequestTarget {
    pub(super) path: String,
    pub(super) query: QueryParams,
    /// The authority of the absolute form, `http://authority/path`.
    pub(super) authority: Option<String>,
}

impl RequestTarget {
    /// Parses a target. The error says what is wrong.
    pub(super) fn parse(text: &str) -> Result<RequestTarget, &'static str> {
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("the path must be ASCII, anything else percent-encoded");
        }
        // Browsers do not send the fragment, but other programs may.
        let text = text.split('#').next().unwrap_or_default();
        let (authority, text) = match text.get(..7) {
            Some(scheme) if scheme.eq_ignore_ascii_case("http://") => {
                let rest = &text[7..];
                let end = rest.find(['/', '?']).unwrap_or(rest.len());
                (Some(rest[..end].to_owned()), &rest[end..])
            }
            _ => (None, text),
        };
        let (path, query) = text.split_once('?').unwrap_or((text, ""));
        let path = if authority.is_some() && path.is_empty() { "/" } else { path };
        let path = percent::decode(path, false).ok_or("the path is not percent-encoded text")?;
        // A redirect to "//name" would lead elsewhere.
        if !path.starts_with('/') || path.starts_with("//") {
            return Err("the path must begin with one slash");
        }
        if path.split('/').any(|segment| segment == "." || segment == "..") {
            return Err("the path must not hold . or .. segments");
        }
        let query =
            QueryParams::parse(query).ok_or("the query must be at most 32 percent-encoded parameters")?;
        Ok(RequestTarget { path, query, authority })
    }

    /// Path and query, percent-encoded.
    pub(super) fn encode(&self) -> String {
        let mut text = String::with_capacity(self.path.len() + 8);
        percent::encode(&self.path, true, &mut text);
        self.query.encode(&mut text);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn accepted_targets() {
        let target = RequestTarget::parse("/a%20b/c?x=1").unwrap();
        assert_eq!((target.path.as_str(), target.query.get("x")), ("/a b/c", Some("1")));
        assert_eq!(target.encode(), "/a%20b/c?x=1");
        let target = RequestTarget::parse("HTTP://host:80/p").unwrap();
        assert_eq!((target.path.as_str(), target.authority.as_deref()), ("/p", Some("host:80")));
        let target = RequestTarget::parse("http://host?x=1").unwrap();
        assert_eq!((target.path.as_str(), target.query.get("x")), ("/", Some("1")));
        assert_eq!(RequestTarget::parse("/a#b").unwrap().path, "/a");
        assert_eq!(RequestTarget::parse("/...").unwrap().path, "/...");
    }

    #[test]
    fn rejected_targets() {
        let refused = "* a ?x //evil.example/ /%2fevil.example/ https://host/ /.. /../etc/passwd /a/%2e%2E/b \
             /./a /% /%00 /%0d%0aSet-Cookie:x /%ff /é /?a=% host:443";
        for text in refused.split(' ').chain([""]) {
            assert!(RequestTarget::parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn encoding_and_parsing_round_trip(text in "(http://h)?/[a-z%./?&=+#0-9]{0,30}") {
            if let Ok(mut target) = RequestTarget::parse(&text) {
                target.authority = None;
                prop_assert_eq!(RequestTarget::parse(&target.encode()), Ok(target));
            }
        }

        #[test]
        fn arbitrary_text_is_no_panic(text in ".{0,40}") {
            let _ = RequestTarget::parse(&text);
        }
    }
}
