//! The version-rolling part of `mining.configure` and its answer (BIP310; wire reference, section 2.4).

use serde_json::Value;
use serde_json::value::RawValue;

use super::version::VersionMask;

/// The version bits that a miner asks to roll, in the params. `None` if it does not ask for version rolling, or if the
/// params cannot be read. A request without a mask asks for all bits.
pub fn requested_version_mask(params: Option<&RawValue>) -> Option<VersionMask> {
    let params: Value = serde_json::from_str(params?.get()).ok()?;
    let names = params.get(0)?.as_array()?;
    if !names.iter().any(|name| name == "version-rolling") {
        return None;
    }
    let mask = params.get(1).and_then(|values| values.get("version-rolling.mask")?.as_str());
    Some(mask.and_then(|text| VersionMask::from_text(text).ok()).unwrap_or(VersionMask(u32::MAX)))
}

/// The version bits that a pool lets the miner roll, in the result; `None` if the pool refuses. An answer that says
/// `true` but gives no mask grants the bits of BIP320.
pub fn granted_version_mask(result: Option<&RawValue>) -> Option<VersionMask> {
    let result: Value = serde_json::from_str(result?.get()).ok()?;
    if result.get("version-rolling") != Some(&Value::Bool(true)) {
        return None;
    }
    let mask = match result.get("version-rolling.mask") {
        Some(mask) => VersionMask::from_text(mask.as_str()?).ok()?,
        None => VersionMask::BIP320,
    };
    Some(mask).filter(|mask| !mask.is_empty())
}

/// The result that grants these version bits, or refuses, as JSON text.
pub fn configure_result(granted: Option<VersionMask>) -> String {
    match granted {
        Some(mask) => format!("{{\"version-rolling\":true,\"version-rolling.mask\":\"{mask}\"}}"),
        None => "{\"version-rolling\":false}".to_owned(),
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
            let requested = requested_version_mask(Some(serde_json::from_str(params).unwrap()));
            assert_eq!(requested, mask.map(VersionMask), "{params}");
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
            let granted = granted_version_mask(Some(serde_json::from_str(result).unwrap()));
            assert_eq!(granted, mask.map(VersionMask), "{result}");
            let again = configure_result(granted);
            assert_eq!(granted_version_mask(serde_json::from_str(&again).ok()), granted);
        }
        assert_eq!(granted_version_mask(None), None);
    }
}
