//! Limits the notifications on the screen, in total and for each device. Knows no desktop.
//!
//! A waiting pairing is always shown. No device can displace the notifications of others, however much it offers or
//! sends.

use yonder_core::id::DeviceId;

use super::policy::Answered;

/// Maximum number of open notifications.
pub const MOST: usize = 16;
/// Maximum number of open notifications of one device.
const OF_ONE: usize = 4;

/// An open notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Event that makes it obsolete.
    pub what: Answered,
    /// Device that caused it; `None` for a pairing.
    pub device: Option<DeviceId>,
}

impl Slot {
    fn is_question(&self) -> bool {
        matches!(self.what, Answered::Offer(_) | Answered::Pairing)
    }
}

/// Decision about a new notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// There is room.
    Free,
    /// The notification at this index is replaced.
    InPlaceOf(usize),
    /// It is not shown; the window shows the event all the same.
    None,
}

/// Decides about a new notification, given the open ones, oldest first. Questions stay: other notifications are
/// replaced before them.
pub fn place(open: &[Slot], new: Slot) -> Place {
    let of = |device| open.iter().filter(|slot| slot.device == device).count();
    let oldest = |fits: &dyn Fn(&Slot) -> bool| open.iter().position(fits);
    if new.device.is_some() && of(new.device) >= OF_ONE {
        let own = oldest(&|slot| slot.device == new.device && !slot.is_question());
        return own.map_or(Place::None, Place::InPlaceOf);
    }
    if open.len() < MOST {
        return Place::Free;
    }
    if let Some(told) = oldest(&|slot| !slot.is_question()) {
        return Place::InPlaceOf(told);
    }
    // Replaces a question of the device with the most open ones, if it has clearly more than the new one's device.
    let most = open.iter().filter(|slot| slot.device.is_some()).map(|slot| of(slot.device)).max().unwrap_or(0);
    let asks_more = new.device.is_none() || most > of(new.device) + 1;
    let crowded = oldest(&|slot| slot.device.is_some() && of(slot.device) == most);
    match crowded.filter(|_| asks_more && new.is_question()) {
        Some(at) => Place::InPlaceOf(at),
        None => Place::None,
    }
}

#[cfg(test)]
mod tests {
    use yonder_core::id::TransferId;

    use super::*;

    fn device(n: u8) -> Option<DeviceId> {
        Some(DeviceId::of_endpoint(&[n; 32]))
    }

    fn offer(of: u8, n: u8) -> Slot {
        Slot { what: Answered::Offer(TransferId::from_random([n; 16])), device: device(of) }
    }

    fn texts(of: u8) -> Slot {
        Slot { what: Answered::Texts(device(of).unwrap()), device: device(of) }
    }

    const PAIRING: Slot = Slot { what: Answered::Pairing, device: None };

    #[test]
    fn a_device_has_a_share_and_its_questions_stay() {
        let mut open = vec![texts(1), offer(1, 1), offer(1, 2), offer(1, 3)];
        assert_eq!(place(&open, offer(1, 4)), Place::InPlaceOf(0));
        open[0] = offer(1, 4);
        assert_eq!(place(&open, offer(1, 5)), Place::None);
        assert_eq!(place(&open, texts(1)), Place::None);
        assert_eq!(place(&open, offer(2, 6)), Place::Free);
    }

    #[test]
    fn a_pairing_is_shown_whatever_others_ask() {
        let open: Vec<_> = (0..16).map(|n| offer(n / 4, n)).collect();
        assert_eq!(place(&open, PAIRING), Place::InPlaceOf(0));
        assert_eq!(place(&open, offer(9, 99)), Place::InPlaceOf(0), "a device that asks less is heard");
        assert_eq!(place(&open, texts(9)), Place::None);
        let mut open: Vec<_> = (0..15).map(|n| offer(n, n)).collect();
        open.push(texts(20));
        assert_eq!(place(&open, PAIRING), Place::InPlaceOf(15), "what only tells something goes first");
        open[15] = offer(15, 15);
        assert_eq!(place(&open, PAIRING), Place::InPlaceOf(0));
        assert_eq!(place(&open, offer(21, 21)), Place::None, "nobody asks more than it does");
    }
}
