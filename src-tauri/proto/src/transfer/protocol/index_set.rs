//! Set of entry indices. Pure.

use crate::transfer::protocol::frames::{Span, Violation, violation};

/// Bit set with one bit for each entry of a manifest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IndexSet {
    words: Vec<u64>,
    len: u32,
}

impl IndexSet {
    /// Creates an empty set for `len` indices.
    pub fn none(len: u32) -> Self {
        Self { words: vec![0; len.div_ceil(64) as usize], len }
    }

    /// Creates a full set for `len` indices.
    pub fn all(len: u32) -> Self {
        let mut bits = Self::none(len);
        for index in 0..len {
            bits.insert(index);
        }
        bits
    }

    /// Returns the number of possible indices.
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Returns true if there are no possible indices.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns true if the set contains `index`.
    pub fn contains(&self, index: u32) -> bool {
        index < self.len && self.words.get((index / 64) as usize).is_some_and(|word| word >> (index % 64) & 1 == 1)
    }

    /// Adds `index`. Returns false if it was in the set or is out of range.
    pub fn insert(&mut self, index: u32) -> bool {
        if index >= self.len || self.contains(index) {
            return false;
        }
        if let Some(word) = self.words.get_mut((index / 64) as usize) {
            *word |= 1 << (index % 64);
        }
        true
    }

    /// Removes `index`.
    pub fn remove(&mut self, index: u32) {
        if index < self.len
            && let Some(word) = self.words.get_mut((index / 64) as usize)
        {
            *word &= !(1 << (index % 64));
        }
    }

    /// Adds ranges of a peer: rising, not empty, not below `floor`. Returns the new floor.
    ///
    /// # Errors
    /// Returns a violation otherwise.
    pub fn insert_spans(&mut self, spans: &[Span], mut floor: u32) -> Result<u32, Violation> {
        for span in spans {
            if span.first >= span.end || span.first < floor || span.end > self.len {
                return violation("entry ranges are not in order");
            }
            floor = span.end;
            for index in span.first..span.end {
                self.insert(index);
            }
        }
        Ok(floor)
    }

    /// Returns the indices of the set in rising order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        (0..self.len).filter(|index| self.contains(*index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_set_once_and_inside() {
        let mut bits = IndexSet::none(70);
        assert!(bits.insert(69) && !bits.insert(69) && !bits.insert(70) && !bits.insert(u32::MAX));
        assert_eq!(bits.iter().collect::<Vec<_>>(), [69]);
        assert_eq!(IndexSet::all(130).iter().count(), 130);
        assert!(!IndexSet::all(130).contains(130));
    }

    #[test]
    fn spans_must_rise() {
        let span = |first, end| Span { first, end };
        let mut bits = IndexSet::none(10);
        assert_eq!(bits.insert_spans(&[span(0, 2), span(2, 3), span(8, 10)], 0), Ok(10));
        assert_eq!(bits.iter().collect::<Vec<_>>(), [0, 1, 2, 8, 9]);
        for bad in [[span(3, 3)], [span(9, 11)], [span(4, 2)]] {
            assert!(IndexSet::none(10).insert_spans(&bad, 0).is_err());
        }
        assert!(IndexSet::none(10).insert_spans(&[span(1, 2)], 2).is_err());
    }
}
