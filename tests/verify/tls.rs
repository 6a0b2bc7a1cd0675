//! TLS, trusted in each of the ways there are, and SOCKS5.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};

use jiff::SignedDuration;
use sha2::{Digest, Sha256};
use sluice::config::{Network, TargetFlags};
use sluice::net::tls_errors::note_clock_error;
use sluice::util::stop::Stop;
use sluice::verify::{ColorMode, ReportText, VerifySettings, verify};

use super::{ADDRESS, options, pool, run};
use crate::common::certificates::Certificate;
use crate::common::own_process::in_own_process;
use crate::common::socks5_server::Socks5Server;
use crate::common::tls_bridge;

/// The pool's TLS address.
fn tls_front(certificate: &Certificate, pool: SocketAddr) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let config = certificate.server();
    std::thread::spawn(move || {
        while let Ok((socket, _)) = listener.accept() {
            let plain = tls_bridge::server(config.clone(), socket);
            let pool = TcpStream::connect(pool).unwrap();
            let (mut up, mut down) = (plain.try_clone().unwrap(), pool.try_clone().unwrap());
            let (mut plain, mut pool) = (plain, pool);
            std::thread::spawn(move || {
                let _ = io::copy(&mut up, &mut pool);
                let _ = pool.shutdown(std::net::Shutdown::Write);
            });
            std::thread::spawn(move || {
                let _ = io::copy(&mut down, &mut plain);
                let _ = plain.shutdown(std::net::Shutdown::Write);
            });
        }
    });
    format!("stratum+ssl://{address}")
}

#[test]
fn a_certificate_is_judged_as_told() {
    let pool = pool(options());
    let certificate = Certificate::new(&["127.0.0.1"]);
    let url = tls_front(&certificate, pool.addr());
    let pin: String = Sha256::digest(&certificate.der).iter().map(|byte| format!("{byte:02x}")).collect();
    let (file, wrong) = (certificate.cert_file(), "00".repeat(32));
    let file = file.to_str().unwrap();
    // What each kind of trust ends with, and what is said of it.
    let cases: [(&[&str], i32, &str); 6] = [
        (
            &[],
            2,
            "no connection: TLS failed: its certificate was issued by no authority that this machine trusts",
        ),
        (&["--insecure"], 0, "not verified"),
        (&["--pin-sha256", &pin], 0, ", TLS "),
        (&["--pin-sha256", &wrong], 2, "its certificate is not the one of pin_sha256"),
        (&["--ca-file", file], 0, ", TLS "),
        (&["--ca-file", "/nonexistent.pem"], 2, "/nonexistent.pem"),
    ];
    std::thread::scope(|scope| {
        for (trust, code, words) in cases {
            let args = [&[url.as_str(), "--address", ADDRESS], trust].concat();
            scope.spawn(move || run(&args).expect(code).has(words));
        }
    });
}

/// The report on a pool whose certificate is valid between these years, by a machine whose clock is wrong
/// by so much.
fn said_of(years: (i32, i32), names: &[&str], clock: Option<SignedDuration>) -> String {
    let mut params = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    if !names.is_empty() {
        params = rcgen::CertificateParams::new(names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>())
            .unwrap();
    }
    params.not_before = rcgen::date_time_ymd(years.0, 1, 1);
    params.not_after = rcgen::date_time_ymd(years.1, 1, 1);
    let certificate = Certificate::with(params);
    let pool = pool(options());
    let url = tls_front(&certificate, pool.addr());
    let flags = TargetFlags {
        urls: vec![url],
        address: ADDRESS.to_owned(),
        ca_file: Some(certificate.cert_file()),
        ..TargetFlags::default()
    };
    note_clock_error(clock);
    let settings = VerifySettings::new(ADDRESS, Network::Auto).unwrap();
    let report = verify(&flags.parse().unwrap().pools[0], &settings, &Stop::new());
    ReportText { report: &report, color: ColorMode::Plain }.to_string()
}

#[test]
fn a_certificate_out_of_its_time_names_the_clock_and_another_host_s_names_the_url() {
    in_own_process(|| {
        let output = said_of((2090, 2095), &[], None);
        assert!(
            output.contains("its certificate is not valid before 2090-01-01; this machine's clock says"),
            "{output}"
        );
        let output = said_of((2090, 2095), &[], Some(SignedDuration::from_hours(24 * 365 * 66)));
        assert!(output.contains("the clock of this machine is wrong: it says 20"), "{output}");
        assert!(output.contains("but by NTP it is 209"), "{output}");
        let output = said_of((2001, 2002), &[], Some(SignedDuration::ZERO));
        assert!(
            output.contains("its certificate expired on 2002-01-01") && output.contains("must renew"),
            "{output}"
        );
        let output = said_of((2001, 2095), &["pool.example"], None);
        assert!(output.contains("is not for 127.0.0.1, but for"), "{output}");
    });
}

#[test]
fn a_plain_port_is_called_one() {
    let pool = pool(options());
    let url = format!("stratum+ssl://{}", pool.addr());
    run(&[&url, "--address", ADDRESS]).expect(2).has("TLS failed: ").has_not("UnexpectedEof");
}

#[test]
fn a_proxy_resolves_the_name_and_its_password_is_never_shown() {
    let pool = pool(options());
    let proxy = Socks5Server::start(pool.addr(), Some(("me", "secret")));
    let socks5 = format!("socks5://me:secret@{}", proxy.address());
    let url = "stratum+tcp://pool.onion:3333";
    let output = run(&[url, "--address", ADDRESS, "--socks5", &socks5]).expect(0).has(", SOCKS5 ");
    assert!(
        !output.out.contains("secret") && !output.err.contains("secret"),
        "{} {}",
        output.out,
        output.err
    );
    assert_eq!(proxy.asked()[0].host, "pool.onion");
}
