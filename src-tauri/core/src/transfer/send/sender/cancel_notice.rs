//! Notification of a receiver that was offline when a transfer was stopped.

use std::{sync::Arc, time::Duration};

use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{attempt_id, disconnected};
use crate::{
    error::NetworkError,
    id::{DeviceId, TransferId},
    net::ALPN_TRANSFER,
    queue::backoff::Backoff,
    transfer::{
        Inner, Presence,
        protocol::{
            control_stream,
            frames::{Decision, ReceiverFrame, ResumeOffer, SenderFrame, decode},
            limits::VERSION,
            reason::Reason,
        },
    },
};

/// Interval between looks at a receiver that is offline, beside being told that it was heard.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// Timeout of one attempt to tell the receiver.
const NOTICE_TIMEOUT: Duration = Duration::from_secs(10);

/// Tells the receiver that a transfer was stopped while the two were disconnected. Returns once the receiver knows,
/// or the node shuts down.
pub(in crate::transfer) async fn tell_stopped(inner: Arc<Inner>, id: TransferId, device: DeviceId) {
    let mut there = inner.there(device);
    let mut backoff = Backoff::default();
    loop {
        let presence = (inner.deps.presence)(device);
        if presence == Presence::Stranger {
            return inner.registry.told(id).await;
        }
        if presence == Presence::There {
            let told = timeout(NOTICE_TIMEOUT, say_stopped(&inner, id, device));
            let told = tokio::select! {
                told = told => told,
                () = inner.cancel.cancelled() => return,
            };
            match told {
                Ok(Ok(())) => return inner.registry.told(id).await,
                // The device has unpaired this one: there is nobody to tell.
                Ok(Err(error))
                    if matches!(Reason::from(&error), Reason::DeviceNotPaired | Reason::RefusedNotPaired) =>
                {
                    return inner.registry.told(id).await;
                }
                _ => {}
            }
        }
        // A receiver that was asked in vain is not asked again just because it is heard: notices count as offers there.
        let asked = presence == Presence::There;
        let pause = if asked { backoff.failed(0.5) } else { LOOK_AGAIN };
        tokio::select! {
            changed = there.changed(), if !asked => if changed.is_err() { return },
            () = sleep(pause) => {}
            () = inner.cancel.cancelled() => return,
        }
    }
}

async fn say_stopped(inner: &Arc<Inner>, id: TransferId, device: DeviceId) -> Result<(), NetworkError> {
    let stop = CancellationToken::new();
    let _stop = stop.clone().drop_guard();
    let session = inner.deps.connector.session(device, ALPN_TRANSFER).await?;
    let (sender, receiver) = session.open_sealed().await?.split();
    let mut frames = control_stream::read(&inner.tasks, receiver, stop.clone());
    let out = control_stream::write(&inner.tasks, sender, stop);
    // The receiver identifies the transfer by its id and this device, so the other fields may be blank.
    let (transfer, attempt) = (*id.as_bytes(), attempt_id()?);
    out.send(&SenderFrame::ResumeOffer(ResumeOffer {
        version: VERSION,
        transfer,
        attempt,
        manifest: [0; 32],
        changed: 1,
    }))
    .await;
    let why = inner.registry.view(id).and_then(|view| view.reason);
    let code = match why.as_ref().map(Reason::from) {
        // Nobody stopped it: the receiver's user learns why there is nothing left of it.
        Some(reason @ (Reason::SourceDeleted | Reason::InputEndedEarly)) => reason,
        _ => Reason::Cancelled,
    };
    out.send(&SenderFrame::Cancel { code }).await;
    // The receiver closes the stream, with or without a frame, once it has handled this.
    while let Some(frame) = frames.recv().await {
        if let Ok(ReceiverFrame::Decision(Decision::Declined { code })) = decode(&frame?)
            && (code.is_busy() || code == Reason::ShuttingDown)
        {
            return Err(disconnected(code));
        }
    }
    Ok(())
}
