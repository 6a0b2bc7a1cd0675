//! A pool that is only watched, and sends jobs in odd forms: it does not look up to date by them.

use serde_json::Value;

use super::forms::{self, Expect, Form};
use super::job::Job;
use super::owner::{Owner, Seen};
use super::pool::{Pool, Script};

/// The heights of the first job and of the odd one.
const BEFORE: u64 = 967_017;
const AFTER: u64 = BEFORE + 1;
/// A pool that is only watched is read slowly.
const MAX_BYTES: usize = 200_000;

/// A job of the next block.
fn next_job() -> Job {
    let job = Job::stranger(3);
    Job { coinb1: job.coinb1.replace("0369c10e", "036ac10e"), ..job }
}

/// Whether what is shown of a reference is right for the form.
fn check(form: &Form, reference: &Value) -> Result<(), String> {
    let height = reference["height"].as_u64();
    match (form.expect, height) {
        (_, Some(AFTER)) if reference["error"].is_null() => Ok(()),
        (Expect::Noticed, None) if reference["error"].is_string() => Ok(()),
        (expect, _) => Err(format!("{}, expected {expect:?}: {height:?}, {}", form.name, reference["error"])),
    }
}

#[test]
fn no_odd_form_makes_a_reference_look_up_to_date() {
    // What has no end is no line yet.
    let is_line = |bytes: &[u8]| bytes.len() < MAX_BYTES && bytes.ends_with(b"\n");
    let forms: Vec<Form> =
        forms::ALL.concat().into_iter().filter(|form| is_line(&(form.write)(&next_job()))).collect();
    let script = |form: &Form| {
        let first = Job::honest(1).line();
        Script::saying(&[first.as_bytes(), &(form.write)(&next_job())].concat())
    };
    let pools: Vec<Pool> = forms.iter().map(|form| Pool::start(script(form))).collect();
    let upstream = Pool::start(Script::saying(Job::honest(1).line().as_bytes()));
    let tables = pools.iter().map(|pool| format!("[[reference]]\nurl = \"{}\"\n", pool.url()));
    let owner = Owner::start("", &(upstream.upstream() + &tables.collect::<String>()));
    let are_right = |seen: &Seen| {
        let references = seen.status["references"].as_array().unwrap();
        assert_eq!(references.len(), forms.len());
        let wrong: Vec<String> = forms
            .iter()
            .zip(references)
            .filter_map(|(form, reference)| check(form, reference).err())
            .collect();
        if wrong.is_empty() {
            Ok(())
        } else {
            Err(format!("{} of {}:\n{}", wrong.len(), forms.len(), wrong.join("\n")))
        }
    };
    if let Err(why) = owner.wait("references", are_right) {
        panic!("{why}");
    }
}
