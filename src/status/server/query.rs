//! The query of a request target.

use super::percent;

/// Caps the parameters of a query.
const MAX_PARAMETERS: usize = 32;

/// Decoded query parameters, at most 32.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueryParams(Vec<(String, String)>);

impl QueryParams {
    /// Parses `a=1&b=2`, without the `?`. `None` if there are too many parameters, or if one is not
    /// percent-encoded UTF-8 without control characters.
    pub(in crate::status) fn parse(text: &str) -> Option<QueryParams> {
        let mut parameters = Vec::new();
        for part in text.split('&').filter(|part| !part.is_empty()) {
            if parameters.len() == MAX_PARAMETERS {
                return None;
            }
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            parameters.push((percent::decode(name, true)?, percent::decode(value, true)?));
        }
        Some(QueryParams(parameters))
    }

    /// The first parameter of this name. A name without `=` has an empty value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(each, _)| each == name).map(|(_, value)| value.as_str())
    }

    /// All parameters in order, name and value.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Removes every parameter of this name and returns the first one's value.
    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        let value = self.get(name).map(String::from);
        self.0.retain(|(each, _)| each != name);
        value
    }

    /// Writes the query percent-encoded with its `?`. An empty one writes nothing.
    pub(super) fn encode(&self, into: &mut String) {
        for (place, (name, value)) in self.iter().enumerate() {
            into.push(if place == 0 { '?' } else { '&' });
            percent::encode(name, false, into);
            into.push('=');
            percent::encode(value, false, into);
        }
    }
}

impl<const N: usize> From<[(&str, &str); N]> for QueryParams {
    /// Takes the first 32 parameters.
    fn from(parameters: [(&str, &str); N]) -> QueryParams {
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        QueryParams(parameters.into_iter().take(MAX_PARAMETERS).map(owned).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_decoded() {
        let query = QueryParams::parse("a=1&&b=x%26y+z&flag&a=2&=").unwrap();
        assert_eq!(query.get("a"), Some("1"));
        assert_eq!(query.get("b"), Some("x&y z"));
        assert_eq!(query.get("flag"), Some(""));
        assert_eq!(query.get("c"), None);
        let mut encoded = String::new();
        query.encode(&mut encoded);
        assert_eq!(encoded, "?a=1&b=x%26y%20z&flag=&a=2&=");
        assert_eq!(QueryParams::parse(&encoded[1..]), Some(query));
    }

    #[test]
    fn taking_a_parameter_removes_all_of_its_name() {
        let mut query = QueryParams::from([("token", "1"), ("a", "2"), ("token", "3")]);
        assert_eq!(query.take("token").as_deref(), Some("1"));
        assert_eq!(query, QueryParams::from([("a", "2")]));
        assert_eq!(query.take("token"), None);
    }

    #[test]
    fn too_many_or_malformed_parameters_are_rejected() {
        assert!(QueryParams::parse(&"a=1&".repeat(32)).is_some());
        for wrong in ["a=1&".repeat(33).as_str(), "a=%", "%ff=1"] {
            assert_eq!(QueryParams::parse(wrong), None);
        }
    }
}
