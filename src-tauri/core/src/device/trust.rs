//! Trust levels of paired devices, and their rules for offers.

use std::path::PathBuf;

use super::{DailyVolume, DeviceError, DeviceRegistry, PersistedPairedDevice};
use crate::{
    api::{AcceptRule, DeviceAccept, DeviceRule, TrustLevel},
    clock::unix_now,
    id::DeviceId,
};

const DAY: u64 = 24 * 60 * 60;

/// Decision about an offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OfferPolicy {
    /// Decline it.
    Refuse,
    /// Ask the user.
    Ask,
    /// Accept it without a question.
    Accept {
        /// Target folder. `None` means the download folder.
        into: Option<PathBuf>,
    },
}

impl DeviceRegistry {
    /// Sets the trust level of a device. A blocked one is refused from now on; the caller closes its sessions.
    ///
    /// # Errors
    /// When it cannot be stored.
    pub async fn set_trust(&self, id: DeviceId, level: TrustLevel) -> Result<(), DeviceError> {
        let set = |record: &mut PersistedPairedDevice| std::mem::replace(&mut record.trust_level, level) != level;
        self.change(id, set).await.map(drop)
    }

    /// Sets the rule for offers of a device.
    ///
    /// # Errors
    /// When it cannot be stored.
    pub async fn set_rule(&self, id: DeviceId, rule: DeviceRule) -> Result<(), DeviceError> {
        let set = |record: &mut PersistedPairedDevice| {
            let news = record.rule != rule;
            record.rule = rule;
            news
        };
        self.change(id, set).await.map(drop)
    }

    /// Decides about an offer of this cost (in bytes; see `transfer::receive::quota`), under the global setting. An
    /// automatically accepted cost is counted for the device's day, and never returned. A cost of 0 decides without counting, and without
    /// writing to the disk.
    ///
    /// # Errors
    /// When the count cannot be stored.
    pub async fn offer_policy(&self, id: DeviceId, cost: u64, setting: AcceptRule) -> Result<OfferPolicy, DeviceError> {
        let today = unix_now() / DAY;
        if cost == 0 {
            return Ok(self
                .known()
                .paired
                .get(&id)
                .map_or(OfferPolicy::Refuse, |record| policy_of(record, 0, setting, today)));
        }
        let mut policy = OfferPolicy::Refuse;
        let count = |record: &mut PersistedPairedDevice| {
            policy = policy_of(record, cost, setting, today);
            if record.rule.up_to.is_none() || !matches!(policy, OfferPolicy::Accept { .. }) {
                return false;
            }
            record.spent = DailyVolume { day: today, bytes: spent_on(record, today).saturating_add(cost) };
            true
        };
        self.change(id, count).await?;
        Ok(policy)
    }
}

fn spent_on(record: &PersistedPairedDevice, day: u64) -> u64 {
    if record.spent.day == day { record.spent.bytes } else { 0 }
}

fn policy_of(record: &PersistedPairedDevice, bytes: u64, setting: AcceptRule, today: u64) -> OfferPolicy {
    if setting == AcceptRule::None || record.trust_level == TrustLevel::Blocked {
        return OfferPolicy::Refuse;
    }
    match record.rule.accept {
        DeviceAccept::Ask => OfferPolicy::Ask,
        DeviceAccept::Always => {
            let after = spent_on(record, today).checked_add(bytes);
            let fits = record.rule.up_to.is_none_or(|limit| after.is_some_and(|after| after <= limit));
            if fits {
                OfferPolicy::Accept { into: record.rule.into.as_ref().map(PathBuf::from) }
            } else {
                OfferPolicy::Ask
            }
        }
        // Offers of somebody else's device always need a question, unless the device has a rule of its own.
        DeviceAccept::Default if setting == AcceptRule::Paired && record.trust_level == TrustLevel::Own => {
            OfferPolicy::Accept { into: None }
        }
        DeviceAccept::Default => OfferPolicy::Ask,
    }
}

/// Returns the decision for a device that has sent nothing yet; used to test the description of its rule.
#[cfg(test)]
pub(super) fn policy_of_rule(rule: &DeviceRule, level: TrustLevel, setting: AcceptRule) -> OfferPolicy {
    use crate::{api::DeviceType, id::DeviceInfo, keys::Key};
    let info = DeviceInfo::new([3; 32], "Desk", DeviceType::Laptop);
    let record = PersistedPairedDevice {
        trust_level: level,
        rule: rule.clone(),
        ..PersistedPairedDevice::new(info, Key::from_bytes([4; 32]), 5)
    };
    policy_of(&record, 1, setting, 9)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{api::DeviceType, id::DeviceInfo, keys::Key};

    fn record(level: TrustLevel, accept: DeviceAccept, up_to: Option<u64>) -> PersistedPairedDevice {
        PersistedPairedDevice {
            trust_level: level,
            rule: DeviceRule { accept, up_to, into: Some("/srv".into()) },
            ..PersistedPairedDevice::new(
                DeviceInfo::new([3; 32], "Desk", DeviceType::Laptop),
                Key::from_bytes([4; 32]),
                5,
            )
        }
    }

    #[test]
    fn the_level_and_the_rule_decide_together() {
        use AcceptRule::{Ask, None as Never, Paired};
        use DeviceAccept::{Always, Default};
        use TrustLevel::{Blocked, Other, Own};
        let by_itself = OfferPolicy::Accept { into: Some("/srv".into()) };
        let plain = OfferPolicy::Accept { into: None };
        for (level, accept, setting, expected) in [
            (Own, Default, Ask, OfferPolicy::Ask),
            (Own, Default, Paired, plain),
            (Other, Default, Paired, OfferPolicy::Ask),
            (Own, DeviceAccept::Ask, Paired, OfferPolicy::Ask),
            (Other, Always, Ask, by_itself.clone()),
            (Own, Always, Paired, by_itself),
            (Own, Always, Never, OfferPolicy::Refuse),
            (Blocked, Always, Paired, OfferPolicy::Refuse),
        ] {
            assert_eq!(
                policy_of(&record(level, accept, Option::None), 1, setting, 9),
                expected,
                "{level:?} {accept:?} {setting:?}"
            );
        }
    }

    #[test]
    fn a_day_has_a_limit() {
        let mut record = record(TrustLevel::Own, DeviceAccept::Always, Some(100));
        let accepted = |record: &PersistedPairedDevice, bytes, day| {
            matches!(policy_of(record, bytes, AcceptRule::Ask, day), OfferPolicy::Accept { .. })
        };
        assert!(accepted(&record, 100, 9));
        assert!(!accepted(&record, 101, 9));
        record.spent = DailyVolume { day: 9, bytes: 60 };
        assert!(accepted(&record, 40, 9));
        assert!(!accepted(&record, 41, 9));
        assert!(!accepted(&record, u64::MAX, 9), "a sum that does not fit is too much");
        assert!(accepted(&record, 100, 10), "another day");
    }
}
