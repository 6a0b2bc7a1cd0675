//! A server in this process, with a handler that shows what it was given.

use std::net::SocketAddr;
use std::sync::Arc;

use sluice::config::{HttpConfig, Secret};
use sluice::status::server::{GatedRequest, Handler, HttpAnswer, HttpServer};
use sluice::util::stop::Stop;

/// Size of `/large`, in bytes.
pub const LARGE: usize = 4 << 20;

pub struct Toy {
    pub server: Option<HttpServer>,
    pub stop: Stop,
}

impl Toy {
    pub fn start() -> Toy {
        Toy::with(None, &[])
    }

    pub fn with(token: Option<&str>, hosts: &[&str]) -> Toy {
        let http = HttpConfig {
            listen: Some("127.0.0.1:0".parse().unwrap()),
            token: token.map(Secret::new),
            hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
            public_url: None,
        };
        let stop = Stop::new();
        let server = HttpServer::start(&http, handler(), &stop).unwrap();
        Toy { server, stop }
    }

    pub fn address(&self) -> SocketAddr {
        self.server.as_ref().unwrap().address()
    }
}

pub fn handler() -> Handler {
    Arc::new(|request: &GatedRequest| match request.path.as_str() {
        "/" => HttpAnswer::html("hello"),
        "/echo" => HttpAnswer::text(200, format!("{request:?}")),
        "/large" => HttpAnswer::new(200, "application/octet-stream", vec![b'x'; LARGE]),
        "/huge" => HttpAnswer::new(200, "application/octet-stream", vec![b'x'; 9 << 20]),
        "/panic" => panic!("on purpose"),
        "/own" => HttpAnswer::json(String::from("{}"))
            .with_header("Content-Security-Policy", "default-src 'self'")
            .with_header("X-Own", "yes"),
        "/healthz" => HttpAnswer::text(200, "ok"),
        _ => HttpAnswer::not_found(),
    })
}
