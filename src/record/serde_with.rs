//! How our quantities stand in JSON: for `#[serde(with = …)]`.

/// RFC 3339.
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

/// As people read it.
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

/// A number.
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
