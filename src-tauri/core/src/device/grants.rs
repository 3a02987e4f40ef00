//! Permissions that a device will have once it is paired. Users see them before they approve.

use super::DeviceRegistry;
use crate::{
    api::{AcceptRule, DeviceAccept, DeviceRule, Grant, TrustLevel},
    id::DeviceId,
};

impl DeviceRegistry {
    /// Returns the permissions of the device at this trust level, under the global setting and the rule that is kept
    /// from an earlier pairing, if there was one.
    pub fn grants(&self, id: DeviceId, level: TrustLevel, setting: AcceptRule) -> Vec<Grant> {
        let rule = self.known().paired.get(&id).map(|record| record.rule.clone()).unwrap_or_default();
        vec![Grant::Presence, Grant::Texts, offers(&rule, level, setting)]
    }
}

/// Returns how offers of a device with this trust level and rule are handled.
pub fn offers(rule: &DeviceRule, level: TrustLevel, setting: AcceptRule) -> Grant {
    let by_itself = Grant::OffersAccepted { up_to: rule.up_to, into: rule.into.clone() };
    match (setting, rule.accept) {
        _ if level == TrustLevel::Blocked => Grant::OffersDeclined,
        (AcceptRule::None, _) => Grant::OffersDeclined,
        (_, DeviceAccept::Always) => by_itself,
        (AcceptRule::Paired, DeviceAccept::Default) if level == TrustLevel::Own => by_itself,
        _ => Grant::OffersAsked,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::trust::{OfferPolicy, policy_of_rule};

    #[test]
    fn what_is_said_is_what_happens() {
        let rules = [DeviceAccept::Default, DeviceAccept::Ask, DeviceAccept::Always].map(|accept| DeviceRule {
            accept,
            up_to: (accept == DeviceAccept::Always).then_some(100),
            into: (accept == DeviceAccept::Always).then(|| "/srv".into()),
        });
        for rule in &rules {
            for level in [TrustLevel::Own, TrustLevel::Other] {
                for setting in [AcceptRule::Ask, AcceptRule::Paired, AcceptRule::None] {
                    let happens = policy_of_rule(rule, level, setting);
                    let said = match offers(rule, level, setting) {
                        Grant::OffersAccepted { into, .. } => OfferPolicy::Accept { into: into.map(Into::into) },
                        Grant::OffersDeclined => OfferPolicy::Refuse,
                        _ => OfferPolicy::Ask,
                    };
                    assert_eq!(said, happens, "{rule:?} {level:?} {setting:?}");
                }
            }
        }
    }
}
