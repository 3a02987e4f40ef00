//! Watches how a session's packets travel, and tells the registry.

use std::time::Duration;

use futures_util::StreamExt;
use iroh::{TransportAddr, endpoint::Connection};

use super::{ALPN_MESSAGE, Net, Session};
use crate::{api::PathKind, device::Link};

/// Round trips are read again this often.
const REFRESH: Duration = Duration::from_secs(3);

/// Until the session ends: keeps the device's link up to date, and stores where it was reached.
pub(super) async fn watch_link(net: Net, session: Session) {
    let device = session.device_id();
    let (conn, used) = (session.connection().clone(), session.secret_used().clone());
    drop(session);
    let devices = net.0.devices.clone();
    if let Err(error) = devices.session_stands(device, &used).await {
        tracing::warn!(%device, %error, "the pairing could not be completed");
    }
    let key_exchange = key_exchange(&conn);
    let mut events = conn.path_events();
    let mut known = None;
    loop {
        if let Some((link, address)) = link_of(&conn) {
            if known.as_ref() != Some(&address) {
                known = Some(address.clone());
                let (ip, relay) = match address {
                    TransportAddr::Ip(ip) => (Some(ip), None),
                    TransportAddr::Relay(url) => (None, Some(url.to_string())),
                    _ => (None, None),
                };
                if let Err(error) = devices.refresh(device, None, ip, relay).await {
                    tracing::warn!(%device, %error, "its address could not be kept");
                }
            }
            if devices.is_paired(device) {
                devices.linked(device, Some(Link { key_exchange: key_exchange.clone(), ..link }));
            }
        }
        tokio::select! {
            _ = conn.closed() => break,
            () = net.0.cancel.cancelled() => break,
            event = events.next() => if event.is_none() { break },
            () = tokio::time::sleep(REFRESH) => {}
        }
    }
    // Another session may have taken this one's place already.
    if net.live(device, ALPN_MESSAGE).is_none() {
        devices.linked(device, None);
    }
}

fn link_of(conn: &Connection) -> Option<(Link, TransportAddr)> {
    let paths = conn.paths();
    let path = paths.iter().find(|path| path.is_selected()).or_else(|| paths.iter().next())?;
    let address = path.remote_addr().clone();
    let shown = match &address {
        TransportAddr::Ip(ip) => ip.to_string(),
        TransportAddr::Relay(url) => url.to_string(),
        other => format!("{other:?}"),
    };
    let kind = if path.is_relay() { PathKind::Relay } else { PathKind::Direct };
    Some((Link { path: kind, address: shown, rtt_ms: path.rtt().as_secs_f64() * 1000.0, key_exchange: None }, address))
}

/// The name of the group that TLS agreed on: the hybrid with ML-KEM where both sides have it.
fn key_exchange(conn: &Connection) -> Option<String> {
    let data = conn.handshake_data()?.downcast::<noq_proto::crypto::rustls::HandshakeData>().ok()?;
    data.negotiated_key_exchange_group.map(|group| format!("{group:?}"))
}
