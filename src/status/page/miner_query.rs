//! The part of a visitor's request that is about the table of miners: order, filter, page. It works without script, and
//! a value that is not understood is the default's.

use crate::status::server::percent_encode;

/// The number of miners above which the worst come first, and the table can be filtered.
pub(super) const MANY: usize = 20;

/// The columns that the table can be sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum SortKey {
    State,
    Name,
    Rate,
    LastShare,
    Difficulty,
    Best,
    Accepted,
    Connected,
}

/// The part of the table that a visitor wants to see.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MinersQuery<'a> {
    sort: Option<SortKey>,
    /// Ascending if true; `None` for the column's usual order.
    ascending: Option<bool>,
    /// A part of the miner's name, device or address; empty for all.
    filter: &'a str,
    /// From 1.
    page: Option<usize>,
}

impl SortKey {
    pub(super) const ALL: [SortKey; 8] = [
        SortKey::Name,
        SortKey::State,
        SortKey::Rate,
        SortKey::LastShare,
        SortKey::Difficulty,
        SortKey::Best,
        SortKey::Accepted,
        SortKey::Connected,
    ];

    /// The name in the query.
    pub(super) fn name(self) -> &'static str {
        match self {
            SortKey::State => "state",
            SortKey::Name => "name",
            SortKey::Rate => "rate",
            SortKey::LastShare => "last",
            SortKey::Difficulty => "difficulty",
            SortKey::Best => "best",
            SortKey::Accepted => "accepted",
            SortKey::Connected => "connected",
        }
    }

    /// The heading of the column.
    pub(super) fn heading(self) -> &'static str {
        match self {
            SortKey::State => "state",
            SortKey::Name => "miner",
            SortKey::Rate => "hash rate, 1 h",
            SortKey::LastShare => "last share",
            SortKey::Difficulty => "difficulty",
            SortKey::Best => "best ever",
            SortKey::Accepted => "accepted",
            SortKey::Connected => "connected for",
        }
    }

    /// Whether the column is ascending at first: names from A, states from the worst, times from the newest.
    fn is_ascending(self) -> bool {
        matches!(self, SortKey::State | SortKey::Name | SortKey::LastShare)
    }
}

impl<'a> MinersQuery<'a> {
    /// Reads the query's parameters.
    pub fn of_query(parameter: impl Fn(&str) -> Option<&'a str>) -> MinersQuery<'a> {
        let sort = parameter("sort");
        let ascending = match parameter("order") {
            Some("asc") => Some(true),
            Some("desc") => Some(false),
            _ => None,
        };
        MinersQuery {
            sort: SortKey::ALL.into_iter().find(|key| Some(key.name()) == sort),
            ascending,
            filter: parameter("filter").unwrap_or_default().trim(),
            page: parameter("page").and_then(|page| page.parse().ok()),
        }
    }

    /// The column to sort by, and whether ascending. Of many miners the worst come first.
    pub(super) fn order(&self, miners: usize) -> (SortKey, bool) {
        let usual = if miners > MANY { SortKey::State } else { SortKey::Rate };
        let key = self.sort.unwrap_or(usual);
        (key, self.ascending.filter(|_| self.sort.is_some()).unwrap_or(key.is_ascending()))
    }

    pub(super) fn filter(&self) -> &'a str {
        self.filter
    }

    /// The page, at most `last`.
    pub(super) fn page(&self, last: usize) -> usize {
        self.page.unwrap_or(1).clamp(1, last.max(1))
    }

    /// The address of the same table on another page.
    pub(super) fn to_page(self, page: usize) -> String {
        MinersQuery { page: Some(page), ..self }.address()
    }

    /// The address of the same miners sorted by this column, the other way round if they are sorted by it already.
    pub(super) fn to_sort(self, key: SortKey, present: (SortKey, bool)) -> String {
        let ascending = if present.0 == key { !present.1 } else { key.is_ascending() };
        MinersQuery { sort: Some(key), ascending: Some(ascending), page: None, ..self }.address()
    }

    fn address(&self) -> String {
        let mut address = String::from("/");
        let mut add = |name: &str, value: &str| {
            address.push(if address.len() == 1 { '?' } else { '&' });
            address.push_str(name);
            address.push('=');
            percent_encode(value, false, &mut address);
        };
        if let Some(key) = self.sort {
            add("sort", key.name());
        }
        if let Some(ascending) = self.ascending {
            add("order", if ascending { "asc" } else { "desc" });
        }
        if !self.filter.is_empty() {
            add("filter", self.filter);
        }
        if let Some(page) = self.page.filter(|page| *page > 1) {
            add("page", &page.to_string());
        }
        address.push_str("#miners");
        address
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query<'a>(parameters: &'a [(&'a str, &'a str)]) -> MinersQuery<'a> {
        MinersQuery::of_query(|name| parameters.iter().find(|(key, _)| *key == name).map(|(_, value)| *value))
    }

    #[test]
    fn many_miners_are_sorted_worst_first_and_few_by_their_rate() {
        assert_eq!(query(&[]).order(20), (SortKey::Rate, false));
        assert_eq!(query(&[]).order(21), (SortKey::State, true));
        assert_eq!(query(&[("sort", "name")]).order(21), (SortKey::Name, true));
        assert_eq!(query(&[("sort", "best"), ("order", "asc")]).order(3), (SortKey::Best, true));
        // The order alone would turn a column round that nobody named.
        assert_eq!(query(&[("sort", "<b>"), ("order", "asc")]).order(3), (SortKey::Rate, false));
    }

    #[test]
    fn links_keep_the_filter_and_turn_the_order_round() {
        let filtered = query(&[("sort", "name"), ("filter", " a&\"b "), ("page", "3")]);
        assert_eq!(filtered.to_page(2), "/?sort=name&filter=a%26%22b&page=2#miners");
        let present = filtered.order(100);
        assert_eq!(filtered.to_sort(SortKey::Name, present), "/?sort=name&order=desc&filter=a%26%22b#miners");
        assert_eq!(
            query(&[]).to_sort(SortKey::Best, (SortKey::Rate, false)),
            "/?sort=best&order=desc#miners"
        );
        assert_eq!(query(&[]).to_page(1), "/#miners");
    }

    #[test]
    fn a_page_that_is_not_there_is_the_nearest() {
        for (page, shown) in [("0", 1), ("7", 4), ("x", 1), ("-1", 1), ("99999999999999999999999", 1)] {
            assert_eq!(query(&[("page", page)]).page(4), shown, "{page}");
        }
        assert_eq!(query(&[]).page(0), 1);
    }
}
