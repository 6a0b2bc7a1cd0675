//! The differences between two configurations, for a reload.

use super::Config;

impl Config {
    /// The sections that differ from `other`, named as in the file. Compares values, not their
    /// spelling.
    pub fn changes(&self, other: &Config) -> Vec<&'static str> {
        let sections = [
            ("mode", self.mode == other.mode),
            ("data_dir", self.data_dir == other.data_dir),
            ("network", self.network == other.network),
            ("[listen]", self.listen == other.listen),
            ("[[upstream]]", self.upstreams == other.upstreams),
            ("[failover]", self.failover == other.failover),
            ("[forward]", self.forward == other.forward),
            ("[analysis]", self.analysis == other.analysis),
            ("[payout]", self.payout == other.payout),
            ("[chain]", self.chain == other.chain),
            ("[rules]", self.rules == other.rules),
            ("[[reference]]", self.references == other.references),
            ("[ntp]", self.ntp == other.ntp),
            ("[record]", self.record == other.record),
            ("[http]", self.http == other.http),
            ("[ratelimit]", self.ratelimit == other.ratelimit),
            ("[aggregate]", self.aggregate == other.aggregate),
            ("[vardiff]", self.vardiff == other.vardiff),
            ("[pool_stats]", self.pool_stats == other.pool_stats),
            ("[devices]", self.devices == other.devices),
            ("[[notify]]", self.notify == other.notify),
            ("[report]", self.report == other.report),
        ];
        sections.into_iter().filter(|(_, is_same)| !is_same).map(|(name, _)| name).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Overrides;

    #[test]
    fn each_changed_section_is_listed() {
        let pool = "[[upstream]]\nurl = \"stratum+tcp://a:1\"\n";
        let parse = |text: &str| Config::parse(&format!("{text}{pool}"), &Overrides::default()).unwrap();
        let before = parse("");
        assert_eq!(
            before.changes(&parse("# the same in other words\n[vardiff]\ntarget = \"15s\"\n")),
            [""; 0]
        );
        for (text, section) in [
            ("mode = \"aggregate\"\n", "mode"),
            ("[payout]\nmin_percent = 90.0\n", "[payout]"),
            ("[rules]\noff = [\"share.rapid\"]\n", "[rules]"),
            ("[vardiff]\ntarget = \"20s\"\n", "[vardiff]"),
            ("[ratelimit]\nban = \"1h\"\n", "[ratelimit]"),
            ("[[upstream]]\nurl = \"stratum+tcp://b:1\"\n", "[[upstream]]"),
        ] {
            assert_eq!(before.changes(&parse(text)), [section]);
        }
    }
}
