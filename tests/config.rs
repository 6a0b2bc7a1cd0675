//! The configuration reader, told through its messages: what a person who mistyped something sees.

mod keys;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use proptest::prelude::*;
use sluice::config::{
    Config, ConfigError, ConsoleReport, Overrides, ProxyProtocol, UpstreamConfig, specification,
};
use toml::de::{DeTable, DeValue};

const EXAMPLE: &str = include_str!("../config.toml.example");
const POOL: &str = "[[upstream]]\nurl = \"stratum+tcp://pool.example:3333\"\n";

fn load(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, &Overrides::default())
}

/// With a pool in front, so that the line numbers are 2 higher.
fn with_pool(text: &str) -> Config {
    load(&format!("{POOL}{text}")).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn said(text: &str) -> String {
    match load(text) {
        Ok(_) => panic!("accepted: {text}"),
        Err(error) => error.to_string(),
    }
}

/// Checks the error about `text`, which must be one line with all of `parts`.
#[track_caller]
fn says(text: &str, parts: &[&str]) {
    let said = said(&format!("{POOL}{text}"));
    assert_eq!(said.lines().count(), 1, "{said}");
    for part in parts {
        assert!(said.contains(part), "no {part:?} in: {said}");
    }
}

fn known_keys() -> Vec<String> {
    specification().into_iter().map(|spec| spec.key).collect()
}

fn pools(urls: &[&str]) -> Overrides {
    Overrides { pools: urls.iter().map(ToString::to_string).collect(), ..Overrides::default() }
}

fn default_config() -> Config {
    match Config::parse("", &pools(&["stratum+tcp://solo.ckpool.org:3333"])) {
        Ok(config) => config,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn unknown_keys_are_named_with_line_and_suggestion() {
    says(
        "[listen]\nmax_miner = 5\n",
        &["line 4", "unknown key listen.max_miner", "did you mean listen.max_miners?"],
    );
    says("[lisen]\n", &["line 3", "unknown key lisen", "did you mean listen?"]);
    says("banana = 1\n", &["unknown key upstream[1].banana", "config.toml.example"]);
    says("[listen.tls]\ncert=\"a\"\nkey=\"b\"\nlistn=[]\n", &["line 6", "did you mean listen.tls.listen?"]);
}

#[test]
fn wrong_types_name_the_value_and_what_would_be_right() {
    says(
        "[listen]\nmax_miners = \"many\"\n",
        &["line 4", "listen.max_miners is \"many\", a text", "1 to 65536"],
    );
    says("[listen]\nidle_timeout = 60\n", &["listen.idle_timeout is 60, a whole number", "unit"]);
    says("[listen]\nstratum = \"0.0.0.0:3334\"\n", &["\"0.0.0.0:3334\", a text", "a list of texts such as"]);
    says("[listen]\nproxy_protocol = \"yes\"\n", &["\"yes\", a text", "true, false or a list"]);
    says("[forward]\npath = 1\n", &["\"copy\" or \"splice\""]);
    says("[analysis]\nenabled = 1\n", &["true or false"]);
    assert!(said("listen = 3\n[[upstream]]\nurl=\"stratum+tcp://p:1\"\n").contains("[listen]"));
    assert!(said("[upstream]\nurl=\"stratum+tcp://p:1\"\n").contains("[[upstream]] in double brackets"));
}

#[test]
fn impossible_values_name_the_range() {
    says("[listen]\nmax_miners = 0\n", &["listen.max_miners = 0 must be", "1 to 65536"]);
    says("[listen]\nmax_miners = -1\n", &["= -1"]);
    says("[listen]\nmax_miners = 99999999999999999999\n", &["= 99999999999999999999"]);
    says("[payout]\nmin_percent = 101\n", &["payout.min_percent = 101", "0 to 100"]);
    says("[payout]\nmin_percent = nan\n", &["= nan"]);
    says("[failover]\nconnect_deadline = \"1h\"\n", &["\"1h\"", "\"100ms\" to \"5m\""]);
    says("[failover]\nanswer_timeout = \"0s\"\n", &["failover.answer_timeout", "\"1ms\" to \"10s\""]);
    says("[failover]\nanswer_timeout = \"11s\"\n", &["\"1ms\" to \"10s\""]);
    says(
        "[failover]\nbackoff_min = \"2m\"\n",
        &["failover.backoff_min", "must not be longer than backoff_max"],
    );
    says("[vardiff]\nmin = 5\nmax = 4\n", &["vardiff.min", "must not be greater"]);
    says("[record]\nrotate_mb = 64\nmax_total_mb = 2\n", &["line 5", "record.max_total_mb"]);
    says(
        "[rules]\noff = [\"share.rapit\"]\n",
        &["rules.off[1] = \"share.rapit\"", "did you mean \"share.rapid\"?"],
    );
    says("[ratelimit]\nexempt = [\"192.168.1.7/24\"]\n", &["ratelimit.exempt[1]", "\"192.168.1.0/24\""]);
    says("[listen]\nallow = []\n", &["listen.allow is empty, so no miner could connect"]);
    says("[listen]\nstratum = []\n", &["no miner could connect"]);
    says("[listen]\nstratum = [\"1.2.3.4:5\", \"1.2.3.4:5\"]\n", &["1.2.3.4:5 twice"]);
    says("[listen]\nstratum = [\":3334\"]\n", &["listen.stratum[1] = \":3334\"", "0.0.0.0:3334"]);
    says("[listen.tls]\ncert = \"a.pem\"\n", &["listen.tls.key is missing", "both"]);
    says("[aggregate]\nuser = \"{name}\"\n", &["{user} and {worker}"]);
    says("[payout]\naddress = \"bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5\"\n", &["checksum"]);
    says("[[notify]]\nkind = \"telegram\"\ntoken = \"t\"\n", &["line 3", "notify[1].chat is missing"]);
    says("[[notify]]\nkind = \"sms\"\n", &["notify[1].kind = \"sms\"", "\"ntfy\""]);
    let email = "[[notify]]\nkind = \"email\"\nfrom = \"a@h\"\nurl = \"smtp://h\"\n";
    says(email, &["notify[1].to is missing"]);
    says(&format!("{email}to = []\n"), &["notify[1].to must have 1 to 20 addresses"]);
    says(&format!("{email}to = [\"me\"]\n"), &["notify[1].to[1] = \"me\"", "must be an e-mail address"]);
    let exec = "[[notify]]\nkind = \"exec\"\ncommand = [\"/bin/true\"]\n";
    says(&format!("{exec}summary = \"8\"\n"), &["notify[1].summary", "a time of the day"]);
    says(&format!("{exec}quiet = \"22:00\"\n"), &["notify[1].quiet", "two different times of the day"]);
    says("[http]\npublic_url = \"miner:8080\"\n", &["http.public_url", "a URL such as"]);
    says("[pool_stats]\ninterval = \"60s\"\n", &["pool_stats.kind is missing"]);
    says("[report]\nconsole = \"often\"\n", &["\"auto\", \"off\", or a time"]);
}

#[test]
fn upstreams_are_judged_one_by_one() {
    let first = "[[upstream]]\nurl = \"stratum+tcp://a:1\"\n";
    for (second, part) in [
        ("url = \"pool:3333\"", "upstream[2].url = \"pool:3333\" must be a URL"),
        ("warm = 1", "upstream[2].url is missing"),
        ("url = \"stratum+tcp://b:1\"\ninsecure_skip_verify = true", "write stratum+ssl://"),
        ("url = \"stratum+tcp://b:1\"\npin_sha256 = \"00\"", "64 hexadecimal digits"),
        ("url = \"stratum+ssl://b:1\"\nwarm = 65", "0 to 64"),
    ] {
        let said = said(&format!("{first}[[upstream]]\n{second}\n"));
        assert!(said.contains("line ") && said.contains(part), "{said}");
    }
    assert!(said("").contains("use --pool"));
    assert!(said("upstream = []\n").contains("upstream is empty"));
}

#[test]
fn everything_wrong_is_said_at_once_in_the_order_of_the_file() {
    let text = "mode = \"both\"\n[http]\nlisten = \"x\"\n[listen]\nmax_miners = 0\nfoo = 1\n";
    let overrides = Overrides { listen: vec![String::from("nowhere")], ..Overrides::default() };
    let said = Config::parse(text, &overrides).unwrap_err().to_string();
    let places: Vec<&str> =
        said.lines().map(|line| line.split([':', ' ']).take(2).last().unwrap_or("")).collect();
    assert_eq!(places, ["1", "3", "5", "6", "is", "="], "{said}");
}

#[test]
fn text_that_is_not_toml_is_told_its_line_and_duplicates_their_key() {
    assert!(said("[listen\n").starts_with("line 1: not valid TOML"), "{}", said("[listen\n"));
    let twice = said(&format!("{POOL}[listen]\nmax_miners = 1\nmax_miners = 2\n"));
    assert!(twice.contains("line 5") && twice.contains("\"max_miners\" is set twice"), "{twice}");
    let section = said(&format!("{POOL}[listen]\n[listen]\n"));
    assert!(section.contains("line 4") && section.contains("\"listen\" is set twice"), "{section}");
}

#[test]
fn no_message_holds_a_secret() {
    const SECRET: &str = "hunter2";
    for text in [
        "[http]\ntoken = [\"hunter2\"]\nlisten = \"x\"\n",
        "[http]\ntokn = \"hunter2\"\n",
        "[http]\ntoken = \"hunter2\n",
        "[http]\ntoken = \"hunter2\"\ntoken = \"hunter2\"\n",
        "[[upstream]]\nurl = \"stratum+tcp://me:hunter2@pool:3333\"\n",
        "[[upstream]]\nurl = \"stratum+tcp://p:1\"\npass = [\"hunter2\"]\nsocks5 = \"socks5://u:hunter2@h\"\n",
        "[[upstream]]\nurl = \"stratum+tcp://p:1\"\nsocks5 = \"socks5://u:hunter2\"\n",
        "[[upstream]]\nurl = \"stratum+tcp://p:1\"\nsocks5 = \"u:hunter2@h:1\"\n",
        "[[upstream]]\nurl = \"stratum+tcp://p:1\"\nsocks5 = \"socks5://u:hun?hunter2@h:99999\"\n",
        "upstream = \"stratum+tcp://me:hunter2@pool:3333\"\n",
        "upstream = [\"stratum+tcp://me:hunter2@pool:3333\"]\n",
        "[[notify]]\nkind = \"x\"\nurl = \"hunter2\"\ncommand = \"hunter2\"\ntoken = {a = \"hunter2\"}\n",
        "[pool_stats]\nkind = \"x\"\nurl = \"ftp://h/?key=hunter2\"\ntoken = \"\"\n",
        "[[reference]]\nnode = \"ftp://u:hunter2@h\"\n",
        "[[reference]]\nnode = \"u:hunter2\"\nurl = \"stratum+tcp://u:hunter2@h:1\"\n",
    ] {
        let said = said(text);
        assert!(!said.contains(SECRET), "{text}\n{said}");
    }
    let flag = Config::parse("", &pools(&["stratum+tcp://me:hunter2@pool:3333"])).unwrap_err().to_string();
    assert!(flag.starts_with("--pool = \"stratum+tcp://***@pool:3333\" must be"), "{flag}");
    let config = with_pool(
        "socks5 = \"socks5://u:hunter2@h:1\"\npass = \"hunter2\"\n[http]\ntoken = \"hunter2\"\n[[notify]]\n\
         kind = \"webhook\"\nurl = \"https://h/hunter2\"\n[[reference]]\nnode = \"http://u:hunter2@h/\"\n\
         [pool_stats]\nkind = \"braiins\"\ntoken = \"hunter2\"\n",
    );
    let everything = format!("{config:?} {:?} {:?}", config.warnings(), config.ignored_key_warnings());
    assert!(!everything.contains(SECRET), "{everything}");
}

#[test]
fn values_arrive_in_the_model() {
    let config = with_pool(
        "socks5 = \"socks5://u:p%40@[::1]:9050\"\nwarm = 3\n[listen]\nidle_timeout = \"2h\"\n\
         proxy_protocol = [\"10.0.0.2\"]\ntls = { cert = \"c\", key = \"k\" }\n[report]\nconsole = 90\n\
         [failover]\nconnect_deadline = \"3s\"\n[forward]\nbuffer = 0x1000\n",
    );
    let socks5 = config.upstreams[0].socks5.as_ref().unwrap();
    assert_eq!((socks5.host.as_str(), socks5.port), ("::1", 9050));
    assert_eq!(socks5.password.as_ref().unwrap().expose(), "p@");
    assert_eq!(config.upstreams[0].warm, 3);
    assert_eq!(config.listen.idle_timeout, Some(Duration::from_secs(7200)));
    assert!(matches!(&config.listen.proxy_protocol, ProxyProtocol::From(blocks) if blocks.len() == 1));
    assert_eq!(config.listen.tls.as_ref().unwrap().listen[0].port(), 3335);
    assert_eq!(config.report.console, ConsoleReport::Every(Duration::from_secs(90)));
    // The default of 5 s would be more than the deadline.
    assert_eq!(config.failover.answer_timeout, Duration::from_secs(3));
    assert_eq!(config.forward.buffer, 4096);
}

#[test]
fn flags_stand_above_the_file() {
    let overrides = Overrides {
        pools: vec![String::from("stratum+ssl://one:1"), String::from("stratum+tcp://two:2")],
        listen: vec![String::from("127.0.0.1:0"), String::from("[::1]:0")],
        http: Some(String::new()),
        address: Some(String::from("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4")),
        data_dir: Some(PathBuf::from("/tmp/elsewhere")),
    };
    let config = Config::parse(&format!("data_dir = \"x\"\n{POOL}"), &overrides).unwrap();
    let urls: Vec<String> = config.upstreams.iter().map(UpstreamConfig::to_string).collect();
    assert_eq!(urls, ["stratum+ssl://one:1", "stratum+tcp://two:2"]);
    assert_eq!(config.listen.stratum.len(), 2);
    assert_eq!(config.http.listen, None);
    assert!(config.payout.address.is_some());
    assert_eq!(config.data_dir, PathBuf::from("/tmp/elsewhere"));
    assert_eq!(config.ignored_keys, [""; 0]);
    let wrong = Overrides { address: Some(String::from("bc1qwrong")), ..overrides };
    let said = Config::parse("", &wrong).unwrap_err().to_string();
    assert!(said.starts_with("--address = \"bc1qwrong\" must be a Bitcoin address"), "{said}");
}

#[test]
fn unwise_and_ignored_settings_are_warned_about() {
    let config = with_pool(
        "[listen]\nallow = [\"any\"]\n[payout]\nkind = \"pooled\"\non_mismatch = \"block\"\n[vardiff]\nenabled = true\n",
    );
    assert_eq!(config.ignored_keys, ["[vardiff]"]);
    assert_eq!(config.ignored_key_warnings(), ["[vardiff] has no effect in mode = \"passthrough\""]);
    let shared = load("mode = \"aggregate\"\n[vardiff]\nenabled = true\n[forward]\nbuffer = 4096\n[[upstream]]\nurl=\"stratum+tcp://h:1\"\nuser = \"u\"\n").unwrap();
    assert_eq!(shared.ignored_keys, ["[forward]"]);
    assert_eq!(shared.upstreams[0].user, "u");
    assert!(config.warnings()[0].starts_with("listen.allow"));
    let config =
        load("[[upstream]]\nurl=\"stratum+ssl://h:1\"\ninsecure_skip_verify=true\nuser=\"u\"\n").unwrap();
    assert!(config.warnings()[0].contains("upstream[1].insecure_skip_verify"));
    assert_eq!(config.ignored_keys, ["upstream[1].user"]);
    assert_eq!(default_config().warnings(), Vec::<String>::new());
    let config = with_pool("[analysis]\nenabled = false\n[[notify]]\nkind = \"ntfy\"\nurl = \"https://h\"\n");
    assert!(config.warnings()[0].starts_with("analysis.enabled = false"), "{:?}", config.warnings());
    let reference = "[[reference]]\nurl = \"stratum+tcp://p:1\"\n";
    assert_eq!(with_pool(reference).warnings(), [""; 0]);
    let warnings = with_pool(&format!("[analysis]\nenabled = false\n{reference}")).warnings();
    assert!(warnings.len() == 1 && warnings[0].contains("no [[reference]] is contacted"), "{warnings:?}");
}

#[test]
fn a_nodes_login_is_judged_and_never_told() {
    let node = |text: &str| load(&format!("{POOL}[[reference]]\n{text}\n"));
    assert!(node("node = \"http://me:p%40ss@[::1]:8332\"").is_ok());
    assert!(node("node = \"http://[::1]:8332\"\ncookie = \"/c\"").is_ok());
    for (text, said) in [
        ("node = \"http://me:s3cret%zz@h\"", "percent-encoded"),
        ("node = \"http://@h\"", "a user before the '@'"),
        ("node = \"http://me:s3cret@h\"\ncookie = \"/c\"", "two logins"),
    ] {
        let error = node(text).unwrap_err().to_string();
        assert!(error.contains(said) && !error.contains("s3cret"), "{error}");
    }
}

/// The example with the keys at their defaults enabled, and the optional lines that `enable`
/// chooses by their number.
fn example(enable: impl Fn(usize) -> bool) -> String {
    let mut text = String::new();
    for (number, line) in EXAMPLE.lines().enumerate() {
        let optional = line.strip_prefix("#   ").filter(|rest| is_setting(rest));
        let default = line.strip_prefix('#').filter(|rest| !rest.starts_with(' ') && is_setting(rest));
        match (optional, default) {
            (Some(line), _) if enable(number) => text.push_str(line),
            (_, Some(line)) => text.push_str(line),
            _ => text.push_str(line),
        }
        text.push('\n');
    }
    text
}

fn is_setting(line: &str) -> bool {
    let is_key = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b"_0123456789".contains(&b))
    };
    line.starts_with('[') || line.split_once(" = ").is_some_and(|(key, _)| is_key(key))
}

#[test]
fn the_example_is_the_defaults() {
    let as_it_is = load(EXAMPLE).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(as_it_is, default_config());
    let uncommented = load(&example(|_| false)).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(Config { ignored_keys: Vec::new(), ..uncommented }, default_config());
}

#[test]
fn the_example_has_every_key_and_no_other() {
    let text = example(|_| true);
    let document = DeTable::parse(&text).unwrap_or_else(|error| panic!("{error}"));
    let mut in_example = BTreeSet::new();
    collect_keys("", document.get_ref(), &mut in_example);
    assert_eq!(in_example, known_keys().into_iter().collect());
}

#[test]
fn the_examples_optional_keys_are_valid() {
    let lines: Vec<&str> = EXAMPLE.lines().collect();
    let is_optional = |number: usize| lines[number].strip_prefix("#   ").is_some_and(is_setting);
    for number in (0..lines.len()).filter(|number| is_optional(*number)) {
        // A section that is optional itself is enabled as a whole.
        let start = (0..=number).rev().take_while(|n| is_optional(*n)).last().unwrap_or(number);
        let is_section = lines[start].starts_with("#   [");
        let enabled = |n: usize| {
            if is_section { (start..=number).contains(&n) } else { n == number }
        };
        let text = example(enabled).replace("url = \"stratum+tcp://solo", "url = \"stratum+ssl://solo");
        // The beginning of a section may lack what follows.
        let is_whole = number + 1 == lines.len() || !is_optional(number + 1);
        if is_whole || !is_section {
            load(&text).unwrap_or_else(|error| panic!("{}: {error}", lines[number]));
        }
    }
}

fn collect_keys(path: &str, table: &DeTable, keys: &mut BTreeSet<String>) {
    for (key, value) in table {
        let name =
            if path.is_empty() { key.get_ref().to_string() } else { format!("{path}.{}", key.get_ref()) };
        match value.get_ref() {
            DeValue::Table(table) => collect_keys(&name, table, keys),
            DeValue::Array(array) => {
                for table in array.iter().filter_map(|each| each.get_ref().as_table()) {
                    collect_keys(&name, table, keys);
                }
            }
            _ => {}
        }
        keys.insert(name);
    }
}

proptest! {
    #[test]
    fn arbitrary_text_is_no_panic(text in "\\PC{0,200}") {
        let _ = load(&text).map_err(|error| error.to_string());
    }

    /// Real keys with wrong values reach further than noise.
    #[test]
    fn arbitrary_values_are_no_panic(
        key in proptest::sample::select(known_keys()),
        value in "(\"\\PC{0,20}\"|-?[0-9]{1,25}|[0-9]\\.[0-9]e[0-9]{1,4}|\\[\"\\PC{0,9}\", 1\\]|\\{ a = 1 \\}|true|1979-05-27)",
    ) {
        let (section, key) = key.rsplit_once('.').unwrap_or(("", &key));
        let header = match section {
            "" => String::new(),
            "upstream" | "reference" | "notify" => format!("[[{section}]]\n"),
            _ => format!("[{section}]\n"),
        };
        let _ = load(&format!("{header}{key} = {value}\n")).map_err(|error| error.to_string());
    }
}
