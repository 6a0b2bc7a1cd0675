use super::*;
use crate::stratum::JobId;

/// A job for the block above 967,016 whose halves meet in the middle of the scriptSig, whose 16 bytes
/// are the height, 8 bytes of extranonces and what is behind them.
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

fn say(conversation: &mut ReferenceClient, line: &str) -> Heard {
    conversation.take_line(line.as_bytes())
}

fn the_job() -> Heard {
    Heard::Job {
        height: Height(967_017),
        prevhash: PrevHash::from_wire_bytes([0x11; 32]),
        nbits: Nbits(0x1702_3a04),
    }
}

#[test]
fn it_speaks_in_order_and_never_submits() {
    let mut conversation = ReferenceClient::new(Some("me.there"));
    let first = conversation.take_outgoing();
    assert!(first.contains("mining.subscribe") && first.lines().count() == 1, "{first}");
    assert_eq!(say(&mut conversation, SUBSCRIBED), Heard::Talk);
    assert_eq!(
        conversation.take_outgoing(),
        "{\"id\":2,\"method\":\"mining.authorize\",\"params\":[\"me.there\",\"x\"]}\n"
    );
    assert_eq!(say(&mut conversation, r#"{"id":2,"result":true,"error":null}"#), Heard::Talk);
    for _ in 0..3 {
        assert_eq!(say(&mut conversation, &job()), the_job());
    }
    assert_eq!(conversation.take_outgoing(), "");
    assert_eq!(conversation.refused_user(), None);
}

#[test]
fn a_job_before_the_extranonces_waits_for_them() {
    let mut conversation = ReferenceClient::new(None);
    assert_eq!(say(&mut conversation, &job()), Heard::Talk);
    assert_eq!(say(&mut conversation, SUBSCRIBED), the_job());
    assert!(conversation.take_outgoing().contains(NOBODY));
}

#[test]
fn extranonces_may_change() {
    let mut conversation = ReferenceClient::new(None);
    say(&mut conversation, SUBSCRIBED);
    say(&mut conversation, r#"{"id":null,"method":"mining.set_extranonce","params":["d1e5",6]}"#);
    assert_eq!(say(&mut conversation, &job()), the_job());
    say(&mut conversation, r#"{"id":null,"method":"mining.set_extranonce","params":["d1",4]}"#);
    assert!(matches!(say(&mut conversation, &job()), Heard::UselessJob(_)));
}

#[test]
fn readings_that_differ_are_useless() {
    let mut conversation = ReferenceClient::new(None);
    say(&mut conversation, SUBSCRIBED);
    let odd = |from: &str, to: &str| job().replacen(from, to, 1);
    for line in [
        odd("\"id\":null", "\"id\":null,\"id\":7"),
        odd("mining.notify", "Mining.Notify"),
        odd("[],", "null,"),
        job() + " and more",
    ] {
        assert_eq!(say(&mut conversation, &line), the_job(), "{line}");
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
        assert!(matches!(say(&mut conversation, &line), Heard::UselessJob(_)), "{line}");
    }
    // Whatever came before the search space was lost.
    say(&mut conversation, r#"{"id":null,"method":"mining.set_extranonce","params":["0xd1e5",6]}"#);
    assert!(matches!(say(&mut conversation, &job()), Heard::UselessJob(_)));
    say(&mut conversation, r#"{"id":null,"method":"mining.set_extranonce","params":["d1e5",6]}"#);
    assert_eq!(say(&mut conversation, &job()), the_job());
}

#[test]
fn an_unreadable_job_before_the_extranonces_is_useless_too() {
    let mut conversation = ReferenceClient::new(None);
    say(&mut conversation, &job());
    say(&mut conversation, &job().replacen("010000", "0x010000", 1));
    assert!(matches!(say(&mut conversation, SUBSCRIBED), Heard::UselessJob(_)));
}

#[test]
fn questions_are_answered_and_nobody_is_followed() {
    let mut conversation = ReferenceClient::new(None);
    conversation.take_outgoing();
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
        assert_eq!(say(&mut conversation, line), Heard::Talk);
        let said = conversation.take_outgoing();
        assert!(said.contains(answer) && said.is_empty() == answer.is_empty(), "{line}: {said}");
    }
}

#[test]
fn refusals_and_nonsense_are_told_apart() {
    let mut conversation = ReferenceClient::new(None);
    assert_eq!(say(&mut conversation, "GET / HTTP/1.1"), Heard::Nonsense);
    let refused = say(&mut conversation, r#"{"id":1,"result":null,"error":[20,"no \u001b[31m",null]}"#);
    let Heard::Refusal(why) = refused else { panic!("{refused:?}") };
    assert!(why.contains("no \\u{1b}[31m"), "{why}");
    say(&mut conversation, SUBSCRIBED);
    say(&mut conversation, r#"{"id":2,"result":null,"error":[24,"Unauthorized",null]}"#);
    let why = conversation.refused_user().unwrap();
    assert!(why.contains("Unauthorized") && why.contains("set reference.user"), "{why}");
    let useless = r#"{"id":null,"method":"mining.notify","params":[]}"#;
    assert!(matches!(say(&mut conversation, useless), Heard::UselessJob(_)));
}

#[test]
fn a_coinbase_is_decoded_after_joining_only() {
    let mut conversation = ReferenceClient::new(None);
    say(&mut conversation, SUBSCRIBED);
    let mut early = Notify {
        job_id: JobId::from_counter(1),
        prevhash: PrevHash::from_wire_bytes([0x11; 32]),
        // Cut within the height's own push: the halves alone are nothing.
        coinb1: Vec::new(),
        coinb2: Vec::new(),
        branches: Vec::new(),
        version: crate::stratum::Version(0x2000_0000),
        nbits: Nbits(0x1702_3a04),
        ntime: crate::stratum::Ntime(1),
        clean_jobs: None,
    };
    assert!(matches!(conversation.take_job(&early), Heard::UselessJob(_)));
    // No height: the scriptSig begins with an opcode.
    let start = [&[1, 0, 0, 0, 1][..], &[0; 32], &[0xff; 4], &[9, 0xfa]].concat();
    (early.coinb1, early.coinb2) = (start, vec![0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0]);
    assert!(matches!(conversation.take_job(&early), Heard::UselessJob(why) if why.contains("BIP34")));
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
        let mut conversation = ReferenceClient::new(None);
        let start = place.index(line.len());
        let end = (start + instead.len()).min(line.len());
        let line = [&line.as_bytes()[..start], &instead, &line.as_bytes()[end..]].concat();
        conversation.take_line(&line);
        say(&mut conversation, SUBSCRIBED);
        conversation.take_line(&line);
        conversation.take_line(job().as_bytes());
    }
}
