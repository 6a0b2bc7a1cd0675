use super::*;
use proptest::prelude::*;

const SUBSCRIBED: &str = r#"{"id":2,"result":[[],"d1e54072",8],"error":null}"#;

type Events = Vec<ClientEvent<u32>>;

/// A client that has asked everything.
fn client() -> Client<u32> {
    let mut client = Client::new("sluice-test/1");
    client.configure();
    client.subscribe();
    client.authorize(&Login::new("w.1", "x"));
    client.suggest_difficulty(0.5);
    client.take_outgoing();
    client
}

fn job(id: &str) -> String {
    let hash = "11".repeat(32);
    format!(
        "{{\"id\":null,\"method\":\"mining.notify\",\"params\":[\"{id}\",\"{hash}\",\"01\",\"02\",[],\
         \"20000000\",\"17023a04\",\"68596192\",true]}}"
    )
}

/// The events of a line, without the mark that it answers the subscribe.
fn take(client: &mut Client<u32>, line: &[u8]) -> Events {
    let mut events = client.take_line(line, 0);
    events.retain(|event| !matches!(event, ClientEvent::SubscribeAnswered { .. }));
    events
}

/// The ids and times of the jobs, and the reasons for unreadable ones.
fn jobs(events: &Events) -> Vec<(Vec<String>, Option<String>, u32)> {
    let told = |event: &ClientEvent<u32>| match event {
        ClientEvent::Job(line, at) => {
            let ids = line.readings.iter().map(|reading| reading.job.job_id.to_string()).collect();
            Some((ids, line.unreadable.clone(), *at))
        }
        _ => None,
    };
    events.iter().filter_map(told).collect()
}

fn space(extranonce1: &str, size: u8) -> SubscribeAnswer {
    SubscribeAnswer {
        extranonce1: crate::stratum::Extranonce1::from_text(extranonce1).unwrap(),
        extranonce2_size: Extranonce2Size::new(size).unwrap(),
    }
}

fn spaces(extranonce1: &str, size: u8) -> SearchSpaces {
    SearchSpaces { readable: vec![(space(extranonce1, size), ReadingAgreement::All)], unreadable: None }
}

#[test]
fn requests_are_numbered_in_their_order() {
    let mut client: Client<u32> = Client::new("sluice-test/1");
    assert_eq!(client.take_outgoing(), "");
    client.subscribe();
    client.authorize(&Login::new("w.1", "x"));
    let lines = client.take_outgoing();
    assert_eq!(
        lines,
        "{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[\"sluice-test/1\"]}\n\
         {\"id\":2,\"method\":\"mining.authorize\",\"params\":[\"w.1\",\"x\"]}\n"
    );
    assert_eq!(client.take_outgoing(), "");
}

#[test]
fn answers_are_known_in_any_order_and_form() {
    let accepted = ClientEvent::Authorized(ResponseVerdict::Accepted);
    for (line, expected) in [
        (r#"{"id":3,"result":true,"error":null}"#, accepted.clone()),
        (r#"{"id":"3","result":true,"error":[]}"#, accepted.clone()),
        (r#"{"id":3,"method":"mining.authorize","result":true,"error":null}"#, accepted),
        (SUBSCRIBED, ClientEvent::Subscribed(spaces("d1e54072", 8))),
        (
            r#"{"id":2,"method":"mining.subscribe","result":[[],"d1e54072",8]}"#,
            ClientEvent::Subscribed(spaces("d1e54072", 8)),
        ),
        (
            r#"{"id":1,"result":{"version-rolling":true,"version-rolling.mask":"1fffe000"}}"#,
            ClientEvent::Configured(Some(VersionMask::BIP320)),
        ),
        (r#"{"id":4,"result":null,"error":[-3,"no",null]}"#, ClientEvent::SuggestionRefused),
    ] {
        assert_eq!(take(&mut client(), line.as_bytes()), [expected], "{line}");
    }
}

#[test]
fn every_answer_can_be_a_refusal() {
    let mut client = client();
    let refused =
        |code, reason: &str| ResponseVerdict::Refused { code: Some(code), reason: Some(reason.to_owned()) };
    for (line, expected) in [
        (r#"{"id":1,"result":null,"error":[20,"a",null]}"#, ClientEvent::Configured(None)),
        (r#"{"id":2,"result":null,"error":[20,"b",null]}"#, ClientEvent::SubscribeRefused(refused(20, "b"))),
        (
            r#"{"id":3,"result":false,"error":{"code":24,"message":"c"}}"#,
            ClientEvent::Authorized(refused(24, "c")),
        ),
    ] {
        assert_eq!(take(&mut client, line.as_bytes()), [expected], "{line}");
    }
    // A pool that thinks better of it.
    assert_eq!(take(&mut client, SUBSCRIBED.as_bytes()), [ClientEvent::Subscribed(spaces("d1e54072", 8))]);
}

#[test]
fn an_answer_to_subscribe_accepts_with_a_list_and_no_error() {
    for (rest, is_accepted) in [
        ("\"result\":[[],null,4]", true),
        ("\"result\":{},\"error\":false", true),
        ("\"result\":[[],\"00\",4],\"error\":\"no\"", false),
        ("\"result\":true", false),
        ("\"result\":null", false),
    ] {
        let events = client().take_line(format!("{{\"id\":2,{rest}}}").as_bytes(), 0);
        assert_eq!(events[0], ClientEvent::SubscribeAnswered { is_accepted }, "{rest}");
    }
}

#[test]
fn an_error_beside_a_search_space_does_not_hide_it() {
    let line = r#"{"id":2,"result":[[],"d1e5",4],"error":[20,"odd",null]}"#;
    assert_eq!(take(&mut client(), line.as_bytes()), [ClientEvent::Subscribed(spaces("d1e5", 4))]);
    let twice = r#"{"id":2,"result":null,"result":[[],"d1e5",4],"error":[20,"odd",null]}"#;
    assert_eq!(take(&mut client(), twice.as_bytes()), [ClientEvent::Subscribed(spaces("d1e5", 4))]);
    let unreadable = take(&mut client(), br#"{"id":2,"result":[[],null,4]}"#);
    let [ClientEvent::Subscribed(none)] = &unreadable[..] else { panic!("{unreadable:?}") };
    assert!(none.first().is_none() && none.unreadable.is_some());
}

#[test]
fn jobs_before_the_search_space_wait_for_it_and_keep_their_time() {
    let mut client = client();
    for (at, line) in [(1, job("a")), (2, format!("x{}", job("b"))), (3, job("c"))] {
        assert_eq!(jobs(&client.take_line(line.as_bytes(), at)), []);
    }
    // A refusal to configure and an accepted login change nothing in that.
    client.take_line(br#"{"id":1,"result":false}"#, 4);
    client.take_line(br#"{"id":3,"result":true}"#, 4);
    let events = client.take_line(SUBSCRIBED.as_bytes(), 5);
    assert!(matches!(
        events[..2],
        [ClientEvent::SubscribeAnswered { is_accepted: true }, ClientEvent::Subscribed(_)]
    ));
    let unreadable = Some("the line is no message, and looks like a job".to_owned());
    assert_eq!(
        jobs(&events),
        [(vec!["a".to_owned()], None, 1), (vec![], unreadable, 2), (vec!["c".to_owned()], None, 3)]
    );
    assert_eq!(jobs(&client.take_line(job("d").as_bytes(), 6)), [(vec!["d".to_owned()], None, 6)]);
}

#[test]
fn of_many_early_jobs_the_first_and_the_newest_wait() {
    let mut client = client();
    let mut given_up = 0;
    for at in 0..100 {
        let events = jobs(&client.take_line(job(&at.to_string()).as_bytes(), at));
        given_up += events.len();
        assert!(events.iter().all(|(ids, unreadable, _)| ids.is_empty() && unreadable.is_some()));
    }
    let waited = jobs(&client.take_line(SUBSCRIBED.as_bytes(), 200));
    let moments: Vec<u32> = waited.iter().map(|(_, _, at)| *at).collect();
    assert_eq!((moments, given_up), ((0..15).chain([99]).collect(), 84));
    // So are their bytes bounded.
    let mut client = self::client();
    let large = |id: &str| job(id).replacen("\"01\"", &format!("\"{}\"", "01".repeat(500_000)), 1);
    let given_up: usize = (0..10).map(|at| jobs(&client.take_line(large("x").as_bytes(), at)).len()).sum();
    assert_eq!((given_up, jobs(&client.take_line(SUBSCRIBED.as_bytes(), 10)).len()), (6, 4));
}

#[test]
fn all_readings_of_a_job_are_told_together() {
    let mut client = client();
    take(&mut client, SUBSCRIBED.as_bytes());
    let other = job("b");
    let (_, params) = other.split_once("\"params\":").unwrap();
    let twice = job("a").replace('}', &format!(",\"params\":{params}"));
    let told = jobs(&client.take_line(twice.as_bytes(), 1));
    assert_eq!(told, [(vec!["b".to_owned(), "a".to_owned()], None, 1)]);
    let behind = jobs(&client.take_line(format!("{} NOTIFY", job("a")).as_bytes(), 1));
    assert!(behind[0].0 == ["a"] && behind[0].1.as_ref().is_some_and(|why| why.contains("behind")));
}

#[test]
fn answers_that_nobody_asked_for_are_told_as_such() {
    let mut client = client();
    let foreign = r#"{"id":77,"result":[[],"aa",4],"error":null}"#;
    let unasked = ClientEvent::UnaskedSpaces(spaces("aa", 4));
    assert_eq!(take(&mut client, foreign.as_bytes()), std::slice::from_ref(&unasked));
    take(&mut client, SUBSCRIBED.as_bytes());
    assert_eq!(take(&mut client, foreign.as_bytes()), std::slice::from_ref(&unasked));
    // A second answer to the same request.
    assert_eq!(take(&mut client, br#"{"id":2,"result":[[],"aa",4]}"#), [unasked]);
    for line in [r#"{"id":0,"result":true}"#, r#"{"id":5,"result":true}"#, r#"{"id":null,"result":true}"#] {
        assert_eq!(take(&mut client, line.as_bytes()), [], "{line}");
    }
    // The answer to a ping of ours that is none of ours, in the form of a request.
    assert_eq!(take(&mut client, br#"{"id":9,"method":"pong","params":[]}"#), []);
    assert_eq!(client.take_outgoing(), "");
}

#[test]
fn extranonces_may_be_set_with_and_without_a_size() {
    let mut client = client();
    let set =
        |params: &str| format!("{{\"id\":null,\"method\":\"mining.set_extranonce\",\"params\":{params}}}");
    let told = |client: &mut Client<u32>, params: &str| {
        let events = take(client, set(params).as_bytes());
        let [ClientEvent::Called { .. }, ClientEvent::ExtranonceSet(spaces)] = &events[..] else {
            panic!("{events:?}")
        };
        spaces.first().cloned()
    };
    assert_eq!(told(&mut client, r#"["aa"]"#), None);
    assert_eq!(told(&mut client, r#"["aa",4]"#), Some(space("aa", 4)));
    take(&mut client, SUBSCRIBED.as_bytes());
    assert_eq!(told(&mut client, r#"["aa"]"#), Some(space("aa", 8)));
    assert_eq!(told(&mut client, r#"["aa",4]"#), Some(space("aa", 4)));
    assert_eq!(told(&mut client, r#"["bb"]"#), Some(space("bb", 4)));
    assert_eq!(told(&mut client, "[1]"), None);
}

#[test]
fn calls_have_their_values_and_usual_replies() {
    let mut client = client();
    let mut take = |line: &str| client.take_line(line.as_bytes(), 0);
    let called =
        |method, reply: Option<&str>| ClientEvent::Called { method, reply: reply.map(str::to_owned) };
    assert_eq!(
        take(r#"{"id":null,"method":"mining.set_difficulty","params":["512"]}"#),
        [
            called(Some(PoolMethod::SetDifficulty), None),
            ClientEvent::Difficulty(Difficulty::new(512.0).unwrap())
        ]
    );
    assert_eq!(
        take(r#"{"id":null,"method":"mining.set_version_mask","params":["1fffe000"]}"#),
        [called(Some(PoolMethod::SetVersionMask), None), ClientEvent::VersionMask(VersionMask::BIP320)]
    );
    assert_eq!(
        take(r#"{"id":null,"method":"client.show_message","params":["hello"]}"#),
        [called(Some(PoolMethod::ShowMessage), None), ClientEvent::Message("hello".to_owned())]
    );
    let away = Reconnect { host: "b.example".to_owned(), port: Some("1".to_owned()), ..Default::default() };
    assert_eq!(
        take(r#"{"id":null,"method":"Client.Reconnect","params":["b.example",1]}"#),
        [called(Some(PoolMethod::Reconnect), None), ClientEvent::Reconnect(away)]
    );
    for (line, method, reply) in [
        (
            r#"{"id":"v","method":"client.get_version","params":[]}"#,
            Some(PoolMethod::GetVersion),
            "{\"id\":\"v\",\"result\":\"sluice-test/1\",\"error\":null}\n",
        ),
        (
            r#"{"id":42,"method":"mining.ping"}"#,
            Some(PoolMethod::Ping),
            "{\"id\":42,\"result\":\"pong\",\"error\":null}\n",
        ),
        (
            r#"{"id":7,"method":"mining.surprise","params":[]}"#,
            None,
            "{\"id\":7,\"result\":null,\"error\":[20,\"Not supported.\",null]}\n",
        ),
    ] {
        assert_eq!(take(line), [called(method, Some(reply))], "{line}");
    }
    assert_eq!(take(r#"{"id":null,"method":"mining.surprise","params":[]}"#), [called(None, None)]);
}

#[test]
fn an_odd_call_is_replied_to_once() {
    let events = take(&mut client(), br#"{"id":1,"id":2,"method":"mining.ping"}"#);
    let replies = events.iter().filter(|event| matches!(event, ClientEvent::Called { reply: Some(_), .. }));
    assert_eq!((replies.count(), events.len()), (1, 2));
}

#[test]
fn garbage_is_no_message_and_may_be_a_job() {
    for line in ["", "GET / HTTP/1.1", "[1]", "{\"id\":1", "\u{16}\u{3}\u{1}"] {
        assert_eq!(take(&mut client(), line.as_bytes()), [ClientEvent::Unreadable], "{line:?}");
    }
    let mut client = client();
    take(&mut client, SUBSCRIBED.as_bytes());
    let events = take(&mut client, &job("a").as_bytes()[..60]);
    assert_eq!((&events[0], jobs(&events).len()), (&ClientEvent::Unreadable, 1));
}

proptest! {
    #[test]
    fn nothing_a_pool_sends_panics(
        place in any::<prop::sample::Index>(),
        instead in prop::collection::vec(any::<u8>(), 0..20),
        line in prop::sample::select(vec![
            job("a"),
            SUBSCRIBED.to_owned(),
            r#"{"id":null,"method":"mining.set_extranonce","params":["d1e5",6]}"#.to_owned(),
            r#"{"id":3,"result":false,"error":[24,"x",null]}"#.to_owned(),
        ]),
    ) {
        let mut client = client();
        let start = place.index(line.len());
        let end = (start + instead.len()).min(line.len());
        let line = [&line.as_bytes()[..start], &instead, &line.as_bytes()[end..]].concat();
        take(&mut client, &line);
        take(&mut client, SUBSCRIBED.as_bytes());
        take(&mut client, &line);
    }
}
