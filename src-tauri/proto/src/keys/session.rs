//! The session handshake: who holds the pairing secret, over this very TLS connection, now?
//!
//! The shape is that of Noise NNpsk0 inside TLS 1.3: a fresh X25519 exchange, mixed with the pairing secret, the TLS
//! exporter of the connection, both endpoint ids, the role and everything that was offered. A stolen endpoint key alone
//! fails (no pairing secret); the pairing secret alone fails (TLS wants the endpoint key).
//!
//! ```text
//! initiator -> responder   Hello   { magic, versions offered, suites offered, X25519 public, random 32 }
//! responder -> initiator   Ack     { version, suite, X25519 public, random 32, tag of the responder }
//! initiator -> responder   Confirm { tag of the initiator }
//! ```
//!
//! Both tags are keyed BLAKE3 over the transcript under keys that only the two can derive. Nothing is sent under the
//! session before the other side's tag was checked. Pure: randomness comes in, messages go out.

use subtle::ConstantTimeEq;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use super::{Context, Key, derive};
use crate::id::TransferId;

const MAGIC: &[u8; 8] = b"yonder-s";
/// Protocol version, the only one so far.
const VERSION: u8 = 1;
/// Maximum number of versions or suites in a hello.
const MAX_OFFERED: usize = 8;
const ACK_LEN: usize = 1 + 1 + 32 + 32 + 32;

/// Cipher suites of encrypted frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Suite {
    /// ChaCha20-Poly1305, mandatory.
    ChaCha20Poly1305 = 1,
}

impl Suite {
    /// Suites that this device offers, the best first.
    pub const OFFERED: &'static [Suite] = &[Suite::ChaCha20Poly1305];

    /// Returns the suite with this number.
    pub fn from_number(number: u8) -> Option<Self> {
        (number == 1).then_some(Self::ChaCha20Poly1305)
    }
}

/// Role of a side in the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The dialling side.
    Initiator,
    /// The accepting side.
    Responder,
}

/// Direction of encrypted data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum SealDirection {
    /// From the initiator to the responder.
    ToResponder = 1,
    /// From the responder to the initiator.
    ToInitiator = 2,
}

/// Kind of the QUIC stream for which a key is derived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum StreamKind {
    /// Bidirectional, opened by the initiator of the connection.
    BiOfInitiator = 1,
    /// Bidirectional, opened by the responder of the connection.
    BiOfResponder = 2,
    /// Unidirectional, opened by the initiator of the connection.
    UniOfInitiator = 3,
    /// Unidirectional, opened by the responder of the connection.
    UniOfResponder = 4,
}

/// Reason for which a handshake failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// A message is malformed.
    #[error("a handshake message is malformed")]
    Malformed,
    /// There is no common protocol version.
    #[error("the devices have no version of the session protocol in common")]
    Version,
    /// There is no common cipher suite.
    #[error("the devices have no cipher suite in common")]
    Suite,
    /// The peer's X25519 key is of low order.
    #[error("the other device sent a weak key")]
    WeakKey,
    /// The peer does not hold the pairing secret, or there is a man in the middle.
    #[error("the other device could not prove that it is paired")]
    NotProven,
}

/// Facts that both sides know before the first message.
pub struct HandshakeInput<'a> {
    /// Secret of this pairing.
    pub pairing_secret: &'a Key,
    /// Endpoint id of the dialling side.
    pub initiator: [u8; 32],
    /// Endpoint id of the accepting side.
    pub responder: [u8; 32],
    /// ALPN of the connection.
    pub alpn: &'a [u8],
    /// 32 bytes of the TLS exporter of this connection.
    pub exporter: [u8; 32],
}

impl HandshakeInput<'_> {
    fn keys(&self, hello: &[u8], ack_head: &[u8], dh: &[u8; 32], suite: Suite, role: Role) -> Schedule {
        let root = derive(
            Context::SessionRoot,
            &[
                self.pairing_secret.as_bytes(),
                dh,
                &self.exporter,
                &self.initiator,
                &self.responder,
                self.alpn,
                hello,
                ack_head,
            ],
        );
        let tag = |of: &[u8]| derive(Context::SessionConfirm, &[root.as_bytes(), of]);
        Schedule {
            tag_of_responder: tag(b"responder"),
            tag_of_initiator: tag(b"initiator"),
            keys: SessionKeys { root, suite, role },
        }
    }
}

struct Schedule {
    tag_of_responder: Key,
    tag_of_initiator: Key,
    keys: SessionKeys,
}

/// State of the dialling side while it waits for the answer.
pub struct InitiatorHandshake {
    secret: StaticSecret,
    hello: Vec<u8>,
}

impl InitiatorHandshake {
    /// Starts a handshake. Returns the state and the first message. Needs two fresh random values: `ephemeral` becomes
    /// the X25519 secret, `nonce` is sent unencrypted.
    pub fn start(ephemeral: &Key, nonce: [u8; 32]) -> (Self, Vec<u8>) {
        let secret = StaticSecret::from(*ephemeral.as_bytes());
        let mut hello = MAGIC.to_vec();
        hello.extend([1, VERSION]);
        hello.push(Suite::OFFERED.len() as u8);
        hello.extend(Suite::OFFERED.iter().map(|suite| *suite as u8));
        hello.extend(PublicKey::from(&secret).as_bytes());
        hello.extend(nonce);
        (Self { secret, hello: hello.clone() }, hello)
    }

    /// Processes the answer, which authenticates the peer. Returns the last message and the keys. During a renewal
    /// there may be two pairing secrets: the wrong one gives [`HandshakeError::NotProven`], and the other one may be
    /// tried.
    ///
    /// # Errors
    /// When the answer is malformed, selects what was not offered, or does not authenticate.
    pub fn finish(&self, input: &HandshakeInput<'_>, ack: &[u8]) -> Result<(Vec<u8>, SessionKeys), HandshakeError> {
        let ack: &[u8; ACK_LEN] = ack.try_into().map_err(|_| HandshakeError::Malformed)?;
        let (head, tag) = ack.split_at(ACK_LEN - 32);
        if head[0] != VERSION {
            return Err(HandshakeError::Version);
        }
        let suite = Suite::from_number(head[1]).ok_or(HandshakeError::Suite)?;
        let dh = exchange(&self.secret, &head[2..34])?;
        let schedule = input.keys(&self.hello, head, &dh, suite, Role::Initiator);
        check(&schedule.tag_of_responder, tag)?;
        Ok((schedule.tag_of_initiator.as_bytes().to_vec(), schedule.keys))
    }
}

/// State of the accepting side while it waits for the confirmation.
pub struct ResponderHandshake {
    schedule: Schedule,
}

impl ResponderHandshake {
    /// Processes the first message. Returns the state and the answer.
    ///
    /// # Errors
    /// When the message is malformed, or offers nothing that this side supports.
    pub fn answer(
        input: &HandshakeInput<'_>,
        hello: &[u8],
        ephemeral: &Key,
        nonce: [u8; 32],
    ) -> Result<(Self, Vec<u8>), HandshakeError> {
        let offer = SessionHello::parse(hello)?;
        if !offer.versions.contains(&VERSION) {
            return Err(HandshakeError::Version);
        }
        let suite =
            Suite::OFFERED.iter().copied().find(|s| offer.suites.contains(&(*s as u8))).ok_or(HandshakeError::Suite)?;
        let secret = StaticSecret::from(*ephemeral.as_bytes());
        let mut ack = vec![VERSION, suite as u8];
        ack.extend(PublicKey::from(&secret).as_bytes());
        ack.extend(nonce);
        let dh = exchange(&secret, offer.public)?;
        let schedule = input.keys(hello, &ack, &dh, suite, Role::Responder);
        ack.extend(schedule.tag_of_responder.as_bytes());
        Ok((Self { schedule }, ack))
    }

    /// Processes the last message, which authenticates the peer.
    ///
    /// # Errors
    /// When it does not authenticate.
    pub fn finish(self, confirm: &[u8]) -> Result<SessionKeys, HandshakeError> {
        check(&self.schedule.tag_of_initiator, confirm)?;
        Ok(self.schedule.keys)
    }
}

struct SessionHello<'a> {
    versions: &'a [u8],
    suites: &'a [u8],
    public: &'a [u8],
}

impl<'a> SessionHello<'a> {
    fn parse(hello: &'a [u8]) -> Result<Self, HandshakeError> {
        let rest = hello.strip_prefix(MAGIC).ok_or(HandshakeError::Malformed)?;
        let (versions, rest) = counted(rest)?;
        let (suites, rest) = counted(rest)?;
        if rest.len() != 64 {
            return Err(HandshakeError::Malformed);
        }
        Ok(Self { versions, suites, public: &rest[..32] })
    }
}

fn counted(bytes: &[u8]) -> Result<(&[u8], &[u8]), HandshakeError> {
    let (&count, rest) = bytes.split_first().ok_or(HandshakeError::Malformed)?;
    let count = usize::from(count);
    if count == 0 || count > MAX_OFFERED {
        return Err(HandshakeError::Malformed);
    }
    rest.split_at_checked(count).ok_or(HandshakeError::Malformed)
}

fn exchange(secret: &StaticSecret, public: &[u8]) -> Result<Zeroizing<[u8; 32]>, HandshakeError> {
    let public: [u8; 32] = public.try_into().map_err(|_| HandshakeError::Malformed)?;
    let shared = secret.diffie_hellman(&PublicKey::from(public));
    if !shared.was_contributory() {
        return Err(HandshakeError::WeakKey);
    }
    Ok(Zeroizing::new(shared.to_bytes()))
}

fn check(expected: &Key, tag: &[u8]) -> Result<(), HandshakeError> {
    if bool::from(expected.as_bytes().as_slice().ct_eq(tag)) { Ok(()) } else { Err(HandshakeError::NotProven) }
}

/// Keys of one connection between paired devices.
#[derive(Clone, Debug)]
pub struct SessionKeys {
    root: Key,
    suite: Suite,
    role: Role,
}

impl SessionKeys {
    /// Returns the negotiated cipher suite.
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// Returns the role of this side.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Returns the direction in which this side encrypts.
    pub fn outgoing(&self) -> SealDirection {
        match self.role {
            Role::Initiator => SealDirection::ToResponder,
            Role::Responder => SealDirection::ToInitiator,
        }
    }

    /// Returns the direction in which the other side encrypts.
    pub fn incoming(&self) -> SealDirection {
        match self.role {
            Role::Initiator => SealDirection::ToInitiator,
            Role::Responder => SealDirection::ToResponder,
        }
    }

    /// Derives the key of one stream, by its QUIC index among its kind, in one direction.
    pub fn stream_key(&self, kind: StreamKind, index: u64, direction: SealDirection) -> Key {
        derive(Context::SessionStream, &[self.root.as_bytes(), &[kind as u8], &index.to_le_bytes(), &[direction as u8]])
    }

    /// Derives the root of the file keys of one attempt at one transfer. `attempt` is random, and new at every
    /// reopening.
    pub fn file_root(&self, transfer: &TransferId, attempt: &[u8; 16], direction: SealDirection) -> Key {
        derive(Context::TransferRoot, &[self.root.as_bytes(), transfer.as_bytes(), attempt, &[direction as u8]])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input<'a>(secret: &'a Key, exporter: u8) -> HandshakeInput<'a> {
        HandshakeInput {
            pairing_secret: secret,
            initiator: [1; 32],
            responder: [2; 32],
            alpn: b"message/1.0",
            exporter: [exporter; 32],
        }
    }

    fn run(a: &HandshakeInput<'_>, b: &HandshakeInput<'_>) -> Result<(SessionKeys, SessionKeys), HandshakeError> {
        let (initiator, hello) = InitiatorHandshake::start(&Key::from_bytes([11; 32]), [12; 32]);
        let (responder, ack) = ResponderHandshake::answer(b, &hello, &Key::from_bytes([13; 32]), [14; 32])?;
        let (confirm, keys_a) = initiator.finish(a, &ack)?;
        Ok((keys_a, responder.finish(&confirm)?))
    }

    #[test]
    fn both_ends_get_the_same_keys() {
        let secret = Key::from_bytes([5; 32]);
        let (a, b) = run(&input(&secret, 3), &input(&secret, 3)).unwrap();
        let kind = StreamKind::BiOfInitiator;
        assert_eq!(a.stream_key(kind, 4, a.outgoing()).as_bytes(), b.stream_key(kind, 4, b.incoming()).as_bytes());
        assert_ne!(a.stream_key(kind, 4, a.outgoing()).as_bytes(), a.stream_key(kind, 4, a.incoming()).as_bytes());
        assert_ne!(a.stream_key(kind, 4, a.outgoing()).as_bytes(), a.stream_key(kind, 5, a.outgoing()).as_bytes());
    }

    #[test]
    fn another_pairing_secret_is_refused() {
        let (one, two) = (Key::from_bytes([5; 32]), Key::from_bytes([6; 32]));
        assert_eq!(run(&input(&one, 3), &input(&two, 3)).unwrap_err(), HandshakeError::NotProven);
    }

    #[test]
    fn another_tls_connection_is_refused() {
        let secret = Key::from_bytes([5; 32]);
        assert_eq!(run(&input(&secret, 3), &input(&secret, 4)).unwrap_err(), HandshakeError::NotProven);
    }

    #[test]
    fn another_protocol_or_swapped_roles_are_refused() {
        let secret = Key::from_bytes([5; 32]);
        let mut other = input(&secret, 3);
        other.alpn = b"transfer/1.0";
        assert_eq!(run(&input(&secret, 3), &other).unwrap_err(), HandshakeError::NotProven);
        let mut swapped = input(&secret, 3);
        (swapped.initiator, swapped.responder) = ([2; 32], [1; 32]);
        assert_eq!(run(&input(&secret, 3), &swapped).unwrap_err(), HandshakeError::NotProven);
    }

    #[test]
    fn a_reflected_tag_is_refused() {
        let secret = Key::from_bytes([5; 32]);
        let input = input(&secret, 3);
        let (_, hello) = InitiatorHandshake::start(&Key::from_bytes([11; 32]), [12; 32]);
        let (responder, ack) =
            ResponderHandshake::answer(&input, &hello, &Key::from_bytes([13; 32]), [14; 32]).unwrap();
        assert_eq!(responder.finish(&ack[ACK_LEN - 32..]).unwrap_err(), HandshakeError::NotProven);
    }

    #[test]
    fn a_changed_offer_is_refused() {
        let secret = Key::from_bytes([5; 32]);
        let input = input(&secret, 3);
        let (initiator, hello) = InitiatorHandshake::start(&Key::from_bytes([11; 32]), [12; 32]);
        // An attacker in the middle adds an unsupported suite to the offer.
        let mut changed = MAGIC.to_vec();
        changed.extend([1, VERSION, 2, 1, 9]);
        changed.extend(&hello[hello.len() - 64..]);
        let (_, ack) = ResponderHandshake::answer(&input, &changed, &Key::from_bytes([13; 32]), [14; 32]).unwrap();
        assert_eq!(initiator.finish(&input, &ack).unwrap_err(), HandshakeError::NotProven);
    }

    #[test]
    fn a_hello_offers_one_to_eight_of_each_and_nothing_follows() {
        let secret = Key::from_bytes([5; 32]);
        let answer = |versions: usize, suites: usize, rest: usize| {
            let mut hello = MAGIC.to_vec();
            for count in [versions, suites] {
                hello.push(count as u8);
                hello.extend((1..=count).rev().map(|number| number as u8));
            }
            hello.extend(vec![9; rest]);
            let answer = ResponderHandshake::answer(&input(&secret, 3), &hello, &Key::from_bytes([13; 32]), [14; 32]);
            answer.map(|(_, ack)| ack.len())
        };
        for (versions, suites) in [(1, 1), (1, MAX_OFFERED), (MAX_OFFERED, 1), (MAX_OFFERED, MAX_OFFERED)] {
            assert_eq!(answer(versions, suites, 64), Ok(ACK_LEN), "{versions} {suites}");
        }
        for (versions, suites) in [(0, 1), (1, 0), (MAX_OFFERED + 1, 1), (1, MAX_OFFERED + 1)] {
            assert_eq!(answer(versions, suites, 64), Err(HandshakeError::Malformed), "{versions} {suites}");
        }
        for rest in [0, 63, 65] {
            assert_eq!(answer(1, 1, rest), Err(HandshakeError::Malformed), "{rest}");
        }
    }

    #[test]
    fn each_side_knows_its_role_and_seals_in_its_own_direction() {
        let secret = Key::from_bytes([5; 32]);
        let (a, b) = run(&input(&secret, 3), &input(&secret, 3)).unwrap();
        assert_eq!((a.role(), b.role()), (Role::Initiator, Role::Responder));
        assert_eq!((a.suite(), b.suite()), (Suite::ChaCha20Poly1305, Suite::ChaCha20Poly1305));
        assert_eq!((a.outgoing(), b.outgoing()), (SealDirection::ToResponder, SealDirection::ToInitiator));
        assert_eq!((a.incoming(), b.incoming()), (SealDirection::ToInitiator, SealDirection::ToResponder));
        assert_eq!((Suite::from_number(0), Suite::from_number(2)), (None, None));
    }

    #[test]
    fn a_key_of_low_order_is_refused() {
        let secret = Key::from_bytes([5; 32]);
        let mut hello = MAGIC.to_vec();
        hello.extend([1, VERSION, 1, 1]);
        hello.extend([0; 64]);
        let answer = ResponderHandshake::answer(&input(&secret, 3), &hello, &Key::from_bytes([13; 32]), [14; 32]);
        assert_eq!(answer.err(), Some(HandshakeError::WeakKey));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(hello in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let secret = Key::from_bytes([5; 32]);
            let input = input(&secret, 3);
            let _ = ResponderHandshake::answer(&input, &hello, &Key::from_bytes([13; 32]), [14; 32]);
            let (initiator, _) = InitiatorHandshake::start(&Key::from_bytes([11; 32]), [12; 32]);
            assert!(initiator.finish(&input, &hello).is_err());
        }
    }
}
