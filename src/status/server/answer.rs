//! The answer of a handler.

use std::sync::Arc;

#[derive(Debug, Clone)]
pub struct HttpAnswer {
    /// 200 to 599.
    pub status: u16,
    pub content_type: &'static str,
    /// Further headers. A header that the gate sets by default, such as `Content-Security-Policy` or
    /// `Cache-Control`, replaces the default.
    pub headers: Vec<(&'static str, String)>,
    /// At most 8 MiB.
    pub body: Arc<[u8]>,
}

impl HttpAnswer {
    pub fn html(page: impl Into<String>) -> HttpAnswer {
        HttpAnswer::new(200, "text/html; charset=utf-8", page.into().into_bytes())
    }

    pub fn json(text: String) -> HttpAnswer {
        HttpAnswer::new(200, "application/json", text.into_bytes())
    }

    pub fn text(status: u16, text: impl Into<String>) -> HttpAnswer {
        HttpAnswer::new(status, "text/plain; charset=utf-8", text.into().into_bytes())
    }

    pub fn not_found() -> HttpAnswer {
        HttpAnswer::text(404, "There is nothing here.\n")
    }

    /// Any other answer.
    pub fn new(status: u16, content_type: &'static str, body: impl Into<Arc<[u8]>>) -> HttpAnswer {
        HttpAnswer { status, content_type, headers: Vec::new(), body: body.into() }
    }

    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: impl Into<String>) -> HttpAnswer {
        self.headers.push((name, value.into()));
        self
    }
}
