//! The story of the demo: what happens and when, the most telling first. It begins again after its end.

use std::time::Duration;

/// One thing that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Incident {
    StrangerPaid,
    FirstPoolDown,
    MinerUnplugged,
    NewBlock,
    OtherCoin,
    BlockFound,
    SilentPool,
    GoodSharesRejected,
    NoPool,
    DeviceStalls,
}

/// An incident with its time and its words.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Scene {
    pub incident: Incident,
    /// Seconds after the beginning of the round.
    begins: u64,
    /// The longest time that it lasts, in seconds.
    lasts: u64,
    /// The words for the list at the end.
    pub title: &'static str,
    pub at_begin: &'static str,
    pub at_end: &'static str,
    /// The rule that reports it. `None` if it shows in the figures alone.
    pub rule: Option<&'static str>,
}

/// The scenes in their order. Between two of them is time for what Sluice does about the first: a miner returns to the
/// first pool 5 s after that works again.
pub(super) const SCENES: [Scene; 10] = [
    Scene {
        incident: Incident::StrangerPaid,
        begins: 10,
        lasts: 15,
        title: "a pool whose blocks pay a stranger",
        at_begin: "the first pool is taken over: its blocks would pay a stranger now",
        at_end: "the first pool pays the miners again",
        rule: Some("payout.mismatch"),
    },
    Scene {
        incident: Incident::FirstPoolDown,
        begins: 35,
        lasts: 12,
        title: "a pool that goes down",
        at_begin: "the first pool goes down: the miners move to the second",
        at_end: "the first pool is back: the miners return to it in 5 s, one by one",
        rule: Some("pool.failed_over"),
    },
    Scene {
        incident: Incident::MinerUnplugged,
        begins: 75,
        lasts: 30,
        title: "a miner without power",
        at_begin: "somebody unplugs nerd-kitchen: Sluice misses it after 20 s (usually 5 min)",
        at_end: "nerd-kitchen has power again",
        rule: Some("miner.gone"),
    },
    Scene {
        incident: Incident::NewBlock,
        begins: 120,
        lasts: 15,
        title: "a new block, and shares that come too late for it",
        at_begin: "the network has a new block: a clean job for all, but usb-stick ends old work first",
        at_end: "usb-stick works on the new block, too",
        rule: None,
    },
    Scene {
        incident: Incident::OtherCoin,
        begins: 150,
        lasts: 15,
        title: "a pool that mines Bitcoin Cash",
        at_begin: "the first pool sends jobs for Bitcoin Cash, whose blocks are 100 times easier",
        at_end: "the first pool ends that",
        rule: Some("chain.wrong"),
    },
    Scene {
        incident: Incident::BlockFound,
        begins: 165,
        lasts: 25,
        title: "a block",
        at_begin: "a Bitcoin block is too hard for these devices: for a moment the other coin is easy",
        at_end: "the first pool sends jobs for Bitcoin again",
        rule: Some("block.found"),
    },
    Scene {
        incident: Incident::SilentPool,
        begins: 210,
        lasts: 25,
        title: "a pool that is connected and silent",
        at_begin: "the first pool stays connected, but answers nothing any more",
        at_end: "the first pool answers again",
        rule: Some("pool.silent"),
    },
    Scene {
        incident: Incident::GoodSharesRejected,
        begins: 262,
        lasts: 15,
        title: "a pool that rejects good shares",
        at_begin: "the first pool rejects shares that are good",
        at_end: "the first pool accepts good shares again",
        rule: Some("share.valid_rejected"),
    },
    Scene {
        incident: Incident::NoPool,
        begins: 290,
        lasts: 45,
        title: "an outage of all pools",
        at_begin: "the line is down: no pool can be reached, which Sluice reports after 30 s",
        at_end: "the line works again",
        rule: Some("pool.unreachable"),
    },
    Scene {
        incident: Incident::DeviceStalls,
        begins: 345,
        lasts: 30,
        title: "a device whose chips hang",
        at_begin: "bitaxe-shelf stays connected and hashes nothing: told after 10 s (usually 10 min)",
        at_end: "bitaxe-shelf hashes again",
        rule: Some("device.stalled"),
    },
];

/// A round of the story. The next one begins after it.
const ROUND: Duration = Duration::from_secs(390);

/// A change of the scene.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cue {
    Begin(&'static Scene),
    End(&'static Scene),
}

/// The place in the story.
#[derive(Debug, Default)]
pub(super) struct Story {
    round_began: Duration,
    /// The scenes of this round that have begun.
    begun: usize,
    /// The running scene, and when it ends.
    running: Option<(&'static Scene, Duration)>,
    /// The scenes that have begun in any round.
    shown: usize,
}

impl Story {
    /// The running incident.
    pub fn running(&self) -> Option<Incident> {
        self.running.map(|(scene, _)| scene.incident)
    }

    /// The scenes so far.
    pub fn shown(&self) -> &'static [Scene] {
        &SCENES[..self.shown]
    }

    /// The change that is due `now`, after so long a time since the start. `is_over` ends the running scene early.
    pub fn cue(&mut self, now: Duration, is_over: bool) -> Option<Cue> {
        if let Some((scene, ends)) = self.running {
            if now < ends && !is_over {
                return None;
            }
            self.running = None;
            return Some(Cue::End(scene));
        }
        if now >= self.round_began + ROUND {
            (self.round_began, self.begun) = (now, 0);
        }
        let scene = SCENES.get(self.begun)?;
        if now < self.round_began + Duration::from_secs(scene.begins) {
            return None;
        }
        self.begun += 1;
        self.shown = self.shown.max(self.begun);
        self.running = Some((scene, now + Duration::from_secs(scene.lasts)));
        Some(Cue::Begin(scene))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RuleId;

    #[test]
    fn scenes_follow_each_other_every_half_minute_and_name_rules_that_exist() {
        let mut ended = 0;
        for scene in &SCENES {
            assert!(scene.begins >= ended, "{}: the scene before has not ended", scene.title);
            assert!(scene.begins - ended <= 30, "{}: nothing happens for too long", scene.title);
            assert!(scene.at_begin.len().max(scene.at_end.len()) <= 85, "{}", scene.title);
            assert!(scene.rule.is_none_or(|rule| RuleId::parse(rule).is_some()), "{}", scene.title);
            ended = scene.begins + scene.lasts;
        }
        assert!(Duration::from_secs(ended) < ROUND);
        assert_eq!(SCENES[0].incident, Incident::StrangerPaid, "the most telling one is the first");
    }

    #[test]
    fn each_scene_begins_and_ends_once_a_round_and_a_block_ends_its_scene() {
        let (mut story, mut cues) = (Story::default(), Vec::new());
        for tenth in 0..7_800 {
            let is_over = story.running() == Some(Incident::BlockFound) && tenth % 50 == 0;
            cues.extend(story.cue(Duration::from_millis(tenth * 100), is_over).map(|cue| (tenth / 10, cue)));
        }
        assert_eq!(cues.len(), 2 * 2 * SCENES.len());
        for (pair, scene) in cues.chunks(2).zip(SCENES.iter().chain(&SCENES)) {
            assert_eq!((pair[0].1, pair[1].1), (Cue::Begin(scene), Cue::End(scene)));
            let lasted = pair[1].0 - pair[0].0;
            let expected =
                if scene.incident == Incident::BlockFound { 0..=5 } else { scene.lasts..=scene.lasts };
            assert!(expected.contains(&lasted), "{}: {lasted} s", scene.title);
        }
        assert_eq!(story.shown().len(), SCENES.len());
    }
}
