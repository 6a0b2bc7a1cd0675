//! An output of a coinbase: its value and its recipient.

use bitcoin::{Address, Script};

use crate::work::payout::{AddressChain, PayoutScript};
use crate::work::sats::Sats;

/// An output, borrowed from its coinbase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CoinbaseOutput<'a> {
    pub value: Sats,
    /// The output script.
    pub script: &'a [u8],
}

/// The forms of output scripts (wire reference, section 4.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OutputKind {
    P2pk,
    P2pkh,
    P2sh,
    P2wpkh,
    P2wsh,
    P2tr,
    /// Another witness program: of a future version, or of a wrong length.
    OtherWitness,
    /// Data that nobody can spend.
    OpReturn,
    /// Anything else.
    Other,
}

impl OutputKind {
    /// The usual short name.
    pub fn as_str(self) -> &'static str {
        match self {
            OutputKind::P2pk => "p2pk",
            OutputKind::P2pkh => "p2pkh",
            OutputKind::P2sh => "p2sh",
            OutputKind::P2wpkh => "p2wpkh",
            OutputKind::P2wsh => "p2wsh",
            OutputKind::P2tr => "p2tr",
            OutputKind::OtherWitness => "witness",
            OutputKind::OpReturn => "op_return",
            OutputKind::Other => "other",
        }
    }
}

impl CoinbaseOutput<'_> {
    /// The form of the script.
    pub fn kind(&self) -> OutputKind {
        let script = Script::from_bytes(self.script);
        // The forms exclude one another.
        let forms = [
            (script.is_p2pkh(), OutputKind::P2pkh),
            (script.is_p2sh(), OutputKind::P2sh),
            (script.is_p2wpkh(), OutputKind::P2wpkh),
            (script.is_p2wsh(), OutputKind::P2wsh),
            (script.is_p2tr(), OutputKind::P2tr),
            (script.is_op_return(), OutputKind::OpReturn),
            (script.is_p2pk(), OutputKind::P2pk),
            (script.is_witness_program(), OutputKind::OtherWitness),
        ];
        forms.into_iter().find(|(is, _)| *is).map_or(OutputKind::Other, |(_, kind)| kind)
    }

    /// The address on `chain`; `None` for scripts that have none.
    pub fn address(&self, chain: AddressChain) -> Option<String> {
        let script = Script::from_bytes(self.script);
        Address::from_script(script, chain.network()).ok().map(|address| address.to_string())
    }

    /// The script, to be kept and compared with those of addresses.
    pub fn payout_script(&self) -> PayoutScript {
        PayoutScript::from_bytes(self.script.to_vec())
    }

    /// The witness commitment, if this output is one: `OP_RETURN`, a push of 36 bytes or more, `aa21a9ed`,
    /// 32 bytes of commitment (BIP141).
    pub fn witness_commitment(&self) -> Option<[u8; 32]> {
        let commitment = self.script.strip_prefix(&[0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed])?;
        commitment.first_chunk().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(script: &str) -> &'static str {
        let script = crate::stratum::decode_hex("script", script).unwrap();
        CoinbaseOutput { value: Sats(0), script: &script }.kind().as_str()
    }

    #[test]
    fn the_forms_have_their_names() {
        let key = "0479be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798483ada7726a3c4655da4fbfc\
                   0e1108a8fd17b448a68554199c47d08ffb10d4b8";
        for (script, name) in [
            (format!("41{key}ac"), "p2pk"),
            (format!("76a914{}88ac", "11".repeat(20)), "p2pkh"),
            (format!("a914{}87", "11".repeat(20)), "p2sh"),
            (format!("0014{}", "11".repeat(20)), "p2wpkh"),
            (format!("0020{}", "11".repeat(32)), "p2wsh"),
            (format!("5120{}", "11".repeat(32)), "p2tr"),
            (format!("5220{}", "11".repeat(32)), "witness"),
            ("6a".to_owned(), "op_return"),
            ("51".to_owned(), "other"),
            (String::new(), "other"),
        ] {
            assert_eq!(kind(&script), name, "{script}");
        }
    }

    #[test]
    fn a_commitment_may_be_followed_by_more_and_not_be_cut() {
        let mut script = vec![0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed];
        script.extend([7; 31]);
        let commitment = |script: &[u8]| CoinbaseOutput { value: Sats(0), script }.witness_commitment();
        assert_eq!(commitment(&script), None);
        script.push(7);
        assert_eq!(commitment(&script), Some([7; 32]));
        script.push(1);
        assert_eq!(commitment(&script), Some([7; 32]));
    }
}
