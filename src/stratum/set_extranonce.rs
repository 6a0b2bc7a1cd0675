//! The params of `mining.set_extranonce` (wire reference, section 2.6).

use serde_json::value::RawValue;

use super::extranonce::Extranonce2Size;
use super::job_reading::ReadingAgreement;
use super::json_field::FieldError;
use super::subscribe::{Leniency, SubscribeAnswer, search_space};

impl SubscribeAnswer {
    /// Reads the params of `mining.set_extranonce` as every miner reads them.
    ///
    /// # Errors
    /// If the extranonce1 or the size is missing or wrong.
    pub fn from_set_extranonce(params: Option<&RawValue>) -> Result<SubscribeAnswer, FieldError> {
        search_space("params", present(params)?, 0, None, Leniency::None).map(|(space, _)| space)
    }

    /// Reads the params of `mining.set_extranonce` as the most lenient miners do. If there is no size, `known` takes
    /// its place. Returns also the agreement of miners.
    ///
    /// # Errors
    /// If no miner is known to make an extranonce1 and a size of it.
    pub fn of_set_extranonce(
        params: Option<&RawValue>,
        known: Option<Extranonce2Size>,
    ) -> Result<(SubscribeAnswer, ReadingAgreement), FieldError> {
        search_space("params", present(params)?, 0, known, Leniency::OfMiners)
    }
}

fn present(params: Option<&RawValue>) -> Result<&RawValue, FieldError> {
    params.ok_or(FieldError::Missing { field: "params" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn params_are_read_strictly_and_as_miners_read_them() {
        let four = Extranonce2Size::new(4).ok();
        for (params, known, size, agreement, is_exact) in [
            (r#"["d1e5",8]"#, None, 8, ReadingAgreement::All, true),
            (r#"["d1e5","8",1]"#, four, 8, ReadingAgreement::All, true),
            (r#"["d1e5"]"#, four, 4, ReadingAgreement::OrIgnored, false),
            (r#"["d1e5",null]"#, four, 4, ReadingAgreement::OrIgnored, false),
            (r#"{"a":"d1e5","b":8}"#, None, 8, ReadingAgreement::OrIgnored, false),
            (r#"["d1e5x",8]"#, None, 8, ReadingAgreement::Doubtful, false),
        ] {
            let raw = serde_json::from_str(params).ok();
            let (space, read) = SubscribeAnswer::of_set_extranonce(raw, known).unwrap();
            assert_eq!((space.extranonce1.to_string().as_str(), read), ("d1e5", agreement), "{params}");
            assert_eq!(space.extranonce2_size.bytes(), size, "{params}");
            let exact = SubscribeAnswer::from_set_extranonce(raw);
            assert_eq!(exact.ok(), is_exact.then_some(space), "{params}");
        }
        for params in ["null", "[null,8]", "[\"00\",33]", "[\"00\"]", "{}"] {
            let raw = serde_json::from_str(params).ok();
            assert!(SubscribeAnswer::of_set_extranonce(raw, None).is_err(), "{params}");
        }
        assert!(SubscribeAnswer::of_set_extranonce(None, four).is_err());
    }
}
