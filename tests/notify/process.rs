//! The real program.

use std::path::Path;
use std::process::{Command, Output};

use sluice::sim::{
    MinerModel, MinerOptions, OpeningOrder, PoolOptions, SimHashRate, SimMiner, SimPayout, SimPool,
};
use sluice::stratum::{Difficulty, Nbits};

use crate::common::binary::Sluice;
use crate::common::certificates::Certificate;
use crate::common::{refusing_address, upstream};
use crate::notify::mail_server::{MailServer, Options};
use crate::notify::server::{Answer, Server, ok, status};
use crate::notify::tools::webhook;

const POOL: &str = "[[upstream]]\nurl = \"stratum+tcp://127.0.0.1:1\"\n";

/// `sluice check --notify` with this configuration, everything logged.
pub fn check(notify: &str) -> (Output, String) {
    check_trusting(Path::new("/etc/ssl/certs/ca-certificates.crt"), notify)
}

/// As [`check`], on a system whose only certificate authorities are these.
pub fn check_trusting(authorities: &Path, notify: &str) -> (Output, String) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("sluice.toml"), format!("{POOL}{notify}")).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_sluice"))
        .args(["check", "--notify", "--config", "sluice.toml"])
        // Ports that are free whatever else runs here.
        .args(["--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"])
        .current_dir(dir.path())
        .env("RUST_LOG", "trace")
        .env("SSL_CERT_FILE", authorities)
        .output()
        .unwrap();
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(!said.contains("s3cret"), "{said}");
    (output, said)
}

#[test]
fn check_sends_a_test_message_to_everybody_and_says_who_got_it() {
    let (well, refusing) = (Server::start(|_| ok()), Server::start(|_| status(404)));
    let good = format!(
        "{}[[notify]]\nkind = \"ntfy\"\nurl = \"{}\"\n",
        webhook(&well.url("/s3cret")),
        well.url("/s3cret")
    );
    let (output, said) = check(&good);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(
        said.contains("notify[1] (webhook): arrived") && said.contains("notify[2] (ntfy): arrived"),
        "{said}"
    );
    assert_eq!(well.asked()[0].json()["id"], "test.message");
    let bad = format!(
        "{good}{}{}[[notify]]\nkind = \"exec\"\ncommand = [\"/bin/false\", \"s3cret\"]\n",
        webhook(&refusing.url("/s3cret")),
        webhook(&format!("http://{}/s3cret", refusing_address()))
    );
    let (output, said) = check(&bad);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for line in [
        "notify[1] (webhook): arrived",
        "notify[3] (webhook): did NOT arrive: it answered 404",
        "notify[4] (webhook): did NOT arrive: connection: ",
        "notify[5] (exec): did NOT arrive: it ended with exit status: 1",
        "sluice: 3 of 5 test messages did not arrive",
    ] {
        assert!(said.contains(line), "no {line} in {said}");
    }
    assert_eq!(check("").0.status.code(), Some(1));
}

#[test]
fn certificates_are_verified() {
    let certificate = Certificate::new(&["localhost"]);
    let server = Server::with_tls(Some(certificate.server()), |_| ok());
    let notify = webhook(&format!("https://localhost:{}/s3cret", server.address().port()));
    let (_, said) = check_trusting(&certificate.cert_file(), &notify);
    assert!(said.contains("notify[1] (webhook): arrived"), "{said}");
    assert_eq!(server.asked()[0].line, "POST /s3cret HTTP/1.1");
    let stranger = Certificate::new(&["localhost"]);
    let (output, said) = check_trusting(&stranger.cert_file(), &notify);
    assert!(said.contains("did NOT arrive: TLS: its certificate was not issued by the authority"), "{said}");
    let by_address = notify.replace("localhost", "127.0.0.1");
    let (_, said) = check_trusting(&certificate.cert_file(), &by_address);
    assert!(said.contains("did NOT arrive: TLS: its certificate is not for 127.0.0.1"), "{said}");
    assert_eq!((output.status.code(), server.asked().len()), (Some(1), 1));
}

/// Every kind fails while everything is logged, and no secret is in the log.
#[test]
fn no_secret_is_ever_logged() {
    const ADDRESS: &str = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";
    let echo = |_| {
        let body = r#"{"description":"/bots3cret/sendMessage","error":"s3cret-token","message":"/s3cret"}"#;
        Answer::Status(400, String::new(), body.to_owned())
    };
    let server = Server::start(echo);
    let notify = format!(
        "[[notify]]\nkind = \"ntfy\"\nurl = \"{0}/s3cret\"\ntoken = \"s3cret-token\"\n\
         [[notify]]\nkind = \"telegram\"\nurl = \"{0}\"\ntoken = \"s3cret\"\nchat = \"1\"\n\
         [[notify]]\nkind = \"discord\"\nurl = \"{0}/s3cret\"\n\
         [[notify]]\nkind = \"webhook\"\nurl = \"{0}/s3cret\"\ntoken = \"s3cret-token\"\n\
         [[notify]]\nkind = \"exec\"\ncommand = [\"/nowhere/s3cret\"]\n{1}",
        server.url(""),
        MailServer::start(Options::default()).section("smtp", "me:s3cret@")
    );
    let pool = SimPool::start(PoolOptions {
        difficulty: Difficulty::new(0.000_001).unwrap(),
        nbits: Nbits(0x1702_3a04),
        opening: OpeningOrder::PublicPool,
        payout: SimPayout::Address("bc1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qccfmv3".into()),
        ..PoolOptions::default()
    })
    .unwrap();
    let mut shell = Command::new("sh");
    shell.arg("-c").arg("RUST_LOG=trace exec \"$0\" \"$@\"").arg(env!("CARGO_BIN_EXE_sluice"));
    let listen = "[listen]\nstratum = [\"127.0.0.1:0\"]\n";
    let sluice = Sluice::run_by(shell, &format!("{listen}{}{notify}", upstream(pool.addr())));
    let options = MinerOptions {
        hash_rate_limit: Some(SimHashRate(100_000.0)),
        ..MinerOptions::new(sluice.address(), MinerModel::Bitaxe, format!("{ADDRESS}.rig"))
    };
    let miner = SimMiner::start(options).unwrap();
    for n in 1..=6 {
        sluice.wait_line(&format!("notify[{n}]"));
    }
    assert_eq!(
        sluice
            .lines_with(
                "notify[2] (telegram): a message about payout.mismatch could not be delivered: it answered 400: ***"
            )
            .len(),
        1
    );
    drop(miner);
    sluice.signal("TERM");
    let (status, log) = sluice.wait();
    assert!(status.success(), "{log}");
    assert!(!log.contains("s3cret"), "{log}");
}
