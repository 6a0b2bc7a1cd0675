//! Tests of the environment, with variables of their own.

use super::*;
use crate::config::{Config, Overrides, ProxyProtocol, UpstreamConfig};

const FILE: &str = "[listen]\nmax_miners = 7\n[http]\ntoken = \"of the file\"\n[[upstream]]\nurl = \"stratum+tcp://one:1\"\nwarm = 2\n";

fn load(file: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
    let variables = variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
    Config::parse_with(file, &Environment::of(variables), &Overrides::default())
        .map_err(|error| error.to_string())
}

#[track_caller]
fn says(variables: &[(&str, &str)], expected: &str) {
    assert_eq!(load(FILE, variables).unwrap_err(), expected);
}

#[test]
fn each_type_is_read_from_a_text() {
    let config = load(
        FILE,
        &[
            ("SLUICE__LISTEN__MAX_MINERS", "500"),
            ("SLUICE__LISTEN__STRATUM", "[\"127.0.0.1:1\", \"[::1]:2\"]"),
            ("SLUICE__LISTEN__ALLOW", "10.0.0.0/8"),
            ("SLUICE__LISTEN__PROXY_PROTOCOL", "true"),
            ("SLUICE__LISTEN__TLS__CERT", "/cert"),
            ("SLUICE__LISTEN__TLS__KEY", "/key"),
            ("SLUICE__PAYOUT__MIN_PERCENT", "97.5"),
            ("SLUICE__ANALYSIS__NEAR_MISS", "1"),
            ("SLUICE__RECORD__GEEK", "true"),
            ("SLUICE__FAILOVER__SILENCE_TIMEOUT", "90s"),
            ("SLUICE__FORWARD__PATH", "splice"),
            ("SLUICE__HTTP__LISTEN", ""),
            ("SLUICE__HTTP__TOKEN", "12345"),
            ("SLUICE__NTP__SERVERS", "[]"),
            ("SLUICE__REPORT__CONSOLE", "60"),
            ("SLUICE_TEST", "not ours"),
            ("PATH", "neither"),
        ],
    )
    .unwrap();
    assert_eq!(config.listen.max_miners, 500);
    assert_eq!(config.listen.stratum.len(), 2);
    assert_eq!(config.listen.allow.to_string(), "10.0.0.0/8");
    assert_eq!(config.listen.proxy_protocol, ProxyProtocol::Everyone);
    assert_eq!(config.listen.tls.unwrap().key.to_str(), Some("/key"));
    assert_eq!((config.payout.min_percent, config.analysis.near_miss), (97.5, 1.0));
    assert!(config.record.geek && config.http.listen.is_none() && config.ntp.servers.is_empty());
    assert_eq!(config.http.token.unwrap().expose(), "12345");
    assert_eq!(config.failover.silence_timeout.as_secs(), 90);
}

#[test]
fn sections_are_changed_and_added_by_their_number() {
    let urls = |config: &Config| config.upstreams.iter().map(UpstreamConfig::to_string).collect::<Vec<_>>();
    let of_file = load(
        FILE,
        &[("SLUICE__UPSTREAM__1__WARM", "3"), ("SLUICE__UPSTREAM__2__URL", "stratum+ssl://two:2")],
    );
    let of_file = of_file.unwrap();
    assert_eq!(urls(&of_file), ["stratum+tcp://one:1", "stratum+ssl://two:2"]);
    assert_eq!((of_file.upstreams[0].warm, of_file.upstreams[1].warm), (3, 0));
    let many: Vec<(String, String)> = (1..=11)
        .map(|number| (format!("SLUICE__UPSTREAM__{number}__URL"), format!("stratum+tcp://p{number}:1")))
        .collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(name, url)| (name.as_str(), url.as_str())).collect();
    assert_eq!(urls(&load("", &many).unwrap())[10], "stratum+tcp://p11:1");
    let whole =
        [("SLUICE__UPSTREAM", "[{ url = \"stratum+tcp://all:1\" }]"), ("SLUICE__UPSTREAM__1__WARM", "1")];
    let whole = load(FILE, &whole).unwrap();
    assert_eq!((urls(&whole).join(" "), whole.upstreams[0].warm), ("stratum+tcp://all:1".to_owned(), 1));
}

#[test]
fn a_wrong_value_names_the_variable() {
    says(
        &[("SLUICE__LISTEN__MAX_MINERS", "0")],
        "SLUICE__LISTEN__MAX_MINERS = 0 must be a whole number from 1 to 65536",
    );
    says(
        &[("SLUICE__LISTEN__MAX_MINERS", "many")],
        "SLUICE__LISTEN__MAX_MINERS is \"many\", a text; it must be a whole number from 1 to 65536",
    );
    says(
        &[("SLUICE__RULES__OFF", "[\"share.rapid\", \"share.rapit\"]")],
        "SLUICE__RULES__OFF[2] = \"share.rapit\" must be the id of a rule; did you mean \"share.rapid\"?",
    );
    says(
        &[("SLUICE__UPSTREAM__2__WARM", "1")],
        "SLUICE__UPSTREAM__2__URL is missing: such as \"stratum+tcp://solo.ckpool.org:3333\"",
    );
    let said = load(FILE, &[("SLUICE__LISTEN__ALLOW", "[\"any\", private]")]).unwrap_err();
    assert!(said.starts_with("SLUICE__LISTEN__ALLOW is not valid TOML: "), "{said}");
    let said = load(FILE, &[("SLUICE__UPSTREAM", "stratum+tcp://one:1")]).unwrap_err();
    assert!(said.starts_with("SLUICE__UPSTREAM is a text; it must be a list of sections"), "{said}");
    let said = load("listen = 3\n", &[("SLUICE__LISTEN__MAX_MINERS", "1")]).unwrap_err();
    assert!(said.starts_with("line 1: listen is a whole number"), "{said}");
}

#[test]
fn an_unknown_variable_is_an_error_with_a_suggestion() {
    for (wrong, right) in [
        ("SLUICE__LISTEN__MAX_MINER", "SLUICE__LISTEN__MAX_MINERS"),
        ("SLUICE__LISEN__MAX_MINERS", "SLUICE__LISTEN__MAX_MINERS"),
        ("SLUICE__listen__max_miners", "SLUICE__LISTEN__MAX_MINERS"),
        ("SLUICE__UPSTREAM__URL", "SLUICE__UPSTREAM__1__URL"),
        ("SLUICE__UPSTREAM__3__ULR", "SLUICE__UPSTREAM__3__URL"),
        ("SLUICE__LISTEN__1__MAX_MINERS", "SLUICE__LISTEN__MAX_MINERS"),
        ("SLUICE__LISTEN__STRATUM__1", "SLUICE__LISTEN__STRATUM"),
        ("SLUICE__HTTP__TOKEN_FIL", "SLUICE__HTTP__TOKEN_FILE"),
    ] {
        says(&[(wrong, "1")], &format!("unknown variable {wrong}; did you mean {right}?"));
    }
    says(
        &[("SLUICE__BANANA", "1")],
        "unknown variable SLUICE__BANANA; every key is listed in config.toml.example",
    );
    says(
        &[("SLUICE__LISTEN__MAX_MINERS_FILE", "/x")],
        "unknown variable SLUICE__LISTEN__MAX_MINERS_FILE; did you mean SLUICE__LISTEN__MAX_MINERS?",
    );
    says(
        &[("SLUICE__UPSTREAM__0__URL", "stratum+tcp://one:1")],
        "SLUICE__UPSTREAM__0__URL counts from 0, but the first section has the number 1: SLUICE__UPSTREAM__1__URL",
    );
    says(
        &[("SLUICE__UPSTREAM__5__URL", "stratum+tcp://one:1")],
        "SLUICE__UPSTREAM__5__URL leaves a gap: the next section has the number 2",
    );
}

#[test]
fn a_secret_may_be_in_a_file_and_the_later_source_wins() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("secret");
    std::fs::write(&path, "hunter2\n").unwrap();
    let file = path.to_str().unwrap();
    let token = |text: &str, variables: &[(&str, &str)]| {
        load(text, variables).map(|config| config.http.token.unwrap().expose().to_owned())
    };
    assert_eq!(token(FILE, &[("SLUICE__HTTP__TOKEN_FILE", file)]).unwrap(), "hunter2");
    let in_file = FILE.replace("token = \"of the file\"", &format!("token_file = {file:?}"));
    assert_eq!(token(&in_file, &[]).unwrap(), "hunter2");
    assert_eq!(token(&in_file, &[("SLUICE__HTTP__TOKEN", "plain")]).unwrap(), "plain");
    says(
        &[("SLUICE__HTTP__TOKEN_FILE", file), ("SLUICE__HTTP__TOKEN", "plain")],
        "SLUICE__HTTP__TOKEN_FILE and token are two values of one secret; remove one",
    );
    std::fs::write(&path, "socks5://me:hunter2@proxy:9050").unwrap();
    let config = load(FILE, &[("SLUICE__UPSTREAM__1__SOCKS5_FILE", file)]).unwrap();
    assert_eq!(config.upstreams[0].socks5.as_ref().unwrap().port, 9050);
    std::fs::write(&path, "me:hunter2@proxy").unwrap();
    let said = load(FILE, &[("SLUICE__UPSTREAM__1__SOCKS5_FILE", file)]).unwrap_err();
    let expected =
        format!("SLUICE__UPSTREAM__1__SOCKS5_FILE = {file:?} must be a file that holds a URL such as");
    assert!(said.starts_with(&expected) && !said.contains("hunter2"), "{said}");
    says(
        &[("SLUICE__HTTP__TOKEN_FILE", "/gone/token")],
        "SLUICE__HTTP__TOKEN_FILE = \"/gone/token\" can't be read: no such file or directory",
    );
    let webhook = "[[notify]]\nkind = \"webhook\"\n";
    std::fs::write(&path, "https://example.org/hunter2\n").unwrap();
    assert_eq!(load(&format!("{FILE}{webhook}url_file = {file:?}\n"), &[]).unwrap().notify.len(), 1);
}

#[test]
fn a_value_that_is_not_utf_8_is_not_shown() {
    use std::os::unix::ffi::OsStringExt;
    let value = OsString::from_vec(vec![b'h', 0xff]);
    let environment = Environment::of([(OsString::from("SLUICE__HTTP__TOKEN"), value)]);
    let error = Config::parse_with(FILE, &environment, &Overrides::default()).unwrap_err();
    assert_eq!(error.to_string(), "SLUICE__HTTP__TOKEN = *** must be a text in UTF-8");
}
