//! The layout of `src/`: arrows between folders point down, files have no import cycle, every type has a name of its
//! own, comments begin with a noun or a verb, and files have a readable length. The floors are read from
//! `docs/architecture.md`; the lists below have the exceptions, each with its reason.

mod imports;
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use imports::Imports;
use source::{ModulePath, all_files, is_word, program_files, source_root};

/// The longest file. A longer one has a second concept.
const MAX_LINES: usize = 450;

/// The shortest file. A shorter one belongs to its only caller, unless `SHORT_FILES` says why not.
const MIN_LINES: usize = 40;

/// Files shorter than `MIN_LINES`, and the reason. The head of a folder, `mod.rs`, may be as short as it likes.
const SHORT_FILES: &[(&str, &[&str])] = &[
    ("it has no logic", &["main.rs"]),
    ("a suggestion for a misspelt key is looked for by this name", &["config/did_you_mean.rs"]),
    ("one file of the data directory a file", &["record/geek_log.rs"]),
    ("one conversion or convention of the wire a file", &["work/rolling.rs"]),
    (
        "several callers need it, and none of them more than others",
        &["cli/signals.rs", "sim/random.rs", "status/server/log_once.rs", "util/address.rs"],
    ),
];

/// Arrows between files that close a circle, from and to, and the reason.
const BACKWARD: &[(&str, &str, &str)] = &[
    (
        "analyzer/rows.rs",
        "analyzer/accounting.rs",
        "the rows of a share are made by the accounting that records them",
    ),
    (
        "proxy/aggregate/group/extranonce_space.rs",
        "proxy/aggregate/jobs.rs",
        "a job has a space, and a space an id among the jobs",
    ),
    (
        "analyzer/answer_form.rs",
        "analyzer/requests.rs",
        "the form of an answer depends on the kind of request",
    ),
    ("analyzer/same_id.rs", "analyzer/requests.rs", "requests with one id are told apart by their kind"),
    ("analyzer/job_verdict.rs", "analyzer/session_event.rs", "a verdict is kept with the event of its job"),
    (
        "proxy/aggregate/group/prefixes.rs",
        "proxy/aggregate/group/extranonce_space.rs",
        "the split of a space says how many prefixes it has",
    ),
    (
        "proxy/aggregate/jobs.rs",
        "proxy/aggregate/pool/connection.rs",
        "a job leads back to its connection, weakly",
    ),
    (
        "proxy/aggregate/pool/pending.rs",
        "proxy/aggregate/miner/mod.rs",
        "an answer goes back to its miner, weakly",
    ),
    ("proxy/aggregate/miner/mod.rs", "proxy/aggregate/group/mod.rs", "a miner and its group know each other"),
    (
        "proxy/aggregate/miner/share_verdict.rs",
        "proxy/aggregate/miner/work.rs",
        "a share is judged by the job that its miner was assigned",
    ),
    (
        "proxy/listener_context.rs",
        "proxy/peer_log.rs",
        "a ban is logged by the limits that the context holds",
    ),
    (
        "proxy/passthrough/session.rs",
        "proxy/passthrough/miner_to_pool.rs",
        "a session starts its first thread, which needs the session",
    ),
    (
        "proxy/passthrough/pool_to_miner.rs",
        "proxy/passthrough/miner_to_pool.rs",
        "both directions mark their end in the same way",
    ),
    ("reference/tip.rs", "reference/status.rs", "a tip is published and shown at once"),
    ("status/server/head.rs", "status/server/access.rs", "a head has the visitor's credentials"),
    (
        "status/server/connection.rs",
        "status/server/gate.rs",
        "a visitor's connection shares the gate's state",
    ),
    ("stratum/tolerant.rs", "stratum/message.rs", "a tolerant reading is an envelope, too"),
    ("upstream/spare.rs", "upstream/entry.rs", "the stock of spare connections belongs to its pool's entry"),
    ("upstream/probe_work.rs", "upstream/probe.rs", "a probe for work ends as other probes do"),
    (
        "verify/conversation.rs",
        "verify/judge.rs",
        "the conversation stops early where the judge needs no more",
    ),
    (
        "verify/observations.rs",
        "verify/jobs.rs",
        "the jobs are a part of the observations and have their times",
    ),
];

/// Beginnings that leave out the noun.
const CLAUSES: &[&str] = &["It ", "What ", "Those ", "Who ", "Of ", "So many ", "As [`"];

#[test]
fn arrows_between_folders_point_down() {
    let floors = floors();
    let files = program_files();
    let imports = Imports::of(&files);
    let mut arrows: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut upward = Vec::new();
    for (module, file) in &files {
        let Some(from) = module.first().filter(|from| *from != "main") else { continue };
        for (target, name) in imports.used_by(module) {
            let Some(to) = target.first().filter(|to| *to != from) else { continue };
            let (Some(above), Some(below)) = (floors.get(from), floors.get(to)) else {
                panic!("docs/architecture.md has no floor for {from}/ or {to}/");
            };
            if below > above {
                upward.push(format!("{} uses {}", file.path, name.join("::")));
            }
            arrows.entry(from.clone()).or_default().insert(to.clone());
        }
    }
    assert!(upward.is_empty(), "these arrows point up:\n{}", upward.join("\n"));
    assert_eq!(cycles(&arrows), Vec::<Vec<String>>::new(), "folders that use each other");
}

#[test]
fn every_folder_has_a_floor_and_every_floor_a_folder() {
    let folders: BTreeSet<String> =
        program_files().into_keys().filter_map(|module| module.into_iter().next()).collect();
    let named: BTreeSet<String> = floors().into_keys().chain(["main".to_owned()]).collect();
    assert_eq!(folders, named);
}

#[test]
fn every_file_that_the_architecture_names_exists() {
    let page = architecture();
    let named = page.split('`').filter(|text| text.ends_with(".rs") && !text.starts_with("tests/"));
    let gone: Vec<_> = named.filter(|path| !source_root().join(path).exists()).collect();
    assert!(gone.is_empty(), "docs/architecture.md names files that do not exist: {gone:?}");
}

/// A file may use the one that declares it and those that it declares: together they are one module. Files beside
/// each other must not.
#[test]
fn files_beside_each_other_form_no_circle() {
    let files = program_files();
    let imports = Imports::of(&files);
    let path = |module: &ModulePath| files[module].path.clone();
    let mut arrows: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for module in files.keys() {
        let used = imports.used_by(module).into_keys().filter(|target| !module.starts_with(target));
        arrows.insert(path(module), used.map(path).collect());
    }
    let mut unneeded = Vec::new();
    let mut forward = arrows.clone();
    for (from, to, _) in BACKWARD {
        let is_there = forward.get_mut(*from).is_some_and(|targets| targets.remove(*to));
        if !is_there || !reachable(&arrows, to).contains(from) {
            unneeded.push((from, to));
        }
    }
    let circles = cycles(&forward);
    assert!(
        circles.is_empty() && unneeded.is_empty(),
        "circles (move what both need into one of them, or below both): {circles:#?}\n\
         closing no circle any more (remove them from BACKWARD): {unneeded:#?}"
    );
}

/// A file may define a type twice: for one system each.
#[test]
fn every_type_has_a_name_of_its_own() {
    let mut places: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in program_files().into_values() {
        for name in file.code.lines().filter_map(defined_type) {
            places.entry(name.to_owned()).or_default().insert(file.path.clone());
        }
    }
    places.retain(|_, files| files.len() > 1);
    assert!(places.is_empty(), "types with one name: {places:#?}");
}

#[test]
fn a_doc_comment_begins_with_a_noun_or_a_verb() {
    let mut found = Vec::new();
    for (path, text) in all_files() {
        let mut is_inside = false;
        for (number, line) in (1..).zip(text.lines().map(str::trim_start)) {
            let comment = line.strip_prefix("///").or_else(|| line.strip_prefix("//!"));
            let begins = comment.filter(|_| !is_inside).map(str::trim_start);
            if begins.is_some_and(|begin| CLAUSES.iter().any(|clause| begin.starts_with(clause))) {
                found.push(format!("src/{path}:{number}: {line}"));
            }
            is_inside = comment.is_some_and(|comment| !comment.trim().is_empty());
        }
    }
    assert!(found.is_empty(), "say whose or what thing it is first:\n{}", found.join("\n"));
}

#[test]
fn files_have_a_readable_length() {
    let mut listed: BTreeSet<&str> = SHORT_FILES.iter().flat_map(|(_, files)| *files).copied().collect();
    let (mut long, mut short) = (Vec::new(), Vec::new());
    for (path, text) in all_files() {
        let lines = text.lines().count();
        let is_excused = lines < MIN_LINES && listed.remove(path.as_str());
        if lines > MAX_LINES {
            long.push(format!("src/{path}: {lines}"));
        } else if lines < MIN_LINES && !is_excused && !path.ends_with("mod.rs") {
            short.push(format!("src/{path}: {lines}"));
        }
    }
    assert!(
        long.is_empty() && short.is_empty() && listed.is_empty(),
        "too long (split them by concept): {long:#?}\ntoo short (move them to their only caller): {short:#?}\n\
         not short any more (remove them from SHORT_FILES): {listed:?}"
    );
}

/// The name of the type that the line defines. An indented `type` is a trait's.
fn defined_type(line: &str) -> Option<&str> {
    let is_indented = line.starts_with(' ');
    let mut words = line.split(|character: char| !is_word(character)).filter(|word| !word.is_empty());
    let first = words.find(|word| !["pub", "crate", "super", "in", "self"].contains(word))?;
    let is_type = ["struct", "enum", "trait", "union"].contains(&first) || (first == "type" && !is_indented);
    // A macro's `struct $name` defines many.
    words.next().filter(|name| is_type && name.starts_with(char::is_uppercase))
}

/// The floor of each folder, from the table in `docs/architecture.md`; the lowest is 1.
fn floors() -> BTreeMap<String, usize> {
    let page = architecture();
    let mut floors = BTreeMap::new();
    for line in page.lines() {
        let mut cells = line.split('|').map(str::trim).skip(1);
        let (Some(floor), Some(folder)) = (cells.next(), cells.next()) else { continue };
        if let Ok(floor) = floor.parse() {
            let folder = folder.trim_matches('`').trim_end_matches('/').trim_end_matches(".rs");
            floors.insert(folder.to_owned(), floor);
        }
    }
    assert!(floors.len() > 15, "docs/architecture.md has lost its table of floors: {floors:?}");
    floors
}

fn architecture() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/architecture.md")).unwrap()
}

/// The groups in which each member leads to each other one, by the arrows.
fn cycles(arrows: &BTreeMap<String, BTreeSet<String>>) -> Vec<Vec<String>> {
    let reach: BTreeMap<&str, BTreeSet<&str>> =
        arrows.keys().map(|from| (from.as_str(), reachable(arrows, from))).collect();
    let mut groups = BTreeSet::new();
    for (from, reached) in &reach {
        let group: Vec<String> = reached
            .iter()
            .filter(|to| reach.get(**to).is_some_and(|back| back.contains(from)))
            .map(|to| (*to).to_owned())
            .collect();
        if !group.is_empty() {
            groups.insert(group);
        }
    }
    groups.into_iter().collect()
}

/// The names that the arrows lead to from this one. It is among them only if it is on a circle.
fn reachable<'a>(arrows: &'a BTreeMap<String, BTreeSet<String>>, from: &str) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut next: Vec<&str> = arrows.get(from).into_iter().flatten().map(String::as_str).collect();
    while let Some(name) = next.pop() {
        if reached.insert(name) {
            next.extend(arrows.get(name).into_iter().flatten().map(String::as_str));
        }
    }
    reached
}
