//! Renews the pairing secret of two connected devices.
//!
//! [`crate::keys`] computes the values and [`crate::device`] stores them in a safe order; here the steps are exchanged
//! as messages. One renewal a device runs at a time. If both sides offer at once, the offer of the side with the
//! smaller endpoint id wins, and the other side answers it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use crate::{
    clock::Locked as _,
    device::DeviceRegistry,
    error::NetworkError,
    id::DeviceId,
    keys::{Key, RotationInput, RotationOffer, answer_rotation, done_tag, random_key},
    messaging::{Hex32, Messages, NetworkMessage},
    net::Session,
};

/// Age in seconds at which a secret is renewed automatically.
const RENEW_AFTER: u64 = 30 * 24 * 60 * 60;
/// Longest wait of a user's request for a renewal.
const WAIT: Duration = Duration::from_secs(10);
/// Rate limit on answers to one device, because each answer writes to the disk: at most [`ANSWERS`] in [`ANSWERS_IN`].
const ANSWERS: u32 = 3;
const ANSWERS_IN: Duration = Duration::from_secs(10);

/// The renewals in progress. Cheap to clone.
#[derive(Clone)]
pub(super) struct Rotations(Arc<Inner>);

struct Inner {
    own: [u8; 32],
    devices: DeviceRegistry,
    messages: Messages,
    offers: Mutex<HashMap<DeviceId, PendingRenewal>>,
    answered: Mutex<HashMap<DeviceId, (Instant, u32)>>,
}

struct PendingRenewal {
    /// Private half of the offer; taken when the answer arrives.
    state: Option<RotationOffer>,
    secret: Key,
    since: Instant,
    done: Option<oneshot::Sender<()>>,
}

impl Rotations {
    pub fn new(own: [u8; 32], devices: DeviceRegistry, messages: Messages) -> Self {
        let (offers, answered) = Default::default();
        Self(Arc::new(Inner { own, devices, messages, offers, answered }))
    }

    fn offers(&self) -> MutexGuard<'_, HashMap<DeviceId, PendingRenewal>> {
        self.0.offers.locked()
    }

    /// Handles a new session: finishes an interrupted renewal, and renews an old secret.
    pub async fn session_stands(&self, session: &Session) -> Result<(), NetworkError> {
        let device = session.device_id();
        if let Some(secret) = self.0.devices.session_stands(device, session.secret_used()).await? {
            return self.say_done(session, &secret).await;
        }
        let ours = self.0.own < *session.connection().remote_id().as_bytes();
        if ours && self.0.devices.secret_age(device).is_some_and(|age| age > RENEW_AFTER) {
            self.offer(session, None).await?;
        }
        Ok(())
    }

    /// Renews the secret. Completes when both sides hold only the new one.
    pub async fn renew(&self, session: &Session) -> Result<(), NetworkError> {
        let (told, done) = oneshot::channel();
        self.offer(session, Some(told)).await?;
        let kept = tokio::select! {
            kept = tokio::time::timeout(WAIT, done) => matches!(kept, Ok(Ok(()))),
            _ = session.connection().closed() => false,
        };
        if kept {
            return Ok(());
        }
        self.offers().remove(&session.device_id());
        let device = self.0.devices.name_of(session.device_id());
        Err(NetworkError::ConnectionTimeout { device: Some(device), seconds: WAIT.as_secs() })
    }

    async fn offer(&self, session: &Session, done: Option<oneshot::Sender<()>>) -> Result<(), NetworkError> {
        let device = session.device_id();
        let Some(secret) = self.0.devices.present_secret(device) else {
            return Err(NetworkError::DeviceNotPaired(self.0.devices.name_of(device)));
        };
        let mut offer = PendingRenewal { state: None, secret, since: Instant::now(), done };
        if let Some(unconfirmed) = self.0.devices.unconfirmed_secret(device) {
            // The last renewal was interrupted; it is finished instead of starting a new one.
            self.offers().insert(device, offer);
            return self.say_done(session, &unconfirmed).await;
        }
        let (state, public) = RotationOffer::start(&random()?);
        offer.state = Some(state);
        self.offers().insert(device, offer);
        self.say(session, NetworkMessage::RotateOffer { public: Hex32(public) }).await
    }

    /// Handles a step of the other side. A step that does not match is not answered, and the present secret stays.
    pub async fn take(&self, session: &Session, step: NetworkMessage) -> Result<(), NetworkError> {
        let device = session.device_id();
        match step {
            NetworkMessage::RotateOffer { public } => self.answer(session, &public.0).await,
            NetworkMessage::RotateAnswer { public, tag } => self.use_answer(session, &public.0, &tag.0).await,
            NetworkMessage::RotateDone { tag } => {
                if self.0.devices.secret_done(device, &tag.0).await? {
                    self.say(session, NetworkMessage::RotateKept {}).await?;
                    self.renewed(device);
                }
                Ok(())
            }
            NetworkMessage::RotateKept {} => {
                self.0.devices.secret_kept(device).await?;
                self.renewed(device);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    async fn answer(&self, session: &Session, offered: &[u8; 32]) -> Result<(), NetworkError> {
        let device = session.device_id();
        let peer = *session.connection().remote_id().as_bytes();
        let offered_too = self.offers().get(&device).is_some_and(|offer| offer.since.elapsed() < WAIT);
        if offered_too && self.0.own < peer {
            return Ok(());
        }
        if let Some(unconfirmed) = self.0.devices.unconfirmed_secret(device) {
            return self.say_done(session, &unconfirmed).await;
        }
        if !self.may_answer(device) {
            tracing::info!(%device, "it asks for new keys too often");
            return Ok(());
        }
        let Some(secret) = self.0.devices.present_secret(device) else { return Ok(()) };
        let input = RotationInput { secret: &secret, offerer: peer, answerer: self.0.own };
        let Ok((new, public, tag)) = answer_rotation(&input, offered, &random()?) else {
            return Err(NetworkError::ProtocolViolation("a weak key was offered".into()));
        };
        self.0.devices.propose_secret(device, new).await?;
        self.say(session, NetworkMessage::RotateAnswer { public: Hex32(public), tag: Hex32(tag) }).await
    }

    fn renewed(&self, device: DeviceId) {
        if let Some(done) = self.offers().remove(&device).and_then(|offer| offer.done) {
            let _ = done.send(());
        }
    }

    fn may_answer(&self, device: DeviceId) -> bool {
        let mut answered = self.0.answered.locked();
        let (since, count) = answered.entry(device).or_insert((Instant::now(), 0));
        if since.elapsed() >= ANSWERS_IN {
            (*since, *count) = (Instant::now(), 0);
        }
        *count = count.saturating_add(1);
        *count <= ANSWERS
    }

    async fn use_answer(&self, session: &Session, public: &[u8; 32], tag: &[u8; 32]) -> Result<(), NetworkError> {
        let device = session.device_id();
        let (state, secret) = {
            let mut offers = self.offers();
            let Some(offer) = offers.get_mut(&device) else { return Ok(()) };
            let Some(state) = offer.state.take() else { return Ok(()) };
            (state, offer.secret.clone())
        };
        let peer = *session.connection().remote_id().as_bytes();
        let input = RotationInput { secret: &secret, offerer: self.0.own, answerer: peer };
        match state.finish(&input, public, tag) {
            Ok((new, done)) => {
                if self.0.devices.use_secret(device, &secret, new).await? {
                    self.say(session, NetworkMessage::RotateDone { tag: Hex32(done) }).await?;
                }
                Ok(())
            }
            Err(error) => {
                tracing::warn!(%device, %error, "the keys were not renewed");
                Ok(())
            }
        }
    }

    async fn say_done(&self, session: &Session, secret: &Key) -> Result<(), NetworkError> {
        self.say(session, NetworkMessage::RotateDone { tag: Hex32(done_tag(secret)) }).await
    }

    async fn say(&self, session: &Session, step: NetworkMessage) -> Result<(), NetworkError> {
        self.0.messages.post(session, &step).await
    }
}

fn random() -> Result<Key, NetworkError> {
    random_key().map_err(|error| NetworkError::Internal(error.to_string()))
}
