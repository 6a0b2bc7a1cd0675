//! The specification of the keys in all its forms: the example, the documents, the schema.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use sluice::config::{example_keys, key_table, schema};
use toml::de::{DeTable, DeValue};

use super::{EXAMPLE, POOL, collect_keys, example, load};

/// The page has what `sluice config keys` prints.
#[test]
fn the_documents_have_every_key_with_its_values_and_default() {
    let page = include_str!("../../docs/configuration.md");
    let heading = "\n## All keys\n";
    let table = page.split_once(heading).map(|(_, rest)| &rest[rest.find("| key |").unwrap()..]).unwrap();
    let table = table.split("\n\n").next().unwrap();
    for (row, printed) in table.lines().zip(key_table().lines()) {
        assert_eq!(row, printed, "docs/configuration.md: put in the output of: sluice config keys");
    }
    assert_eq!(table.lines().count(), key_table().lines().count());
}

#[test]
fn the_program_reads_its_example_as_a_parser_does() {
    let text = example(|_| true);
    let document = DeTable::parse(&text).unwrap_or_else(|error| panic!("{error}"));
    let mut in_example = BTreeSet::new();
    collect_keys("", document.get_ref(), &mut in_example);
    let read: BTreeSet<String> = example_keys().into_iter().map(|key| key.key).collect();
    // The keys of an inline table are not read one by one.
    let in_example: BTreeSet<String> =
        in_example.into_iter().filter(|key| !key.starts_with("listen.tls.")).collect();
    assert_eq!(read, in_example);
    for key in example_keys() {
        assert!(!key.description.is_empty(), "{key:?}");
        assert!(key.value.is_none() || key.json().is_some(), "{key:?}");
    }
}

#[test]
fn the_schema_accepts_what_is_right_and_nothing_else() {
    let schema = schema();
    let valid = |text: &str| {
        let text = format!("{POOL}{text}");
        load(&text).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(fault(&schema, &to_json(&text)), None, "{text}");
    };
    let wrong = |text: &str| {
        let text = format!("{POOL}{text}");
        assert!(load(&text).is_err(), "{text}");
        assert!(fault(&schema, &to_json(&text)).is_some(), "{text}");
    };
    assert_eq!(fault(&schema, &to_json(EXAMPLE)), None);
    // Not a configuration, for each secret and its file are set, but of the right types.
    assert_eq!(fault(&schema, &to_json(&example(|_| true))), None);
    valid("[report]\nconsole = 60\n[listen]\nproxy_protocol = [\"10.0.0.1\"]\nidle_timeout = \"0s\"\n");
    valid(
        "[listen]\nproxy_protocol = true\n[vardiff]\nmin = 1\n[[notify]]\nkind = \"ntfy\"\nurl = \"https://h\"\n",
    );
    wrong("[listen]\nmax_miner = 5\n");
    wrong("[listen]\nmax_miners = 0\n");
    wrong("[listen]\nmax_miners = \"many\"\n");
    wrong("[listen]\nidle_timeout = 60\n");
    wrong("[listen]\nidle_timeout = \"60\"\n");
    wrong("[listen]\nproxy_protocol = \"yes\"\n");
    wrong("[forward]\npath = \"teleport\"\n");
    wrong("[payout]\nmin_percent = 101.0\n");
    wrong("banana = 1\n");
    wrong("[[notify]]\nkind = \"sms\"\n");
}

/// A document in JSON.
fn to_json(text: &str) -> Value {
    fn value(value: &DeValue) -> Value {
        match value {
            DeValue::String(text) => json!(text),
            DeValue::Integer(number) => json!(i64::from_str_radix(number.as_str(), number.radix()).unwrap()),
            DeValue::Float(number) => json!(number.as_str().parse::<f64>().unwrap()),
            DeValue::Boolean(value) => json!(value),
            DeValue::Datetime(date) => json!(date.to_string()),
            DeValue::Array(list) => list.iter().map(value_of).collect(),
            DeValue::Table(entries) => table(entries),
        }
    }
    fn value_of(spanned: &toml::Spanned<DeValue>) -> Value {
        value(spanned.get_ref())
    }
    fn table(entries: &DeTable) -> Value {
        let entries = entries.iter().map(|(key, value)| (key.get_ref().to_string(), value_of(value)));
        Value::Object(entries.collect::<Map<_, _>>())
    }
    table(DeTable::parse(text).unwrap_or_else(|error| panic!("{error}")).get_ref())
}

/// The first fault by the parts of JSON Schema that the schema uses.
fn fault(schema: &Value, value: &Value) -> Option<String> {
    let wrong = |why: &str| Some(format!("{value} {why}"));
    if let Some(kinds) = schema["anyOf"].as_array() {
        let fits = kinds.iter().any(|kind| fault(kind, value).is_none());
        return if fits { None } else { wrong("fits nothing") };
    }
    let is_of_type = match schema["type"].as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64(),
        "number" => value.is_number(),
        other => panic!("{other}"),
    };
    let is_in_range = schema["minimum"].as_f64().is_none_or(|least| value.as_f64() >= Some(least))
        && schema["maximum"].as_f64().is_none_or(|most| value.as_f64() <= Some(most));
    let is_word = schema["enum"].as_array().is_none_or(|words| words.contains(value));
    // The only pattern is that of times.
    let is_time = schema["pattern"].is_null()
        || value.as_str().is_some_and(|text| {
            let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
            unit.len() < text.len() && ["ms", "s", "m", "h", "d"].contains(&unit)
        });
    if !(is_of_type && is_in_range && is_word && is_time) {
        return wrong("is of the wrong type or out of range");
    }
    if let Some(list) = value.as_array() {
        return list.iter().find_map(|element| fault(&schema["items"], element));
    }
    value.as_object()?.iter().find_map(|(key, value)| match &schema["properties"][key] {
        Value::Null => Some(format!("{key} is unknown")),
        property => fault(property, value),
    })
}
