use super::*;

fn event(time: &str, kind: &str, subject: &str, data: &str) -> String {
    format!(
        "{{\"at\":\"2026-11-21T{time}:00.000Z\",\"kind\":\"{kind}\",\"severity\":\"medium\",\"subject\":\"{subject}\",\"data\":{data}}}\n"
    )
}

fn read(lines: &[String]) -> (TimeLine, Vec<u64>) {
    let (mut line, mut damaged) = (TimeLine::default(), Vec::new());
    let text = lines.concat();
    line.read_events(text.as_bytes(), 0, &ReportSelection::default(), |number, _| damaged.push(number))
        .unwrap();
    (line, damaged)
}

#[test]
fn outages_are_from_the_failure_to_the_return() {
    let (line, damaged) = read(&[
        event("01:00", "pool.failed", "a:1", "{\"reason\":\"refused\",\"rank\":0}"),
        event("01:10", "pool.no_work", "a:1", "{}"),
        String::from("torn {\n"),
        event("01:30", "pool.returned", "a:1", "{}"),
        event("02:00", "program.stop", "sluice", "{}"),
        event("03:00", "program.start", "sluice", "{\"after_crash\":false}"),
        event("04:00", "program.start", "sluice", "{\"after_crash\":true}"),
        event("05:00", "pool.failed", "b:1", "{}"),
    ]);
    let minutes = |outage: &Outage| (outage.to.unwrap_or(outage.from) - outage.from) / 60_000;
    assert_eq!(line.pool_outages.iter().map(minutes).collect::<Vec<_>>(), [30, 0]);
    assert_eq!((line.pool_outages[0].reason.as_str(), line.pool_outages[1].to), ("refused", None));
    assert_eq!(
        line.sluice_outages.iter().map(|outage| (minutes(outage), outage.is_crash)).collect::<Vec<_>>(),
        [(60, false), (60, true)]
    );
    assert_eq!((damaged, line.events, line.ranks.get(&0)), (vec![3], 7, Some(&String::from("a:1"))));
}

#[test]
fn what_comes_back_is_noted() {
    let kinds = ["miner.named", "miner.back", "pool.returned", "pool.connected", "pool.failed_back"];
    let (line, _) = read(&kinds.map(|kind| event("01:00", kind, "a:1", "{}").replace("medium", "info")));
    let noted: Vec<&str> = line.notes.iter().map(|note| note.kind.as_str()).collect();
    assert_eq!(noted, ["miner.back", "pool.returned", "pool.failed_back"]);
}

#[test]
fn what_is_open_in_one_directory_is_no_outage_of_the_next() {
    let (first, second) = (
        [event("01:00", "pool.failed", "a:1", "{}"), event("06:00", "program.stop", "sluice", "{}")].concat(),
        [
            event("19:00", "pool.returned", "a:1", "{}"),
            event("20:00", "program.start", "sluice", "{\"after_crash\":false}"),
            event("21:00", "pool.failed", "a:1", "{}"),
            event("21:30", "pool.returned", "a:1", "{}"),
        ]
        .concat(),
    );
    let mut line = TimeLine::default();
    for (directory, events) in [first, second].iter().enumerate() {
        line.read_events(events.as_bytes(), directory, &ReportSelection::default(), |_, _| {}).unwrap();
    }
    assert!(line.sluice_outages.is_empty(), "{:?}", line.sluice_outages);
    let minutes = |outage: &Outage| outage.to.map(|to| (to - outage.from) / 60_000);
    assert_eq!(line.pool_outages.iter().map(minutes).collect::<Vec<_>>(), [Some(300), Some(30)]);
    // A crash of the second Sluice has no earlier sign of life in the first one's events.
    let crash = event("22:00", "program.start", "sluice", "{\"after_crash\":true}");
    line.read_events(crash.as_bytes(), 2, &ReportSelection::default(), |_, _| {}).unwrap();
    assert_eq!(line.sluice_outages.iter().map(minutes).collect::<Vec<_>>(), [Some(0)]);
}

#[test]
fn alerts_are_counted_by_their_rule_and_ends_are_none() {
    let mut line = TimeLine::default();
    let entry = |text: &str| {
        format!(
            "[2026-11-21T09:14:03.512Z] HIGH: payout.mismatch\nDescription: {text}\nData: {{}}\n{}\n",
            "-".repeat(80)
        )
    };
    let log =
        [entry("x"), entry("over since 2026-11-21T09:15:00.000Z, lasted 1 min: x"), String::from("torn\n")]
            .concat();
    let mut damaged = Vec::new();
    line.read_alerts(log.as_bytes(), &ReportSelection::default(), |number, _| damaged.push(number)).unwrap();
    assert_eq!(line.alert_counts.get("payout.mismatch"), Some(&(Severity::High, 1)));
    assert_eq!((line.alerts, damaged), (2, vec![9]));
}

#[test]
fn alerts_of_others_are_left_out() {
    let alert = |worker: &str| {
        let known = event("01:00", "alert.begun", "worker.hot", "{}");
        known.replace("\"data\"", &format!("\"worker\":\"{worker}\",\"data\""))
    };
    let events = [alert("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4.rig"), alert("bc1qminer.other")].concat();
    let selection = ReportSelection { worker: Some("rig".into()), ..ReportSelection::default() };
    let mut line = TimeLine::default();
    line.read_events(events.as_bytes(), 0, &selection, |_, _| {}).unwrap();
    let log = "[2026-11-21T09:14:03.512Z] HIGH: worker.hot\nDescription: other is hot\nData: {}\n";
    line.read_alerts(log.as_bytes(), &selection, |_, _| panic!("it is whole")).unwrap();
    assert_eq!((line.alert_states.len(), line.alert_counts.len(), line.notes.len()), (1, 0, 1));
    assert_eq!(
        line.alert_states[0].worker.as_deref(),
        Some("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4.rig")
    );
}

#[test]
fn a_line_without_end_is_damaged_and_the_next_one_is_read() {
    let long = format!("{}\n", "x".repeat(1 << 20));
    let (line, damaged) = read(&[long, event("01:00", "pool.failed", "a:1", "{}")]);
    assert_eq!((line.events, damaged), (1, vec![1]));
}
