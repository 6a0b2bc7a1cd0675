//! The methods of a pool, recognized as leniently as miners do.

/// A method that pools send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolMethod {
    Notify,
    SetDifficulty,
    SetExtranonce,
    SetVersionMask,
    Reconnect,
    ShowMessage,
    GetVersion,
    Ping,
}

const NAMES: [(&str, PoolMethod); 8] = [
    ("mining.notify", PoolMethod::Notify),
    ("mining.set_difficulty", PoolMethod::SetDifficulty),
    ("mining.set_extranonce", PoolMethod::SetExtranonce),
    ("mining.set_version_mask", PoolMethod::SetVersionMask),
    ("client.reconnect", PoolMethod::Reconnect),
    ("client.show_message", PoolMethod::ShowMessage),
    ("client.get_version", PoolMethod::GetVersion),
    ("mining.ping", PoolMethod::Ping),
];

impl PoolMethod {
    /// Reads a method's name as the most lenient miners do: cgminer and its descendants compare only the beginning,
    /// and without case. `None` for a name that no miner takes for one of these.
    pub fn of(name: &str) -> Option<PoolMethod> {
        let begins_with = |known: &str| {
            name.as_bytes().get(..known.len()).is_some_and(|head| head.eq_ignore_ascii_case(known.as_bytes()))
        };
        NAMES.into_iter().find(|(known, _)| begins_with(known)).map(|(_, method)| method)
    }

    /// The name that every miner understands.
    pub fn name(self) -> &'static str {
        NAMES.into_iter().find(|(_, method)| *method == self).map_or("", |(name, _)| name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_without_case_and_by_their_beginning() {
        for name in ["mining.notify", "Mining.Notify", "MINING.NOTIFY", "mining.notify2", "mining.notify "] {
            assert_eq!(PoolMethod::of(name), Some(PoolMethod::Notify), "{name}");
        }
        assert_eq!(PoolMethod::of("Client.Reconnect"), Some(PoolMethod::Reconnect));
        assert_eq!(PoolMethod::of("mining.set_Extranonce"), Some(PoolMethod::SetExtranonce));
        for name in ["", "mining.notif", " mining.notify", "x.mining.notify", "mining.subscribe", "é"] {
            assert_eq!(PoolMethod::of(name), None, "{name}");
        }
    }

    #[test]
    fn every_method_has_its_name() {
        for (name, method) in NAMES {
            assert_eq!((PoolMethod::of(name), method.name()), (Some(method), name));
        }
    }
}
