//! The forms of a miner's page: a name to show, and forgetting it. `status/forms.rs` takes them.

use maud::{Markup, html};

use crate::record::ShownNames;
use crate::status::worker_facts::WorkerFacts;

/// Renders the forms, or the reason why there are none. The script does not renew them: a visitor may be typing.
pub(super) fn section(facts: &WorkerFacts<'_>, may_change: bool) -> Markup {
    html! {
        section.naming {
            h2 { "Name" }
            @if may_change {
                form action="/miner/name" method="post" {
                    input type="hidden" name="worker" value=(facts.key);
                    label {
                        span { "Shown instead of " q.name { (facts.key) } }
                        input name="name" value=(facts.given_name().unwrap_or_default()) maxlength=(ShownNames::MAX_CHARS)
                            autocomplete="off" placeholder="Kitchen";
                    }
                    button { "Save" }
                }
                p.quiet {
                    "On this page, in messages and events. The pool goes on to see the miner's own name. Empty: no other "
                    "name."
                }
                @if facts.connections.is_empty() {
                    form action="/miner/forget" method="post" {
                        input type="hidden" name="worker" value=(facts.key);
                        button.forget { "Forget this miner" }
                    }
                    p.quiet { "Its charts, its name and the alert about it go. Its best share and all files stay." }
                }
            } @else {
                p.quiet {
                    "To give this miner a name or to forget it, set http.token in the configuration, or open this page on the "
                    "machine that runs Sluice, if http.hosts and http.public_url are not set."
                }
            }
        }
    }
}
