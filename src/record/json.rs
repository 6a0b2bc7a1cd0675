//! The JSON form of our quantities, for `#[serde(with = …)]`, and of texts from outside.

use crate::util::escape::is_unprintable;

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

/// A time as RFC 3339 text.
pub(super) mod time {
    use jiff::Timestamp;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::clock::NtpTime;

    pub fn serialize<S: Serializer>(time: &NtpTime, to: S) -> Result<S::Ok, S::Error> {
        time.to_string().serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<NtpTime, D::Error> {
        let text = String::deserialize(from)?;
        text.parse::<Timestamp>().map(NtpTime::from_timestamp).map_err(serde::de::Error::custom)
    }
}

/// A block hash as hex in display order.
pub(super) mod hash {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::stratum::decode_hex;
    use crate::work::BlockHash;

    pub fn serialize<S: Serializer>(hash: &BlockHash, to: S) -> Result<S::Ok, S::Error> {
        hash.to_string().serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<BlockHash, D::Error> {
        let text = String::deserialize(from)?;
        let mut bytes = decode_hex("hash", &text).map_err(D::Error::custom)?;
        bytes.reverse();
        let bytes = bytes.try_into().map_err(|_| D::Error::custom("a hash has 64 hex digits"))?;
        Ok(BlockHash::from_bytes(bytes))
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
