//! Watches sessions: the path of their packets, their liveness, and what the device registry shows of them.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use futures_util::StreamExt;
use iroh::{
    TransportAddr,
    endpoint::{Connection, ConnectionError},
};

use super::{
    connections::{PROBE, uses_a_path},
    stall::Stalls,
    state::{Counts, Liveness, LivenessAction, PathCounts},
    trip::Trip,
};
use crate::{
    api::{ConnectionState, ConnectionView, PathKind},
    device::SessionPath,
    id::DeviceId,
    net::{ALPN_MESSAGE, CloseCode, Net, Session, pool::SessionSnapshot},
};

/// Interval at which connections are checked.
const TICK: Duration = Duration::from_secs(1);
/// Interval of the checks while a connection is in use or must answer soon.
const QUICK: Duration = Duration::from_millis(300);
/// Number of checks between two updates of the registry, unless a connection was added or removed.
const SHOWN_EVERY: u64 = 3;
/// Interval at which a link is checked if its paths do not change: another session with the device may have taken its
/// place. Round trips are updated by [`look_after`] for all connections at once, so that two hundred idle devices do
/// not each wake the machine.
const LINK_AGAIN: Duration = Duration::from_secs(30);
/// A connection that does not answer for this long, while another one with the same device does, is dead.
const DEAD: Duration = Duration::from_secs(5);
/// Time within which iroh has migrated its paths after a network change.
const MOVED: Duration = Duration::from_millis(250);
/// Time for which a device may have no selected path before its connections are made anew.
const ASTRAY: Duration = Duration::from_millis(500);
/// Minimum interval between two such resets of one device.
const ANEW_EVERY: Duration = Duration::from_secs(3);

/// Keeps the device's link in the registry up to date, and stores where it was reached. Runs until the session ends.
pub(in crate::net) async fn watch_link(net: Net, session: Session) {
    let device = session.device_id();
    let (conn, used) = (session.connection().clone(), session.secret_used().clone());
    let is_chosen = |net: &Net| net.live(device, ALPN_MESSAGE).is_none_or(|live| live.is(&session));
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
                if known.replace(address.clone()).is_some() {
                    net.came_elsewhere(&session);
                }
                let (ip, relay) = match address {
                    TransportAddr::Ip(ip) => (Some(ip), None),
                    TransportAddr::Relay(url) => (None, Some(url.to_string())),
                    _ => (None, None),
                };
                if let Err(error) = devices.refresh(device, None, ip, relay).await {
                    tracing::warn!(%device, %error, "its address could not be kept");
                }
            }
            // If two sessions exist for a moment, the one that stays is shown.
            if devices.is_paired(device) && is_chosen(&net) {
                devices.linked(device, SessionPath { key_exchange: key_exchange.clone(), ..link });
            }
        }
        tokio::select! {
            _ = conn.closed() => break,
            () = net.0.cancel.cancelled() => break,
            event = events.next() => if event.is_none() { break },
            () = tokio::time::sleep(LINK_AGAIN) => {}
        }
    }
    // Another session may have taken this one's place. When it last updated the link, this one was still the chosen
    // one, and its next update is not soon.
    match net.live(device, ALPN_MESSAGE) {
        None => devices.lost(device, said_goodbye(&conn)),
        Some(heir) if devices.is_paired(device) => {
            let conn = heir.connection();
            if let Some((link, _)) = link_of(conn) {
                devices.linked(device, SessionPath { key_exchange: self::key_exchange(conn), ..link });
            }
            // That session may have ended meanwhile, and its watcher may have reported the loss before it was shown
            // here.
            if conn.close_reason().is_some() && net.live(device, ALPN_MESSAGE).is_none() {
                devices.lost(device, said_goodbye(conn));
            }
        }
        Some(_) => {}
    }
}

/// True if the other side ended the session because its node shuts down.
fn said_goodbye(conn: &Connection) -> bool {
    match conn.close_reason() {
        Some(ConnectionError::ApplicationClosed(close)) => {
            CloseCode::from_number(close.error_code.into_inner()) == CloseCode::ShuttingDown
        }
        _ => false,
    }
}

/// Probes silent connections, replaces those that do not answer, and updates the registry. Runs until the node shuts
/// down.
pub(in crate::net) async fn look_after(net: Net) {
    let start = Instant::now();
    let mut changes = net.changes();
    let mut by_connection: HashMap<usize, Liveness> = HashMap::new();
    let mut shown: HashMap<DeviceId, Vec<ConnectionView>> = HashMap::new();
    let mut trips = Trips::default();
    let (mut lost, mut stalls) = (Lost::default(), Stalls::default());
    let mut pace = TICK;
    let mut changed_at = None;
    for tick in 0_u64.. {
        let changed = tokio::select! {
            () = tokio::time::sleep(pace) => false,
            // Cannot fail: the sender lives in `net`, which is held here.
            _ = changes.changed() => true,
            () = net.0.asking.notified() => false,
            () = net.0.cancel.cancelled() => return,
        };
        if changed {
            net.0.relays.rouse();
        }
        let now = start.elapsed();
        if changed {
            changed_at.get_or_insert(now);
        }
        if changed_at.is_some_and(|at| now >= at + MOVED) {
            changed_at = None;
            net.close_left_behind();
        }
        let snapshot = net.snapshot();
        let asked = net.take_asked();
        let mut given_up = HashSet::new();
        let live: HashSet<_> = snapshot.live.iter().map(|session| session.connection().stable_id()).collect();
        by_connection.retain(|id, _| live.contains(id));
        for session in &snapshot.live {
            let counts = counts_of(session);
            let liveness =
                by_connection.entry(session.connection().stable_id()).or_insert_with(|| Liveness::new(now, counts));
            if changed || asked.contains(&session.device_id()) {
                liveness.ask(now);
            }
            let action = liveness.sample(now, counts);
            if action != LivenessAction::Rest {
                tracing::debug!(device = %session.device_id(), ?action, ?counts, "a connection is silent or was asked");
                // Fails only if the connection is closed.
                let _ = session.connection().send_datagram(PROBE);
            }
            if action == LivenessAction::GiveUp || (action == LivenessAction::Suspect && has_moved(&net, session)) {
                given_up.insert(session.device_id());
                session.close(CloseCode::Replaced, "");
            }
        }
        for device in given_up {
            tracing::debug!(%device, "a session does not answer; another one is tried");
            net.redial(device);
        }
        for device in lost.astray(&net, &snapshot, now) {
            tracing::debug!(%device, "no connection uses a path; all are made anew");
            net.reconnect(device);
        }
        for device in stalls.find(&net, &snapshot, &by_connection, now) {
            net.reconnect(device);
        }
        let busy = |liveness: &Liveness| liveness.is_asked() || liveness.is_in_use(now);
        let soon = by_connection.values().any(busy) || lost.any() || changed_at.is_some();
        pace = if soon { QUICK } else { TICK };
        close_the_dead(&snapshot, &by_connection, now);
        if tick % SHOWN_EVERY == 0 || snapshot.came_or_went(&shown) {
            trips.look(&net, &snapshot);
            show(&net, snapshot, &by_connection, now, &mut shown);
        }
    }
}

/// Devices without a selected path, although there are connections with them.
///
/// A device that was killed, moved and restarted leaves connections behind that look alive for a while. Their dead path
/// can win over the path of a new connection, as [`super::connections`] describes, and stays selected after they are
/// gone. Dials then fail, and messages use the relay, if there is one. Making all connections anew clears the
/// selection.
#[derive(Default)]
struct Lost {
    since: HashMap<DeviceId, Duration>,
    reconnected_at: HashMap<DeviceId, Duration>,
}

impl Lost {
    /// Returns the devices whose connections must be made anew.
    fn astray(&mut self, net: &Net, snapshot: &SessionSnapshot, now: Duration) -> Vec<DeviceId> {
        // If a session uses a selected path the device is fine. For most devices nothing else has to be checked.
        let astray = |session: &&Session| !uses_a_path(session.connection()) && net.is_astray(session.device_id());
        let devices: HashSet<_> = snapshot.live.iter().filter(astray).map(Session::device_id).collect();
        self.since.retain(|id, _| devices.contains(id));
        self.reconnected_at.retain(|_, at| now < *at + ANEW_EVERY);
        let mut due = Vec::new();
        for device in devices {
            let since = *self.since.entry(device).or_insert(now);
            if now >= since + ASTRAY && !self.reconnected_at.contains_key(&device) {
                self.reconnected_at.insert(device, now);
                due.push(device);
            }
        }
        due
    }

    /// True if there are such devices now.
    fn any(&self) -> bool {
        !self.since.is_empty()
    }
}

/// True if the device was sighted, but not at the address to which this session sends.
fn has_moved(net: &Net, session: &Session) -> bool {
    let sighted = net.0.devices.sighted_at(session.device_id());
    let paths = session.connection().paths();
    let used = paths.iter().find(|path| path.is_selected()).map(|path| path.remote_addr().clone());
    match used {
        Some(TransportAddr::Ip(address)) => !sighted.is_empty() && !sighted.contains(&address),
        _ => false,
    }
}

/// Closes sessions that do not answer while messages with the same device pass: their path is dead, and its user should
/// learn of it now rather than at the transport's timeout.
fn close_the_dead(snapshot: &SessionSnapshot, by_connection: &HashMap<usize, Liveness>, now: Duration) {
    let liveness = |session: &Session| by_connection.get(&session.connection().stable_id());
    for session in snapshot.live.iter().filter(|session| session.connection().alpn() != ALPN_MESSAGE) {
        let Some(waiting) =
            liveness(session).and_then(|liveness| liveness.waiting(now)).filter(|waiting| *waiting >= DEAD)
        else {
            continue;
        };
        let messages = snapshot
            .live
            .iter()
            .find(|other| other.device_id() == session.device_id() && other.connection().alpn() == ALPN_MESSAGE);
        if messages.and_then(liveness).is_some_and(|liveness| liveness.heard_at() + waiting > now + TICK) {
            session.close(CloseCode::Replaced, "");
        }
    }
}

impl SessionSnapshot {
    fn came_or_went(&self, shown: &HashMap<DeviceId, Vec<ConnectionView>>) -> bool {
        self.live.len() + self.closing.len() + self.dialling.len() != shown.values().map(Vec::len).sum::<usize>()
    }
}

/// Round trips of the message connections, one a device.
#[derive(Default)]
struct Trips(HashMap<usize, (TransportAddr, Trip)>);

impl Trips {
    /// Updates the round trips in the registry.
    fn look(&mut self, net: &Net, snapshot: &SessionSnapshot) {
        self.0.retain(|id, _| snapshot.live.iter().any(|session| session.connection().stable_id() == *id));
        for session in snapshot.live.iter().filter(|session| session.connection().alpn() == ALPN_MESSAGE) {
            let conn = session.connection();
            let paths = conn.paths();
            let Some(path) = paths.iter().find(|path| path.is_selected()) else { continue };
            let heard = conn.stats().frame_rx;
            let (address, trip) =
                self.0.entry(conn.stable_id()).or_insert_with(|| (path.remote_addr().clone(), Trip::default()));
            if address != path.remote_addr() {
                *address = path.remote_addr().clone();
                trip.forget();
            }
            let now = trip.look(path.rtt(), heard.acks + heard.path_acks);
            net.0.devices.round_trip(session.device_id(), now.as_secs_f64() * 1e3);
        }
    }
}

/// Updates the connections that the registry shows for each device.
fn show(
    net: &Net,
    snapshot: SessionSnapshot,
    by_connection: &HashMap<usize, Liveness>,
    now: Duration,
    shown: &mut HashMap<DeviceId, Vec<ConnectionView>>,
) {
    let mut views: HashMap<DeviceId, Vec<ConnectionView>> = HashMap::new();
    for session in &snapshot.live {
        let idle = by_connection.get(&session.connection().stable_id()).is_some_and(|liveness| liveness.is_idle(now));
        let state = if idle { ConnectionState::Idle } else { ConnectionState::Connected };
        views.entry(session.device_id()).or_default().push(view_of(session, state));
    }
    for (device, alpn) in &snapshot.dialling {
        views.entry(*device).or_default().push(dialled(alpn));
    }
    for session in &snapshot.closing {
        views.entry(session.device_id()).or_default().push(view_of(session, ConnectionState::Closing));
    }
    for list in views.values_mut() {
        list.sort_by(|a, b| a.protocol.cmp(&b.protocol).then(a.since.cmp(&b.since)));
    }
    for gone in shown.keys().filter(|id| !views.contains_key(id)) {
        net.0.devices.connections(*gone, Vec::new());
    }
    for (device, list) in &views {
        net.0.devices.connections(*device, list.clone());
    }
    *shown = views;
}

fn counts_of(session: &Session) -> Counts {
    let conn = session.connection();
    let stats = conn.stats();
    let paths = conn.paths();
    let used = paths.iter().find(|path| path.is_selected()).or_else(|| paths.iter().next());
    let used = used.map(|path| (path.id(), path.stats()));
    let path = used.map(|(id, stats)| (PathCounts::of(id, &stats), stats.rtt));
    let (path, rtt) = path.unwrap_or_default();
    Counts {
        heard: stats.udp_rx.datagrams,
        said: stats.frame_rx.stream + stats.frame_tx.stream,
        signs: session.signs_of_life(),
        rtt,
        path,
    }
}

fn name_of(alpn: &[u8]) -> String {
    String::from_utf8_lossy(alpn).into_owned()
}

fn view_of(session: &Session, state: ConnectionState) -> ConnectionView {
    let conn = session.connection();
    let stats = conn.stats();
    let paths = conn.paths();
    let path = paths.iter().find(|path| path.is_selected()).or_else(|| paths.iter().next());
    let on_path = path.as_ref().map(|path| path.stats());
    // Packets with only acknowledgements are not counted as sent, because they are never counted as lost.
    let loss = stats.lost_packets as f64 / stats.sent_packets.max(1) as f64;
    let since = SystemTime::now().checked_sub(session.since().elapsed());
    ConnectionView {
        protocol: name_of(conn.alpn()),
        state,
        path: path.as_ref().map(|path| if path.is_relay() { PathKind::Relay } else { PathKind::Direct }),
        address: path.as_ref().map(|path| shown_address(path.remote_addr())),
        rtt_ms: path.as_ref().map(|path| (path.rtt().as_secs_f64() * 1e6).round() / 1e3),
        loss: (loss.min(1.0) * 1e4).round() / 1e4,
        cwnd: on_path.as_ref().map_or(0, |stats| stats.cwnd),
        mtu: on_path.as_ref().map_or(0, |stats| stats.current_mtu),
        bytes_sent: stats.udp_tx.bytes,
        bytes_received: stats.udp_rx.bytes,
        since: since.and_then(|since| since.duration_since(UNIX_EPOCH).ok()).map(|since| since.as_secs()),
    }
}

fn dialled(alpn: &[u8]) -> ConnectionView {
    ConnectionView {
        protocol: name_of(alpn),
        state: ConnectionState::Connecting,
        path: None,
        address: None,
        rtt_ms: None,
        loss: 0.0,
        cwnd: 0,
        mtu: 0,
        bytes_sent: 0,
        bytes_received: 0,
        since: None,
    }
}

fn link_of(conn: &Connection) -> Option<(SessionPath, TransportAddr)> {
    let paths = conn.paths();
    let path = paths.iter().find(|path| path.is_selected()).or_else(|| paths.iter().next())?;
    let address = path.remote_addr().clone();
    let kind = if path.is_relay() { PathKind::Relay } else { PathKind::Direct };
    let rtt_ms = path.rtt().as_secs_f64() * 1000.0;
    Some((SessionPath { path: kind, address: shown_address(&address), rtt_ms, key_exchange: None }, address))
}

fn shown_address(address: &TransportAddr) -> String {
    match address {
        TransportAddr::Ip(ip) => ip.to_string(),
        TransportAddr::Relay(url) => url.to_string(),
        other => format!("{other:?}"),
    }
}

/// Returns the name of the key exchange group of TLS: the hybrid with ML-KEM if both sides support it.
fn key_exchange(conn: &Connection) -> Option<String> {
    let data = conn.handshake_data()?.downcast::<noq_proto::crypto::rustls::HandshakeData>().ok()?;
    data.negotiated_key_exchange_group.map(|group| format!("{group:?}"))
}
