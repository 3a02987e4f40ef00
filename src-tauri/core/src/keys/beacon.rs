//! The marks by which paired devices know each other on a LAN where strangers are to learn nothing.
//!
//! A tag says "this is I" to one paired device and nothing to anybody else. It holds for ten minutes and under the one
//! random label that its sender goes by meanwhile, so that neither two labels nor two networks can be told to be of one
//! device. It is short because it proves nothing: what comes from discovery is a hint.

use super::{Context, Key, derive};

/// Bytes of a tag.
pub const BEACON_TAG: usize = 8;

/// The key of the tags between two paired devices, in both directions.
pub fn beacon_key(pairing_secret: &Key) -> Key {
    derive(Context::BeaconKey, &[pairing_secret.as_bytes()])
}

/// The tag of the device `by`, which goes by `label` in this epoch. The sender's id is in it, so that the tags of the two
/// directions differ.
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
