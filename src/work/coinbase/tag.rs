//! The text that a pool writes into the scriptSig (wire reference, section 4.3).

use std::fmt;
use std::ops::Range;

use crate::work::height::Height;

/// Before the 32-byte hash and the 8 more bytes of merged mining.
const MERGED_MINING: [u8; 4] = [0xfa, 0xbe, 0x6d, 0x6d];

/// The mark and all that belongs to it, in bytes.
const MERGED_MINING_LENGTH: usize = 44;

/// The opcode that pushes these bytes; it looks like a comma.
const PUSH_MERGED_MINING: u8 = MERGED_MINING_LENGTH as u8;

/// Shortest text that does not count as accidental.
const SHORTEST: usize = 4;

/// The texts in a scriptSig, joined by spaces. Safe to show: without control characters and those
/// that change the direction of writing.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PoolTag(String);

impl PoolTag {
    /// The longest that is kept, in characters: what fits the longest legal scriptSig.
    pub const MAX: usize = 100;

    /// The texts of `script_sig` after the height and outside the merged-mining data and the
    /// extranonces, which are at the given offsets and look like text now and then. `None` when
    /// there are none.
    pub fn from_script_sig(script_sig: &[u8], extranonce: Range<usize>) -> Option<PoolTag> {
        let (height, merged) = (height_push(script_sig), merged_mining(script_sig));
        let hidden = |at: usize| height.contains(&at) || merged.contains(&at) || extranonce.contains(&at);

        let mut texts = Vec::new();
        let mut start = 0;
        for end in 0..=script_sig.len() {
            if end == script_sig.len() || hidden(end) {
                collect_texts(&script_sig[start..end], &mut texts);
                start = end + 1;
            }
        }
        let joined: String = texts.join(" ").chars().take(PoolTag::MAX).collect();
        if joined.is_empty() { None } else { Some(PoolTag(joined)) }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PoolTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The texts in `bytes`: stretches of UTF-8 without control characters.
fn collect_texts(bytes: &[u8], texts: &mut Vec<String>) {
    for chunk in bytes.utf8_chunks() {
        for run in chunk.valid().split(char::is_control) {
            let text: String = run.chars().filter_map(shown).collect();
            let text = text.trim();
            // Random bytes are often valid as two-byte characters, so those alone make no text.
            let certain: usize = text.chars().map(char::len_utf8).filter(|length| *length != 2).sum();
            if certain >= SHORTEST {
                texts.push(text.to_owned());
            }
        }
    }
}

/// The printable form of a character: none if it is invisible or changes the direction of writing, a
/// replacement if it has no meaning of its own.
fn shown(character: char) -> Option<char> {
    match u32::from(character) {
        // Soft hyphen, Arabic letter mark, Mongolian vowel separator.
        0x00ad | 0x061c | 0x180e => None,
        // Zero-width and directional marks; line separators, embeddings, isolates, operators.
        0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f => None,
        // Variation selectors, byte order mark, annotations, tags.
        0xfe00..=0xfe0f | 0xfeff | 0xfff9..=0xfffb | 0xe_0000..=0xe_ffff => None,
        // Private use.
        0xe000..=0xf8ff | 0xf_0000..=0x10_ffff => Some(char::REPLACEMENT_CHARACTER),
        _ => Some(character),
    }
}

/// The first push, when it is a height.
fn height_push(script_sig: &[u8]) -> Range<usize> {
    match (Height::from_script_sig(script_sig), script_sig.first()) {
        (Ok(_), Some(length @ 1..=5)) => 0..1 + usize::from(*length),
        (Ok(_), Some(_)) => 0..1,
        _ => 0..0,
    }
}

/// The merged-mining data with the opcode that pushes it, when there is one.
fn merged_mining(script_sig: &[u8]) -> Range<usize> {
    let Some(start) = script_sig.windows(MERGED_MINING.len()).position(|bytes| bytes == MERGED_MINING) else {
        return 0..0;
    };
    let pushed = start > 0 && script_sig[start - 1] == PUSH_MERGED_MINING;
    start - usize::from(pushed)..start + MERGED_MINING_LENGTH
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(script_sig: &[u8]) -> Option<String> {
        PoolTag::from_script_sig(script_sig, 0..0).map(|tag| tag.0)
    }

    #[test]
    fn the_height_and_the_extranonces_are_no_text() {
        // Height 0x414141, which is also "AAA", before four letters.
        assert_eq!(tag(b"\x03AAAtext").as_deref(), Some("text"));
        assert_eq!(tag(b"\x03AAA"), None);
        let script_sig = b"\x03\x01\x02\x03pool\x00abcdefghPOOL";
        assert_eq!(PoolTag::from_script_sig(script_sig, 9..17).unwrap().as_str(), "pool POOL");
        // No height: before BIP34. 0x47 is none.
        assert_eq!(tag(b"Genesis block").as_deref(), Some("Genesis block"));
    }

    #[test]
    fn merged_mining_data_is_no_text() {
        let mut script_sig = b"\x03\x01\x02\x03tag,\xfa\xbemm".to_vec();
        script_sig.extend(b"looks like text, all forty of them bytes");
        assert_eq!(tag(&script_sig), None);
        script_sig.extend(b"/slush/");
        assert_eq!(tag(&script_sig).as_deref(), Some("/slush/"));
    }

    #[test]
    fn chance_is_no_text() {
        assert_eq!(tag(b"\x03\x01\x02\x03abc\x00de \x00   \x00"), None);
        // Valid as two-byte characters.
        assert_eq!(tag(b"\x03\x01\x02\x03\xc3\xa9\xd0\x96\xc4\xb0"), None);
    }

    #[test]
    fn other_scripts_are_shown_and_tricks_are_not() {
        let script_sig = |text: &str| [b"\x03\x01\x02\x03", text.as_bytes()].concat();
        assert_eq!(tag(&script_sig("七彩神仙鱼")).as_deref(), Some("七彩神仙鱼"));
        assert_eq!(tag(&script_sig("\u{1f41f}")).as_deref(), Some("\u{1f41f}"));
        assert_eq!(tag(&script_sig("Café pool")).as_deref(), Some("Café pool"));
        assert_eq!(tag(&script_sig("ab\u{202e}cd\u{200b}ef")).as_deref(), Some("abcdef"));
        assert_eq!(tag(&script_sig("pool\x1b[31mred")).as_deref(), Some("pool [31mred"));
        assert_eq!(tag(&script_sig("pool\u{e000}")).as_deref(), Some("pool\u{fffd}"));
        assert_eq!(tag(&script_sig("\u{200b}\u{200b}")), None);
    }

    #[test]
    fn the_length_is_bounded() {
        assert_eq!(tag(&[b'x'; 10_000]).unwrap().len(), PoolTag::MAX);
    }
}
