//! Writing the requests that open a miner's connection. Each function returns one line with its newline.

use serde_json::{Value, json};

/// Asks for version rolling with all bits, and for at least `min_bits` of them if that is given.
pub fn configure_line(id: u64, min_bits: Option<u32>) -> String {
    let mut wanted = json!({ "version-rolling.mask": "ffffffff" });
    if let Some(bits) = min_bits {
        wanted["version-rolling.min-bit-count"] = json!(bits);
    }
    request_line(id, "mining.configure", &json!([["version-rolling"], wanted]))
}

/// Subscribes as the program `agent`.
pub fn subscribe_line(id: u64, agent: &str) -> String {
    request_line(id, "mining.subscribe", &json!([agent]))
}

/// Suggests a difficulty.
pub fn suggest_difficulty_line(id: u64, difficulty: f64) -> String {
    request_line(id, "mining.suggest_difficulty", &json!([difficulty]))
}

/// A request of any method.
pub fn request_line(id: u64, method: &str, params: &Value) -> String {
    format!("{{\"id\":{id},\"method\":\"{method}\",\"params\":{params}}}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_are_those_that_pools_know() {
        let mask = r#""version-rolling.mask":"ffffffff""#;
        let start = r#"{"id":1,"method":"mining.configure","params":[["version-rolling"],{"#;
        assert_eq!(configure_line(1, None), format!("{start}{mask}}}]}}\n"));
        assert_eq!(
            configure_line(1, Some(2)),
            format!("{start}{mask},\"version-rolling.min-bit-count\":2}}]}}\n")
        );
        assert_eq!(
            subscribe_line(2, "a/1"),
            "{\"id\":2,\"method\":\"mining.subscribe\",\"params\":[\"a/1\"]}\n"
        );
        assert_eq!(
            suggest_difficulty_line(3, 0.000_15),
            "{\"id\":3,\"method\":\"mining.suggest_difficulty\",\"params\":[0.00015]}\n"
        );
    }
}
