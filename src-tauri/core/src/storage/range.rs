//! Parts of a table: ranges of row keys, and pages of rows.

use std::ops::{Bound, RangeBounds};

use super::Row;

/// Maximum number of bytes of values in one [`RowPage`], except that a page has at least one row.
pub const MAX_PAGE_BYTES: usize = 8 * 1024 * 1024;

/// Range of row keys. Keys are compared byte by byte, and a shorter key comes before those that it begins. A number in a
/// key has to be big endian, so that rows are in the order of the numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRange {
    from: Bound<Vec<u8>>,
    to: Bound<Vec<u8>>,
}

impl KeyRange {
    /// Creates a range from its bounds. It has no keys if its end is before its start.
    pub fn new(keys: impl RangeBounds<Vec<u8>>) -> Self {
        Self { from: keys.start_bound().cloned(), to: keys.end_bound().cloned() }
    }

    /// Creates the range of all keys that begin with `prefix`.
    pub fn prefix(prefix: &[u8]) -> Self {
        // The first key behind them is the prefix with its last byte raised. Bytes that cannot be raised are left out.
        let mut end = prefix.to_vec();
        while let Some(last) = end.pop() {
            if let Some(next) = last.checked_add(1) {
                end.push(next);
                return Self { from: Bound::Included(prefix.to_vec()), to: Bound::Excluded(end) };
            }
        }
        Self { from: Bound::Included(prefix.to_vec()), to: Bound::Unbounded }
    }

    /// Returns the bounds as the database takes them.
    pub(super) fn bounds(&self) -> (Bound<&[u8]>, Bound<&[u8]>) {
        (self.from.as_ref().map(Vec::as_slice), self.to.as_ref().map(Vec::as_slice))
    }

    /// Returns the keys of this range that come behind `key` in this order.
    fn behind(&self, key: Vec<u8>, order: KeyOrder) -> Self {
        match order {
            KeyOrder::Ascending => Self { from: Bound::Excluded(key), to: self.to.clone() },
            KeyOrder::Descending => Self { from: self.from.clone(), to: Bound::Excluded(key) },
        }
    }
}

/// Order of the rows that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyOrder {
    /// The smallest key first.
    Ascending,
    /// The largest key first.
    Descending,
}

/// The first rows of a range.
pub struct RowPage {
    /// Rows in the order in which they were asked for.
    pub rows: Vec<Row>,
    /// Range of the rows that are left; `None` if there are none.
    pub rest: Option<KeyRange>,
}

impl std::fmt::Debug for RowPage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RowPage({} rows, more: {})", self.rows.len(), self.rest.is_some())
    }
}

/// Collects the rows of one page.
pub(super) struct PageBuilder<'a> {
    keys: &'a KeyRange,
    order: KeyOrder,
    limit: usize,
    bytes: usize,
    rows: Vec<Row>,
}

impl<'a> PageBuilder<'a> {
    pub(super) fn new(keys: &'a KeyRange, order: KeyOrder, limit: usize) -> Self {
        Self { keys, order, limit: limit.max(1), bytes: 0, rows: Vec::new() }
    }

    /// True if a further row whose encrypted value has this length belongs onto the next page.
    pub(super) fn is_full_for(&self, length: usize) -> bool {
        !self.rows.is_empty() && (self.rows.len() >= self.limit || self.bytes.saturating_add(length) > MAX_PAGE_BYTES)
    }

    pub(super) fn push(&mut self, row: Row, length: usize) {
        self.bytes = self.bytes.saturating_add(length);
        self.rows.push(row);
    }

    /// Returns the page. `more` is true if a row was found that did not fit.
    pub(super) fn finish(self, more: bool) -> RowPage {
        let last = self.rows.last().filter(|_| more).map(|(key, _)| key.clone());
        let rest = last.map(|key| self.keys.behind(key, self.order));
        RowPage { rows: self.rows, rest }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(range: &KeyRange, key: &[u8]) -> bool {
        <(Bound<&[u8]>, Bound<&[u8]>) as RangeBounds<&[u8]>>::contains(&range.bounds(), &key)
    }

    #[test]
    fn prefix_has_the_keys_that_begin_with_it_and_no_others() {
        for prefix in [&b""[..], b"a", b"ab", b"a\xff", b"\xff", b"\xff\xff", b"\x00"] {
            let range = KeyRange::prefix(prefix);
            for key in
                [&b""[..], b"\x00", b"a", b"ab", b"ab\x00", b"ac", b"a\xff", b"a\xff\xff", b"b", b"\xfe", b"\xff"]
                    .into_iter()
                    .chain([&b"\xff\xff"[..], b"\xff\xff\xff"])
            {
                assert_eq!(has(&range, key), key.starts_with(prefix), "{key:?} in {prefix:?}");
            }
        }
    }

    #[test]
    fn rest_of_a_range_excludes_what_was_read() {
        let range = KeyRange::new(vec![1]..=vec![9]);
        let up = range.behind(vec![5], KeyOrder::Ascending);
        assert_eq!([4, 5, 6, 9, 10].map(|key| has(&up, &[key])), [false, false, true, true, false]);
        assert!(has(&up, &[5, 0]), "a longer key comes behind");
        let down = range.behind(vec![5], KeyOrder::Descending);
        assert_eq!([0, 1, 4, 5, 6].map(|key| has(&down, &[key])), [false, true, true, false, false]);
    }
}
