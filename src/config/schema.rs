//! The keys for other programs and for people: a JSON Schema, with which editors complete and check a configuration,
//! and the table of all keys in the documents.

use std::fmt::Write;

use serde_json::{Map, Value, json};

use super::example::{ExampleKey, example_keys};
use super::load::specification;
use super::specification::{KeyKind, KeySpec};

/// Makes the JSON Schema (draft 2020-12) of the configuration. It knows types, ranges and words. `sluice check` knows
/// more: addresses, URLs, and keys that contradict each other.
pub fn schema() -> Value {
    let keys = example_keys();
    let mut root = object();
    root["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    root["title"] = "Sluice configuration".into();
    root["description"] = "The configuration of Sluice, a Stratum V1 proxy for Bitcoin miners.".into();
    for spec in specification() {
        let mut value = with_words(of_kind(&spec.kind), &keys, &spec.key);
        if let Some(file_key) = spec.file_key() {
            let name = spec.key.rsplit('.').next().unwrap_or_default();
            let description = format!("The path of a file that holds {name}, which is then not set itself.");
            add(&mut root, &file_key, json!({ "type": "string", "description": description }));
            value["writeOnly"] = true.into();
        }
        add(&mut root, &spec.key, value);
    }
    root
}

/// Makes the table of all keys, in Markdown, in the order of `config.toml.example`.
pub fn key_table() -> String {
    let keys = example_keys();
    let place = |spec: &KeySpec| {
        // A key of an inline table stands behind the table.
        let parent = spec.key.rsplit_once('.').map_or("", |(parent, _)| parent);
        let of = |key: &str| keys.iter().position(|known| known.key == key);
        of(&spec.key).or_else(|| of(parent)).unwrap_or(keys.len())
    };
    let mut specification = specification();
    specification.sort_by_key(place);
    let mut table = String::from("| key | value | default |\n|---|---|---|\n");
    for KeySpec { key, kind } in &specification {
        let default = keys.iter().find(|known| known.key == *key && known.is_default);
        let default = default.and_then(|known| known.value.as_ref());
        let default = default.map_or(String::new(), |value| format!("`{value}`"));
        let key = match kind {
            KeyKind::Section => format!("**`[{key}]`**"),
            KeyKind::Sections => format!("**`[[{key}]]`**"),
            _ => format!("`{key}`"),
        };
        // Writing to a text does not fail.
        let _ = writeln!(table, "| {key} | {kind} | {default} |");
    }
    table
}

/// Adds the description, and the default or an example, to the schema of a key.
fn with_words(mut value: Value, keys: &[ExampleKey], key: &str) -> Value {
    let of = |key: &str| keys.iter().find(|known| known.key == key);
    let described = of(key).or_else(|| of(key.rsplit_once('.')?.0));
    if let Some(known) = described.filter(|known| !known.description.is_empty()) {
        value["description"] = known.description.as_str().into();
    }
    if let Some((known, shown)) = of(key).and_then(|known| Some((known, known.json()?))) {
        match known.is_default {
            true => value["default"] = shown,
            false => value["examples"] = json!([shown]),
        }
    }
    value
}

fn of_kind(kind: &KeyKind) -> Value {
    match kind {
        KeyKind::Section => object(),
        KeyKind::Sections => json!({ "type": "array", "items": object() }),
        KeyKind::Boolean => json!({ "type": "boolean" }),
        KeyKind::Integer(range) => {
            json!({ "type": "integer", "minimum": range.start(), "maximum": range.end() })
        }
        KeyKind::Number(range) => {
            json!({ "type": "number", "minimum": range.start(), "maximum": range.end() })
        }
        KeyKind::Duration(_) => json!({ "type": "string", "pattern": "^[0-9]+(ms|s|m|h|d)$" }),
        KeyKind::Choice(words) => json!({ "type": "string", "enum": words }),
        KeyKind::Text | KeyKind::Secret => json!({ "type": "string" }),
        KeyKind::List => json!({ "type": "array", "items": { "type": "string" } }),
        KeyKind::AnyOf(kinds) => json!({ "anyOf": kinds.iter().map(of_kind).collect::<Vec<_>>() }),
    }
}

fn object() -> Value {
    json!({ "type": "object", "additionalProperties": false, "properties": Map::new() })
}

/// Adds the schema of a key to that of its section, which is there already.
fn add(root: &mut Value, key: &str, value: Value) {
    let mut section = root;
    let mut parts: Vec<&str> = key.split('.').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        section = &mut section["properties"][part];
        if section["type"] == "array" {
            section = &mut section["items"];
        }
    }
    section["properties"][last] = value;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_has_types_ranges_and_words() {
        let schema = schema();
        let listen = &schema["properties"]["listen"]["properties"];
        assert_eq!(listen["max_miners"]["maximum"], 65_536);
        assert_eq!(listen["max_miners"]["default"], 1000);
        assert_eq!(listen["tls"]["properties"]["cert"]["type"], "string");
        let upstream = &schema["properties"]["upstream"]["items"];
        assert_eq!(upstream["additionalProperties"], false);
        assert_eq!(upstream["properties"]["socks5_file"]["type"], "string");
        assert_eq!(upstream["properties"]["pass"]["writeOnly"], true);
        assert_eq!(schema["properties"]["mode"]["enum"], json!(["passthrough", "aggregate"]));
        assert_eq!(listen["proxy_protocol"]["anyOf"][0]["type"], "boolean");
    }

    #[test]
    fn the_table_has_a_row_for_each_key() {
        let table = key_table();
        assert_eq!(table.lines().count(), specification().len() + 2);
        assert!(table.contains("| `listen.max_miners` | 1 to 65536 | `1000` |"), "{table}");
        assert!(table.contains("| `failover.silence_timeout` | \"1s\" to \"1d\" | `\"180s\"` |"), "{table}");
    }
}
