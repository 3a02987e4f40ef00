//! Errors of pairing, with hints.

/// Errors of pairing, on either side.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PairingError {
    /// A typed word is not on the list. Such a word cannot be part of a code, so it may be shown.
    #[error("word {position}, \"{word}\", is not on the word list")]
    WordUnknown {
        /// The typed word, cleaned and truncated.
        word: String,
        /// Position of the word, from 1.
        position: usize,
        /// Words of the list with a similar beginning.
        suggestions: Vec<String>,
    },
    /// Wrong number of words.
    #[error("a pairing code has three or five words, not {found}")]
    WordCount {
        /// Number of typed words.
        found: usize,
    },
    /// The text is not a link that this version supports.
    #[error("this is not a valid yonder: link: {reason}")]
    LinkInvalid {
        /// Describes the fault.
        reason: &'static str,
    },
    /// The text is not `ENDPOINT_ID@IP:PORT`.
    #[error("this is not an address of the form ENDPOINT_ID@IP:PORT: {reason}")]
    AddressInvalid {
        /// Describes the fault.
        reason: &'static str,
    },
    /// The code's lifetime of five minutes is over.
    #[error("the pairing code has expired")]
    CodeExpired,
    /// The codes of the two sides differ.
    #[error("the pairing code is wrong")]
    CodeWrong,
    /// Three wrong codes were tried by any peers. The right one is refused, too.
    #[error("wrong codes were tried three times, so the pairing code was burnt")]
    CodeBurnt,
    /// The code has been used already.
    #[error("the pairing code has been used already")]
    CodeUsed,
    /// The other device shows no code.
    #[error("the other device is not showing a pairing code")]
    NotOpen,
    /// The other device is in the middle of another pairing.
    #[error("the other device is busy with another pairing")]
    Busy,
    /// The user of this device rejected.
    #[error("the pairing was rejected on this device")]
    RejectedHere,
    /// The user of the other device rejected.
    #[error("the pairing was rejected on the other device")]
    RejectedThere,
    /// A step took too long.
    #[error("the pairing took too long: {waited_for}")]
    Timeout {
        /// Describes the missing step.
        waited_for: &'static str,
    },
    /// The peer claims an id that differs from that of its connection, or its signature is invalid.
    #[error("the other device claims an identity that is not its own")]
    IdentityMismatch,
    /// A device cannot pair with itself.
    #[error("this is the same device")]
    SameDevice,
    /// The peer uses another version of the pairing protocol.
    #[error("the other device speaks another version of the pairing protocol")]
    Version,
    /// The peer sent something that the protocol does not allow, or that was modified in transit.
    #[error("the other device broke the pairing protocol: {0}")]
    Violation(&'static str),
    /// The connection was lost before anything was stored.
    #[error("the connection was lost before the devices were paired")]
    ConnectionLost,
    /// The connection was lost in the last step: it is not known whether the other side has stored the record.
    #[error("the connection was lost in the last step of the pairing")]
    Unfinished,
    /// The record could not be written on this device.
    #[error("the pairing could not be stored on this device")]
    NotStored,
    /// No device that shows a code was found, or none that accepts this one.
    #[error("no device was found that shows this pairing code")]
    NoHostFound,
    /// No device was found for a code of five words, neither on the LAN nor on the internet.
    #[error("no device was found that shows this pairing code, neither on this network nor on the internet")]
    NoHostAnywhere {
        /// Clock error of this device against a server, in whole minutes, if it is large.
        clock_off: Option<u64>,
    },
    /// Three devices were tried with the code, and none of them shows it.
    #[error("three devices answered to this pairing code, and none of them was the right one")]
    TooManyHosts,
    /// No rendezvous server could be reached.
    #[error("none of the servers could be reached at which a code of five words is looked up")]
    RendezvousUnreachable,
    /// A code of five words was requested where no server may be asked.
    #[error("a code of five words is not possible here: {reason}")]
    NoRendezvous {
        /// The reason.
        reason: NoRendezvousReason,
    },
    /// The user cancelled.
    #[error("the pairing was cancelled")]
    Cancelled,
    /// The system's random source failed.
    #[error("the system's random source is not available")]
    NoRandomness,
}

/// Reason for which a code of five words is not possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRendezvousReason {
    /// The mode permits no server.
    #[error("this device asks no server of the internet, because it runs with --mode lan")]
    LanMode,
    /// There is no relay.
    #[error("there is no relay through which this device could be reached; give --relay, too")]
    NoRelay,
    /// No rendezvous server is configured.
    #[error("relays of one's own are given, and neither --pkarr nor --dht-bootstrap")]
    NoServer,
}

impl NoRendezvousReason {
    /// Returns a stable name for it.
    pub fn case(self) -> &'static str {
        match self {
            Self::LanMode => "lan_mode",
            Self::NoRelay => "no_relay",
            Self::NoServer => "no_server",
        }
    }
}

impl PairingError {
    /// Returns the stable code: lower case with underscores. Part of the API; never reused.
    pub fn code(&self) -> &'static str {
        match self {
            Self::WordUnknown { .. } => "code_word_unknown",
            Self::WordCount { .. } => "code_word_count",
            Self::LinkInvalid { .. } => "link_invalid",
            Self::AddressInvalid { .. } => "address_invalid",
            Self::CodeExpired => "code_expired",
            Self::CodeWrong => "code_wrong",
            Self::CodeBurnt => "code_burnt",
            Self::CodeUsed => "code_used",
            Self::NotOpen => "pairing_not_open",
            Self::Busy => "pairing_busy",
            Self::RejectedHere | Self::RejectedThere => "pairing_rejected",
            Self::Timeout { .. } => "pairing_timeout",
            Self::IdentityMismatch => "identity_mismatch",
            Self::SameDevice => "pairing_same_device",
            Self::Version => "pairing_version",
            Self::Violation(_) => "pairing_violation",
            Self::ConnectionLost => "pairing_connection_lost",
            Self::Unfinished => "pairing_unfinished",
            Self::NotStored => "pairing_not_stored",
            Self::NoHostFound | Self::NoHostAnywhere { .. } => "no_host_found",
            Self::TooManyHosts => "too_many_hosts",
            Self::RendezvousUnreachable => "rendezvous_unreachable",
            Self::NoRendezvous { .. } => "no_rendezvous",
            Self::Cancelled => "pairing_cancelled",
            Self::NoRandomness => "randomness_unavailable",
        }
    }

    /// Returns what a person can do about it, in one sentence; empty if there is nothing.
    pub fn hint(&self) -> String {
        match self {
            Self::WordUnknown { suggestions, .. } if !suggestions.is_empty() => {
                format!("Did you mean {}? The first four letters of each word are enough.", suggestions.join(" or "))
            }
            Self::WordUnknown { .. } => "Check its spelling; the first four letters of each word are enough.".into(),
            Self::WordCount { .. } => {
                "Type the three or five words that the other device shows, with spaces or dashes.".into()
            }
            Self::LinkInvalid { .. } => "Copy the whole link from the other device, or type the words.".into(),
            Self::AddressInvalid { .. } => {
                "`yonder-cli id` on the other device prints its endpoint id, its addresses and its port.".into()
            }
            Self::CodeExpired | Self::CodeUsed => "Let the other device show a new code.".into(),
            Self::CodeWrong => {
                "Compare the words with those on the other device. After three wrong tries it needs a new code.".into()
            }
            Self::CodeBurnt => {
                "Show a new code. If nobody you know tried it, someone nearby is guessing: use the link or QR instead."
                    .into()
            }
            Self::NotOpen => "Start pairing on the other device, so that it shows a code.".into(),
            Self::Busy => "Finish or cancel the pairing there, then try again.".into(),
            Self::RejectedHere | Self::Cancelled => String::new(),
            Self::RejectedThere => "Approve on both devices if the names and the two check words are right.".into(),
            Self::Timeout { .. } => "Keep both devices awake and near, then try again with a new code.".into(),
            Self::IdentityMismatch => {
                "Someone may be posing as the other device. Do not pair; try again on a network that you trust.".into()
            }
            Self::SameDevice => "Type the code on the other device.".into(),
            Self::Version => "Update Yonder on both devices.".into(),
            Self::Violation(_) => {
                "Update Yonder on both devices. If it happens again, someone may be tampering with the connection."
                    .into()
            }
            Self::ConnectionLost => "Check the network, then pair again with a new code.".into(),
            Self::Unfinished => {
                "It finishes by itself when the devices meet again. If they stay unpaired, pair with a new code.".into()
            }
            Self::NotStored => {
                "Check that the data directory is writable and the disk not full, then pair again.".into()
            }
            Self::NoHostFound => {
                "Is the other device showing a code, and are both on the same network? If they are not, let it show five \
                 words instead, or use its link or QR."
                    .into()
            }
            Self::NoHostAnywhere { clock_off: Some(minutes) } => format!(
                "This device's clock seems to be off by {minutes} minutes, and five words are found only while both clocks \
                 are right to ten. Set the clock, or use the other device's link or QR."
            ),
            Self::NoHostAnywhere { clock_off: None } => {
                "Is the other device still showing these five words, and is it on the internet? Both clocks have to be right \
                 to ten minutes. Its link or QR works without."
                    .into()
            }
            Self::TooManyHosts => {
                "Somebody may be leaving false addresses under the first two words. Let the other device show a new code, or \
                 use its link or QR."
                    .into()
            }
            Self::RendezvousUnreachable => {
                "Check the internet connection. On one network the words work without it, and the link or QR works, too."
                    .into()
            }
            Self::NoRendezvous { .. } => "Use three words on one network, or the link or QR.".into(),
            Self::NoRandomness => "Restart the device; without randomness no key is safe.".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_that_the_surface_promises() {
        assert_eq!(PairingError::CodeBurnt.code(), "code_burnt");
        assert_eq!(PairingError::RejectedThere.code(), PairingError::RejectedHere.code());
        let unknown =
            PairingError::WordUnknown { word: "brabe".into(), position: 2, suggestions: vec!["brave".into()] };
        assert_eq!(unknown.code(), "code_word_unknown");
        assert!(unknown.to_string().contains("word 2") && unknown.hint().contains("brave"));
    }
}
