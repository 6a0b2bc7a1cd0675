//! `config.toml.example` as a part of the program: what each key is for, and its default.

use toml::de::DeValue;

/// The text of `config.toml.example`.
pub const EXAMPLE: &str = include_str!("../../config.toml.example");

/// A key or a section of the example.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExampleKey {
    /// The full path without indices, such as `upstream.url`.
    pub key: String,
    /// The comment above it; for a key without one, that of its section.
    pub description: String,
    /// The value as the example writes it; `None` for a section.
    pub value: Option<String>,
    /// True if the value is the default: its line begins with `#key`. The others are only examples.
    pub is_default: bool,
}

/// A line of the example that is no comment.
enum ExampleLine<'a> {
    Section(&'a str),
    Key { key: &'a str, value: &'a str, is_default: bool },
}

/// The keys and sections of the example, in its order.
pub fn example_keys() -> Vec<ExampleKey> {
    let mut keys: Vec<ExampleKey> = Vec::new();
    // The lines since the last empty one.
    let (mut heading, mut comment) = (Vec::new(), Vec::new());
    let (mut section, mut about_section) = (String::new(), String::new());
    for line in EXAMPLE.lines() {
        match ExampleLine::of(line) {
            None if line.is_empty() => (heading, comment) = (Vec::new(), Vec::new()),
            None if line.starts_with("# ---") => heading.push(line.trim_matches(['#', '-', ' '])),
            None => comment.push(line.trim_matches(['#', ' '])),
            Some(ExampleLine::Section(name)) => {
                // A section may be repeated, to show another form of it.
                name.clone_into(&mut section);
                about_section = [heading.join(" "), comment.join(" ")].join(": ");
                about_section = about_section.trim_matches([':', ' ']).to_owned();
                if let Some(known) = keys.iter().find(|known| known.key == section) {
                    about_section.clone_from(&known.description);
                    continue;
                }
                let description = about_section.clone();
                keys.push(ExampleKey { key: section.clone(), description, value: None, is_default: false });
            }
            Some(ExampleLine::Key { key, value, is_default }) => {
                let key = if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") };
                let description = if comment.is_empty() { about_section.clone() } else { comment.join(" ") };
                keys.push(ExampleKey { key, description, value: Some(value.to_owned()), is_default });
            }
        }
    }
    keys
}

impl ExampleKey {
    /// The value in JSON.
    pub fn json(&self) -> Option<serde_json::Value> {
        json(DeValue::parse(self.value.as_deref()?).ok()?.get_ref())
    }
}

impl<'a> ExampleLine<'a> {
    /// Reads `key = value`, `[section]` and `[[section]]`, also behind the `#` of a default or the `#   ` of an example.
    fn of(line: &'a str) -> Option<ExampleLine<'a>> {
        let example = line.strip_prefix("#   ");
        let default = line.strip_prefix('#').filter(|rest| !rest.starts_with(' '));
        let text = example.or(default).unwrap_or(line);
        if let Some(name) = text.strip_prefix('[') {
            return Some(ExampleLine::Section(name.trim_start_matches('[').trim_end_matches(']')));
        }
        let (key, value) = text.split_once(" = ")?;
        let is_key = key.bytes().all(|byte| byte.is_ascii_lowercase() || b"_0123456789".contains(&byte));
        is_key.then_some(ExampleLine::Key { key, value, is_default: default.is_some() })
    }
}

fn json(value: &DeValue) -> Option<serde_json::Value> {
    Some(match value {
        DeValue::String(text) => text.as_ref().into(),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).ok()?.into(),
        DeValue::Float(number) => number.as_str().parse::<f64>().ok()?.into(),
        DeValue::Boolean(value) => (*value).into(),
        DeValue::Array(list) => list.iter().map(|element| json(element.get_ref())).collect::<Option<_>>()?,
        DeValue::Table(table) => {
            let entry = |(key, value): (&toml::Spanned<toml::de::DeString>, &toml::Spanned<DeValue>)| {
                Some((key.get_ref().to_string(), json(value.get_ref())?))
            };
            serde_json::Value::Object(table.iter().map(entry).collect::<Option<_>>()?)
        }
        DeValue::Datetime(date) => date.to_string().into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_their_comment_and_value() {
        let keys = example_keys();
        let find = |key: &str| keys.iter().find(|known| known.key == key).unwrap();
        let miners = find("listen.max_miners");
        assert_eq!(miners.description, "All miners together. 1 to 65536.");
        assert_eq!((miners.json(), miners.is_default), (Some(1000.into()), true));
        let socks5 = find("upstream.socks5");
        assert!(socks5.description.starts_with("Through a SOCKS5 proxy") && !socks5.is_default);
        assert_eq!(find("failover.backoff_max").description, find("failover.backoff_min").description);
        assert!(find("vardiff.enabled").description.contains("difficulty of each miner"));
        assert!(find("reference.cookie").value.is_some() && find("notify.summary").value.is_some());
        assert!(find("ratelimit").description.starts_with("limits for one address: IPv6"));
        assert_eq!(find("upstream.url").json(), Some("stratum+tcp://solo.ckpool.org:3333".into()));
        assert_eq!(find("listen.tls").json().unwrap()["cert"], "/etc/sluice/cert.pem");
    }
}
