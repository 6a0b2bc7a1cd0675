//! The documents know every rule, and their links lead somewhere.

use std::fs;
use std::path::{Path, PathBuf};

use sluice::config::RuleId;

#[test]
fn every_rule_is_documented() {
    let text = read("docs/rules.md");
    for id in RuleId::ALL {
        assert!(text.contains(&format!("### `{id}`")), "{id} has no section");
    }
    let sections = text.lines().filter(|line| line.starts_with("### `")).count();
    assert_eq!(sections, RuleId::ALL.len());
}

#[test]
fn every_rule_that_can_be_off_is_listed() {
    let text = read("docs/configuration.md");
    let (_, list) = text.split_once("### Rules that can be switched off").expect("the section is there");
    let list = list.split("\n## ").next().unwrap_or(list);
    for id in RuleId::ALL {
        assert!(list.contains(&format!("`{id}`")), "{id} is not listed");
    }
}

/// The headings within the files are checked by `.ci/run links`.
#[test]
fn every_link_of_the_documents_leads_to_a_file() {
    let mut links = 0;
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = target.split('#').next().unwrap_or_default();
            if file.is_empty() || file.contains("://") {
                continue;
            }
            links += 1;
            let path = document.parent().unwrap().join(file);
            assert!(path.exists(), "{} links to {file}, which there is not", document.display());
        }
    }
    assert!(links > 50, "only {links} links were found");
}

fn documents() -> Vec<PathBuf> {
    let markdown = |folder: &str| {
        let files = fs::read_dir(root().join(folder)).unwrap();
        files
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|end| end == "md"))
    };
    markdown("").chain(markdown("docs")).collect()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
