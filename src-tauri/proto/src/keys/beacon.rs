//! Tags by which paired devices recognize each other on a LAN without being recognizable to others.
//!
//! A tag identifies its sender to one paired device only. It is valid for one epoch of ten minutes, under the random
//! label that its sender uses meanwhile, so that neither two labels nor two networks can be linked to one device. It is
//! short because it proves nothing: a sighting is only a hint.

use super::{Context, Key, derive};

/// Length of a tag in bytes.
pub const BEACON_TAG: usize = 8;

/// Derives the key of the tags between two paired devices, for both directions.
pub fn beacon_key(pairing_secret: &Key) -> Key {
    derive(Context::BeaconKey, &[pairing_secret.as_bytes()])
}

/// Computes the tag of the device `by`, which uses `label` in this epoch. It includes the sender's id, so that the tags
/// of the two directions differ.
pub fn beacon_tag(key: &Key, epoch: u64, label: &[u8; 32], by: &[u8; 32]) -> [u8; BEACON_TAG] {
    let whole = derive(Context::BeaconTag, &[key.as_bytes(), &epoch.to_le_bytes(), label, by]);
    let mut tag = [0; BEACON_TAG];
    tag.copy_from_slice(&whole.as_bytes()[..BEACON_TAG]);
    tag
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_holds_for_one_pairing_epoch_label_and_direction() {
        let key = beacon_key(&Key::from_bytes([7; 32]));
        let tag = beacon_tag(&key, 5, &[1; 32], &[2; 32]);
        assert_eq!(tag, beacon_tag(&key, 5, &[1; 32], &[2; 32]));
        let other = beacon_key(&Key::from_bytes([8; 32]));
        for wrong in [
            beacon_tag(&other, 5, &[1; 32], &[2; 32]),
            beacon_tag(&key, 6, &[1; 32], &[2; 32]),
            beacon_tag(&key, 5, &[3; 32], &[2; 32]),
            beacon_tag(&key, 5, &[1; 32], &[4; 32]),
            beacon_tag(&key, 5, &[2; 32], &[1; 32]),
        ] {
            assert_ne!(tag, wrong);
        }
    }
}
