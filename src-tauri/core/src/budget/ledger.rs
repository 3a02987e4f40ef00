//! Ledger of a resource that all devices share. Pure.

use std::{collections::HashMap, hash::Hash};

/// Size of the resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ceiling {
    /// Total amount.
    pub total: usize,
    /// Maximum amount of one owner.
    pub per_owner: usize,
}

/// Amounts taken by each owner.
#[derive(Debug)]
pub(super) struct Ledger<O> {
    used: usize,
    by_owner: HashMap<O, usize>,
}

impl<O> Default for Ledger<O> {
    fn default() -> Self {
        Self { used: 0, by_owner: HashMap::new() }
    }
}

impl<O: Copy + Eq + Hash> Ledger<O> {
    /// Takes this amount if available. The ceiling may have become lower since the last call.
    pub fn take(&mut self, owner: O, count: usize, ceiling: Ceiling) -> bool {
        let has = self.by_owner.get(&owner).copied().unwrap_or(0);
        let fits = self.used.saturating_add(count) <= ceiling.total && has.saturating_add(count) <= ceiling.per_owner;
        if fits && count > 0 {
            self.used += count;
            self.by_owner.insert(owner, has + count);
        }
        fits
    }

    /// Returns this amount.
    pub fn give_back(&mut self, owner: O, count: usize) {
        self.used = self.used.saturating_sub(count);
        if let Some(has) = self.by_owner.get_mut(&owner) {
            *has = has.saturating_sub(count);
            if *has == 0 {
                self.by_owner.remove(&owner);
            }
        }
    }

    /// Returns the total amount taken.
    pub fn used(&self) -> usize {
        self.used
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn nobody_has_more_than_the_share_and_all_comes_back(
            steps in proptest::collection::vec((0..5u8, 1..9usize, any::<bool>()), 0..200),
        ) {
            let ceiling = Ceiling { total: 40, per_owner: 10 };
            let (mut ledger, mut taken) = (Ledger::default(), Vec::new());
            for (owner, count, gives) in steps {
                if gives && !taken.is_empty() {
                    let (owner, count) = taken.remove(count % taken.len());
                    ledger.give_back(owner, count);
                } else if ledger.take(owner, count, ceiling) {
                    taken.push((owner, count));
                }
                let of = |owner| taken.iter().filter(|(of, _)| *of == owner).map(|(_, count)| count).sum::<usize>();
                prop_assert!((0..5).all(|owner| of(owner) <= ceiling.per_owner));
                prop_assert_eq!(ledger.used(), (0..5).map(of).sum::<usize>());
            }
            taken.into_iter().for_each(|(owner, count)| ledger.give_back(owner, count));
            prop_assert_eq!(ledger.used(), 0);
            prop_assert!(ledger.by_owner.is_empty(), "nothing is kept of devices that have nothing");
        }
    }
}
