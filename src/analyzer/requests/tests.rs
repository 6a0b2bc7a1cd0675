use super::*;

const MINUTE: Duration = Duration::from_secs(60);

fn at(seconds: u64) -> Stamp {
    Stamp::from_nanos(seconds * 1_000_000_000)
}

fn share(worker: &str) -> RequestKind {
    RequestKind::Submit(Box::new(PendingShare::for_tests(worker)))
}

/// An accepting answer.
fn yes(requests: &mut OpenRequests, id: &str) -> Match {
    requests.answer(id, AnswerForm::Yes, at(2), b"yes")
}

fn worker_of(answered: Match) -> String {
    match answered {
        Match::Request(RequestKind::Submit(share), _) => share.worker.clone(),
        other => panic!("{other:?}"),
    }
}

/// The workers whose shares got their kept answers, with those.
fn settled(requests: &mut OpenRequests) -> Vec<(String, String)> {
    let text = |line: &[u8]| String::from_utf8(line.to_vec()).unwrap();
    let name = |kind| match kind {
        RequestKind::Submit(share) => share.worker.clone(),
        _ => "(no share)".to_owned(),
    };
    requests.take_settled().into_iter().map(|one| (name(one.kind), text(&one.answer.line))).collect()
}

#[test]
fn one_id_for_every_share_is_answered_first_in_first_out() {
    let mut requests = OpenRequests::new(Role::Direct);
    for worker in ["a", "b", "c"] {
        requests.add("4", share(worker), at(1), at(1)).unwrap();
    }
    assert_eq!(requests.open_shares(), 3);
    for worker in ["a", "b", "c"] {
        assert_eq!(worker_of(yes(&mut requests, "4")), worker);
    }
    assert!(matches!(yes(&mut requests, "4"), Match::NoRequest));
    assert_eq!(requests.open_shares(), 0);
}

#[test]
fn ids_that_differ_as_text_are_different() {
    let mut requests = OpenRequests::new(Role::Direct);
    for (id, worker) in [("1", "number"), ("\"1\"", "text"), ("null", "null"), ("1.0", "float")] {
        requests.add(id, share(worker), at(1), at(1)).unwrap();
    }
    assert_eq!(worker_of(yes(&mut requests, "\"1\"")), "text");
    assert_eq!(worker_of(yes(&mut requests, "null")), "null");
    assert_eq!(worker_of(yes(&mut requests, "1")), "number");
}

#[test]
fn an_answer_that_came_first_finds_its_share_but_not_a_later_one() {
    let mut requests = OpenRequests::new(Role::Direct);
    requests.keep_early_answer("7", AnswerForm::Yes, at(10), b"the answer");
    assert!(requests.add("7", share("later"), at(11), at(12)).is_ok());
    // Its sending was stamped late, as by a thread that was held up.
    let (_, answer) = requests.add("7", share("before"), at(9), at(11)).unwrap_err();
    assert_eq!(*answer.unwrap().line, *b"the answer");
}

#[test]
fn after_lost_answers_an_id_that_is_used_again_begins_anew() {
    let mut requests = OpenRequests::new(Role::Direct);
    for (id, worker) in [("4", "a"), ("4", "b"), ("5", "c"), ("6", "d")] {
        requests.add(id, share(worker), at(1), at(1)).unwrap();
    }
    assert_eq!((requests.answers_lost().len(), requests.open_shares()), (2, 2));
    assert!(requests.drop_doubtful("4").is_none());
    assert!(matches!(requests.drop_doubtful("5"), Some(RequestKind::Submit(share)) if share.worker == "c"));
    assert_eq!(worker_of(yes(&mut requests, "6")), "d");
    assert_eq!(requests.open_shares(), 0);
}

#[test]
fn long_ids_cost_no_memory() {
    let mut requests = OpenRequests::new(Role::Direct);
    let id = "é".repeat(30_000);
    requests.add(&id, share("a"), at(1), at(1)).unwrap();
    assert_eq!(requests.open.keys().map(|id| id.len()).max(), Some(128));
    assert_eq!(worker_of(yes(&mut requests, &id)), "a");
}

#[test]
fn what_is_never_answered_expires_and_a_flood_is_bounded() {
    let mut requests = OpenRequests::new(Role::Direct);
    let refused =
        (0..10_000).filter(|id| requests.add(&id.to_string(), share("flood"), at(1), at(1)).is_err()).count();
    assert_eq!(refused, 10_000 - MAX_OPEN_SHARES);
    assert_eq!(requests.open_shares(), MAX_OPEN_SHARES as u32);
    assert!(requests.expire(MINUTE, at(60)).is_empty());
    assert_eq!(requests.expire(MINUTE, at(61)).len(), MAX_OPEN_SHARES);
    assert_eq!((requests.open_shares(), requests.open.len()), (0, 0));
}

#[test]
fn what_may_not_be_answered_waits_for_the_number_of_answers() {
    let ask = |requests: &mut OpenRequests| {
        requests.add("0", RequestKind::Other, at(1), at(1)).unwrap();
        requests.add("0", share("a"), at(1), at(1)).unwrap();
        requests.add("0", share("b"), at(1), at(1)).unwrap();
        assert!(matches!(requests.answer("0", AnswerForm::Yes, at(2), b"1"), Match::Ambiguous));
        assert!(matches!(requests.answer("0", AnswerForm::Refusal, at(2), b"2"), Match::Ambiguous));
        assert!(settled(requests).is_empty());
    };
    let text = |worker: &str, line: &str| (worker.to_owned(), line.to_owned());
    // All three are answered.
    let mut requests = OpenRequests::new(Role::Direct);
    ask(&mut requests);
    assert!(matches!(requests.answer("0", AnswerForm::Yes, at(2), b"3"), Match::Ambiguous));
    assert_eq!(settled(&mut requests), [text("(no share)", "1"), text("a", "2"), text("b", "3")]);
    assert_eq!((requests.open_shares(), requests.count, requests.unclear, requests.open.len()), (0, 0, 0, 0));
    // The first is not, as shows with time, or at the end of the session.
    for is_over in [false, true] {
        let mut requests = OpenRequests::new(Role::Direct);
        ask(&mut requests);
        if is_over {
            assert!(requests.take_all().is_empty());
        } else {
            assert!(requests.expire(MINUTE, at(3)).is_empty());
        }
        assert_eq!(settled(&mut requests), [text("a", "1"), text("b", "2")]);
        assert_eq!(
            (requests.open_shares(), requests.count, requests.unclear, requests.open.len()),
            (0, 0, 0, 0)
        );
    }
}

#[test]
fn what_was_not_answered_for_long_is_passed_over_at_once() {
    let mut requests = OpenRequests::new(Role::Direct);
    requests.add("0", RequestKind::Other, at(1), at(1)).unwrap();
    requests.add("0", share("a"), at(30), at(30)).unwrap();
    assert_eq!(worker_of(yes(&mut requests, "0")), "a");
    assert_eq!(requests.count, 0);
}

#[test]
fn this_program_answers_everything_in_order() {
    let mut requests = OpenRequests::new(Role::Miner);
    requests.add("0", RequestKind::Other, at(1), at(1)).unwrap();
    requests.add("0", share("a"), at(1), at(1)).unwrap();
    assert!(matches!(yes(&mut requests, "0"), Match::Request(RequestKind::Other, _)));
    assert_eq!(worker_of(yes(&mut requests, "0")), "a");
}

#[test]
fn unclear_answers_are_bounded() {
    let mut requests = OpenRequests::new(Role::Direct);
    for id in 0..200 {
        let id = id.to_string();
        requests.add(&id, RequestKind::Other, at(1), at(1)).unwrap();
        requests.add(&id, share("a"), at(1), at(1)).unwrap();
        yes(&mut requests, &id);
        assert!(requests.unclear <= MAX_UNCLEAR_ANSWERS);
    }
    assert_eq!(settled(&mut requests).len(), 200 - MAX_UNCLEAR_ANSWERS);
    assert_eq!(requests.expire(Duration::from_secs(1), at(3)).len(), 0);
    assert_eq!(settled(&mut requests).len(), MAX_UNCLEAR_ANSWERS);
    assert_eq!((requests.open_shares(), requests.open.len()), (0, 0));
}

proptest::proptest! {
    /// Whatever is asked and answered: nothing is lost or counted twice.
    #[test]
    fn the_books_are_right(steps in proptest::collection::vec((0..4_u8, 0..6_u8, 0..6_u8), 0..200)) {
        let mut requests = OpenRequests::new(Role::Direct);
        let (mut asked, mut done) = (0, 0);
        for (now, (id, what, form)) in steps.into_iter().enumerate() {
            let (id, now) = (["4", "\"4\"", "null", "4.0"][usize::from(id)], at(now as u64 / 8));
            let forms = [AnswerForm::Yes, AnswerForm::Refusal, AnswerForm::List, AnswerForm::Object];
            match what {
                0 | 1 => {
                    asked += 1;
                    done += usize::from(requests.add(id, share("a"), now, now).is_err());
                }
                2 => {
                    let kinds = [RequestKind::Subscribe, RequestKind::Configure { mask: None }, RequestKind::Other];
                    let kind = kinds.into_iter().nth(usize::from(form) % 3).unwrap();
                    let _ = requests.add(id, kind, now, now);
                }
                3 | 4 => {
                    let form = forms[usize::from(form) % 4];
                    let found = requests.answer(id, form, now, b"x");
                    done += usize::from(matches!(found, Match::Request(RequestKind::Submit(_), _)));
                }
                _ => {
                    let lost = if form == 0 { requests.answers_lost() } else { requests.expire(MINUTE, now) };
                    done += lost.iter().filter(|one| matches!(one, RequestKind::Submit(_))).count();
                }
            }
            done += settled(&mut requests).iter().filter(|(name, _)| name == "a").count();
            let open = || requests.open.values().flat_map(|same| &same.requests);
            assert_eq!(requests.count, open().count());
            assert_eq!(requests.open_shares() as usize, open().filter(|one| matches!(one.kind, RequestKind::Submit(_))).count());
            assert_eq!(requests.unclear, requests.open.values().map(|same| same.unclear.len()).sum::<usize>());
            assert!(requests.open.values().all(|same| !same.requests.is_empty()));
        }
        let left = requests.take_all().into_iter().filter(|one| matches!(one, RequestKind::Submit(_))).count();
        done += settled(&mut requests).iter().filter(|(name, _)| name == "a").count();
        assert_eq!(asked, done + left);
    }
}
