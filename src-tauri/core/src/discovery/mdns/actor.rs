//! Combines sockets, plan and table: receives, answers, and announces.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr, SocketAddrV6},
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use iroh::EndpointId;
use tokio::sync::watch;

use super::{
    Sightings, Wanted,
    links::{Links, NetworkLink, is_link_local},
    plan::{AnnouncementSchedule, Family, ScheduledPacket},
    sockets::Sockets,
    table::{KnownAnnouncement, PresenceTable},
    wire::{self, Instance, Label, Question},
};
use crate::{
    api::Discoverable,
    clock,
    discovery::{
        Advert, PairedPeer, SERVICE_NAME,
        beacon::{self, EPOCH_SECONDS, Recognizer},
    },
};

/// Lifetime of our announcement in seconds. It is repeated about twice in that time.
const TTL: u32 = 15;
/// Largest packet that is read, in bytes. Ours are far smaller; jumbo frames have this size.
const LARGEST: usize = 9000;
/// Minimum interval between two updates of the listeners.
const REPORT_INTERVAL: Duration = Duration::from_millis(50);
/// Time after which a goodbye packet is repeated, in case it was lost.
const GOODBYE_REPEAT: Duration = Duration::from_millis(250);
/// Maximum random delay before a received goodbye is verified, so that its receivers do not all ask at once.
const GOODBYE_CHECK_JITTER: Duration = Duration::from_millis(150);
const IDLE: Duration = Duration::from_secs(3600);

/// Form in which this device is visible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AdvertForm {
    /// Sends no advertisement.
    Hidden,
    /// Advertises id, name and type.
    Open,
    /// Advertises random bytes, with a tag for each paired device.
    Beacon { epoch: u64, label: Label },
}

/// The running source.
pub(super) struct Actor {
    endpoint_id: EndpointId,
    sockets: Sockets,
    wanted: watch::Receiver<Wanted>,
    links: watch::Receiver<Links>,
    seen: watch::Sender<Sightings>,
    begun: Instant,
    now: Wanted,
    on: Links,
    form: AdvertForm,
    turn: usize,
    plan: AnnouncementSchedule,
    table: PresenceTable,
    recognizer: Recognizer,
    goodbyes: Vec<(Duration, Label)>,
    changed: bool,
    reported_at: Option<Duration>,
}

impl Actor {
    pub fn new(
        endpoint_id: EndpointId,
        sockets: Sockets,
        wanted: watch::Receiver<Wanted>,
        links: watch::Receiver<Links>,
        seen: watch::Sender<Sightings>,
    ) -> Self {
        let now = wanted.borrow().clone();
        Self {
            endpoint_id,
            sockets,
            wanted,
            links,
            seen,
            begun: Instant::now(),
            now,
            on: Links::default(),
            form: AdvertForm::Hidden,
            turn: 0,
            plan: AnnouncementSchedule::default(),
            table: PresenceTable::default(),
            recognizer: Recognizer::default(),
            goodbyes: Vec::new(),
            changed: false,
            reported_at: None,
        }
    }

    /// Runs until all handles are dropped.
    pub async fn run(mut self) {
        let mut buffers = [vec![0; LARGEST], vec![0; LARGEST]];
        self.wanted.mark_changed();
        self.links.mark_changed();
        loop {
            let wait = self.next().saturating_sub(self.begun.elapsed());
            tokio::select! {
                (family, got) = self.sockets.receive(&mut buffers) => match got {
                    Ok((length, from)) => {
                        let buffer = &buffers[family as usize];
                        self.receive(family, from, buffer.get(..length).unwrap_or(buffer));
                    }
                    // Some systems report on this call that an earlier packet was refused.
                    Err(error) => {
                        tracing::debug!(%error, "nothing was heard");
                        tokio::time::sleep(REPORT_INTERVAL).await;
                    }
                },
                changed = self.wanted.changed() => match changed {
                    Ok(()) => self.follow_settings().await,
                    Err(_) => return,
                },
                changed = self.links.changed() => match changed {
                    Ok(()) => self.follow_links(),
                    Err(_) => return,
                },
                () = tokio::time::sleep(wait) => {}
            }
            self.act().await;
        }
    }

    fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Returns when something is due.
    fn next(&self) -> Duration {
        let goodbyes = self.goodbyes.iter().map(|(at, _)| *at).min();
        let report = self.changed.then(|| self.reported_at.map_or(Duration::ZERO, |at| at + REPORT_INTERVAL));
        let epoch = matches!(self.form, AdvertForm::Beacon { .. }).then(|| {
            let left = EPOCH_SECONDS - unix() % EPOCH_SECONDS;
            self.elapsed() + Duration::from_secs(left)
        });
        let times = [self.plan.next(), self.table.next(), goodbyes, report, epoch];
        times.into_iter().flatten().min().unwrap_or(self.elapsed() + IDLE)
    }

    async fn act(&mut self) {
        if let AdvertForm::Beacon { epoch, .. } = self.form
            && epoch != beacon::epoch_at(unix())
        {
            self.take_form().await;
        }
        let now = self.elapsed();
        for (link, packet) in self.plan.due(now, clock::jitter()) {
            match packet {
                ScheduledPacket::Ask => self.send(link, None, &wire::question(SERVICE_NAME, Question::Browse)).await,
                ScheduledPacket::Announce(to) => self.announce(link, to).await,
            }
        }
        let (ask, gone) = self.table.due(now);
        for label in ask {
            self.send_all(&wire::question(SERVICE_NAME, Question::Instance(label))).await;
        }
        let due: Vec<Label> = self.goodbyes.iter().filter(|(at, _)| *at <= now).map(|(_, label)| *label).collect();
        self.goodbyes.retain(|(at, _)| *at > now);
        for label in due {
            self.send_goodbye(label).await;
        }
        self.changed |= gone;
        if self.changed && self.reported_at.is_none_or(|at| now >= at + REPORT_INTERVAL) {
            (self.changed, self.reported_at) = (false, Some(now));
            let sightings = self.table.sightings();
            self.seen.send_if_modified(|before| {
                let news = **before != sightings;
                if news {
                    *before = Arc::new(sightings);
                }
                news
            });
        }
    }

    // ---- configuration and networks --------------------------------------------------------------------------------

    async fn follow_settings(&mut self) {
        let wanted = self.wanted.borrow_and_update().clone();
        let before = std::mem::replace(&mut self.now, wanted);
        // A change of order affects only the next beacon.
        let others = sorted(&before.peers) != sorted(&self.now.peers);
        if others {
            let paired: BTreeSet<_> = self.now.peers.iter().map(|peer| peer.endpoint_id).collect();
            self.recognizer.forget();
            self.table.pair(&paired);
            self.changed = true;
            // Beacons of a newly paired device were received before, but not recognized.
            if paired.iter().any(|who| !before.peers.iter().any(|peer| peer.endpoint_id == *who)) {
                self.send_all(&wire::question(SERVICE_NAME, Question::Browse)).await;
            }
        }
        let form = self.form;
        self.take_form().await;
        let says_other = before.advert != self.now.advert && form == AdvertForm::Open;
        let for_others = others && matches!(form, AdvertForm::Beacon { .. });
        if self.form == form && (says_other || for_others || before.addresses != self.now.addresses) {
            self.plan.changed(self.elapsed(), clock::jitter());
        }
    }

    /// Switches to the wanted form. The old form is revoked after the new one was announced.
    async fn take_form(&mut self) {
        let open = self.now.advert.is_some();
        let pairing = self.now.advert.as_ref().is_some_and(|advert| advert.pairing);
        let epoch = beacon::epoch_at(unix());
        let form = match self.now.shown_to {
            _ if self.now.leaving => AdvertForm::Hidden,
            Discoverable::Everyone if open => AdvertForm::Open,
            // While a code is shown, others must be able to find this device.
            Discoverable::Paired if pairing => AdvertForm::Open,
            Discoverable::Paired => match self.form {
                AdvertForm::Beacon { epoch: of, .. } if of == epoch => self.form,
                _ => random_label().map_or(AdvertForm::Hidden, |label| AdvertForm::Beacon { epoch, label }),
            },
            Discoverable::Everyone | Discoverable::Nobody => AdvertForm::Hidden,
        };
        if form == self.form {
            return;
        }
        let before = std::mem::replace(&mut self.form, form);
        for link in self.on.by_index.keys().copied().collect::<Vec<_>>() {
            self.announce(link, None).await;
        }
        let now = self.elapsed();
        self.plan.changed(now, clock::jitter());
        if let Some(label) = self.label_of(before) {
            self.send_goodbye(label).await;
            self.goodbyes.push((now + GOODBYE_REPEAT, label));
        }
    }

    fn label_of(&self, form: AdvertForm) -> Option<Label> {
        match form {
            AdvertForm::Hidden => None,
            AdvertForm::Open => Some(*self.endpoint_id.as_bytes()),
            AdvertForm::Beacon { label, .. } => Some(label),
        }
    }

    fn follow_links(&mut self) {
        let links = self.links.borrow_and_update().clone();
        let before = std::mem::replace(&mut self.on, links);
        let now = self.elapsed();
        for index in before.by_index.keys().filter(|index| !self.on.by_index.contains_key(index)) {
            self.sockets.leave(*index);
            self.plan.link_down(*index);
        }
        for (index, link) in &self.on.by_index {
            if before.by_index.get(index) != Some(link) || before.awakened != self.on.awakened {
                self.sockets.join(*index, link);
                self.plan.link_up(now, *index, link.v4().is_some(), clock::jitter());
            }
        }
    }

    // ---- sending ---------------------------------------------------------------------------------------------------

    async fn announce(&mut self, index: u32, to: Option<Family>) {
        let Some(instance) = self.instance(index) else { return };
        self.send(index, to, &wire::announcement(SERVICE_NAME, &instance)).await;
    }

    /// Returns the announcement for this link. `None` if nothing is to be announced there.
    fn instance(&mut self, index: u32) -> Option<Instance> {
        let label = self.label_of(self.form)?;
        let link = self.on.by_index.get(&index)?;
        let here = |address: &&SocketAddr| link.addresses.iter().any(|(own, _)| *own == address.ip());
        let mut addresses: Vec<SocketAddr> = self.now.addresses.iter().filter(here).copied().collect();
        if addresses.is_empty() {
            // No address of this link could be dialled.
            return None;
        }
        addresses.truncate(wire::MAX_ANNOUNCED / 2);
        if self.form != AdvertForm::Open {
            self.turn = self.turn.wrapping_add(1);
            let own = self.endpoint_id.as_bytes();
            let AdvertForm::Beacon { epoch, .. } = self.form else { return None };
            let tags = beacon::tags(&self.now.peers, own, epoch, &label, self.turn, random_tag);
            // Addresses of other networks would identify this device.
            return Some(Instance { label, ttl: TTL, addresses, user_data: None, beacon: Some(tags) });
        }
        let elsewhere = |address: &&SocketAddr| {
            !here(address) && self.on.has(address.ip()) && !address.ip().is_loopback() && !is_link_local(address.ip())
        };
        addresses.extend(self.now.addresses.iter().filter(elsewhere));
        let user_data = self.now.advert.as_ref().map(Advert::encode);
        Some(Instance { label, ttl: TTL, addresses, user_data, beacon: None })
    }

    async fn send_goodbye(&mut self, label: Label) {
        let goodbye = Instance { label, ..Instance::default() };
        self.send_all(&wire::announcement(SERVICE_NAME, &goodbye)).await;
    }

    async fn send_all(&self, packet: &[u8]) {
        for index in self.on.by_index.keys() {
            self.send(*index, None, packet).await;
        }
    }

    async fn send(&self, index: u32, to: Option<Family>, packet: &[u8]) {
        let Some(link) = self.on.by_index.get(&index).filter(|link| self.uses_link(link)) else { return };
        for family in [Family::V4, Family::V6] {
            if to.is_none_or(|to| to == family) {
                self.sockets.send(index, link, family, packet).await;
            }
        }
    }

    /// True if this link is used. Loopback is used only by a node that is bound to it.
    fn uses_link(&self, link: &NetworkLink) -> bool {
        !link.is_loopback() || self.now.addresses.iter().any(|address| address.ip().is_loopback())
    }

    // ---- receiving -------------------------------------------------------------------------------------------------

    fn receive(&mut self, family: Family, from: SocketAddr, bytes: &[u8]) {
        let Some(link) = self.on.of(from) else { return };
        let packet = wire::read(SERVICE_NAME, bytes);
        let now = self.elapsed();
        for question in packet.questions {
            match question {
                Question::Browse => self.plan.queried(now, link, family, Some(self.table.len()), clock::jitter()),
                Question::Instance(label) if Some(label) == self.label_of(self.form) => {
                    self.plan.queried(now, link, family, None, clock::jitter());
                }
                Question::Instance(label) => self.table.queried(now, &label),
            }
        }
        for instance in packet.instances {
            if instance.ttl == 0 {
                self.table.goodbye(now, &instance.label, GOODBYE_CHECK_JITTER.mul_f64(clock::jitter()));
            } else {
                self.receive_instance(now, link, from.ip(), instance);
            }
        }
    }

    fn receive_instance(&mut self, now: Duration, link: u32, from: IpAddr, instance: Instance) {
        let own = self.endpoint_id.as_bytes();
        if instance.label == *own || Some(instance.label) == self.label_of(self.form) {
            return;
        }
        let here = self.on.has(from);
        // An advertisement must not make this device send packets to a distant machine.
        let near =
            |address: &SocketAddr| is_private(address.ip()) || self.on.of(SocketAddr::new(address.ip(), 0)).is_some();
        let addresses: Vec<SocketAddr> =
            instance.addresses.into_iter().filter_map(|address| usable(address, link, here)).filter(near).collect();
        if addresses.is_empty() {
            return;
        }
        let peers = &self.now.peers;
        let (who, advert) = match (&instance.user_data, &instance.beacon) {
            (None, Some(tags)) => {
                let epoch = beacon::epoch_at(unix());
                match self.recognizer.who(now, epoch, &instance.label, tags, peers) {
                    Some(who) => (who, None),
                    None => return,
                }
            }
            (said, _) => {
                // Half of all labels are not public keys.
                if EndpointId::from_bytes(&instance.label).is_err() {
                    return;
                }
                (instance.label, said.as_deref().and_then(Advert::decode))
            }
        };
        let paired = peers.iter().any(|peer| peer.endpoint_id == who);
        let announcement =
            KnownAnnouncement { label: instance.label, who, paired, advert, from, addresses, ttl: instance.ttl };
        self.changed |= self.table.announced(now, announcement);
    }
}

/// Converts an advertised address into one that can be dialled. A link-local one gets the link's scope id.
fn usable(address: SocketAddr, link: u32, here: bool) -> Option<SocketAddr> {
    let ip = address.ip();
    let broadcast = ip == IpAddr::V4(std::net::Ipv4Addr::BROADCAST);
    if address.port() == 0 || ip.is_unspecified() || ip.is_multicast() || broadcast || (ip.is_loopback() && !here) {
        return None;
    }
    match address {
        SocketAddr::V6(v6) if is_link_local(ip) => Some(SocketAddrV6::new(*v6.ip(), v6.port(), 0, link).into()),
        SocketAddr::V6(v6) if v6.ip().to_ipv4_mapped().is_some() => None,
        other => Some(other),
    }
}

/// True for an address that no machine of the internet has.
fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => {
            let shared = v4.octets()[0] == 100 && v4.octets()[1] & 0xc0 == 64;
            v4.is_private() || v4.is_link_local() || v4.is_loopback() || shared
        }
        IpAddr::V6(v6) => v6.is_unique_local() || v6.is_unicast_link_local() || v6.is_loopback(),
    }
}

fn sorted(peers: &[PairedPeer]) -> Vec<&PairedPeer> {
    let mut peers: Vec<_> = peers.iter().collect();
    peers.sort_unstable_by_key(|peer| peer.endpoint_id);
    peers
}

fn unix() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map(|time| time.as_secs()).unwrap_or_default()
}

fn random_label() -> Option<Label> {
    clock::random().ok()
}

fn random_tag() -> [u8; 8] {
    // Only a filler: zeros would at most reveal that fewer devices are paired.
    clock::random().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_that_can_be_dialled_are_taken() {
        let taken = |text: &str, here| usable(text.parse().unwrap(), 7, here).map(|address| address.to_string());
        assert_eq!(taken("10.0.0.1:1", false).as_deref(), Some("10.0.0.1:1"));
        assert_eq!(taken("[fe80::1]:1", false).as_deref(), Some("[fe80::1%7]:1"));
        assert_eq!(taken("127.0.0.1:1", true).as_deref(), Some("127.0.0.1:1"));
        for junk in [
            "127.0.0.1:1",
            "[::1]:1",
            "0.0.0.0:1",
            "224.0.0.251:1",
            "255.255.255.255:1",
            "10.0.0.1:0",
            "[ff02::1]:1",
            "[::ffff:127.0.0.1]:1",
        ] {
            assert_eq!(taken(junk, false), None, "{junk}");
        }
    }
}
