//! E-mail, to a mail server of the test's own.

use std::path::Path;
use std::time::{Duration, Instant};

use sluice::config::Severity;
use sluice::notify::SendPacing;
use sluice::record::AlertKind;

use crate::common::certificates::Certificate;
use crate::notify::mail_server::{MailServer, Options};
use crate::notify::process::{check, check_trusting};
use crate::notify::tools::{alert, pace, row, start, wait_health};

#[test]
fn a_plain_server_gets_the_message_as_an_email() {
    let server = MailServer::start(Options::default());
    let section = server.section("smtp", "").replace("[\"me@", "[\"me@example.org\", \"you@");
    let notifier = start(&section, &pace());
    notifier.connect(Some("http://192.168.1.5:8080/".to_owned()), || None);
    notifier.notify(&alert("pool"));
    let mail = server.wait(1).remove(0);
    notifier.finish();
    assert_eq!((mail.from.as_str(), mail.is_encrypted), ("FROM:<sluice@example.org>", false));
    assert_eq!(mail.to, ["TO:<me@example.org>", "TO:<you@example.org>"]);
    assert_eq!(mail.header("Subject"), "Your pool pays somebody else");
    assert_eq!(mail.header("From"), "Sluice <sluice@example.org>");
    assert_eq!(mail.header("To"), "me@example.org, you@example.org");
    assert_eq!(mail.header("Importance"), "high");
    assert!(mail.text().starts_with("pool: a block would pay nothing to you\r\n"), "{}", mail.text());
    assert!(mail.text().ends_with("\r\n\r\nhttp://192.168.1.5:8080/\r\n"), "{}", mail.text());
    assert_eq!(server.commands().last().map(String::as_str), Some("QUIT"));
    assert_eq!(notifier.health()[0].sent, 1);
}

#[test]
fn a_workers_name_is_neither_a_header_nor_a_command() {
    let server = MailServer::start(Options::default());
    let notifier = start(&server.section("smtp", ""), &pace());
    let hostile = "a\r\nBcc: x@example.org\r\n\r\n.\r\nRSET\r\n\u{202e}é";
    notifier.notify(&row("miner.gone", Severity::Medium, AlertKind::Begins, hostile));
    let mail = server.wait(1).remove(0);
    notifier.finish();
    assert!(mail.header("Subject").starts_with("=?UTF-8?B?"), "{}", mail.document);
    assert!(!mail.document.contains("\r\nBcc") && !mail.text().contains('\u{202e}'), "{}", mail.document);
    assert_eq!((mail.to.len(), server.mails().len()), (1, 1));
    assert!(!server.commands().iter().any(|command| command.starts_with("RSET")));
}

#[test]
fn by_starttls_and_by_tls_the_password_is_sent_encrypted() {
    let certificate = Certificate::new(&["localhost"]);
    for (scheme, auth) in
        [("smtp", "AUTH PLAIN LOGIN"), ("smtp", "AUTH XOAUTH2 LOGIN"), ("smtps", "AUTH LOGIN PLAIN")]
    {
        let tls = Some(certificate.server());
        let (tls, starttls) = if scheme == "smtps" { (tls, None) } else { (None, tls) };
        let server = MailServer::start(Options { tls, starttls, auth: Some(auth), ..Options::default() });
        let section = server.section(scheme, "me%40example.org:s3cret%3A@");
        let (output, said) = check_trusting(&certificate.cert_file(), &section);
        assert!(said.contains("notify[1] (email): arrived"), "{said}");
        assert_eq!(output.status.code(), Some(0));
        let mail = server.wait(1).remove(0);
        assert!(mail.is_encrypted);
        assert_eq!(mail.login, Some(("me@example.org".to_owned(), "s3cret:".to_owned())));
        assert_eq!(mail.header("Subject"), "Test message from Sluice");
    }
}

#[test]
fn the_certificate_is_verified_and_no_password_is_sent_without_tls() {
    let (certificate, stranger) = (Certificate::new(&["localhost"]), Certificate::new(&["localhost"]));
    let with_auth = Options { auth: Some("AUTH PLAIN"), ..Options::default() };
    let tls = MailServer::start(Options { tls: Some(certificate.server()), ..with_auth.clone() });
    let starttls = MailServer::start(Options { starttls: Some(certificate.server()), ..with_auth.clone() });
    let plain = MailServer::start(with_auth);
    let account = "me:s3cret@";
    for (server, scheme, reason) in [
        (&tls, "smtps", "TLS: its certificate was not issued by the authority"),
        (&starttls, "smtp", "TLS: its certificate was not issued by the authority"),
        (&plain, "smtp", "it offers no TLS, and a password is not sent without"),
        (&plain, "smtps", "TLS: it does not speak TLS on this port"),
    ] {
        let (output, said) = check_trusting(&stranger.cert_file(), &server.section(scheme, account));
        assert!(said.contains(&format!("notify[1] (email): did NOT arrive: {reason}")), "{said}");
        assert_eq!(output.status.code(), Some(1));
        assert!(
            !server.commands().iter().any(|command| command.starts_with("AUTH")),
            "{:?}",
            server.commands()
        );
    }
}

#[test]
fn a_refusal_is_told_without_the_password() {
    let certificate = Certificate::new(&["localhost"]);
    for (command, answer, reason) in [
        (
            "AUTH",
            "535 5.7.8 wrong: s3cret AG1lAHMzY3JldA== czNjcmV0\r\n",
            "it answered 535 to AUTH: 5.7.8 wrong: *** *** ***",
        ),
        ("MAIL", "550-not\r\n550 for you\r\n", "it answered 550 to MAIL FROM: not for you"),
        ("RCPT", "550 unknown\r\n", "it answered 550 to RCPT TO: unknown"),
        ("DATA", "451 later\r\n", "it answered 451 to DATA: later"),
    ] {
        let starttls = Some(certificate.server());
        let answers = vec![(command, answer)];
        let server =
            MailServer::start(Options { starttls, auth: Some("AUTH PLAIN"), answers, ..Options::default() });
        let (_, said) = check_trusting(&certificate.cert_file(), &server.section("smtp", "me:s3cret@"));
        assert!(said.contains(&format!("notify[1] (email): did NOT arrive: {reason}\n")), "{said}");
        assert_eq!(server.mails().len(), 0);
    }
    let (_, said) =
        check(&MailServer::start(Options::default()).section("smtp", "").replace("localhost", "h.invalid"));
    assert!(said.contains("did NOT arrive: its host name can't be resolved"), "{said}");
}

#[test]
fn one_refused_address_does_not_keep_the_message_from_the_others() {
    let answers = vec![("RCPT TO:<me@", "550 unknown\r\n")];
    let server = MailServer::start(Options { answers, ..Options::default() });
    let section = server.section("smtp", "").replace("[\"me@", "[\"me@example.org\", \"you@");
    let (_, said) = check(&section);
    assert!(said.contains("550 to RCPT TO: unknown; the other addresses got it"), "{said}");
    assert_eq!(server.mails().len(), 1);
    assert_eq!(server.mails()[0].to, ["TO:<you@example.org>"]);
}

#[test]
fn a_temporary_refusal_is_tried_again() {
    let answers = vec![("DATA", "451 greylisted\r\n")];
    let server = MailServer::start(Options { answers, ..Options::default() });
    let notifier = start(&server.section("smtp", ""), &pace());
    notifier.notify(&alert("pool"));
    let health = wait_health(&notifier, "the last try", |health| health.failed == 1);
    assert_eq!(health.last_error.as_deref(), Some("it answered 451 to DATA: greylisted"));
    assert_eq!(server.commands().iter().filter(|command| *command == "DATA").count(), 5);
}

#[test]
fn a_hostile_server_costs_neither_memory_nor_time() {
    let slow = SendPacing { mail_limit: Duration::from_secs(5), retry_pauses: Vec::new(), ..pace() };
    let injected = vec![("STARTTLS", "220 go ahead\r\n250 AUTH PLAIN\r\n")];
    let certificate = Certificate::new(&["localhost"]);
    let starttls = Some(certificate.server());
    for (options, reason) in [
        (Options { flood: Some(b"220 welcome "), ..Options::default() }, "its answer is too long"),
        (Options { flood: Some(b"220-welcome\r\n"), ..Options::default() }, "its answer is too long"),
        (
            Options { flood: Some(b"HTTP/1.1 400\r\n"), ..Options::default() },
            "its answer is not that of a mail server",
        ),
        (Options { answers: vec![("EHLO", "")], ..Options::default() }, "no answer in time"),
        (Options { answers: vec![("EHLO", "250\r\n")], ..Options::default() }, ""),
        (Options { answers: vec![("EHLO", "2é0 x\r\n")], ..Options::default() }, "its answer is not that"),
        (
            Options { answers: injected, starttls, ..Options::default() },
            "it sent more than one answer to STARTTLS",
        ),
    ] {
        let server = MailServer::start(options);
        let notifier = start(&server.section("smtp", ""), &slow);
        let began = Instant::now();
        notifier.notify(&alert("pool"));
        let health = wait_health(&notifier, "the end", |health| health.sent + health.failed == 1);
        assert!(health.last_error.unwrap_or_default().starts_with(reason), "{reason}");
        assert_eq!(health.failed, u64::from(!reason.is_empty()));
        assert!(began.elapsed() < Duration::from_secs(20));
    }
}

#[test]
fn faults_of_the_configuration_show_no_password() {
    let section = |url: &str| {
        format!("[[notify]]\nkind = \"email\"\nurl = \"{url}\"\nfrom = \"a@h\"\nto = [\"b@h\"]\n")
    };
    let trusted = Path::new("/nonexistent");
    for url in ["smtp://s3cret@h", "http://me:s3cret@h", "smtp://me:s3cret@h:0", "smtp://me:s3cret%zz@h"] {
        let (output, said) = check_trusting(trusted, &section(url));
        assert!(said.contains("notify[1].url") && output.status.code() != Some(0), "{said}");
    }
    let (_, said) = check_trusting(trusted, &section("smtp://me:s3cret@h").replace("b@h", "b@h\\r\\nX: y"));
    assert!(said.contains("notify[1].to[1]") && said.contains("must be an e-mail address"), "{said}");
}
