//! The version-rolling part of `mining.configure` and its answer (BIP310; wire reference, section 2.4).

use serde_json::Value;
use serde_json::value::RawValue;

use super::version::VersionMask;

/// A miner's request for version rolling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConfigureRequest {
    /// The version bits that it can roll; `None` if it does not ask for version rolling.
    pub version_rolling: Option<VersionMask>,
}

/// A pool's answer about version rolling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConfigureAnswer {
    /// The version bits that may be rolled; `None` if the pool refuses.
    pub version_rolling: Option<VersionMask>,
}

impl ConfigureRequest {
    /// Reads the params. Params that cannot be read do not ask for anything. A request without a mask asks for all
    /// bits.
    pub fn from_params(params: Option<&RawValue>) -> ConfigureRequest {
        let params = params.and_then(|raw| serde_json::from_str::<Value>(raw.get()).ok());
        let asked = params.as_ref().and_then(|params| params.get(0)).and_then(Value::as_array);
        let asked = asked.is_some_and(|names| names.iter().any(|name| name == "version-rolling"));
        if !asked {
            return ConfigureRequest { version_rolling: None };
        }
        let mask = params
            .as_ref()
            .and_then(|params| params.get(1))
            .and_then(|values| values.get("version-rolling.mask"))
            .and_then(Value::as_str)
            .and_then(|text| VersionMask::from_text(text).ok());
        ConfigureRequest { version_rolling: Some(mask.unwrap_or(VersionMask(u32::MAX))) }
    }
}

impl ConfigureAnswer {
    /// Reads the result. An answer that says `true` but gives no mask grants the bits of BIP320.
    pub fn from_result(result: Option<&RawValue>) -> ConfigureAnswer {
        let result = result.and_then(|raw| serde_json::from_str::<Value>(raw.get()).ok());
        let granted = result.as_ref().and_then(|result| result.get("version-rolling"));
        if granted != Some(&Value::Bool(true)) {
            return ConfigureAnswer { version_rolling: None };
        }
        let mask = match result.as_ref().and_then(|result| result.get("version-rolling.mask")) {
            Some(mask) => mask.as_str().and_then(|text| VersionMask::from_text(text).ok()),
            None => Some(VersionMask::BIP320),
        };
        ConfigureAnswer { version_rolling: mask.filter(|mask| !mask.is_empty()) }
    }

    /// The result as JSON text.
    pub fn result(&self) -> String {
        match self.version_rolling {
            Some(mask) => format!("{{\"version-rolling\":true,\"version-rolling.mask\":\"{mask}\"}}"),
            None => "{\"version-rolling\":false}".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_requests_seen_are_read() {
        for (params, mask) in [
            (r#"[["version-rolling"],{"version-rolling.mask":"ffffffff"}]"#, Some(0xffff_ffff)),
            (
                r#"[["minimum-difficulty","version-rolling"],{"version-rolling.mask":"00fff000","version-rolling.min-bit-count":"16"}]"#,
                Some(0x00ff_f000),
            ),
            (r#"[["version-rolling"]]"#, Some(0xffff_ffff)),
            (r#"[["minimum-difficulty"],{"minimum-difficulty.value":2048}]"#, None),
            ("[]", None),
            ("{}", None),
        ] {
            let request = ConfigureRequest::from_params(Some(serde_json::from_str(params).unwrap()));
            assert_eq!(request.version_rolling, mask.map(VersionMask), "{params}");
        }
    }

    #[test]
    fn answers_are_read_and_written() {
        for (result, mask) in [
            (r#"{"version-rolling":true,"version-rolling.mask":"1fffe000"}"#, Some(0x1fff_e000)),
            (r#"{"version-rolling":true,"version-rolling.mask":"e000"}"#, Some(0xe000)),
            (r#"{"version-rolling":true}"#, Some(0x1fff_e000)),
            (r#"{"version-rolling":true,"version-rolling.mask":"00000000"}"#, None),
            (r#"{"version-rolling":"not here"}"#, None),
            ("false", None),
        ] {
            let answer = ConfigureAnswer::from_result(Some(serde_json::from_str(result).unwrap()));
            assert_eq!(answer.version_rolling, mask.map(VersionMask), "{result}");
            let again = answer.result();
            assert_eq!(ConfigureAnswer::from_result(serde_json::from_str(&again).ok()), answer);
        }
        assert_eq!(ConfigureAnswer::from_result(None).version_rolling, None);
    }
}
