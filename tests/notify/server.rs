//! A tiny web server that writes down what it is asked, and answers as it is told.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use rustls::ServerConfig;
use serde_json::Value;

use crate::common::{tls_bridge, wait_for};

/// The answer to a request.
pub enum Answer {
    /// With these further header lines, each with its line break, and this body.
    Status(u16, String, String),
    /// The connection stays open, and nothing comes.
    Never,
    Garbage,
    /// A header without end.
    HugeHeader,
    /// A body of many megabytes.
    HugeBody(u16),
    Close,
}

pub fn ok() -> Answer {
    status(200)
}

pub fn status(code: u16) -> Answer {
    Answer::Status(code, String::new(), String::new())
}

/// One request. Header names are in lower case.
#[derive(Debug, Clone)]
pub struct Asked {
    pub line: String,
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

impl Asked {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

type Answers = Box<dyn Fn(usize) -> Answer + Send + Sync>;

#[derive(Clone)]
pub struct Server {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    held: Arc<Mutex<Vec<TcpStream>>>,
    ended: Arc<AtomicBool>,
}

impl Server {
    /// `answers` gets the request's number from 0.
    pub fn start(answers: impl Fn(usize) -> Answer + Send + Sync + 'static) -> Server {
        Server::with_tls(None, answers)
    }

    pub fn with_tls(
        tls: Option<Arc<ServerConfig>>,
        answers: impl Fn(usize) -> Answer + Send + Sync + 'static,
    ) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Server {
            address: listener.local_addr().unwrap(),
            asked: Arc::default(),
            held: Arc::default(),
            ended: Arc::default(),
        };
        let (own, answers): (Server, Arc<Answers>) = (server.clone(), Arc::new(Box::new(answers)));
        std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if own.ended.load(Ordering::Relaxed) {
                    return;
                }
                let (own, answers, tls) = (own.clone(), answers.clone(), tls.clone());
                std::thread::spawn(move || {
                    let stream = match tls {
                        Some(tls) => tls_bridge::server(tls, stream),
                        None => stream,
                    };
                    own.serve(stream, &answers);
                });
            }
        });
        server
    }

    /// `path` with its slash.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// Waits for so many requests.
    pub fn wait(&self, count: usize) -> Vec<Asked> {
        wait_for(&format!("{count} requests"), || self.asked.lock().unwrap().len() >= count);
        self.asked()
    }

    /// Nobody is answered any more.
    pub fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
        self.held.lock().unwrap().clear();
    }

    fn serve(&self, mut stream: TcpStream, answers: &Answers) {
        let Some(asked) = read(&stream) else { return };
        let number = {
            let mut all = self.asked.lock().unwrap();
            all.push(asked);
            all.len() - 1
        };
        let answer = answers(number);
        // Whoever has heard enough closes.
        let _ = match answer {
            Answer::Status(code, headers, body) => write!(
                stream,
                "HTTP/1.1 {code} X\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            ),
            Answer::Never => {
                self.held.lock().unwrap().push(stream);
                return;
            }
            Answer::Garbage => stream.write_all(b"\x16\x03\x01 you are not a web server's friend\r\n\r\n"),
            Answer::HugeHeader => stream.write_all(b"HTTP/1.1 200 OK\r\nX: ").and_then(|()| flood(&stream)),
            Answer::HugeBody(code) => {
                write!(stream, "HTTP/1.1 {code} X\r\nContent-Length: 1000000000\r\n\r\n")
                    .and_then(|()| flood(&stream))
            }
            Answer::Close => Ok(()),
        };
    }
}

fn read(stream: &TcpStream) -> Option<Asked> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    if reader.read_line(&mut line).ok()? == 0 {
        return None;
    }
    let mut headers = BTreeMap::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let Some((name, value)) = header.trim_end().split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Asked { line: line.trim_end().to_owned(), headers, body: String::from_utf8(body).unwrap() })
}

fn flood(mut stream: &TcpStream) -> std::io::Result<()> {
    for _ in 0..1000 {
        stream.write_all(&[b'x'; 64 * 1024])?;
    }
    Ok(())
}
