//! The conversation with a mail server (RFC 5321), with TLS from the start or by STARTTLS, and with a password.
//!
//! Everything is bounded: a deadline for the whole conversation, and the bytes of an answer. The server's certificate
//! is always verified, and a password is sent over TLS only. The crate `lettre` is not used: it adds 430 KB to the
//! program and keeps an answer's line of any length in memory.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::{Error, InvalidMessage};

use super::pace::SendFailure;
use crate::config::{MailServer, Secret};
use crate::net::dial::connect_any;
use crate::net::options::{is_timeout, time_left};
use crate::net::tls::{TlsClient, Trust};
use crate::net::{Stream, StreamReader, tls_errors};
use crate::util::escape::line_text;
use crate::util::os_error::describe;
use crate::util::stop::Stop;

/// Caps the bytes of an answer.
const MAX_ANSWER: usize = 16 * 1024;

/// Caps the characters of an answer that a reason repeats.
const MAX_EXPLANATION: usize = 200;

/// Sends a document to all recipients.
///
/// # Errors
/// If it is not sent, or a recipient is refused. The reason has no secret.
pub(super) fn send(
    server: &MailServer,
    from: &str,
    to: &[String],
    document: &str,
    limit: Duration,
) -> Result<(), SendFailure> {
    let mut talk = SmtpConnection::connect(server, Instant::now() + limit)?;
    talk.expect("the connection", &[220])?;
    let mut offers = talk.hello()?;
    if !talk.is_encrypted() && offers.iter().any(|offer| offer == "STARTTLS") {
        talk.command("STARTTLS", "STARTTLS", &[220])?;
        talk.start_tls()?;
        offers = talk.hello()?;
    }
    if let Some((user, password)) = &server.login {
        talk.log_in(user, password, &offers)?;
    }
    talk.command("MAIL FROM", &format!("MAIL FROM:<{from}>"), &[250])?;
    let mut refused = Vec::new();
    for address in to {
        refused.extend(talk.command("RCPT TO", &format!("RCPT TO:<{address}>"), &[250, 251]).err());
    }
    let is_wanted = refused.len() < to.len();
    if is_wanted {
        talk.command("DATA", "DATA", &[354])?;
        talk.command("the message", &format!("{document}."), &[250])?;
    }
    // The message is on its way, whatever the server answers now.
    let _ = talk.command("QUIT", "QUIT", &[221]);
    match refused.into_iter().next() {
        None => Ok(()),
        Some(failure) if is_wanted => {
            Err(SendFailure::never(format!("{}; the other addresses got it", failure.reason)))
        }
        Some(failure) => Err(failure),
    }
}

/// A connection to a mail server.
struct SmtpConnection<'s> {
    server: &'s MailServer,
    reader: StreamReader,
    /// Received bytes behind the last answer.
    received: Vec<u8>,
    deadline: Instant,
}

/// An answer of the server, without its line breaks.
struct SmtpAnswer {
    code: u16,
    lines: Vec<String>,
}

impl SmtpConnection<'_> {
    fn connect(server: &MailServer, deadline: Instant) -> Result<SmtpConnection<'_>, SendFailure> {
        let resolved = (server.host.as_str(), server.port).to_socket_addrs();
        let addresses: Vec<SocketAddr> =
            resolved.map_err(|_| SendFailure::later("its host name can't be resolved"))?.collect();
        let socket = connect_any(&addresses, deadline, &Stop::new()).map_err(|why| broken(&why))?;
        let mut stream = Stream::Plain(socket);
        if server.is_tls {
            stream = encrypted(server, &stream, deadline)?;
        }
        let reader = StreamReader::new(Arc::new(stream));
        Ok(SmtpConnection { server, reader, received: Vec::new(), deadline })
    }

    fn is_encrypted(&self) -> bool {
        self.reader.stream().plain().is_none()
    }

    /// Introduces this machine by its address. Returns the extensions that the server offers, in capitals.
    fn hello(&mut self) -> Result<Vec<String>, SendFailure> {
        let own = self.reader.stream().socket().local_addr().map_err(|why| broken(&why))?;
        let own = match own {
            SocketAddr::V4(own) => format!("[{}]", own.ip()),
            SocketAddr::V6(own) => format!("[IPv6:{}]", own.ip()),
        };
        let answer = self.command("EHLO", &format!("EHLO {own}"), &[250])?;
        Ok(answer.lines.iter().skip(1).map(|line| line.trim().to_ascii_uppercase()).collect())
    }

    fn start_tls(&mut self) -> Result<(), SendFailure> {
        // Bytes from before the handshake would count as encrypted ones.
        if !self.received.is_empty() {
            return Err(SendFailure::later("it sent more than one answer to STARTTLS"));
        }
        let stream = encrypted(self.server, self.reader.stream(), self.deadline)?;
        self.reader = StreamReader::new(Arc::new(stream));
        Ok(())
    }

    fn log_in(&mut self, user: &str, password: &Secret, offers: &[String]) -> Result<(), SendFailure> {
        if !self.is_encrypted() {
            return Err(SendFailure::never(
                "it offers no TLS, and a password is not sent without: use smtps://, another port, or a server \
                 that takes messages without a password",
            ));
        }
        let mut offered =
            offers.iter().flat_map(|offer| offer.strip_prefix("AUTH")).flat_map(str::split_whitespace);
        let password = password.expose();
        match offered.find(|way| ["PLAIN", "LOGIN"].contains(way)) {
            Some("PLAIN") => {
                let login = STANDARD.encode(format!("\0{user}\0{password}"));
                self.command("AUTH", &format!("AUTH PLAIN {login}"), &[235])?;
            }
            Some(_) => {
                self.command("AUTH", "AUTH LOGIN", &[334])?;
                self.command("the user", &STANDARD.encode(user), &[334])?;
                self.command("the password", &STANDARD.encode(password), &[235])?;
            }
            None => {
                return Err(SendFailure::never("it takes no user and password: leave them out of the URL"));
            }
        }
        Ok(())
    }

    /// Sends a line and waits for one of the expected codes. `name` stands for the line in a reason.
    fn command(&mut self, name: &str, line: &str, expected: &[u16]) -> Result<SmtpAnswer, SendFailure> {
        let stream = self.reader.stream();
        let sent = time_left(self.deadline)
            .and_then(|left| stream.set_write_timeout(Some(left)))
            .and_then(|()| stream.send_all(format!("{line}\r\n").as_bytes()));
        sent.map_err(|why| broken(&why))?;
        self.expect(name, expected)
    }

    fn expect(&mut self, name: &str, expected: &[u16]) -> Result<SmtpAnswer, SendFailure> {
        let answer = self.answer()?;
        if expected.contains(&answer.code) {
            return Ok(answer);
        }
        let text = self.redact(&answer.lines.join(" "));
        let reason = format!("it answered {} to {name}: {}", answer.code, line_text(&text, MAX_EXPLANATION));
        // 5xx is permanent.
        Err(if answer.code >= 500 { SendFailure::never(reason) } else { SendFailure::later(reason) })
    }

    /// Waits for an answer: lines such as `250-SIZE`, of which the last has a blank behind the code.
    fn answer(&mut self) -> Result<SmtpAnswer, SendFailure> {
        let mut lines = Vec::new();
        let mut length = 0;
        loop {
            let line = self.line(MAX_ANSWER - length)?;
            length += line.len();
            let (code, rest) = line.split_at_checked(3).unwrap_or_default();
            let is_code = code.bytes().all(|byte| byte.is_ascii_digit());
            let code = code.parse().ok().filter(|_| is_code);
            let (Some(code), true) = (code, rest.is_empty() || rest.starts_with([' ', '-'])) else {
                return Err(SendFailure::later(
                    "its answer is not that of a mail server: is the port right?",
                ));
            };
            lines.push(rest.get(1..).unwrap_or_default().to_owned());
            if !rest.starts_with('-') {
                return Ok(SmtpAnswer { code, lines });
            }
        }
    }

    /// Takes a line of at most `most` bytes with its line break.
    fn line(&mut self, most: usize) -> Result<String, SendFailure> {
        loop {
            if let Some(end) = self.received.iter().position(|byte| *byte == b'\n').filter(|end| *end < most)
            {
                let line: Vec<u8> = self.received.drain(..=end).collect();
                return Ok(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned());
            }
            if self.received.len() >= most {
                return Err(SendFailure::later("its answer is too long"));
            }
            let left = time_left(self.deadline).map_err(|why| broken(&why))?;
            self.reader.stream().set_read_timeout(Some(left)).map_err(|why| broken(&why))?;
            let mut chunk = [0; 1024];
            match self.reader.recv(&mut chunk).map_err(|why| broken(&why))?.length {
                0 => return Err(SendFailure::later("it closed the connection")),
                length => self.received.extend_from_slice(&chunk[..length]),
            }
        }
    }

    /// Removes the password from a server's answer, which may repeat what it got.
    fn redact(&self, reply: &str) -> String {
        let Some((user, password)) = &self.server.login else { return reply.to_owned() };
        let password = password.expose();
        let login = STANDARD.encode(format!("\0{user}\0{password}"));
        let secrets = [password.to_owned(), STANDARD.encode(password), login];
        let secrets = secrets.iter().filter(|secret| !secret.is_empty());
        secrets.fold(reply.to_owned(), |reply, secret| reply.replace(secret.as_str(), "***"))
    }
}

/// Performs the TLS handshake on a plain connection.
fn encrypted(server: &MailServer, plain: &Stream, deadline: Instant) -> Result<Stream, SendFailure> {
    let client =
        TlsClient::new(&server.host, &Trust::System).map_err(|why| SendFailure::never(why.to_string()))?;
    let socket = plain.socket().try_clone().map_err(|why| broken(&why))?;
    let tls = client.connect(socket, deadline).map_err(|why| {
        SendFailure::later(match tls_errors::tls_reason(&why) {
            Some(Error::InvalidMessage(InvalidMessage::InvalidContentType)) => String::from(
                "TLS: it does not speak TLS on this port: is the port right, or is it one for smtp://?",
            ),
            Some(reason) => {
                format!("TLS: {}", line_text(&tls_errors::describe_https_error(reason), MAX_EXPLANATION))
            }
            None => broken(&why).reason,
        })
    })?;
    Ok(Stream::Tls(Box::new(tls)))
}

fn broken(why: &io::Error) -> SendFailure {
    if is_timeout(why) {
        return SendFailure::later("no answer in time");
    }
    SendFailure::later(format!("connection: {}", line_text(&describe(why), MAX_EXPLANATION)))
}
