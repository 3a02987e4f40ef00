//! Handles the messages of paired devices, with one task and one queue a device.
//!
//! Handling a message may include sending an answer, which waits until the device grants flow-control credit. Each
//! device therefore has a task of its own: a device that stops reading delays only its own messages, until its session
//! is closed.

use tokio::sync::mpsc;

use super::NetworkingService;
use crate::{
    api::Event,
    clock::Locked as _,
    error::NetworkError,
    messaging::{Inbox, ReceivedMessage},
    net::{ALPN_MESSAGE, CloseCode},
};

impl NetworkingService {
    /// Starts a task for each device that begins to send. Shared loop.
    pub(super) async fn open_inboxes(self, mut inboxes: mpsc::Receiver<Inbox>) {
        loop {
            let next = tokio::select! {
                () = self.0.cancel.cancelled() => break,
                next = inboxes.recv() => next,
            };
            let Some(inbox) = next else { break };
            self.0.tasks.spawn(self.clone().serve_inbox(inbox));
        }
    }

    /// Handles the messages of one device in order, until its last session has ended.
    async fn serve_inbox(self, mut inbox: Inbox) {
        loop {
            let next = tokio::select! {
                () = self.0.cancel.cancelled() => break,
                next = inbox.heard.recv() => next,
            };
            let Some(heard) = next else { break };
            let acted = tokio::select! {
                acted = self.act_upon(heard) => acted,
                () = self.0.cancel.cancelled() => break,
            };
            match acted {
                Ok(()) => {}
                // The session is gone, the device does not read, or it broke the protocol: nothing that the user needs
                // to know.
                Err(
                    error @ (NetworkError::ConnectionLost(_)
                    | NetworkError::ConnectionTimeout { .. }
                    | NetworkError::ProtocolViolation(_)),
                ) => tracing::debug!(device = %inbox.device, %error, "a message was not acted upon"),
                Err(error) => self.0.events.emit(Event::Notice { error: error.into() }),
            }
        }
    }

    async fn act_upon(&self, heard: ReceivedMessage) -> Result<(), NetworkError> {
        match heard {
            ReceivedMessage::Hello { session, name, device_type, instance } => {
                let id = session.device_id();
                let before = self.0.starts.locked().insert(id, instance);
                if before.is_some_and(|before| before != instance)
                    && let Some(net) = self.0.net.get()
                {
                    net.restarted(&session);
                    self.0.transfers.device_restarted(id);
                }
                let told = self.0.devices.refresh(id, Some((&name, device_type)), None, None).await;
                // Two sessions may exist for a moment, and one is closed. Texts sent over that one would have to wait
                // for the next session.
                let stays = self.0.net.get().and_then(|net| net.live(id, ALPN_MESSAGE));
                self.0.texts.session_stands(stays.as_ref().unwrap_or(&session)).await;
                self.0.transfers.device_is_there(id);
                told?;
                self.0.rotations.session_stands(&session).await
            }
            ReceivedMessage::Text { session, place, sent_at, text } => {
                let taken = self.0.texts.take(&session, place, sent_at, &text).await;
                if let Err(NetworkError::ProtocolViolation(_)) = taken {
                    session.close(CloseCode::Violation, "");
                }
                taken
            }
            ReceivedMessage::Received { device, number: (origin, number) } => {
                self.0.texts.received(device, origin, number).await
            }
            ReceivedMessage::Unpaired { session, notice } => self.unpaired_by(&session, &notice).await,
            ReceivedMessage::Rotation { session, step } => self.0.rotations.take(&session, step).await,
        }
    }
}
