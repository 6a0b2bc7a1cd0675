//! The last hour, day and week. The stylesheet shows the chosen one, so that no script is needed.

use maud::{Markup, html};

use crate::status::sight::Sight;

pub(super) fn section(_sight: &Sight, _has: Option<u64>) -> Markup {
    html! {}
}
