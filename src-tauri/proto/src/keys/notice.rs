//! Unpairing notice, for a device that was offline when its pairing was ended.
//!
//! The device that unpairs deletes the record and the pairing secret, and keeps only a key derived from the secret by a
//! one-way function. That key authenticates the notice at the next contact. Without it nobody can make the other device
//! drop a pairing, not even an attacker with the endpoint key.

use subtle::ConstantTimeEq;

use super::{Context, Key, derive};

/// Format version, the first byte of a notice.
const FORM: u8 = 1;
const MAC: usize = 32;
/// Maximum number of secrets of a pairing at one time: the present one, and those of an unfinished renewal.
pub const MAX_SECRETS: usize = 4;
/// Maximum length of a notice in bytes.
pub const MAX_NOTICE: usize = 1 + MAX_SECRETS * MAC;

/// Derives the one-way key that outlives a pairing secret.
pub fn notice_key(pairing_secret: &Key) -> Key {
    derive(Context::UnpairNotice, &[pairing_secret.as_bytes()])
}

fn mac(key: &Key, by: &[u8; 32], to: &[u8; 32]) -> Key {
    derive(Context::UnpairMac, &[key.as_bytes(), by, to])
}

/// Creates the notice of the device `by` that it has ended its pairing with `to`: one MAC for each key, at most four.
pub fn unpair_notice<'a>(keys: impl IntoIterator<Item = &'a Key>, by: &[u8; 32], to: &[u8; 32]) -> Vec<u8> {
    let mut notice = vec![FORM];
    for key in keys.into_iter().take(MAX_SECRETS) {
        notice.extend_from_slice(mac(key, by, to).as_bytes());
    }
    notice
}

/// True if `notice` comes from a device `by` that held one of these pairing secrets with `to`.
pub fn notice_holds(notice: &[u8], secrets: &[Key], by: &[u8; 32], to: &[u8; 32]) -> bool {
    let Some((&FORM, macs)) = notice.split_first() else { return false };
    if macs.is_empty() || macs.len() > MAX_SECRETS * MAC || !macs.len().is_multiple_of(MAC) {
        return false;
    }
    secrets.iter().any(|secret| {
        let own = mac(&notice_key(secret), by, to);
        macs.chunks_exact(MAC).any(|told| bool::from(told.ct_eq(own.as_bytes())))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_holder_of_the_secret_can_end_a_pairing() {
        let (a, b) = ([1; 32], [2; 32]);
        let secrets = [Key::from_bytes([7; 32]), Key::from_bytes([8; 32])];
        let keys: Vec<_> = secrets.iter().map(notice_key).collect();
        let notice = unpair_notice(&keys, &a, &b);
        assert!(notice.len() <= MAX_NOTICE);
        for secret in &secrets {
            assert!(notice_holds(&notice, std::slice::from_ref(secret), &a, &b));
        }
        assert!(!notice_holds(&notice, &[Key::from_bytes([9; 32])], &a, &b), "another secret");
        assert!(!notice_holds(&notice, &secrets, &b, &a), "reflected");
        assert!(!notice_holds(&notice, &[], &a, &b), "nothing to end");
        for cut in 0..notice.len() {
            let whole = cut > MAC && (cut - 1) % MAC == 0;
            assert_eq!(notice_holds(&notice[..cut], &secrets, &a, &b), whole, "cut to {cut}");
        }
        let mut changed = notice.clone();
        changed[0] = 2;
        assert!(!notice_holds(&changed, &secrets, &a, &b), "another form");
        for at in 1..=MAC {
            let mut changed = notice[..=MAC].to_vec();
            changed[at] ^= 1;
            assert!(!notice_holds(&changed, &secrets, &a, &b));
        }
        assert!(!notice_holds(&[notice.as_slice(), &[0; 32 * 4]].concat(), &secrets, &a, &b), "too long");
    }

    #[test]
    fn the_longest_notice_names_all_secrets_and_has_the_full_length() {
        let secrets: Vec<Key> = (0..6).map(|n| Key::from_bytes([n; 32])).collect();
        let keys: Vec<_> = secrets.iter().map(notice_key).collect();
        let notice = unpair_notice(&keys, &[1; 32], &[2; 32]);
        assert_eq!(notice.len(), MAX_NOTICE);
        for secret in &secrets[..MAX_SECRETS] {
            assert!(notice_holds(&notice, std::slice::from_ref(secret), &[1; 32], &[2; 32]));
        }
    }

    #[test]
    fn the_one_way_key_is_not_the_secret() {
        let secret = Key::from_bytes([7; 32]);
        assert_ne!(notice_key(&secret).as_bytes(), secret.as_bytes());
    }
}
