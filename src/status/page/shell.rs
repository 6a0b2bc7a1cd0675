//! The frame of the pages behind the overview: the miner's page and the lists.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{ICON, Page, SCRIPT, STYLE, policy, time};
use crate::clock::NtpTime;
use crate::record::{SavedState, ShownNames};
use crate::status::server::{QueryParams, percent_encode};
use crate::status::snapshot::StatusSnapshot;
use crate::util::escape;
use crate::util::format::grouped;

/// The lists, with their names.
const LISTS: [(&str, &str); 4] =
    [("/shares", "Shares"), ("/jobs", "Jobs"), ("/alerts", "Alerts"), ("/events", "Events")];

/// Caps the pages of a list that are linked by number.
const MAX_PAGE: usize = 1000;

/// The parameters of a list: its filters and its page.
#[derive(Debug, Clone, Copy)]
pub struct ListQuery<'a>(pub &'a QueryParams);

/// A part of a list.
pub(super) struct ListPart<'a, Row> {
    pub(super) rows: Vec<&'a Row>,
    /// The number of all rows.
    pub(super) total: usize,
    page: usize,
    per_page: usize,
}

impl<'a> ListQuery<'a> {
    /// The value of a parameter, if it is not empty.
    pub(super) fn text(self, name: &str) -> Option<&'a str> {
        self.0.get(name).map(str::trim).filter(|text| !text.is_empty())
    }

    /// The rows of the wanted page. A page behind the last one is the last one.
    pub(super) fn part<Row>(self, rows: impl Iterator<Item = &'a Row>, per_page: usize) -> ListPart<'a, Row> {
        let all: Vec<&Row> = rows.collect();
        let last = all.len().div_ceil(per_page).clamp(1, MAX_PAGE);
        let wanted = self.text("page").and_then(|text| text.parse().ok()).unwrap_or(1);
        let page = usize::clamp(wanted, 1, last);
        let total = all.len();
        let rows = all.into_iter().skip((page - 1) * per_page).take(per_page).collect();
        ListPart { rows, total, page, per_page }
    }

    /// The address of a list with these parameters changed; an empty value takes one away. The first page is meant
    /// unless `page` is among them.
    pub(super) fn address(self, path: &str, changes: &[(&str, &str)]) -> String {
        let mut address = path.to_owned();
        let kept =
            self.0.iter().filter(|(name, _)| *name != "page" && !changes.iter().any(|(new, _)| new == name));
        for (name, value) in kept.chain(changes.iter().copied()).filter(|(_, value)| !value.is_empty()) {
            address.push(if address.contains('?') { '&' } else { '?' });
            percent_encode(name, false, &mut address);
            address.push('=');
            percent_encode(value, false, &mut address);
        }
        address
    }
}

impl<Row> ListPart<'_, Row> {
    /// The links to the other pages; nothing if there is one page.
    pub(super) fn pages(&self, query: ListQuery<'_>, path: &str) -> Markup {
        let last = self.total.div_ceil(self.per_page).clamp(1, MAX_PAGE);
        let link = |page: usize| query.address(path, &[("page", &page.to_string())]);
        html! {
            @if last > 1 {
                nav.pages aria-label="Pages" {
                    @if self.page > 1 { a rel="prev" href=(link(self.page - 1)) { "← newer" } }
                    span { "page " (self.page) " of " (grouped(last as u64)) }
                    @if self.page < last { a rel="next" href=(link(self.page + 1)) { "older →" } }
                }
            }
        }
    }
}

/// The head of every page, with its title.
pub(super) fn head(title: &str) -> Markup {
    html! {
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            meta name="theme-color" content="#f6f5f1" media="(prefers-color-scheme: light)";
            meta name="theme-color" content="#11140f" media="(prefers-color-scheme: dark)";
            title { (title) }
            link rel="icon" href=(ICON);
            noscript { meta http-equiv="refresh" content="30"; }
            style { (PreEscaped(STYLE)) }
        }
    }
}

/// A page with the content of `main`. Only the markup of this program is in `content`; all else is escaped by the
/// templates.
pub(super) fn subpage(status: &StatusSnapshot, path: &str, title: &str, content: &Markup) -> Page {
    // This also escapes characters that drive a terminal or reorder a line.
    let (title, shown) = (escape::printable(title), PreEscaped(escape::html(content.0.clone())));
    let html = html! {
        (DOCTYPE)
        html lang="en" {
            (head(&format!("{title} · Sluice")))
            body.sub data-version=(status.program.version) data-started=(status.program.started) {
                header {
                    p.mark { a href="/" { span aria-hidden="true" { "≋" } " Sluice" } }
                    p.stamp #stamp data-live { (time::clock(status.at)) }
                }
                nav.lists aria-label="Pages of Sluice" {
                    a href="/" { "Overview" }
                    @for (address, name) in LISTS {
                        a href=(address) aria-current=[(address == path).then_some("page")] { (name) }
                    }
                }
                main { (shown) }
                footer { p { "Sluice " (status.program.version) " · " a href="/status" { "status" } " · " a href="/metrics" { "metrics" } } }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    Page { html: html.into_string(), policy: policy() }
}

/// The address of a miner's page, by the worker's name in any form.
pub fn miner_address(worker: &str) -> String {
    address_with_worker("/miner", worker)
}

/// The address of a page about one worker.
pub(super) fn address_with_worker(path: &str, worker: &str) -> String {
    let mut address = format!("{path}?worker=");
    percent_encode(&SavedState::worker_key(worker), false, &mut address);
    address
}

/// The name of a worker, as a link to its page.
pub(super) fn miner_link(names: &ShownNames, worker: &str) -> Markup {
    html! {
        @if worker.is_empty() { "(no name yet)" }
        @else { a.name href=(miner_address(worker)) title=(worker) { (names.name_of(worker)) } }
    }
}

/// A time in seconds since 1970.
pub(super) fn time_of_second(status: &StatusSnapshot, at: u64) -> Markup {
    let at = i64::try_from(at).ok().and_then(|at| jiff::Timestamp::from_second(at).ok()).unwrap_or_default();
    time::moment(status, NtpTime::from_timestamp(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_a_list_is_within_it() {
        let rows: Vec<u32> = (0..120).collect();
        let part = |page: &str| {
            let query = QueryParams::from([("page", page)]);
            let part = ListQuery(&query).part(rows.iter(), 50);
            (part.page, part.rows.first().copied().copied(), part.rows.len())
        };
        for (page, expected) in
            [("1", (1, Some(0), 50)), ("3", (3, Some(100), 20)), ("99", (3, Some(100), 20))]
        {
            assert_eq!(part(page), expected);
        }
        for odd in ["", "0", "-1", "x", "99999999999999999999"] {
            assert_eq!(part(odd).0, 1, "{odd}");
        }
        let query = QueryParams::default();
        assert_eq!(ListQuery(&query).part(std::iter::empty::<&u32>(), 50).total, 0);
    }

    #[test]
    fn a_link_keeps_the_filters_and_escapes_them() {
        let query = QueryParams::from([("worker", "a&b\"<"), ("page", "3"), ("result", "rejected")]);
        let query = ListQuery(&query);
        assert_eq!(
            query.address("/shares", &[("page", "2")]),
            "/shares?worker=a%26b%22%3C&result=rejected&page=2"
        );
        assert_eq!(query.address("/shares", &[("result", "")]), "/shares?worker=a%26b%22%3C");
        assert_eq!(miner_address("=r\u{1b}\"&"), "/miner?worker=%27%3Dr%5Cu%7B1b%7D%22%26");
    }
}
