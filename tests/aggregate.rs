//! Aggregate mode through real sockets: miners of every kind on one connection to a simulated pool,
//! and pools whose every line the test writes itself.

mod common;

#[path = "aggregate/abuse.rs"]
mod abuse;
#[path = "aggregate/answers.rs"]
mod answers;
#[path = "aggregate/axeos.rs"]
mod axeos;
#[path = "aggregate/basics.rs"]
mod basics;
#[path = "aggregate/blocks.rs"]
mod blocks;
#[path = "aggregate/crediting.rs"]
mod crediting;
#[path = "aggregate/difficulty.rs"]
mod difficulty;
#[path = "aggregate/dismissing.rs"]
mod dismissing;
#[path = "aggregate/easy_network.rs"]
mod easy_network;
#[path = "aggregate/empty_errors.rs"]
mod empty_errors;
#[path = "aggregate/ending.rs"]
mod ending;
#[path = "aggregate/failing.rs"]
mod failing;
#[path = "aggregate/fair.rs"]
mod fair;
#[path = "aggregate/finding.rs"]
mod finding;
#[path = "aggregate/forms.rs"]
mod forms;
#[path = "aggregate/hashed.rs"]
mod hashed;
#[path = "aggregate/jobs.rs"]
mod jobs;
#[path = "aggregate/joining.rs"]
mod joining;
#[path = "aggregate/judging.rs"]
mod judging;
#[path = "aggregate/leaving.rs"]
mod leaving;
#[path = "aggregate/matching.rs"]
mod matching;
#[path = "aggregate/moving.rs"]
mod moving;
#[path = "aggregate/nameless.rs"]
mod nameless;
#[path = "aggregate/naming.rs"]
mod naming;
#[path = "aggregate/opened.rs"]
mod opened;
#[path = "aggregate/openings.rs"]
mod openings;
#[path = "aggregate/racing.rs"]
mod racing;
#[path = "aggregate/relisting.rs"]
mod relisting;
#[path = "aggregate/rolling.rs"]
mod rolling;
#[path = "aggregate/scripted.rs"]
mod scripted;
#[path = "aggregate/site.rs"]
mod site;
#[path = "aggregate/spaces.rs"]
mod spaces;
#[path = "aggregate/strangers.rs"]
mod strangers;
#[path = "aggregate/stuck.rs"]
mod stuck;
#[path = "aggregate/subscribing.rs"]
mod subscribing;
#[path = "aggregate/unnegotiated.rs"]
mod unnegotiated;
#[path = "aggregate/unreadable.rs"]
mod unreadable;
#[path = "aggregate/versions.rs"]
mod versions;
#[path = "aggregate/wishes.rs"]
mod wishes;
#[path = "aggregate/words.rs"]
mod words;
