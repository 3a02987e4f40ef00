//! The joiner's side of `pairing/1.0`, written from `docs/protocol-pairing.md`.

use aws_lc_rs::digest::{SHA512, digest};
use curve25519_dalek::{
    ristretto::{CompressedRistretto, RistrettoPoint},
    scalar::Scalar,
};
use iroh::endpoint::{Connection, RecvStream, SendStream};
use x25519_dalek::{PublicKey, StaticSecret};

use crate::{
    peer::{PAIRING, Peer, Target, device_id},
    wire::{Seal, Step, counted, derive, lp, random, read_frame, text, write_frame},
};

const VERSION: u8 = 1;
const WORDS: u8 = 1;

/// Returns SHA-512 over the parts, each prefixed with its length as LEB128.
fn hash(parts: &[&[u8]]) -> [u8; 64] {
    let mut all = Vec::new();
    for part in parts {
        counted(&mut all, part);
    }
    digest(&SHA512, &all).as_ref().try_into().expect("64 bytes")
}

/// First frame of a joiner with these words, and the values that the later frames need.
struct Opening {
    scalar: Scalar,
    share: [u8; 32],
    exporter: [u8; 32],
    transcript: [u8; 32],
    frame: Vec<u8>,
}

impl Opening {
    fn new(peer: &Peer, connection: &Connection, words: &str) -> Step<Self> {
        let mut exporter = [0; 32];
        connection
            .export_keying_material(&mut exporter, b"EXPORTER-yonder-pairing-1.0", b"")
            .map_err(text("exporter"))?;
        let (joiner, host) = (peer.id(), *connection.remote_id().as_bytes());
        let channel = lp(&[&joiner, &host, PAIRING, &[VERSION], &[WORDS]]);
        let secret = [&[WORDS], words.as_bytes()].concat();
        let name = b"CPaceRistretto255";
        // The padding fills the first block of the hash; both lengths take one byte.
        let pad = vec![0; 127_usize.saturating_sub(1 + name.len() + 1 + secret.len())];
        let generator = RistrettoPoint::from_uniform_bytes(&hash(&[name, &secret, &pad, &channel, &exporter]));
        let scalar = Scalar::from_bytes_mod_order_wide(&random());
        let share = (scalar * generator).compress().to_bytes();
        let transcript = derive("pairing transcript", &[PAIRING, &[VERSION], &exporter, &joiner, &host]);
        let frame = [&[VERSION, 0, WORDS], share.as_slice()].concat();
        Ok(Self { scalar, share, exporter, transcript, frame })
    }
}

/// Returns a whole JoinHello for these words with its length prefix; the rest of the pairing is never sent.
pub fn hello(peer: &Peer, connection: &Connection, words: &str) -> Step<Vec<u8>> {
    let frame = Opening::new(peer, connection, words)?.frame;
    Ok([&(frame.len() as u32).to_le_bytes(), frame.as_slice()].concat())
}

/// Pairs by words, approving at once, and returns the pairing secret.
pub async fn pair(peer: &Peer, target: &Target, words: &str, name: &str) -> Step<[u8; 32]> {
    let connection = peer.dial(target, PAIRING).await?;
    let streams = connection.open_bi().await.map_err(text("open"))?;
    let opening = Opening::new(peer, &connection, words)?;
    let mut run = Run { transcript: opening.transcript, streams };
    let secret = run.through(peer, &opening, name).await?;
    let _ = run.streams.0.finish();
    // Closing at once would discard the last frame.
    let _ = tokio::time::timeout(std::time::Duration::from_secs(3), connection.closed()).await;
    Ok(secret)
}

struct Run {
    transcript: [u8; 32],
    streams: (SendStream, RecvStream),
}

impl Run {
    fn take(&mut self, side: &str, said: &[u8]) {
        self.transcript = derive("pairing transcript", &[&self.transcript, side.as_bytes(), said]);
    }

    async fn say(&mut self, frame: &[u8]) -> Step<()> {
        write_frame(&mut self.streams.0, frame).await
    }

    /// Receives the next frame, which must have this message number, and returns it without version and number.
    async fn hear(&mut self, number: u8) -> Step<Vec<u8>> {
        let frame = read_frame(&mut self.streams.1).await?;
        match frame.get(..2) {
            Some(&[VERSION, found]) if found == number => Ok(frame),
            other => Err(format!("message {number} was due, and {other:?} came: {frame:?}")),
        }
    }

    async fn say_sealed(&mut self, seal: &mut Seal, message: &[u8]) -> Step<()> {
        let mut frame = vec![VERSION, 5];
        counted(&mut frame, &seal.seal(message));
        self.say(&frame).await
    }

    async fn hear_sealed(&mut self, seal: &mut Seal, number: u8) -> Step<Vec<u8>> {
        let frame = self.hear(5).await?;
        // The length follows version and number, in one byte or two.
        let from = 3 + usize::from(frame[2] >= 0x80);
        let plain = seal.open(&frame[from..])?;
        if plain.first() == Some(&number) { Ok(plain[1..].to_vec()) } else { Err(format!("not {number}: {plain:?}")) }
    }

    async fn through(&mut self, peer: &Peer, opening: &Opening, name: &str) -> Step<[u8; 32]> {
        self.say(&opening.frame).await?;
        self.take("joiner", &opening.frame);
        let answer = self.hear(1).await?;
        self.take("host", &answer);
        let theirs = &answer[2..];
        let point = CompressedRistretto::from_slice(theirs).map_err(text("share"))?.decompress().ok_or("no share")?;
        let shared = (opening.scalar * point).compress().to_bytes();
        let mut isk = Vec::new();
        for part in [b"CPaceRistretto255_ISK".as_slice(), &opening.exporter, &shared] {
            counted(&mut isk, part);
        }
        for part in [opening.share.as_slice(), b"joiner", theirs, b"host"] {
            counted(&mut isk, part);
        }
        let isk = digest(&SHA512, &isk);
        let pake = derive("pairing pake", &[isk.as_ref(), &self.transcript]);
        let tag = |side: &str, over: &[u8; 32]| {
            *blake3::keyed_hash(&derive("pairing confirm", &[&pake, side.as_bytes()]), over).as_bytes()
        };
        let confirm = [&[VERSION, 2], tag("joiner", &self.transcript).as_slice()].concat();
        self.say(&confirm).await?;
        self.take("joiner", &confirm);
        let confirmed = self.hear(3).await?;
        if confirmed[2..] != tag("host", &self.transcript) {
            return Err("the host's tag is wrong".into());
        }
        self.take("host", &confirmed);
        let key = |side: &str| derive("pairing seal", &[&pake, side.as_bytes(), &self.transcript]);
        let mut out = Seal::new(&key("joiner"), b"pairing/1.0 joiner");
        let mut back = Seal::new(&key("host"), b"pairing/1.0 host");

        let own = StaticSecret::from(random::<32>());
        let introduction = introduction(peer, name, &PublicKey::from(&own));
        self.say_sealed(&mut out, &[&[0], introduction.as_slice()].concat()).await?;
        self.take("joiner", &introduction);
        let theirs = self.hear_sealed(&mut back, 1).await?;
        let (theirs, signature) = theirs.split_at(theirs.len() - 64);
        self.take("host", theirs);
        // The introduction ends with the challenge and the key.
        let challenge = &theirs[theirs.len() - 64..theirs.len() - 32];
        let public: [u8; 32] = theirs[theirs.len() - 32..].try_into().expect("32 bytes");
        self.take("host", signature);
        let signed = lp(&[b"yonder 2026-11 pairing signature v1", b"joiner", &self.transcript, challenge]);
        let proof = peer.key.sign(&signed).to_bytes();
        self.say_sealed(&mut out, &[&[2], proof.as_slice()].concat()).await?;
        self.take("joiner", &proof);
        let result = own.diffie_hellman(&PublicKey::from(public));
        let secret = derive("pairing secret", &[&pake, result.as_bytes(), &self.transcript]);

        self.say_sealed(&mut out, &[3]).await?;
        self.hear_sealed(&mut back, 3).await?;
        self.say_sealed(&mut out, &[5]).await?;
        self.hear_sealed(&mut back, 6).await?;
        self.say_sealed(&mut out, &[7]).await?;
        Ok(secret)
    }
}

fn introduction(peer: &Peer, name: &str, public: &PublicKey) -> Vec<u8> {
    let mut all = device_id(&peer.id()).to_vec();
    all.extend_from_slice(&peer.id());
    counted(&mut all, name.as_bytes());
    all.push(2);
    counted(&mut all, b"0.1.0");
    counted(&mut all, b"message/1.0 pairing/1.0 transfer/1.0");
    all.extend_from_slice(&random::<32>());
    all.extend_from_slice(public.as_bytes());
    all
}
