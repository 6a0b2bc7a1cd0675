use super::*;
use crate::clock::NtpTime;
use crate::config::Network;

const ADDRESS: &str = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";

/// The time of ckpool's job below.
const JOB_TIME: i64 = 1_720_534_678;

fn at(milliseconds: u64) -> Timestamp {
    let since = Duration::from_millis(milliseconds);
    let clock = jiff::Timestamp::from_second(JOB_TIME).unwrap().checked_add(since).unwrap();
    Timestamp { since, clock: NtpTime::from_timestamp(clock) }
}

fn conversation(is_brief: bool) -> VerifyClient {
    let settings = VerifySettings::new(ADDRESS, Network::Auto).unwrap();
    VerifyClient::new(&VerifySettings { is_brief, ..settings }, "pool.example", at(0))
}

/// A conversation up to the suggested difficulty at 300 ms.
fn opened(is_brief: bool) -> VerifyClient {
    let mut conversation = conversation(is_brief);
    conversation.take_line(br#"{"id":2,"result":[[],"d1e54072",8],"error":null}"#, at(50));
    conversation.tick(at(250));
    conversation.take_line(br#"{"id":3,"result":true,"error":null}"#, at(300));
    conversation.take_outgoing();
    conversation
}

fn line(conversation: &mut VerifyClient, milliseconds: u64, line: &str) {
    conversation.take_line(line.as_bytes(), at(milliseconds));
}

/// A job whose only output pays this script.
fn job(script: &str) -> String {
    let coinb1 = format!("0100000001{}ffffffff100369c10e", "00".repeat(32));
    let coinb2 = format!("ffffffff01{}{:02x}{script}00000000", "00f2052a01000000", script.len() / 2);
    format!(
        "{{\"id\":null,\"method\":\"mining.notify\",\"params\":[\"a\",\"{}\",\"{coinb1}\",\"{coinb2}\",[],\
         \"20000000\",\"17023a04\",\"{JOB_TIME:08x}\",true]}}",
        "00".repeat(32)
    )
}

fn mine() -> String {
    job("0014751e76e8199196d454941c45d1b3a323f1433bd6")
}

#[test]
fn it_sends_requests_in_order_and_never_submits() {
    let mut conversation = conversation(true);
    let sent = conversation.take_outgoing();
    let lines: Vec<&str> = sent.lines().collect();
    assert!(lines[0].contains("mining.configure") && lines[0].contains("version-rolling.mask"), "{sent}");
    assert!(lines[1].contains("mining.subscribe") && lines.len() == 2, "{sent}");
    assert_eq!(conversation.next_tick(), None);

    line(&mut conversation, 50, r#"{"id":2,"result":[[],"d1e54072",8],"error":null}"#);
    assert_eq!(conversation.next_tick(), Some(Duration::from_millis(250)));
    conversation.tick(at(249));
    assert_eq!(conversation.take_outgoing(), "");
    conversation.tick(at(250));
    let sent = conversation.take_outgoing();
    assert!(sent.contains(&format!("[\"{ADDRESS}.rig1\",\"x\"]")), "{sent}");

    line(&mut conversation, 300, r#"{"id":3,"result":true,"error":null}"#);
    assert!(conversation.take_outgoing().contains("\"mining.suggest_difficulty\",\"params\":[0.00015]"));
    for _ in 0..3 {
        line(&mut conversation, 400, &mine());
    }
    conversation.tick(at(60_000));
    assert_eq!(conversation.take_outgoing(), "");
}

#[test]
fn a_brief_watch_ends_with_the_second_job_and_a_long_one_does_not() {
    for (is_brief, is_complete) in [(true, true), (false, false)] {
        let mut conversation = opened(is_brief);
        line(&mut conversation, 300, &mine());
        line(&mut conversation, 301, &mine());
        assert!(!conversation.is_complete(at(5000)), "it came with a change of difficulty");
        line(&mut conversation, 5000, &mine());
        assert_eq!(conversation.is_complete(at(5000)), is_complete);
    }
    // A bad job ends any watch.
    let mut conversation = opened(false);
    line(&mut conversation, 400, &job("51"));
    assert!(!conversation.is_complete(at(1299)), "the suggestion may still be followed");
    assert!(conversation.is_complete(at(1300)));
}

#[test]
fn a_job_before_authorize_counts_only_if_it_pays() {
    let mut conversation = conversation(true);
    // Even before the answer to subscribe.
    line(&mut conversation, 10, &job("51"));
    line(&mut conversation, 50, r#"{"id":2,"result":[[],"d1e54072",8],"error":null}"#);
    line(&mut conversation, 60, &job("51"));
    let observations = conversation.observations();
    assert_eq!(
        (observations.jobs.count, observations.jobs.telling, observations.jobs.is_ruled_out),
        (2, 0, false)
    );
    assert!(observations.is_first_line_other);
    line(&mut conversation, 70, &mine());
    assert_eq!(conversation.observations().jobs.telling, 1);
}

/// A pool of accounts gives every miner the same job at first, and one to all whenever it has another.
#[test]
fn a_job_that_crosses_the_authorize_accuses_nobody_unless_it_stays() {
    let crossed = || {
        let mut conversation = conversation(false);
        line(&mut conversation, 50, r#"{"id":2,"result":[[],"d1e54072",8],"error":null}"#);
        conversation.tick(at(250));
        line(&mut conversation, 260, &job("51"));
        assert!(!conversation.observations().jobs.is_ruled_out);
        conversation
    };
    let authorized = r#"{"id":3,"result":true,"error":null}"#;
    // Another job follows.
    let mut conversation = crossed();
    line(&mut conversation, 300, authorized);
    line(&mut conversation, 9000, &mine());
    conversation.tick(at(60_000));
    let observations = conversation.into_observations(at(60_000));
    assert_eq!((observations.jobs.telling, observations.jobs.is_ruled_out), (1, false));
    // None follows.
    let mut conversation = crossed();
    line(&mut conversation, 300, authorized);
    conversation.tick(at(10_299));
    assert!(!conversation.observations().jobs.is_ruled_out);
    assert_eq!(conversation.next_tick().map(|due| due <= Duration::from_millis(10_300)), Some(true));
    conversation.tick(at(10_300));
    assert!(conversation.observations().jobs.is_ruled_out);
    // The authorize is never answered.
    assert!(crossed().into_observations(at(2000)).jobs.is_ruled_out);
    // A job that crosses it late, or comes after the answer.
    let mut conversation = crossed();
    line(&mut conversation, 10_250, &job("51"));
    assert!(conversation.observations().jobs.is_ruled_out);
    let mut conversation = crossed();
    line(&mut conversation, 300, authorized);
    line(&mut conversation, 301, &job("51"));
    assert!(conversation.observations().jobs.is_ruled_out);
}

#[test]
fn reactions_to_the_suggested_difficulty() {
    let difficulty =
        |value: &str| format!("{{\"id\":null,\"method\":\"mining.set_difficulty\",\"params\":[{value}]}}");
    for (before, after, expected) in [
        ("10000", None, Suggestion::Ignored),
        ("10000", Some("10000"), Suggestion::Ignored),
        ("10000", Some("0.0002"), Suggestion::Followed),
        ("10000", Some("0.00015"), Suggestion::Followed),
        ("10000", Some("1"), Suggestion::Lowered),
        ("0.00001", Some("0.00001"), Suggestion::Needless),
    ] {
        let mut conversation = conversation(true);
        line(&mut conversation, 50, r#"{"id":2,"result":[[],"d1e54072",8],"error":null}"#);
        line(&mut conversation, 50, &difficulty(before));
        conversation.tick(at(250));
        line(&mut conversation, 300, r#"{"id":3,"result":true,"error":null}"#);
        if let Some(after) = after {
            line(&mut conversation, 310, &difficulty(after));
        }
        let asked = &conversation.observations().difficulty;
        assert_eq!(asked.suggestion, expected, "{before} {after:?}");
        assert_eq!(asked.first.map(|first| first.to_string()).as_deref(), Some(before));
    }
    let mut refused = opened(true);
    line(&mut refused, 320, r#"{"id":4,"result":null,"error":[-3,"Method not found",null]}"#);
    assert_eq!(refused.observations().difficulty.suggestion, Suggestion::Refused);
}

#[test]
fn the_pools_own_requests_are_answered() {
    let mut conversation = opened(true);
    line(&mut conversation, 400, r#"{"id":42,"method":"mining.ping","params":[]}"#);
    line(&mut conversation, 400, r#"{"id":"v","method":"client.get_version","params":[]}"#);
    line(&mut conversation, 400, r#"{"id":7,"method":"mining.surprise","params":[]}"#);
    let sent = conversation.take_outgoing();
    assert!(sent.contains(r#"{"id":42,"result":"pong""#) && sent.contains(r#""id":"v","result":"cgminer/"#));
    assert!(sent.contains(r#"{"id":7,"result":null,"error":[20,"#), "{sent}");
}

#[test]
fn a_redirect_to_another_host_is_foreign() {
    for (params, is_foreign) in [
        ("[]", false),
        (r#"["",3333]"#, false),
        (r#"["Pool.Example","4444"]"#, false),
        (r#"["stratum+tcp://pool.example:4444"]"#, false),
        (r#"[" pool.example. ",4444]"#, false),
        (r#"["pool.example@evil.example",4444]"#, true),
        (r#"["evil.example",3333,5]"#, true),
    ] {
        let mut conversation = opened(true);
        line(
            &mut conversation,
            400,
            &format!(r#"{{"id":null,"method":"client.reconnect","params":{params}}}"#),
        );
        let reconnect = conversation.observations().reconnect.clone().unwrap();
        assert_eq!(reconnect.is_foreign, is_foreign, "{params}");
    }
}

#[test]
fn everything_that_is_kept_is_bounded() {
    let mut conversation = opened(false);
    let long = "x".repeat(60_000);
    for _ in 0..2000 {
        line(&mut conversation, 400, &mine());
        line(&mut conversation, 400, &format!(r#"{{"method":"client.show_message","params":["{long}"]}}"#));
        line(&mut conversation, 400, &long);
    }
    let observations = conversation.into_observations(at(60_000));
    assert_eq!(
        (observations.jobs.count, observations.jobs.kept.len(), observations.messages.len()),
        (2000, 128, 8)
    );
    assert_eq!((observations.messages[0].len(), observations.unreadable), (200, 2000));
    assert_eq!(observations.unreadable_sample.map(|sample| sample.len()), Some(200));
}

#[test]
fn a_rejected_subscribe_ends_the_watch() {
    let mut conversation = conversation(false);
    line(&mut conversation, 50, r#"{"id":2,"result":null,"error":[20,"go away",null]}"#);
    assert!(conversation.is_complete(at(50)));
    assert_eq!(conversation.observations().subscribe_refused.as_ref().and_then(|why| why.code), Some(20));
}

#[test]
fn the_worst_reading_of_a_line_counts() {
    let twice = |first: &str, last: &str| {
        let (_, params) = last.split_once("\"params\":").unwrap();
        first.replace('}', &format!(",\"params\":{params}"))
    };
    for text in [twice(&job("51"), &mine()), twice(&mine(), &job("51")), mine() + &job("51")] {
        let mut conversation = opened(false);
        line(&mut conversation, 400, &text);
        let jobs = &conversation.observations().jobs;
        assert_eq!((jobs.count, jobs.is_ruled_out, jobs.unreadable), (1, true, 0), "{text}");
    }
    let mut conversation = opened(false);
    line(&mut conversation, 400, &twice(&mine(), &mine()));
    let jobs = &conversation.observations().jobs;
    assert!(jobs.count == 1 && jobs.all_pay() && jobs.unreadable == 0);
}

#[test]
fn unreadable_lines_that_may_be_jobs_are_counted() {
    for text in [
        mine().replace("[],", "[null],"),
        mine().replace("\"0100", "\"0x0100"),
        mine().replace("mining.notify", " mining.notify"),
        format!("x{}", mine()),
        format!("{{}} x{}", mine()),
    ] {
        let mut conversation = opened(false);
        line(&mut conversation, 400, &text);
        let jobs = &conversation.observations().jobs;
        assert_eq!((jobs.unreadable, jobs.unreadable_reason.is_some()), (1, true), "{text}");
    }
}

#[test]
fn every_job_before_subscribe_is_judged_and_few_are_kept() {
    let mut conversation = conversation(false);
    line(&mut conversation, 10, &mine());
    for _ in 0..30 {
        line(&mut conversation, 20, &job("51"));
    }
    line(&mut conversation, 50, r#"{"id":2,"result":[[],"d1e54072",8],"error":null}"#);
    let jobs = &conversation.observations().jobs;
    assert_eq!((jobs.count, jobs.telling, jobs.unreadable), (16, 1, 15));
}

#[test]
fn an_unreadable_answer_to_subscribe_is_no_rejection() {
    let mut conversation = conversation(false);
    line(&mut conversation, 50, r#"{"id":2,"result":[[],null,8],"error":null}"#);
    assert!(!conversation.is_complete(at(50)));
    conversation.tick(at(250));
    assert!(conversation.take_outgoing().contains("mining.authorize"));
    line(&mut conversation, 300, &mine());
    let observations = conversation.observations();
    assert!(observations.subscribe_refused.is_none() && observations.space_doubt.is_some());
    assert_eq!((observations.jobs.count, observations.jobs.unreadable), (0, 1));
}

#[test]
fn a_line_without_an_end_may_be_a_job() {
    for (text, age, unreadable) in [
        (mine(), 0, 1),
        (mine().replace('}', ""), 100, 0),
        (mine().replace('}', ""), 1000, 1),
        ("{\"id\":".to_owned(), 1000, 0),
    ] {
        let mut conversation = opened(false);
        conversation.take_unfinished(text.as_bytes(), Duration::from_millis(age));
        assert_eq!(conversation.observations().jobs.unreadable, unreadable, "{text} {age}");
    }
}

#[test]
fn a_job_becomes_outdated() {
    let mut conversation = opened(false);
    line(&mut conversation, 400, &mine());
    let lasted = |seconds| Duration::from_secs(seconds);
    assert_eq!(conversation.observations().jobs.outdated_for(lasted(300)), None);
    assert!(conversation.observations().jobs.outdated_for(lasted(302)).is_some());
    // A pool that sends jobs with new blocks only.
    line(&mut conversation, 600_400, &mine());
    assert_eq!(conversation.observations().jobs.outdated_for(lasted(3600)), None);
}

#[test]
fn a_search_space_before_the_answer_to_subscribe_counts_too() {
    let mut conversation = conversation(false);
    line(&mut conversation, 10, r#"{"id":null,"method":"mining.set_extranonce","params":["0a0b",8]}"#);
    assert_eq!(conversation.earlier_spaces.len(), 1);
    assert_eq!(conversation.observations().jobs.unreadable, 0);
    line(&mut conversation, 20, r#"{"id":null,"method":"mining.set_extranonce","params":["0a0z",8]}"#);
    assert_eq!(conversation.observations().jobs.unreadable, 1);
}
