//! CPace over ristretto255 with SHA-512 (draft-irtf-cfrg-cpace-21), by the crates `pakery-*`, in its
//! initiator-responder form: the joiner is the initiator.
//!
//! This module only defines the inputs. The password includes a byte for how it was transmitted, so that words and a
//! link secret cannot be confused. The session id is the TLS exporter, which binds a share to one connection. The
//! channel identifier contains both endpoint ids and the protocol, which binds a share to these two devices in these
//! roles.

use pakery_core::{SharedSecret, crypto::Hash};
use pakery_cpace::{CpaceCiphersuite, CpaceInitiator, CpaceMode, CpaceResponder, InitiatorState};
use pakery_crypto::{Ristretto255Group, Sha512Hash};
use zeroize::Zeroizing;

use super::{LinkSecret, PROTOCOL, PairingCode, PairingError, VERSION, entropy::Drawn, transcript::length_prefixed};

/// Associated data of the joiner's share.
const JOINER: &[u8] = b"joiner";
/// Associated data of the host's share.
const HOST: &[u8] = b"host";

/// The draft's suite CPACE-RISTR255-SHA512. Defined here rather than taken from the crate's optional feature, so that
/// its constants are next to the vectors that check them.
struct CpaceSuite;

impl CpaceCiphersuite for CpaceSuite {
    type Group = Ristretto255Group;
    type Hash = Sha512Hash;
    const DSI: &'static [u8] = b"CPaceRistretto255";
    const HASH_BLOCK_SIZE: usize = 128;
    const FIELD_SIZE_BYTES: usize = 32;
}

const _: () = assert!(<Sha512Hash as Hash>::OUTPUT_SIZE == 64);

/// Way in which the secret was transmitted from host to joiner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Method {
    /// A person typed the words.
    Words = 1,
    /// A link or QR code carried the link secret.
    Link = 2,
}

impl Method {
    /// Returns the method with this number on the wire.
    pub(super) fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Words),
            2 => Some(Self::Link),
            _ => None,
        }
    }
}

/// Password of a run: the method byte, then the words as `brave-lion-sunset` or the sixteen bytes of the link secret.
pub(super) struct Password(Zeroizing<Vec<u8>>);

impl Password {
    pub(super) fn of_words(code: &PairingCode) -> Self {
        Self::new(Method::Words, code.canonical().as_bytes())
    }

    pub(super) fn of_link(secret: &LinkSecret) -> Self {
        Self::new(Method::Link, secret.as_bytes())
    }

    fn new(method: Method, secret: &[u8]) -> Self {
        // Allocated at full size: a growing vector leaves copies behind that are not zeroized.
        let mut bytes = Zeroizing::new(Vec::with_capacity(1 + secret.len()));
        bytes.push(method as u8);
        bytes.extend_from_slice(secret);
        Self(bytes)
    }
}

/// Connection to which a run is bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Channel {
    /// 32 bytes of the TLS exporter.
    pub(super) exporter: [u8; 32],
    /// Endpoint id of the dialling side.
    pub(super) joiner: [u8; 32],
    /// Endpoint id of the side that shows the code.
    pub(super) host: [u8; 32],
}

impl Channel {
    fn identifier(&self, method: Method) -> Vec<u8> {
        length_prefixed(&[&self.joiner, &self.host, PROTOCOL, &[VERSION], &[method as u8]])
    }
}

/// CPace's intermediate session key, 64 bytes. Equal on both sides if their passwords are equal.
pub(super) struct Isk(SharedSecret);

impl Isk {
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// State of the joiner between its share and the host's.
pub(super) struct Joining {
    share: [u8; 32],
    state: InitiatorState<CpaceSuite>,
}

/// Creates the joiner's share, and the state to keep until the host's share arrives.
pub(super) fn start(
    password: &Password,
    channel: &Channel,
    method: Method,
    random: Zeroizing<[u8; 64]>,
) -> Result<([u8; 32], Joining), PairingError> {
    let (share, state) = CpaceInitiator::<CpaceSuite>::start(
        &password.0,
        &channel.identifier(method),
        &channel.exporter,
        JOINER,
        &mut Drawn::new(random),
    )
    .map_err(|_| PairingError::NoRandomness)?;
    let share = to_share(&share)?;
    Ok((share, Joining { share, state }))
}

impl Joining {
    /// Processes the host's share. Refuses a non-canonical element, the identity, and our own share.
    pub(super) fn finish(self, host_share: &[u8; 32]) -> Result<Isk, PairingError> {
        if *host_share == self.share {
            return Err(PairingError::Violation("it sent our own share back"));
        }
        let output = self
            .state
            .finish(host_share, HOST, CpaceMode::InitiatorResponder)
            .map_err(|_| PairingError::Violation("its share is not valid"))?;
        Ok(Isk(output.isk))
    }
}

/// Creates the host's share and key. Refuses a joiner's share that is not canonical or is the identity.
pub(super) fn respond(
    joiner_share: &[u8; 32],
    password: &Password,
    channel: &Channel,
    method: Method,
    random: Zeroizing<[u8; 64]>,
) -> Result<([u8; 32], Isk), PairingError> {
    let (share, output) = CpaceResponder::<CpaceSuite>::respond(
        joiner_share,
        &password.0,
        &channel.identifier(method),
        &channel.exporter,
        JOINER,
        HOST,
        CpaceMode::InitiatorResponder,
        &mut Drawn::new(random),
    )
    .map_err(|_| PairingError::Violation("its share is not valid"))?;
    Ok((to_share(&share)?, Isk(output.isk)))
}

fn to_share(bytes: &[u8]) -> Result<[u8; 32], PairingError> {
    let share: [u8; 32] = bytes.try_into().map_err(|_| PairingError::NoRandomness)?;
    // The identity results only if the random generator returned nothing but zeros.
    if share == [0; 32] { Err(PairingError::NoRandomness) } else { Ok(share) }
}

#[cfg(test)]
mod tests {
    use pakery_core::crypto::CpaceGroup;
    use pakery_cpace::{generator, transcript};

    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap()
    }

    fn wide(scalar: &str) -> Zeroizing<[u8; 64]> {
        // The draft's scalars are below the group's order, so reducing 64 bytes leaves them unchanged.
        let mut wide = Zeroizing::new([0; 64]);
        wide[..32].copy_from_slice(&hex(scalar));
        wide
    }

    // Appendix B.3 of draft-irtf-cfrg-cpace-21.
    const PRS: &[u8] = b"Password";
    const CI: &[u8] = b"\x0bA_initiator\x0bB_responder";
    const SID: &str = "7e4b4791d6a8ef019b936c79fb7f2c57";
    const G: &str = "222b6b195fe84b1652badb6f6a3ae3d24341e7306967f0b8115b40d5698c7e56";
    const GEN_HASH: &str = "da6d3ddc8802fca9058755ffd3ebde08a9c2c74945901a258482a288b6663af06bf645c93cd1c51512307199c80e84908916d983b34af77205f90851a657ee27";
    const YA_SCALAR: &str = "da3d23700a9e5699258aef94dc060dfda5ebb61f02a5ea77fad53f4ff0976d08";
    const YA: &str = "d6bac480f2c386c394efc7c47adb9925dcd2630b64f240c50f8d0eec482b9157";
    const YB_SCALAR: &str = "d2316b454718c35362d83d69df6320f38578ed5984651435e2949762d900b80d";
    const YB: &str = "3ea7e0b19560d7c0b0f5734f63b955286dfa8232b5ebe63324e2d9e7433f7258";
    const K: &str = "80b69a8a76457ab6a4d7f887a4bf6b55a2f80ac19c333f917a05fc9887c8b40f";
    const ISK_IR: &str = "b69effbf61b51d56401c0f65601abe428de8206feaaf0e32198896dcae7b35cd2b38950a39dfd5d4a79164614c2984f7daa460b588c1e80c3fa2068af7900447";
    const ISK_SY: &str = "544199d71f62f8d9a1fee55727e24fe4a45844593c2b6013c4fa3969d0e5debb2244675c0b43397cbb68d342b01fc0f98fc961469a25134de9f0f813c1a57476";
    const SID_OUT_IR: &str = "bb1c449b35f0ea79a65c209f329a693d475e0ce2387bed9fe4b78f60b2a27c219813fb2cfe175ef40d2222d9261e66da7d78f7c55a303b1b8611dcdfab880c47";

    #[test]
    fn draft_vectors_generator() {
        let string = generator::generator_string::<CpaceSuite>(PRS, CI, &hex(SID));
        assert_eq!(Sha512Hash::digest(&string), hex(GEN_HASH));
        let g = generator::calculate_generator::<CpaceSuite>(PRS, CI, &hex(SID)).unwrap();
        assert_eq!(g.to_bytes(), hex(G));
    }

    #[test]
    fn draft_vectors_whole_exchange() {
        let sid = hex(SID);
        let (ya, state) =
            CpaceInitiator::<CpaceSuite>::start(PRS, CI, &sid, b"ADa", &mut Drawn::new(wide(YA_SCALAR))).unwrap();
        assert_eq!(ya, hex(YA));
        let mode = CpaceMode::InitiatorResponder;
        let mut random = Drawn::new(wide(YB_SCALAR));
        let (yb, responder) =
            CpaceResponder::<CpaceSuite>::respond(&ya, PRS, CI, &sid, b"ADa", b"ADb", mode, &mut random).unwrap();
        assert_eq!(yb, hex(YB));
        let initiator = state.finish(&yb, b"ADb", mode).unwrap();
        for output in [initiator, responder] {
            assert_eq!(output.isk.as_bytes(), hex(ISK_IR));
            assert_eq!(output.session_id, hex(SID_OUT_IR));
        }
        let symmetric = transcript::derive_isk::<CpaceSuite>(
            &sid,
            &hex(K),
            &hex(YA),
            b"ADa",
            &hex(YB),
            b"ADb",
            CpaceMode::Symmetric,
        );
        assert_eq!(symmetric.as_bytes(), hex(ISK_SY));
    }

    #[test]
    fn draft_vectors_points() {
        let s = wide("7cd0e075fa7955ba52c02759a6c90dbbfc10e6d40aea8d283e407d88cf538a05");
        let s = Ristretto255Group::scalar_from_wide_bytes(s.as_slice()).unwrap();
        let x = hex("2c3c6b8c4f3800e7aef6864025b4ed79bd599117e427c41bd47d93d654b4a51c");
        let product = Ristretto255Group::from_bytes(&x).unwrap().scalar_mul(&s);
        assert_eq!(product.to_bytes(), hex("7c13645fe790a468f62c39beb7388e541d8405d1ade69d1778c5fe3e7f6b600e"));
    }

    const CHANNEL: Channel = Channel { exporter: [1; 32], joiner: [2; 32], host: [3; 32] };

    fn password(words: &str) -> Password {
        Password::of_words(&words.parse().unwrap())
    }

    /// Runs the joiner with one password and channel against the host with another. True if their keys agree.
    fn agree(joiner: (&Password, Channel, Method), host: (&Password, Channel, Method)) -> bool {
        let (share, joining) = start(joiner.0, &joiner.1, joiner.2, Zeroizing::new([5; 64])).unwrap();
        let (host_share, host_isk) = respond(&share, host.0, &host.1, host.2, Zeroizing::new([6; 64])).unwrap();
        joining.finish(&host_share).unwrap().as_bytes() == host_isk.as_bytes()
    }

    #[test]
    fn everything_that_goes_in_matters() {
        let right = password("brave-lion-sunset");
        let (words, link) = (Method::Words, Method::Link);
        assert!(agree((&right, CHANNEL, words), (&right, CHANNEL, words)));
        assert!(!agree((&right, CHANNEL, words), (&password("brave-lion-zoo"), CHANNEL, words)));
        assert!(!agree((&right, CHANNEL, words), (&right, Channel { exporter: [9; 32], ..CHANNEL }, words)));
        assert!(!agree((&right, CHANNEL, words), (&right, Channel { joiner: [9; 32], ..CHANNEL }, words)));
        assert!(!agree((&right, CHANNEL, words), (&right, Channel { host: [9; 32], ..CHANNEL }, words)));
        assert!(!agree(
            (&right, CHANNEL, words),
            (&right, Channel { joiner: [3; 32], host: [2; 32], ..CHANNEL }, words)
        ));
        assert!(!agree((&right, CHANNEL, words), (&right, CHANNEL, link)));
    }

    #[test]
    fn shares_of_low_worth_are_refused() {
        // From B.3.11: a string that is not an element, and the identity. The last one is not canonical.
        let no_element = hex("2b3c6b8c4f3800e7aef6864025b4ed79bd599117e427c41bd47d93d654b4a51c");
        for bad in [no_element.try_into().unwrap(), [0; 32], [0xff; 32]] {
            let password = password("brave-lion-sunset");
            let random = || Zeroizing::new([5; 64]);
            assert!(respond(&bad, &password, &CHANNEL, Method::Words, random()).is_err());
            let (own, joining) = start(&password, &CHANNEL, Method::Words, random()).unwrap();
            assert!(joining.finish(&bad).is_err());
            let (_, joining) = start(&password, &CHANNEL, Method::Words, random()).unwrap();
            assert!(joining.finish(&own).is_err(), "a reflected share");
        }
    }

    #[test]
    fn a_source_of_zeros_is_noticed() {
        let random = || Zeroizing::new([0; 64]);
        let password = password("brave-lion-sunset");
        assert_eq!(start(&password, &CHANNEL, Method::Words, random()).err(), Some(PairingError::NoRandomness));
        let (share, _) = start(&password, &CHANNEL, Method::Words, Zeroizing::new([5; 64])).unwrap();
        assert!(respond(&share, &password, &CHANNEL, Method::Words, random()).is_err());
    }
}
