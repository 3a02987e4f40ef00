//! Encoding of the messages of `pairing/1.0`; `docs/protocol-pairing.md` describes every byte.
//!
//! A frame is the version byte and a postcard message, at most [`MAX_FRAME`] bytes. Each message has exactly one
//! encoding: another encoding, or bytes after its end, are refused. Lists are fixed arrays or slices of the received
//! bytes, so that a length claimed by the peer allocates nothing.

use serde::{Deserialize, Serialize};

use super::{PairingError, VERSION};
use crate::id::{DeviceId, DeviceInfo, DeviceType, MAX_NAME_CHARS};

/// Maximum length of a frame in bytes.
pub const MAX_FRAME: usize = 8 * 1024;

/// Maximum length of the app version in bytes.
const MAX_APP_VERSION: usize = 32;
/// Maximum length of the list of protocols in bytes.
const MAX_PROTOCOLS: usize = 256;

/// Message before both sides have proven the code. Protected only by TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Message<'a> {
    /// First message of the joiner: how it got its secret, and its CPace share.
    JoinHello {
        /// Number of a [`super::Method`].
        method: u8,
        /// CPace share.
        share: [u8; 32],
    },
    /// First message of the host.
    HostShare {
        /// CPace share.
        share: [u8; 32],
    },
    /// Proof of the code by the joiner.
    JoinConfirm {
        /// Tag of the joiner.
        tag: [u8; 32],
    },
    /// Proof of the code by the host.
    HostConfirm {
        /// Tag of the host.
        tag: [u8; 32],
    },
    /// The host ends the pairing.
    Refused {
        /// Number of a [`Refusal`].
        code: u8,
    },
    /// An encrypted [`Sealed`] message.
    Sealed(&'a [u8]),
}

/// Message after the code is proven. Encrypted under the PAKE key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Sealed {
    /// The joiner introduces itself.
    JoinInfo(Introduction),
    /// The host introduces itself and signs.
    HostInfo(Introduction, SignatureBytes),
    /// The joiner signs.
    JoinProof(SignatureBytes),
    /// The user of this side approves.
    Approve,
    /// This side ends the pairing; nothing is kept.
    Reject,
    /// The joiner has stored the pairing as pending.
    Prepared,
    /// The host has stored the pairing.
    Committed,
    /// The joiner has stored the pairing as complete.
    Done,
}

/// An Ed25519 signature in two halves, because serde supports arrays up to 32 only. The encoding is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SignatureBytes([u8; 32], [u8; 32]);

impl From<[u8; 64]> for SignatureBytes {
    fn from(bytes: [u8; 64]) -> Self {
        let (mut low, mut high) = ([0; 32], [0; 32]);
        low.copy_from_slice(&bytes[..32]);
        high.copy_from_slice(&bytes[32..]);
        Self(low, high)
    }
}

impl SignatureBytes {
    pub(super) fn to_bytes(self) -> [u8; 64] {
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(&self.0);
        bytes[32..].copy_from_slice(&self.1);
        bytes
    }
}

/// Describes a side, with its fresh random values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Introduction {
    pub(super) device_id: [u8; 16],
    pub(super) endpoint_id: [u8; 32],
    pub(super) name: String,
    pub(super) device_type: u8,
    pub(super) app_version: String,
    /// Names of protocols as in ALPN, sorted, separated by one space.
    pub(super) protocols: String,
    pub(super) challenge: [u8; 32],
    pub(super) x25519: [u8; 32],
}

/// App version and protocols of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Software {
    /// Version of the app, such as `0.1.0`.
    pub app_version: String,
    /// Protocols that the device supports, such as `message/1.0`.
    pub protocols: Vec<String>,
}

impl Introduction {
    pub(super) fn new(info: &DeviceInfo, software: &Software, challenge: [u8; 32], x25519: [u8; 32]) -> Self {
        let mut protocols = software.protocols.clone();
        protocols.sort_unstable();
        Self {
            device_id: *info.device_id.as_bytes(),
            endpoint_id: info.endpoint_id,
            name: info.name.clone(),
            device_type: type_number(info.device_type),
            app_version: software.app_version.clone(),
            protocols: protocols.join(" "),
            challenge,
            x25519,
        }
    }

    /// Checks the peer's claims against its connection.
    pub(super) fn check(&self, remote: &[u8; 32]) -> Result<(DeviceInfo, Software), PairingError> {
        if self.endpoint_id != *remote || self.device_id != *DeviceId::of_endpoint(remote).as_bytes() {
            return Err(PairingError::IdentityMismatch);
        }
        if self.name.is_empty() || self.name.chars().count() > MAX_NAME_CHARS {
            return Err(PairingError::Violation("its name is empty or too long"));
        }
        let is_version = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+');
        if self.app_version.len() > MAX_APP_VERSION || !self.app_version.chars().all(is_version) {
            return Err(PairingError::Violation("its app version is not one"));
        }
        let is_protocol = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '/');
        if self.protocols.len() > MAX_PROTOCOLS
            || !self.protocols.split(' ').all(|name| !name.is_empty() && name.chars().all(is_protocol))
        {
            return Err(PairingError::Violation("its list of protocols is not one"));
        }
        let device_type =
            type_of(self.device_type).ok_or(PairingError::Violation("its device type is not known here"))?;
        let software = Software {
            app_version: self.app_version.clone(),
            protocols: self.protocols.split(' ').map(str::to_owned).collect(),
        };
        Ok((DeviceInfo::new(*remote, &self.name, device_type), software))
    }
}

/// Returns the type's number on the wire. Kept apart from the API enum, whose order may change.
fn type_number(device_type: DeviceType) -> u8 {
    match device_type {
        DeviceType::Desktop => 1,
        DeviceType::Laptop => 2,
        DeviceType::Server => 3,
        DeviceType::Phone => 4,
    }
}

fn type_of(number: u8) -> Option<DeviceType> {
    Some(match number {
        1 => DeviceType::Desktop,
        2 => DeviceType::Laptop,
        3 => DeviceType::Server,
        4 => DeviceType::Phone,
        _ => return None,
    })
}

/// Reason for which a host ends a pairing before the code is proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Refusal {
    /// The confirmation does not match the code.
    CodeWrong = 1,
    /// Wrong codes were tried three times.
    CodeBurnt = 2,
    /// Another joiner has proven the code.
    CodeUsed = 3,
    /// The code's lifetime is over.
    CodeExpired = 4,
    /// No code is shown.
    NotOpen = 5,
    /// Another pairing is under way.
    Busy = 6,
    /// The protocol version is not supported.
    Version = 7,
    /// A message violated the protocol.
    Violation = 8,
    /// A message did not come in time.
    Timeout = 9,
}

impl Refusal {
    /// Returns the reason that the joiner is told for an error of the host.
    pub(super) fn of(error: &PairingError) -> Self {
        match error {
            PairingError::CodeWrong => Self::CodeWrong,
            PairingError::CodeBurnt => Self::CodeBurnt,
            PairingError::CodeUsed => Self::CodeUsed,
            PairingError::CodeExpired => Self::CodeExpired,
            PairingError::Busy => Self::Busy,
            PairingError::Version => Self::Version,
            PairingError::Violation(_) => Self::Violation,
            PairingError::Timeout { .. } => Self::Timeout,
            _ => Self::NotOpen,
        }
    }

    /// Returns the joiner's error for a refusal with this number.
    pub(super) fn to_error(number: u8) -> PairingError {
        match number {
            1 => PairingError::CodeWrong,
            2 => PairingError::CodeBurnt,
            3 => PairingError::CodeUsed,
            4 => PairingError::CodeExpired,
            5 => PairingError::NotOpen,
            6 => PairingError::Busy,
            7 => PairingError::Version,
            8 => PairingError::Violation("it could not read our message"),
            9 => PairingError::Timeout { waited_for: "the other device did not hear from this one in time" },
            _ => PairingError::Violation("it refused for a reason that this version does not know"),
        }
    }

    /// Encodes the refusal as a frame, for a driver without a [`super::HostCode`].
    pub fn frame(self) -> Vec<u8> {
        vec![VERSION, REFUSED_TAG, self as u8]
    }
}

/// Number of [`Message::Refused`] on the wire; a test compares the two.
const REFUSED_TAG: u8 = 4;

impl Message<'_> {
    pub(super) fn encode(&self) -> Result<Vec<u8>, PairingError> {
        let mut frame = vec![VERSION];
        frame.extend(to_bytes(self)?);
        if frame.len() > MAX_FRAME {
            return Err(PairingError::Violation("our own message is too long"));
        }
        Ok(frame)
    }

    pub(super) fn decode(frame: &[u8]) -> Result<Message<'_>, PairingError> {
        if frame.len() > MAX_FRAME {
            return Err(PairingError::Violation("a message is too long"));
        }
        let (&version, body) = frame.split_first().ok_or(PairingError::Violation("a message is empty"))?;
        if version != VERSION {
            return Err(PairingError::Version);
        }
        from_bytes(body)
    }
}

impl Sealed {
    pub(super) fn encode(&self) -> Result<Vec<u8>, PairingError> {
        to_bytes(self)
    }

    pub(super) fn decode(plain: &[u8]) -> Result<Self, PairingError> {
        from_bytes(plain)
    }

    /// Returns the error for receiving this message where another one was expected. Each side may reject at any time.
    pub(super) fn out_of_order(&self) -> PairingError {
        match self {
            Self::Reject => PairingError::RejectedThere,
            _ => PairingError::Violation("a message came out of order"),
        }
    }
}

pub(super) fn to_bytes(value: &impl Serialize) -> Result<Vec<u8>, PairingError> {
    postcard::to_stdvec(value).map_err(|_| PairingError::Violation("our own message could not be written"))
}

fn from_bytes<'a, T: Deserialize<'a> + Serialize>(bytes: &'a [u8]) -> Result<T, PairingError> {
    const UNREADABLE: PairingError = PairingError::Violation("a message is not readable");
    let (value, rest) = postcard::take_from_bytes::<T>(bytes).map_err(|_| UNREADABLE)?;
    // Postcard accepts longer encodings of some numbers. Here each message has exactly one encoding.
    if !rest.is_empty() || to_bytes(&value)? != bytes {
        return Err(UNREADABLE);
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REMOTE: [u8; 32] = [7; 32];

    fn introduction() -> Introduction {
        let info = DeviceInfo::new(REMOTE, "Desk", DeviceType::Laptop);
        let software =
            Software { app_version: "0.1.0".into(), protocols: vec!["transfer/1.0".into(), "message/1.0".into()] };
        Introduction::new(&info, &software, [1; 32], [2; 32])
    }

    #[test]
    fn frames_are_as_documented() {
        let hello = Message::JoinHello { method: 1, share: [0xab; 32] }.encode().unwrap();
        assert_eq!(hello[..3], [1, 0, 1]);
        assert_eq!(hello[3..], [0xab; 32]);
        assert_eq!(Message::HostShare { share: [2; 32] }.encode().unwrap()[..3], [1, 1, 2]);
        assert_eq!(Message::JoinConfirm { tag: [3; 32] }.encode().unwrap()[..3], [1, 2, 3]);
        assert_eq!(Message::HostConfirm { tag: [4; 32] }.encode().unwrap()[..3], [1, 3, 4]);
        assert_eq!(Message::Refused { code: 2 }.encode().unwrap(), Refusal::CodeBurnt.frame());
        assert_eq!(Message::Sealed(b"abc").encode().unwrap(), [1, 5, 3, b'a', b'b', b'c']);
        assert_eq!(Sealed::Done.encode().unwrap(), [7]);
        let mut signature = [0; 64];
        signature.iter_mut().enumerate().for_each(|(at, byte)| *byte = at as u8);
        let proof = Sealed::JoinProof(signature.into()).encode().unwrap();
        assert_eq!((proof[0], &proof[1..]), (2, &signature[..]));
    }

    #[test]
    fn messages_have_one_form() {
        let hello = Message::JoinHello { method: 1, share: [0xab; 32] }.encode().unwrap();
        assert!(Message::decode(&hello).is_ok());
        for cut in 0..hello.len() {
            assert!(Message::decode(&hello[..cut]).is_err(), "{cut}");
        }
        let mut longer = hello.clone();
        longer.push(0);
        assert!(Message::decode(&longer).is_err());
        assert_eq!(Message::decode(&[2, 0]).unwrap_err(), PairingError::Version);
        assert!(Message::decode(&[1, 9]).is_err(), "a message that is not known");
        // One message with its number, or a length, encoded in two bytes.
        assert!(Message::decode(&[1, 0x84, 0x00, 2]).is_err());
        assert!(Message::decode(&[1, 5, 0x81, 0x00, b'a']).is_err());
        assert_eq!(Message::decode(&[1, 5, 1, b'a']).unwrap(), Message::Sealed(b"a"));
    }

    #[test]
    fn claimed_lengths_cost_nothing() {
        // An encrypted message and a name of 4 GiB, claimed in a few bytes.
        assert!(Message::decode(&[1, 5, 0xff, 0xff, 0xff, 0xff, 0x0f, 1, 2, 3]).is_err());
        let mut info = vec![0];
        info.extend([0; 48]);
        info.extend([0xff, 0xff, 0xff, 0xff, 0x0f, b'a']);
        assert!(Sealed::decode(&info).is_err());
        let mut large = vec![1, 5];
        large.extend(vec![0; MAX_FRAME]);
        assert!(Message::decode(&large).is_err());
    }

    #[test]
    fn claims_are_held_against_the_connection() {
        let good = introduction();
        let (info, software) = good.check(&REMOTE).unwrap();
        assert_eq!(info, DeviceInfo::new(REMOTE, "Desk", DeviceType::Laptop));
        assert_eq!(software.protocols, ["message/1.0", "transfer/1.0"]);
        assert_eq!(good.check(&[8; 32]).unwrap_err(), PairingError::IdentityMismatch);
        let other = *DeviceId::of_endpoint(&[8; 32]).as_bytes();
        let bad = Introduction { device_id: other, ..good.clone() };
        assert_eq!(bad.check(&REMOTE).unwrap_err(), PairingError::IdentityMismatch, "another's device id");
        let bad = Introduction { endpoint_id: [8; 32], device_id: other, ..good.clone() };
        assert_eq!(bad.check(&REMOTE).unwrap_err(), PairingError::IdentityMismatch, "another's identity");
    }

    #[test]
    fn claims_are_bounded_and_cleaned() {
        let good = introduction();
        let bad = [
            Introduction { name: String::new(), ..good.clone() },
            Introduction { name: "x".repeat(65), ..good.clone() },
            Introduction { app_version: "1".repeat(33), ..good.clone() },
            Introduction { app_version: "1.0 \u{1b}[31m".into(), ..good.clone() },
            Introduction { protocols: "a/1.0  b/1.0".into(), ..good.clone() },
            Introduction { protocols: "a/1.0\n".into(), ..good.clone() },
            Introduction { protocols: "a".repeat(257), ..good.clone() },
            Introduction { device_type: 0, ..good.clone() },
            Introduction { device_type: 5, ..good.clone() },
        ];
        for claims in bad {
            assert!(matches!(claims.check(&REMOTE), Err(PairingError::Violation(_))), "{claims:?}");
        }
        let (info, _) = Introduction { name: "a\u{202e}b\u{7}".into(), ..good }.check(&REMOTE).unwrap();
        assert_eq!(info.name, "a\u{fffd}b\u{fffd}");
    }

    #[test]
    fn refusals_come_back_as_errors() {
        for number in 1..=9 {
            assert_eq!(Refusal::of(&Refusal::to_error(number)) as u8, number);
        }
        assert!(matches!(Refusal::to_error(99), PairingError::Violation(_)));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300), kind in 0u8..8) {
            let _ = Message::decode(&bytes);
            let _ = Sealed::decode(&bytes);
            let mut led = vec![kind];
            led.extend(&bytes);
            let _ = Sealed::decode(&led);
            led.insert(0, VERSION);
            let _ = Message::decode(&led);
        }
    }
}
