//! Counted nouns.

/// `1 miner`, `2 miners`, `1,234 miners`, for a noun whose plural adds an s.
pub fn count(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// `1 branch`, `2 branches`, for a noun with an irregular plural.
pub fn count_of(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(number), if number == 1 { one } else { many })
}

/// `1,234,567`
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_singular_and_everything_else_plural() {
        assert_eq!((count(1, "miner"), count(0, "miner")), ("1 miner".to_owned(), "0 miners".to_owned()));
        assert_eq!(count_of(1, "branch", "branches"), "1 branch");
        assert_eq!(count_of(2, "branch", "branches"), "2 branches");
        assert_eq!((grouped(7), grouped(1_234_567)), ("7".to_owned(), "1,234,567".to_owned()));
    }
}
