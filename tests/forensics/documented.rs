//! `docs/rules.md` knows every rule.

use sluice::config::RuleId;

#[test]
fn every_rule_is_documented() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/rules.md")).unwrap();
    for id in RuleId::ALL {
        assert!(text.contains(&format!("### `{id}`")), "{id} has no section");
    }
    let sections = text.lines().filter(|line| line.starts_with("### `")).count();
    assert_eq!(sections, RuleId::ALL.len());
}
