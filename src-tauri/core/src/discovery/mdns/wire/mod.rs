//! DNS messages, as far as DNS-SD over mDNS needs them (RFC 1035, 6762, 6763). Input is untrusted: every length is
//! checked, name compression pointers may only point back, and the data kept of one packet is limited.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Maximum number of instances read from one packet. Further ones are ignored.
const MAX_INSTANCES: usize = 16;
/// Maximum number of addresses read from one packet.
const MAX_ADDRESSES: usize = 64;
/// Maximum number of announced addresses: they fit into one packet.
pub const MAX_ANNOUNCED: usize = 16;
/// Maximum number of ports of one instance.
const MAX_PORTS: usize = 4;
/// Maximum number of questions and records read from one packet.
const MAX_RECORDS: usize = 256;
/// Maximum length of a name in bytes (RFC 1035).
const MAX_NAME: usize = 255;

const A: u16 = 1;
const PTR: u16 = 12;
const TXT: u16 = 16;
const AAAA: u16 = 28;
const SRV: u16 = 33;
const ANY: u16 = 255;
const IN: u16 = 1;
/// In a question: unicast response wanted. In a record: cache flush. Both are ignored.
const TOP_BIT: u16 = 0x8000;
const RESPONSE: u16 = 0x8400;

/// DNS label of an instance: its endpoint id, or 32 random bytes.
pub type Label = [u8; 32];

/// A question about our service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Question for all devices that are present.
    Browse,
    /// Question whether this device is present.
    Instance(Label),
}

/// Announcement of an instance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Instance {
    /// Label of the instance.
    pub label: Label,
    /// Lifetime in seconds; 0 is a goodbye.
    pub ttl: u32,
    /// Addresses, grouped by port, and for each port in the received order.
    pub addresses: Vec<SocketAddr>,
    /// TXT `user-data`.
    pub user_data: Option<String>,
    /// TXT `beacon`.
    pub beacon: Option<Vec<u8>>,
}

/// Contents of a packet about our service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packet {
    /// Questions.
    pub questions: Vec<Question>,
    /// Announcements.
    pub instances: Vec<Instance>,
}

/// Returns the text form of a label: 52 characters.
pub fn label_text(label: &Label) -> String {
    data_encoding::BASE32_NOPAD.encode(label).to_ascii_lowercase()
}

fn label_of(text: &[u8]) -> Option<Label> {
    let bytes = data_encoding::BASE32_NOPAD.decode(&text.to_ascii_uppercase()).ok()?;
    bytes.try_into().ok()
}

// ---- writing -------------------------------------------------------------------------------------------------------

/// Encodes a question.
pub fn question(service: &str, question: Question) -> Vec<u8> {
    let mut out = PacketWriter::new(0, [1, 0, 0, 0]);
    match question {
        Question::Browse => out.name(&service_name(service)),
        Question::Instance(label) => out.name(&instance_name(service, &label)),
    }
    out.u16(if question == Question::Browse { PTR } else { SRV });
    out.u16(IN);
    out.bytes
}

/// Encodes an announcement. With `ttl` 0 it is a goodbye.
pub fn announcement(service: &str, instance: &Instance) -> Vec<u8> {
    let texts: Vec<Vec<u8>> = [
        instance.user_data.as_ref().map(|text| [b"user-data=", text.as_bytes()].concat()),
        instance.beacon.as_ref().map(|tags| [b"beacon=", tags.as_slice()].concat()),
    ]
    .into_iter()
    .flatten()
    .filter(|text| text.len() <= 255)
    .collect();
    let addresses = &instance.addresses[..instance.addresses.len().min(MAX_ANNOUNCED)];
    let mut ports: Vec<u16> = addresses.iter().map(SocketAddr::port).collect();
    ports.sort_unstable();
    ports.dedup();
    if ports.is_empty() {
        // A goodbye contains no addresses.
        ports.push(0);
    }
    let answers = 1 + ports.len() as u16 + u16::from(!texts.is_empty());
    let mut out = PacketWriter::new(RESPONSE, [0, answers, 0, addresses.len() as u16]);
    let own = instance_name(service, &instance.label);
    let target = |port: u16| vec![format!("{}-{port}", label_text(&instance.label)), "local".into()];
    out.record(&service_name(service), PTR, instance.ttl, |out| out.name(&own));
    for port in ports {
        out.record(&own, SRV, instance.ttl, |out| {
            out.u16(0);
            out.u16(0);
            out.u16(port);
            out.name(&target(port));
        });
    }
    if !texts.is_empty() {
        out.record(&own, TXT, instance.ttl, |out| {
            for text in &texts {
                out.bytes.push(text.len() as u8);
                out.bytes.extend(text);
            }
        });
    }
    for address in addresses {
        let name = target(address.port());
        match address.ip() {
            IpAddr::V4(v4) => out.record(&name, A, instance.ttl, |out| out.bytes.extend(v4.octets())),
            IpAddr::V6(v6) => out.record(&name, AAAA, instance.ttl, |out| out.bytes.extend(v6.octets())),
        }
    }
    out.bytes
}

fn service_name(service: &str) -> Vec<String> {
    vec![format!("_{service}"), "_udp".into(), "local".into()]
}

fn instance_name(service: &str, label: &Label) -> Vec<String> {
    [vec![label_text(label)], service_name(service)].concat()
}

struct PacketWriter {
    bytes: Vec<u8>,
    /// Names already written and their offsets, for compression pointers.
    names: Vec<(Vec<String>, u16)>,
}

impl PacketWriter {
    fn new(flags: u16, counts: [u16; 4]) -> Self {
        let mut out = Self { bytes: Vec::with_capacity(512), names: Vec::new() };
        out.u16(0);
        out.u16(flags);
        counts.into_iter().for_each(|count| out.u16(count));
        out
    }

    fn u16(&mut self, number: u16) {
        self.bytes.extend(number.to_be_bytes());
    }

    fn name(&mut self, labels: &[String]) {
        for (at, label) in labels.iter().enumerate() {
            let rest = &labels[at..];
            if let Some((_, place)) = self.names.iter().find(|(name, _)| name == rest) {
                return self.u16(0xc000 | *place);
            }
            self.names.push((rest.to_vec(), self.bytes.len() as u16));
            self.bytes.push(label.len() as u8);
            self.bytes.extend(label.as_bytes());
        }
        self.bytes.push(0);
    }

    fn record(&mut self, name: &[String], kind: u16, ttl: u32, data: impl FnOnce(&mut Self)) {
        self.name(name);
        self.u16(kind);
        self.u16(IN);
        self.bytes.extend(ttl.to_be_bytes());
        let length_at = self.bytes.len();
        self.u16(0);
        data(self);
        let length = (self.bytes.len() - length_at - 2) as u16;
        self.bytes[length_at..length_at + 2].copy_from_slice(&length.to_be_bytes());
    }
}

// ---- reading -------------------------------------------------------------------------------------------------------

/// Decodes a packet. Records that do not concern our service are skipped; a truncated packet is read as far as
/// possible.
pub fn read(service: &str, bytes: &[u8]) -> Packet {
    let mut packet = Packet::default();
    let mut reading = PacketReader { instances: Vec::new(), addresses: Vec::new() };
    let _ = reading.all(service, bytes, &mut packet);
    for mut found in reading.instances.into_iter().filter(|found| !found.targets.is_empty()) {
        for (target, port) in &found.targets {
            let addresses = reading.addresses.iter().filter(|(name, _)| name == target);
            found.instance.addresses.extend(addresses.map(|(_, address)| SocketAddr::new(*address, *port)));
        }
        found.instance.addresses.truncate(MAX_ANNOUNCED);
        packet.instances.push(found.instance);
    }
    packet
}

struct PartialInstance {
    instance: Instance,
    /// Host names and ports.
    targets: Vec<(Vec<u8>, u16)>,
}

struct PacketReader {
    instances: Vec<PartialInstance>,
    addresses: Vec<(Vec<u8>, IpAddr)>,
}

impl PacketReader {
    fn all(&mut self, service: &str, bytes: &[u8], packet: &mut Packet) -> Option<()> {
        let counts =
            [4, 6, 8, 10].map(|at| bytes.get(at..at + 2).map(|b| usize::from(u16::from_be_bytes([b[0], b[1]]))));
        let [Some(questions), Some(answers), Some(authorities), Some(additionals)] = counts else { return None };
        let mut at = 12;
        for _ in 0..questions.min(MAX_RECORDS) {
            let name = name_at(bytes, &mut at)?;
            let kind = u16_at(bytes, &mut at)?;
            let class = u16_at(bytes, &mut at)? & !TOP_BIT;
            if class != IN || packet.questions.len() >= MAX_INSTANCES {
                continue;
            }
            match whose(&name, service) {
                Some(Whose::Service) if matches!(kind, PTR | ANY) => packet.questions.push(Question::Browse),
                Some(Whose::Instance(label)) if matches!(kind, SRV | TXT | ANY) => {
                    packet.questions.push(Question::Instance(label));
                }
                _ => {}
            }
        }
        if questions > MAX_RECORDS {
            return None;
        }
        for _ in 0..(answers + authorities + additionals).min(MAX_RECORDS) {
            let name = name_at(bytes, &mut at)?;
            let kind = u16_at(bytes, &mut at)?;
            let class = u16_at(bytes, &mut at)? & !TOP_BIT;
            let ttl = u32::from(u16_at(bytes, &mut at)?) << 16 | u32::from(u16_at(bytes, &mut at)?);
            let length = usize::from(u16_at(bytes, &mut at)?);
            let data = bytes.get(at..at + length)?;
            if class == IN {
                self.record(service, &name, kind, ttl, Data { bytes, at, data });
            }
            at += length;
        }
        Some(())
    }

    fn record(&mut self, service: &str, name: &[u8], kind: u16, ttl: u32, data: Data<'_>) -> Option<()> {
        match kind {
            A | AAAA if self.addresses.len() < MAX_ADDRESSES => {
                self.addresses.push((name.to_vec(), address(kind, data.data)?));
            }
            SRV => {
                let Some(Whose::Instance(label)) = whose(name, service) else { return None };
                let mut at = data.at + 4;
                let port = u16_at(data.bytes, &mut at)?;
                let target = name_at(data.bytes, &mut at)?;
                let found = self.of(label)?;
                found.instance.ttl = ttl;
                if found.targets.len() < MAX_PORTS {
                    found.targets.push((target, port));
                }
            }
            TXT => {
                let Some(Whose::Instance(label)) = whose(name, service) else { return None };
                let found = self.of(label)?;
                read_texts(data.data, &mut found.instance);
            }
            _ => {}
        }
        Some(())
    }

    fn of(&mut self, label: Label) -> Option<&mut PartialInstance> {
        let at = match self.instances.iter().position(|found| found.instance.label == label) {
            Some(at) => at,
            None if self.instances.len() >= MAX_INSTANCES => return None,
            None => {
                let instance = Instance { label, ..Instance::default() };
                self.instances.push(PartialInstance { instance, targets: Vec::new() });
                self.instances.len() - 1
            }
        };
        self.instances.get_mut(at)
    }
}

struct Data<'a> {
    bytes: &'a [u8],
    at: usize,
    data: &'a [u8],
}

fn address(kind: u16, data: &[u8]) -> Option<IpAddr> {
    match kind {
        A => Some(Ipv4Addr::from(<[u8; 4]>::try_from(data).ok()?).into()),
        _ => Some(Ipv6Addr::from(<[u8; 16]>::try_from(data).ok()?).into()),
    }
}

fn read_texts(data: &[u8], instance: &mut Instance) {
    let mut at = 0;
    while let Some(text) = data.get(at).and_then(|length| data.get(at + 1..at + 1 + usize::from(*length))) {
        at += 1 + text.len();
        if let Some(said) = text.strip_prefix(b"user-data=")
            && instance.user_data.is_none()
        {
            instance.user_data = std::str::from_utf8(said).ok().map(str::to_owned);
        }
        if let Some(tags) = text.strip_prefix(b"beacon=")
            && instance.beacon.is_none()
        {
            instance.beacon = Some(tags.to_vec());
        }
    }
}

enum Whose {
    Service,
    Instance(Label),
}

/// Classifies a name as read by [`name_at`].
fn whose(name: &[u8], service: &str) -> Option<Whose> {
    let mut own = Vec::with_capacity(32);
    for label in service_name(service) {
        own.push(label.len() as u8);
        own.extend(label.as_bytes());
    }
    let before = name.strip_suffix(own.as_slice())?;
    match before.split_first() {
        None => Some(Whose::Service),
        Some((length, text)) if usize::from(*length) == text.len() => label_of(text).map(Whose::Instance),
        _ => None,
    }
}

fn u16_at(bytes: &[u8], at: &mut usize) -> Option<u16> {
    let two = bytes.get(*at..*at + 2)?;
    *at += 2;
    Some(u16::from_be_bytes([two[0], two[1]]))
}

/// Maximum number of pointers in a name. An honest name has one or two.
const MAX_JUMPS: u32 = 16;

/// Reads a name: its labels in lower case, each preceded by its length, without the root. Pointers may only go back,
/// so that there can be no loop.
fn name_at(bytes: &[u8], at: &mut usize) -> Option<Vec<u8>> {
    let mut name = Vec::new();
    let (mut here, mut lowest, mut jumped) = (*at, *at, false);
    let mut jumps = 0;
    loop {
        let length = *bytes.get(here)?;
        match length & 0xc0 {
            0 => {
                let label = bytes.get(here + 1..here + 1 + usize::from(length))?;
                here += 1 + label.len();
                if !jumped {
                    *at = here;
                }
                if label.is_empty() {
                    return Some(name);
                }
                name.push(length);
                name.extend(label.to_ascii_lowercase());
                if name.len() > MAX_NAME {
                    return None;
                }
            }
            0xc0 => {
                let target = usize::from(length & 0x3f) << 8 | usize::from(*bytes.get(here + 1)?);
                jumps += 1;
                if target >= lowest || jumps > MAX_JUMPS {
                    return None;
                }
                if !jumped {
                    *at = here + 2;
                }
                (here, lowest, jumped) = (target, target, true);
            }
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests;
