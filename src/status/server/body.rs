//! A request's body: how long it says it is.

use super::refusal::GateRefusal;

/// Longer bodies are refused, in bytes.
pub(super) const MAX_BODY: usize = 4096;

/// The length from all Content-Length headers of a request, of which there may be one.
pub(super) fn length<'a>(mut values: impl Iterator<Item = &'a [u8]>) -> Result<Option<usize>, GateRefusal> {
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(GateRefusal::Malformed("There is more than one Content-Length."));
    }
    // `parse` alone would accept "+5".
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(GateRefusal::Malformed("The Content-Length is not a number."));
    }
    // All digits, so what fails is a number that no computer holds.
    let length = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
    match length {
        Some(length) if length <= MAX_BODY => Ok(Some(length)),
        _ => Err(GateRefusal::BodyTooLarge),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_number_up_to_the_limit() {
        let read = |values: &[&str]| length(values.iter().map(|value| value.as_bytes()));
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&["0"]), Ok(Some(0)));
        assert_eq!(read(&["4096"]), Ok(Some(4096)));
        for large in ["4097", "99999999999", "99999999999999999999999999"] {
            assert_eq!(read(&[large]), Err(GateRefusal::BodyTooLarge));
        }
        for wrong in ["", "+5", "-5", "5, 5", "0x5", "5 5"] {
            assert!(matches!(read(&[wrong]), Err(GateRefusal::Malformed(_))), "{wrong}");
        }
        assert!(matches!(read(&["5", "5"]), Err(GateRefusal::Malformed(_))));
    }
}
