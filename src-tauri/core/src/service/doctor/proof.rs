//! Tests the devices that are shown as connected: an open connection proves neither that the device answers nor that
//! files can be sent to it.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use futures_util::future::{join_all, join3};
use tokio::time::timeout;

use super::{CONNECTING, NetworkingService, blocking, one::may_be_tried};
use crate::{
    api::{ApiError, DeviceState, PathKind},
    diagnostics::{checks::device::Proof, facts::ProbeResult, probe},
    error::NetworkError,
    id::DeviceId,
    net::{ALPN_MESSAGE, ALPN_TRANSFER, Connector, Mode},
};

/// Time limit for each device.
const PROOF_TIMEOUT: Duration = Duration::from_secs(4);
/// Maximum number of devices that are tested.
const MAX_DEVICES: usize = 16;

type Tried = Result<(), (String, String)>;

/// Tests all connected devices in parallel, as soon as no device is connecting any more.
pub(super) async fn of_all(node: &NetworkingService, mode: Mode, begun: Instant) -> HashMap<DeviceId, Proof> {
    node.settled(begun + CONNECTING).await;
    let views = node.0.devices.views();
    let connected = views.iter().filter(|view| view.paired && view.state == DeviceState::Connected);
    let tried = connected.take(MAX_DEVICES).map(|view| async move {
        let relayed = view.path == Some(PathKind::Relay);
        let (answers, transfers, rejected) =
            join3(answers(node, view.device_id), dial_for_transfer(node, view.device_id, PROOF_TIMEOUT), async {
                if relayed { rejected(node, view.device_id, mode).await } else { None }
            })
            .await;
        (view.device_id, Proof { answers: Some(answers), transfers: Some(transfers), rejected })
    });
    join_all(tried).await.into_iter().collect()
}

async fn answers(node: &NetworkingService, id: DeviceId) -> Tried {
    let ping = async {
        let session = Connector::session(node.0.net.up()?, id, ALPN_MESSAGE).await?;
        node.0.messages.ping(&session).await.map(drop)
    };
    told(timeout(PROOF_TIMEOUT, ping).await.ok(), PROOF_TIMEOUT)
}

/// Opens a separate connection for transfers, and closes it again.
pub(super) async fn dial_for_transfer(node: &NetworkingService, id: DeviceId, within: Duration) -> Tried {
    let dial = async {
        let name = node.0.devices.name_of(id);
        node.0.net.up()?.try_dial(id, ALPN_TRANSFER).await.map_err(|error| error.about(&name))
    };
    told(timeout(within, dial).await.ok(), within)
}

fn told(result: Option<Result<(), NetworkError>>, within: Duration) -> Tried {
    match result {
        Some(Ok(())) => Ok(()),
        Some(Err(error)) => {
            let error = ApiError::from(error);
            Err((error.code, error.message))
        }
        None => Err(("connection_timeout".into(), format!("nothing came back within {} s", within.as_secs()))),
    }
}

/// Finds an address of the device to which the local system refuses to send.
async fn rejected(node: &NetworkingService, id: DeviceId, mode: Mode) -> Option<std::net::SocketAddr> {
    let interfaces = blocking(probe::interfaces).await;
    let addresses = may_be_tried(node.0.devices.whereabouts(id).0, mode, &interfaces);
    let probed = probe::probe_all(addresses).await;
    probed.iter().find(|address| address.result == ProbeResult::Rejected).map(|address| address.at)
}
