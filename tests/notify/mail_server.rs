//! A tiny mail server that keeps what it is sent.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::ServerConfig;

use crate::common::{tls_bridge, wait_for};

/// How the server behaves.
#[derive(Clone, Default)]
pub struct Options {
    /// TLS from the first byte.
    pub tls: Option<Arc<ServerConfig>>,
    pub starttls: Option<Arc<ServerConfig>>,
    /// `AUTH PLAIN` or `AUTH LOGIN`.
    pub auth: Option<&'static str>,
    /// The whole answer to a command that begins so.
    pub answers: Vec<(&'static str, &'static str)>,
    /// Sent without end in place of a greeting.
    pub flood: Option<&'static [u8]>,
}

/// An accepted message, or one under way.
#[derive(Clone, Default, Debug)]
pub struct Mail {
    pub is_encrypted: bool,
    pub login: Option<(String, String)>,
    pub from: String,
    pub to: Vec<String>,
    pub document: String,
}

impl Mail {
    /// The value of a header, without its folding.
    pub fn header(&self, name: &str) -> String {
        let head = self.document.split("\r\n\r\n").next().unwrap().replace("\r\n ", " ");
        let line = head.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
        line.unwrap_or_else(|| panic!("no {name} in {head}")).to_owned()
    }

    pub fn text(&self) -> String {
        let body = self.document.split_once("\r\n\r\n").unwrap().1.replace("\r\n", "");
        String::from_utf8(STANDARD.decode(body).unwrap()).unwrap()
    }
}

#[derive(Clone)]
pub struct MailServer {
    address: SocketAddr,
    mails: Arc<Mutex<Vec<Mail>>>,
    commands: Arc<Mutex<Vec<String>>>,
}

impl MailServer {
    pub fn start(options: Options) -> MailServer {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = MailServer { address, mails: Arc::default(), commands: Arc::default() };
        let own = server.clone();
        std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                let (own, options) = (own.clone(), options.clone());
                std::thread::spawn(move || {
                    // The client may leave at any time.
                    let _ = own.serve(stream, &options);
                });
            }
        });
        server
    }

    /// The `[[notify]]` section; `account` is `user:password@` or empty.
    pub fn section(&self, scheme: &str, account: &str) -> String {
        let port = self.address.port();
        format!(
            "[[notify]]\nkind = \"email\"\nurl = \"{scheme}://{account}localhost:{port}\"\n\
             from = \"sluice@example.org\"\nto = [\"me@example.org\"]\n"
        )
    }

    pub fn wait(&self, count: usize) -> Vec<Mail> {
        wait_for(&format!("{count} mails"), || self.mails().len() >= count);
        self.mails()
    }

    pub fn mails(&self) -> Vec<Mail> {
        self.mails.lock().unwrap().clone()
    }

    /// The lines of all clients, but the messages.
    pub fn commands(&self) -> Vec<String> {
        self.commands.lock().unwrap().clone()
    }

    fn serve(&self, socket: TcpStream, options: &Options) -> std::io::Result<()> {
        let mut mail = Mail { is_encrypted: options.tls.is_some(), ..Mail::default() };
        let mut stream = match &options.tls {
            Some(tls) => tls_bridge::server(tls.clone(), socket),
            None => socket,
        };
        while let Some(flood) = options.flood {
            stream.write_all(&flood.repeat(1000))?;
        }
        stream.write_all(b"220-welcome\r\n220 mail.example ESMTP\r\n")?;
        loop {
            let line = read_line(&mut stream)?;
            self.commands.lock().unwrap().push(line.clone());
            let known = options.answers.iter().find(|(command, _)| line.starts_with(command));
            let (word, rest) = line.split_once([' ', ':']).unwrap_or((&line, ""));
            let answer = match (known, word) {
                (Some((_, answer)), _) => (*answer).to_owned(),
                (None, "EHLO") => {
                    let starttls = options.starttls.is_some() && !mail.is_encrypted;
                    let starttls = if starttls { "250-STARTTLS\r\n" } else { "" };
                    let auth = options.auth.map(|auth| format!("250-{auth}\r\n")).unwrap_or_default();
                    format!("250-mail.example greets {rest}\r\n{starttls}{auth}250 8BITMIME\r\n")
                }
                (None, "STARTTLS") => {
                    stream.write_all(b"220 go ahead\r\n")?;
                    stream = tls_bridge::server(options.starttls.clone().unwrap(), stream);
                    mail.is_encrypted = true;
                    continue;
                }
                (None, "AUTH") => {
                    let texts = if let Some(login) = rest.strip_prefix("PLAIN ") {
                        let login = decoded(login);
                        login.split('\0').skip(1).map(str::to_owned).collect::<Vec<_>>()
                    } else {
                        stream.write_all(b"334 VXNlcm5hbWU6\r\n")?;
                        let user = decoded(&read_line(&mut stream)?);
                        stream.write_all(b"334 UGFzc3dvcmQ6\r\n")?;
                        vec![user, decoded(&read_line(&mut stream)?)]
                    };
                    mail.login = Some((texts[0].clone(), texts[1].clone()));
                    "235 welcome\r\n".to_owned()
                }
                (None, "MAIL") => {
                    mail.from = rest.to_owned();
                    "250 sender ok\r\n".to_owned()
                }
                (None, "RCPT") => {
                    mail.to.push(rest.to_owned());
                    "250 recipient ok\r\n".to_owned()
                }
                (None, "DATA") => {
                    stream.write_all(b"354 end with a dot\r\n")?;
                    mail.document.clear();
                    loop {
                        let line = read_line(&mut stream)?;
                        if line == "." {
                            break;
                        }
                        mail.document += &format!("{}\r\n", line.strip_prefix('.').unwrap_or(&line));
                    }
                    self.mails.lock().unwrap().push(mail.clone());
                    "250 queued\r\n".to_owned()
                }
                (None, "QUIT") => {
                    return stream.write_all(b"221 bye\r\n");
                }
                (None, _) => "500 what?\r\n".to_owned(),
            };
            stream.write_all(answer.as_bytes())?;
        }
    }
}

/// Byte by byte, so that nothing of a TLS handshake is taken.
fn read_line(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        line.extend(byte);
    }
    line.truncate(line.len() - 2);
    Ok(String::from_utf8(line).unwrap())
}

fn decoded(base64: &str) -> String {
    String::from_utf8(STANDARD.decode(base64).unwrap()).unwrap()
}
