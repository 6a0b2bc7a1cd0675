//! Which alerts a recipient wants.

use crate::config::NotifyConfig;
use crate::record::AlertRow;

/// Whether it is something to be glad of: a block, a share close to one, the best share ever.
pub fn is_good_news(id: &str) -> bool {
    matches!(id, "block.found" | "share.near_miss" | "share.best")
}

/// Whether this recipient is told of this alert: when it is grave enough, and when it is good news
/// and those are wanted. The end of a state is as grave as the state.
pub fn is_wanted(row: &AlertRow, recipient: &NotifyConfig) -> bool {
    row.severity >= recipient.min_severity || recipient.good_news && is_good_news(row.id)
}
