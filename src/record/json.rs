//! The JSON form of our quantities, for `#[serde(with = …)]`, and of texts from outside.

use crate::stratum::decode_hex;
use crate::util::escape::is_unprintable;
use crate::work::BlockHash;

/// Escapes invisible characters in JSON without changing its texts, for files that Sluice reads back
/// or that are evidence. `serde_json` escapes the ASCII control characters; the others only occur
/// inside texts, where `\u202e` means the same. JSON for other readers goes through
/// [`to_json`](crate::util::escape::to_json).
pub(crate) fn escape_json(json: &str) -> String {
    let mut safe = String::with_capacity(json.len());
    for c in json.chars() {
        if c == '\n' || !is_unprintable(c) {
            safe.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            safe.push_str(&format!("\\u{unit:04x}"));
        }
    }
    safe
}

/// A block hash from hex in display order.
pub(super) fn hash_from_hex(text: &str) -> Option<BlockHash> {
    let mut bytes = decode_hex("hash", text).ok()?;
    bytes.reverse();
    bytes.try_into().ok().map(BlockHash::from_bytes)
}

/// A time as RFC 3339 text.
pub(super) mod time {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::clock::NtpTime;

    pub fn serialize<S: Serializer>(time: &NtpTime, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(time)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<NtpTime, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A block hash as hex in display order.
pub(super) mod hash {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::work::BlockHash;

    pub fn serialize<S: Serializer>(hash: &BlockHash, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(hash)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<BlockHash, D::Error> {
        let hash = super::hash_from_hex(&String::deserialize(from)?);
        hash.ok_or_else(|| D::Error::custom("a hash has 64 hex digits"))
    }
}

/// A difficulty as a number.
pub(super) mod difficulty {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::stratum::Difficulty;

    pub fn serialize<S: Serializer>(difficulty: &Difficulty, to: S) -> Result<S::Ok, S::Error> {
        difficulty.value().serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Difficulty, D::Error> {
        Difficulty::new(f64::deserialize(from)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_back_is_what_was_written() {
        let json = escape_json(&serde_json::json!("a\n\u{202e}\u{85}\u{61c}\u{e0041}⛏️").to_string());
        assert_eq!(json, "\"a\\n\\u202e\\u0085\\u061c\\udb40\\udc41⛏️\"");
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), "a\n\u{202e}\u{85}\u{61c}\u{e0041}⛏️");
    }
}
