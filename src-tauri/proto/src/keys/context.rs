//! Context strings, one for each derivation. They are part of the protocol: `docs/protocol.md` lists them. A string is
//! never reused or changed; a new purpose gets a new string.

macro_rules! contexts {
    ($($(#[doc = $doc:literal])+ $name:ident => $text:literal,)*) => {
        /// Purpose of a derived key.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Context { $($(#[doc = $doc])+ $name,)* }

        impl Context {
            /// All contexts.
            pub const ALL: &'static [Context] = &[$(Context::$name),*];

            /// Returns the context string for BLAKE3.
            pub fn as_str(self) -> &'static str {
                match self { $(Context::$name => $text,)* }
            }
        }
    };
}

contexts! {
    /// Root secret to the seed of the Ed25519 network identity.
    NetworkIdentity => "yonder 2026-11 network identity v1",
    /// Root secret to the key that wraps storage keys.
    StorageWrap => "yonder 2026-11 storage wrap v1",
    /// The running hash over all messages of a pairing.
    PairingTranscript => "yonder 2026-11 pairing transcript v1",
    /// CPace result and transcript to the PAKE key, from which the next three are derived.
    PairingPake => "yonder 2026-11 pairing pake v1",
    /// PAKE key to the keys of the confirmation tags.
    PairingConfirm => "yonder 2026-11 pairing confirm v1",
    /// PAKE key and transcript to the keys that encrypt the rest of a pairing.
    PairingSeal => "yonder 2026-11 pairing seal v1",
    /// PAKE key, X25519 result and transcript to the pairing secret.
    PairingSecret => "yonder 2026-11 pairing secret v1",
    /// Pairing secret and transcript to the two check words.
    PairingCheckWords => "yonder 2026-11 pairing check words v1",
    /// Pairing secret to the key of the unpairing notice.
    UnpairNotice => "yonder 2026-11 unpair notice v1",
    /// Key of the notice and both endpoint ids to the notice's MAC.
    UnpairMac => "yonder 2026-11 unpair mac v1",
    /// Present pairing secret and a fresh X25519 result to the next pairing secret.
    PairingRotation => "yonder 2026-11 pairing rotation v1",
    /// Next pairing secret to the tags by which both sides prove that they hold it.
    RotationConfirm => "yonder 2026-11 rotation confirm v1",
    /// Epoch number to the salt for the two words that locate a host; not secret.
    RendezvousSalt => "yonder 2026-11 rendezvous salt v1",
    /// The stretched words that locate a host to the seed of the Ed25519 key that signs its record.
    RendezvousKey => "yonder 2026-11 rendezvous key v1",
    /// Pairing secret, X25519 result, TLS exporter and transcript to the session root.
    SessionRoot => "yonder 2026-11 session root v1",
    /// Session root to the keys of the confirmation tags.
    SessionConfirm => "yonder 2026-11 session confirm v1",
    /// Session root to the key of one stream in one direction.
    SessionStream => "yonder 2026-11 session stream v1",
    /// Session root to the root of one attempt at one transfer in one direction.
    TransferRoot => "yonder 2026-11 transfer root v1",
    /// Transfer root to the key of one segment of one file.
    TransferSegment => "yonder 2026-11 transfer segment v1",
    /// Segment key to the commitment in the segment's header.
    TransferCommitment => "yonder 2026-11 transfer commitment v1",
    /// Pairing secret to the key of the tags by which the two devices recognize each other on a LAN.
    BeaconKey => "yonder 2026-11 beacon key v1",
    /// Beacon key, epoch, label and the sender's endpoint id to one tag.
    BeaconTag => "yonder 2026-11 beacon tag v1",
}

#[cfg(test)]
mod tests {
    use super::Context;

    #[test]
    fn no_context_stands_for_two_things() {
        let mut texts: Vec<_> = Context::ALL.iter().map(|context| context.as_str()).collect();
        texts.sort_unstable();
        let all = texts.len();
        texts.dedup();
        assert_eq!(texts.len(), all);
    }
}
