//! Readable device names for the user agents of miners (wire reference, section 1.5).

use self::AgentShape::{Axe, Machine, Software};
use crate::util::escape::is_unprintable;

/// Caps a device name, in characters.
const MAX_NAME_CHARS: usize = 48;

/// Names the device of a user agent: `bitaxe/BM1370/v2.9.0` is a `Bitaxe Gamma (BM1370), firmware v2.9.0`.
/// An unknown user agent is shown as it is, cleaned and shortened. `None` for an empty one.
pub fn device_name(user_agent: &str) -> Option<String> {
    let clean = clean(user_agent);
    let lower = clean.to_ascii_lowercase();
    if clean.is_empty() {
        return None;
    }
    let agent = Agent::read(&clean);
    let name = match KNOWN.iter().find(|(prefix, ..)| lower.starts_with(prefix)) {
        Some((_, Axe, brand)) => agent.axe(brand),
        Some((_, Software, name)) => agent.with_version(name),
        // The brand is already part of the model name: `Antminer S21/…`.
        Some((_, Machine, name)) => agent.machine(name),
        None => clean,
    };
    Some(name.chars().take(MAX_NAME_CHARS).collect())
}

/// The format of the rest of a user agent.
enum AgentShape {
    /// `brand/chip/firmware`: boards with the ESP-Miner firmware or a fork of it.
    Axe,
    /// `name/version`.
    Software,
    /// `brand model/firmware`.
    Machine,
}

/// The prefix in lower case, the format, and the name that is shown. The first match counts.
const KNOWN: [(&str, AgentShape, &str); 30] = [
    ("nerdminerv2", Software, "NerdMiner V2"),
    ("nerdminer", Software, "NerdMiner"),
    ("han_solominer", Software, "HAN SOLOminer"),
    ("nmminer", Software, "NMMiner"),
    ("leafminer", Software, "LeafMiner"),
    ("sparkminer", Software, "SparkMiner"),
    ("nerdqaxe++", Axe, "NerdQAxe++"),
    ("nerdqaxeplus", Axe, "NerdQAxe+"),
    ("nerdqaxe", Axe, "NerdQAxe"),
    ("nerdoctaxe", Axe, "NerdOctaxe"),
    ("nerdaxe", Axe, "NerdAxe"),
    ("lucky", Axe, "Lucky Miner"),
    ("bitaxe", Axe, "Bitaxe"),
    ("esp-miner", Axe, "ESP-Miner"),
    ("cgminer", Software, "cgminer"),
    ("sgminer", Software, "sgminer"),
    ("bfgminer", Software, "BFGMiner"),
    ("cpuminer", Software, "cpuminer"),
    ("minerd", Software, "cpuminer"),
    ("antminer", Machine, "Antminer"),
    ("whatsminer", Machine, "Whatsminer"),
    ("btminer", Software, "Whatsminer (btminer)"),
    ("avalon", Machine, "Avalon"),
    ("innosilicon", Machine, "Innosilicon"),
    ("bosminer", Software, "Braiins OS"),
    ("luxminer", Software, "LuxOS"),
    ("powerplay-bm", Software, "ePIC PowerPlay"),
    ("xminer", Software, "VNish (xminer)"),
    ("nicehash", Software, "NiceHash"),
    ("vnish", Software, "VNish"),
];

/// A user agent split at slashes: `bitaxe/BM1368 (v2.1.9)`, `bitaxe v2.2`.
struct Agent<'a> {
    first: &'a str,
    parts: Vec<&'a str>,
}

impl<'a> Agent<'a> {
    fn read(clean: &'a str) -> Agent<'a> {
        let mut pieces = clean.split('/').map(str::trim);
        let first = pieces.next().unwrap_or_default();
        Agent { first, parts: pieces.filter(|part| !part.is_empty()).collect() }
    }

    fn axe(&self, brand: &str) -> String {
        let words = self.parts.iter().flat_map(|part| part.split([' ', '(', ')']));
        let words: Vec<&str> =
            words.chain(self.first.split(' ').skip(1)).filter(|word| !word.is_empty()).collect();
        let chip = words.iter().find(|word| word.len() < 12 && word.to_ascii_uppercase().starts_with("BM1"));
        let firmware = words.iter().find(|word| is_version(word));
        let mut name = brand.to_owned();
        if let Some(chip) = chip.map(|chip| chip.to_ascii_uppercase()) {
            if let (Some(model), "Bitaxe") = (bitaxe_model(&chip), brand) {
                name.push_str(&format!(" {model}"));
            }
            name.push_str(&format!(" ({chip})"));
        }
        if let Some(firmware) = firmware {
            // Written as `V1.8.3`, `v2.9.0` or `2.9.0`.
            name.push_str(&format!(", firmware v{}", firmware.trim_start_matches(['v', 'V'])));
        }
        name
    }

    fn with_version(&self, name: &str) -> String {
        let words =
            self.parts.iter().flat_map(|part| part.split(' ')).chain(self.first.split([' ', '-']).skip(1));
        match words.into_iter().find(|word| is_version(word)) {
            Some(version) => format!("{name} {}", version.trim_start_matches(['v', 'V'])),
            None => name.to_owned(),
        }
    }

    fn machine(&self, name: &str) -> String {
        let model = self.first.get(name.len()..).unwrap_or_default().trim_matches([' ', '-', '_']);
        if model.is_empty() { self.with_version(name) } else { format!("{name} {model}") }
    }
}

/// The Bitaxe model with this chip, which is in upper case.
fn bitaxe_model(chip: &str) -> Option<&'static str> {
    match chip {
        "BM1397" => Some("Max"),
        "BM1366" => Some("Ultra"),
        "BM1368" => Some("Supra"),
        "BM1370" => Some("Gamma"),
        _ => None,
    }
}

fn is_version(word: &str) -> bool {
    let word = word.trim_start_matches(['v', 'V']);
    word.contains('.') && word.starts_with(|first: char| first.is_ascii_digit())
}

/// Removes characters that could hide or reorder text, and collapses runs of spaces.
fn clean(user_agent: &str) -> String {
    let visible = |c: char| if is_unprintable(c) { ' ' } else { c };
    let text: String = user_agent.chars().take(256).map(visible).collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_user_agents_have_names() {
        for (user_agent, name) in [
            ("NerdMinerV2/V1.8.3", "NerdMiner V2 1.8.3"),
            ("NerdMinerV2", "NerdMiner V2"),
            ("HAN_SOLOminer/V1.2", "HAN SOLOminer 1.2"),
            ("NMMiner/v0.3.01", "NMMiner 0.3.01"),
            ("bitaxe/BM1370/v2.9.0", "Bitaxe Gamma (BM1370), firmware v2.9.0"),
            ("bitaxe/BM1368", "Bitaxe Supra (BM1368)"),
            ("bitaxe/BM1368 (v2.1.9-8-g04c8b80-dirty)", "Bitaxe Supra (BM1368), firmware v2.1.9-8-g04c8b8"),
            ("bitaxe v2.2", "Bitaxe, firmware v2.2"),
            ("bitaxe/BM1366/v2.4.5", "Bitaxe Ultra (BM1366), firmware v2.4.5"),
            ("bitaxe", "Bitaxe"),
            ("NerdQAxe+/BM1368/v1.0.30", "NerdQAxe (BM1368), firmware v1.0.30"),
            ("NerdQAxe++/BM1370/v1.0.30", "NerdQAxe++ (BM1370), firmware v1.0.30"),
            ("NerdOCTAXE/BM1370/v1.0.30", "NerdOctaxe (BM1370), firmware v1.0.30"),
            ("cgminer/4.13.6", "cgminer 4.13.6"),
            ("cpuminer/2.5.1", "cpuminer 2.5.1"),
            ("cpuminer-multi/1.3.6", "cpuminer 1.3.6"),
            ("Antminer S21/Tue Mar 4 2025", "Antminer S21"),
            ("Antminer S19j Pro", "Antminer S19j Pro"),
            ("whatsminer/v1.1", "Whatsminer 1.1"),
            ("AvalonNano3", "Avalon Nano3"),
            ("bosminer-plus-tuner 0.2.0-36c56a9363", "Braiins OS 0.2.0"),
            ("PowerPlay-BM/1.2.3", "ePIC PowerPlay 1.2.3"),
            ("xminer-1.2.6", "VNish (xminer) 1.2.6"),
            ("NiceHash/1.0.0", "NiceHash 1.0.0"),
            ("tang++/0.2.0", "tang++/0.2.0"),
        ] {
            assert_eq!(device_name(user_agent).as_deref(), Some(name), "{user_agent}");
        }
    }

    #[test]
    fn hostile_ones_are_cleaned_and_short() {
        assert_eq!(device_name(""), None);
        assert_eq!(device_name(" \n\u{202e}\0"), None);
        assert_eq!(device_name("a\u{1b}[2J\nb\u{202e}c  d").as_deref(), Some("a [2J b c d"));
        for hostile in
            ["x".repeat(10_000), "bitaxe/".repeat(2000), "é".repeat(500), "antminer é€😀".repeat(99)]
        {
            assert!(device_name(&hostile).unwrap().chars().count() <= MAX_NAME_CHARS);
        }
        for odd in ["antmin", "antminer€", "antmineré/", "/", "///", "bitaxe///v", "cgminer/ ."] {
            assert!(device_name(odd).is_some(), "{odd}");
        }
    }
}
