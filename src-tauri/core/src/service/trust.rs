//! Unpairing, blocking, and the rules for what a device may do without a question.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use iroh::endpoint::ConnectionError;

use super::NetworkingService;
use crate::{
    api::{DeviceAccept, DeviceRule, DeviceState, DeviceView, MessageView, TrustLevel},
    error::{InputError, NetworkError},
    id::DeviceId,
    messaging::{NetworkMessage, TextError},
    net::{ALPN_MESSAGE, CloseCode, Connector, Net, Session},
    transfer::receive::rule_target::Places,
};

/// Maximum number of attempts at a renewal when its session is replaced meanwhile.
const RENEWALS: u32 = 3;
/// Longest wait of an unpairing for the other device's confirmation.
const FAREWELL: Duration = Duration::from_secs(2);
/// Longest wait of a text for room in the queue of a connected device.
const TEXT_ROOM: Duration = Duration::from_secs(60);

impl NetworkingService {
    /// Removes a paired device. If it is connected it is told now, else at its next contact.
    pub(super) async fn unpair(&self, device: &str) -> Result<(), NetworkError> {
        let device = self.0.devices.find_record(device)?;
        let id = device.device_id;
        let net = self.0.net.get();
        // Taken first: without the record no new session can be made.
        let live = net.and_then(|net| net.live(id, ALPN_MESSAGE));
        // Stored first: whatever happens now, the other side will learn of it.
        self.0.devices.unpair(id, true).await?;
        if let Some(net) = net {
            net.close_all_but_messages(id, CloseCode::Unpaired);
            let told = tokio::time::timeout(FAREWELL, self.tell_unpaired(net, id, live)).await;
            if told.unwrap_or(false) {
                self.0.devices.drop_tombstone(id).await?;
            }
        }
        self.close(id, CloseCode::Unpaired);
        self.0.texts.forget(id).await
    }

    /// Queues a text. The device need not be connected.
    pub(super) async fn send_text(&self, id: DeviceId, text: &str) -> Result<MessageView, NetworkError> {
        let begun = Instant::now();
        let made = loop {
            match self.0.texts.send(id, text).await {
                // A user who writes faster than the device reads is slowed down, not refused.
                Err(error)
                    if matches!(error.room::<TextError>(), Some(TextError::TooManyWait))
                        && self.is_connected(id)
                        && begun.elapsed() < TEXT_ROOM =>
                {
                    self.0.texts.room(id, TEXT_ROOM.saturating_sub(begun.elapsed())).await;
                }
                made => break made?,
            }
        };
        if made.first
            && let Some(session) = self.0.net.get().and_then(|net| net.live(id, ALPN_MESSAGE))
        {
            self.0.texts.session_stands(&session).await;
        }
        Ok(made.view)
    }

    fn is_connected(&self, id: DeviceId) -> bool {
        self.0.devices.view(id).is_some_and(|view| view.state == DeviceState::Connected)
    }

    /// Tells the other device that it was unpaired. True when it has closed a session because of this, which confirms
    /// that it knows. If the session is replaced by another one meanwhile, the notice is repeated there.
    async fn tell_unpaired(&self, net: &Net, id: DeviceId, mut live: Option<Session>) -> bool {
        while let Some(session) = live {
            let peer = *session.connection().remote_id().as_bytes();
            let Some(notice) = self.0.devices.notice_for(&peer, &self.0.identity.endpoint_id()) else { return false };
            let message = NetworkMessage::Unpair { notice: data_encoding::HEXLOWER.encode(&notice) };
            if let Err(error) = self.0.messages.post(&session, &message).await {
                tracing::debug!(%error, "the notice did not go out over this session");
            }
            if let ConnectionError::ApplicationClosed(close) = session.connection().closed().await
                && CloseCode::from_number(close.error_code.into_inner()) == CloseCode::Unpaired
            {
                return true;
            }
            live = net.live(id, ALPN_MESSAGE);
        }
        false
    }

    /// Handles the notice that the device at the other end of the session has ended the pairing.
    pub(super) async fn unpaired_by(&self, session: &Session, notice: &[u8]) -> Result<(), NetworkError> {
        let peer = *session.connection().remote_id().as_bytes();
        if self.0.devices.unpaired_by(&peer, &self.0.identity.endpoint_id(), notice).await? {
            // The close code tells the other side that this side is done, on whichever session it listens.
            session.close(CloseCode::Unpaired, "");
            self.close(session.device_id(), CloseCode::Unpaired);
            self.0.texts.forget(session.device_id()).await?;
        } else if !self.0.devices.is_paired(session.device_id()) {
            // The notice had already arrived over another connection.
            session.close(CloseCode::Unpaired, "");
        } else {
            tracing::warn!(device = %session.device_id(), "it says without proof that it has ended the pairing");
        }
        Ok(())
    }

    fn close(&self, id: DeviceId, code: CloseCode) {
        if let Some(net) = self.0.net.get() {
            net.close_device(id, code);
        }
    }

    pub(super) async fn block(&self, device: &str) -> Result<(), NetworkError> {
        let device = self.0.devices.find_record(device)?;
        self.0.devices.set_trust(device.device_id, TrustLevel::Blocked).await?;
        // Closed as if this device had gone away: a blocked device is not told.
        self.close(device.device_id, CloseCode::ShuttingDown);
        Ok(())
    }

    pub(super) async fn unblock(&self, device: &str) -> Result<(), NetworkError> {
        let device = self.0.devices.find_record(device)?;
        if device.trust == TrustLevel::Blocked {
            self.0.devices.set_trust(device.device_id, TrustLevel::Other).await?;
        }
        Ok(())
    }

    pub(super) async fn trust(
        &self,
        device: &str,
        level: Option<TrustLevel>,
        rule: Option<DeviceRule>,
    ) -> Result<DeviceView, NetworkError> {
        let device = self.0.devices.find_paired(device)?;
        let id = device.device_id;
        if level == Some(TrustLevel::Blocked) {
            return Err(InputError::BlockedByTrust.into());
        }
        if let Some(rule) = rule {
            self.0.devices.set_rule(id, checked(rule, self.data_dir()).await?).await?;
        }
        if let Some(level) = level {
            self.0.devices.set_trust(id, level).await?;
        }
        self.0.devices.view(id).ok_or_else(|| NetworkError::DeviceUnknown(device.name))
    }

    pub(super) async fn rotate_secret(&self, device: &str) -> Result<(), NetworkError> {
        let device = self.0.devices.find_paired(device)?;
        let net = self.0.net.up()?;
        for _ in 1..RENEWALS {
            let session = Connector::session(net, device.device_id, ALPN_MESSAGE).await?;
            match self.0.rotations.renew(&session).await {
                // The session was replaced by another one with the same device. The renewal is finished over that one.
                Err(_) if !session.is_live() => {}
                renewed => return renewed,
            }
        }
        let session = Connector::session(net, device.device_id, ALPN_MESSAGE).await?;
        self.0.rotations.renew(&session).await
    }
}

/// Normalizes a rule before it is stored: limit and folder are kept only where they apply, and the folder must exist.
async fn checked(rule: DeviceRule, data_dir: &Path) -> Result<DeviceRule, NetworkError> {
    if rule.accept != DeviceAccept::Always {
        return Ok(DeviceRule { accept: rule.accept, ..DeviceRule::default() });
    }
    if let Some(into) = rule.into.as_ref().map(PathBuf::from) {
        let path = into.clone();
        let found = tokio::task::spawn_blocking(move || path.is_absolute() && path.is_dir()).await;
        if !found.unwrap_or(false) {
            return Err(InputError::RuleFolder(into).into());
        }
        let (path, data_dir) = (into.clone(), data_dir.to_owned());
        let checked = tokio::task::spawn_blocking(move || Places::here(&data_dir).check(&path)).await;
        if let Err(why) = checked.map_err(|error| NetworkError::Internal(error.to_string()))? {
            return Err(InputError::RuleFolderRefused { path: into, why: why.to_string(), reason: why.code() }.into());
        }
    }
    Ok(rule)
}
