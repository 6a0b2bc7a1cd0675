use super::*;

/// A job for the block above 967,016. Its coinbase halves meet in the middle of the scriptSig, whose 16 bytes are
/// the height, 8 bytes of extranonces and 4 bytes that follow them.
fn job() -> String {
    let prevhash = "11".repeat(32);
    let coinb1 = format!("0100000001{}ffffffff100369c10e", "00".repeat(32));
    let coinb2 = "aabbccddffffffff0100f2052a01000000015100000000";
    format!(
        "{{\"id\":null,\"method\":\"mining.notify\",\"params\":[\"a\",\"{prevhash}\",\"{coinb1}\",\"{coinb2}\",[],\
         \"20000000\",\"17023a04\",\"68596192\",true]}}"
    )
}

const SUBSCRIBED: &str = r#"{"id":1,"result":[[],"d1e54072",4],"error":null}"#;

fn receive(client: &mut ReferenceClient, line: &str) -> PoolEvent {
    client.take_line(line.as_bytes())
}

fn job_event() -> PoolEvent {
    PoolEvent::Job {
        height: Height(967_017),
        prevhash: PrevHash::from_wire_bytes([0x11; 32]),
        nbits: Nbits(0x1702_3a04),
    }
}

#[test]
fn subscribes_then_authorizes_and_never_submits() {
    let mut client = ReferenceClient::new(Some("me.there"));
    let first = client.take_outgoing();
    assert!(first.contains("mining.subscribe") && first.lines().count() == 1, "{first}");
    assert_eq!(receive(&mut client, SUBSCRIBED), PoolEvent::OtherMessage);
    assert_eq!(
        client.take_outgoing(),
        "{\"id\":2,\"method\":\"mining.authorize\",\"params\":[\"me.there\",\"x\"]}\n"
    );
    assert_eq!(receive(&mut client, r#"{"id":2,"result":true,"error":null}"#), PoolEvent::OtherMessage);
    for _ in 0..3 {
        assert_eq!(receive(&mut client, &job()), job_event());
    }
    assert_eq!(client.take_outgoing(), "");
    assert_eq!(client.user_error(), None);
}

#[test]
fn a_job_before_the_subscribe_answer_is_kept() {
    let mut client = ReferenceClient::new(None);
    assert_eq!(receive(&mut client, &job()), PoolEvent::OtherMessage);
    assert_eq!(receive(&mut client, SUBSCRIBED), job_event());
    assert!(client.take_outgoing().contains(EXAMPLE_USER));
}

#[test]
fn set_extranonce_changes_the_search_space() {
    let mut client = ReferenceClient::new(None);
    receive(&mut client, SUBSCRIBED);
    receive(&mut client, r#"{"id":null,"method":"mining.set_extranonce","params":["d1e5",6]}"#);
    assert_eq!(receive(&mut client, &job()), job_event());
    receive(&mut client, r#"{"id":null,"method":"mining.set_extranonce","params":["d1",4]}"#);
    assert!(matches!(receive(&mut client, &job()), PoolEvent::UnusableJob(_)));
}

#[test]
fn a_job_with_different_readings_is_unusable() {
    let mut client = ReferenceClient::new(None);
    receive(&mut client, SUBSCRIBED);
    let odd = |from: &str, to: &str| job().replacen(from, to, 1);
    for line in [
        odd("\"id\":null", "\"id\":null,\"id\":7"),
        odd("mining.notify", "Mining.Notify"),
        odd("[],", "null,"),
        job() + " and more",
    ] {
        assert_eq!(receive(&mut client, &line), job_event(), "{line}");
    }
    let other = job().replace("69c10e", "6ac10e");
    let (_, params) = other.split_once("\"params\":").unwrap();
    for line in [
        odd("\"params\":", &format!("\"params\":{},\"params\":", params.trim_end_matches('}'))),
        odd("010000", "0x010000"),
        odd("[],", "[[]],"),
        odd("\"method\"", "method=\"method\""),
        odd("{", "x{"),
        job() + &other,
    ] {
        assert!(matches!(receive(&mut client, &line), PoolEvent::UnusableJob(_)), "{line}");
    }
    // An unreadable set_extranonce makes every later job unusable, until the next one.
    receive(&mut client, r#"{"id":null,"method":"mining.set_extranonce","params":["0xd1e5",6]}"#);
    assert!(matches!(receive(&mut client, &job()), PoolEvent::UnusableJob(_)));
    receive(&mut client, r#"{"id":null,"method":"mining.set_extranonce","params":["d1e5",6]}"#);
    assert_eq!(receive(&mut client, &job()), job_event());
}

#[test]
fn an_unreadable_job_before_the_subscribe_answer_is_unusable() {
    let mut client = ReferenceClient::new(None);
    receive(&mut client, &job());
    receive(&mut client, &job().replacen("010000", "0x010000", 1));
    assert!(matches!(receive(&mut client, SUBSCRIBED), PoolEvent::UnusableJob(_)));
}

#[test]
fn requests_are_answered_and_client_reconnect_is_ignored() {
    let mut client = ReferenceClient::new(None);
    client.take_outgoing();
    for (line, answer) in [
        (
            r#"{"id":"v","method":"client.get_version","params":[]}"#,
            "{\"id\":\"v\",\"result\":\"sluice-watch/",
        ),
        (r#"{"id":5,"method":"mining.ping","params":[]}"#, "{\"id\":5,\"result\":\"pong\""),
        (r#"{"id":6,"method":"what","params":[]}"#, "Not supported."),
        (r#"{"id":null,"method":"client.reconnect","params":["evil.example",1]}"#, ""),
        (r#"{"id":null,"method":"client.show_message","params":["hello"]}"#, ""),
    ] {
        assert_eq!(receive(&mut client, line), PoolEvent::OtherMessage);
        let sent = client.take_outgoing();
        assert!(sent.contains(answer) && sent.is_empty() == answer.is_empty(), "{line}: {sent}");
    }
}

#[test]
fn errors_and_unreadable_lines_are_told_apart() {
    let mut client = ReferenceClient::new(None);
    assert_eq!(receive(&mut client, "GET / HTTP/1.1"), PoolEvent::Unreadable);
    let refused = receive(&mut client, r#"{"id":1,"result":null,"error":[20,"no \u001b[31m",null]}"#);
    let PoolEvent::NoJobs(why) = refused else { panic!("{refused:?}") };
    assert!(why.contains("no \\u{1b}[31m"), "{why}");
    receive(&mut client, SUBSCRIBED);
    receive(&mut client, r#"{"id":2,"result":null,"error":[24,"Unauthorized",null]}"#);
    let why = client.user_error().unwrap();
    assert!(why.contains("Unauthorized") && why.contains("set reference.user"), "{why}");
    let useless = r#"{"id":null,"method":"mining.notify","params":[]}"#;
    assert!(matches!(receive(&mut client, useless), PoolEvent::UnusableJob(_)));
}

#[test]
fn a_coinbase_is_decoded_only_after_joining_its_halves() {
    let mut client = ReferenceClient::new(None);
    receive(&mut client, SUBSCRIBED);
    let nothing = Notify::with_coinbase(Vec::new(), Vec::new());
    assert!(matches!(client.take_job(&nothing), PoolEvent::UnusableJob(_)));
    // No height: the scriptSig begins with an opcode.
    let start = [&[1, 0, 0, 0, 1][..], &[0; 32], &[0xff; 4], &[9, 0xfa]].concat();
    let no_height = Notify::with_coinbase(start, vec![0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0]);
    assert!(matches!(client.take_job(&no_height), PoolEvent::UnusableJob(why) if why.contains("BIP34")));
}

proptest::proptest! {
    #[test]
    fn nothing_a_pool_sends_panics(
        place in proptest::prelude::any::<proptest::sample::Index>(),
        instead in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..20),
        line in proptest::sample::select(vec![
            job(),
            SUBSCRIBED.to_owned(),
            r#"{"id":null,"method":"mining.set_extranonce","params":["d1e5",6]}"#.to_owned(),
        ]),
    ) {
        let mut client = ReferenceClient::new(None);
        let start = place.index(line.len());
        let end = (start + instead.len()).min(line.len());
        let line = [&line.as_bytes()[..start], &instead, &line.as_bytes()[end..]].concat();
        client.take_line(&line);
        receive(&mut client, SUBSCRIBED);
        client.take_line(&line);
        client.take_line(job().as_bytes());
    }
}
